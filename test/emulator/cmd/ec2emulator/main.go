/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Command ec2emulator serves the EC2 emulator as a process of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// shutdownTimeout is how long requests may take to end after a signal.
const shutdownTimeout = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ec2emulator:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. It tells out where.
func run(ctx context.Context, args []string, out io.Writer) error {
	address, options, err := parseFlags(args)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "EC2 emulator listening on http://%s\n", listener.Addr())
	server := &http.Server{
		Handler:           emulator.New(options),
		ReadHeaderTimeout: 10 * time.Second,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	return server.Shutdown(ctx)
}

func parseFlags(args []string) (address string, options emulator.Options, err error) {
	flags := pflag.NewFlagSet("ec2emulator", pflag.ContinueOnError)
	limits := emulator.DefaultLimits()
	flags.StringVar(&address, "listen", "127.0.0.1:4566", "address to listen on; port 0 picks a free one")
	throttling := flags.Bool("throttling", true, "throttle requests with EC2's token buckets")
	instant := flags.Bool("instant", false, "make state changes and answers instantaneous, not as slow as EC2's")
	flags.Uint64Var(&options.Seed, "seed", uint64(time.Now().UnixNano()), "seed of identifiers, jitter and fault probabilities (default: the time)")
	flags.IntVar(&options.CallLogSize, "call-log-size", emulator.DefaultCallLogSize, "number of calls to keep")
	flags.IntVar(&limits.ENIsPerZone, "enis-per-zone", limits.ENIsPerZone, "quota of network interfaces per Availability Zone")
	flags.IntVar(&limits.GroupsPerENI, "groups-per-eni", limits.GroupsPerENI, "quota of security groups per network interface")
	replay := flags.String("token-replay", string(limits.Replay), "what a client token answers once its ENI is deleted: Stale, NotFound, Echo or Recreate")
	flags.BoolVar(&options.Rising, "rising", false, "choose addresses and prefixes in rising order, not scattered over the subnet")
	flags.BoolVar(&options.Sorted, "sorted", false, "list rows and tags in order, not in any")
	flags.BoolVar(&options.FullPages, "full-pages", false, "fill all pages but the last")
	flags.BoolVar(&options.PlainRefusals, "plain-refusals", false, "leave out of UnauthorizedOperation what differs from call to call")
	flags.BoolVar(&options.CardBlind, "card-blind", false, "refuse a device index that is taken on any card where an attach names no card")
	flags.BoolVar(&options.FilterLimitEach, "filter-limit-each", false, "allow 200 values for each filter, not for all of a call")
	flags.BoolVar(&options.Compress, "compress", true, "compress answers for clients that take it")
	flags.DurationVar(&options.KeepPast, "keep-past", 0, "how much of the past to keep for stale reads that are asked for later")
	flags.StringToStringVar(&options.Accounts, "account", nil, "accounts of callers, as KEY=ACCOUNT")
	flags.StringVar(&limits.Scarcity.PrefixShortage, "prefix-shortage", limits.Scarcity.PrefixShortage,
		"code for a create that finds no free block: InvalidParameterValue or InsufficientCidrBlocks")
	flags.StringVar(&limits.Scarcity.CountAboveFree, "count-above-free", limits.Scarcity.CountAboveFree,
		"code for a count above what is free: InsufficientFreeAddressesInSubnet or InvalidParameterValue")
	if err := flags.Parse(args); err != nil {
		return "", options, err
	}
	switch limits.Replay = emulator.ReplayPolicy(*replay); limits.Replay {
	case emulator.ReplayStale, emulator.ReplayNotFound, emulator.ReplayEcho, emulator.ReplayRecreate:
	default:
		return "", options, fmt.Errorf("--token-replay %q is none of Stale, NotFound, Echo, Recreate", *replay)
	}
	if err := checkScarcity(limits.Scarcity); err != nil {
		return "", options, err
	}
	options.Limits = limits
	options.Throttling.Off = !*throttling
	if !*instant {
		options.Timings = emulator.DefaultTimings()
	}
	return address, options, nil
}

func checkScarcity(s emulator.Scarcity) error {
	switch s.PrefixShortage {
	case emulator.CodeInvalidParameterValue, emulator.CodeInsufficientCIDRBlocks:
	default:
		return fmt.Errorf("--prefix-shortage %q is none of InvalidParameterValue, InsufficientCidrBlocks", s.PrefixShortage)
	}
	switch s.CountAboveFree {
	case emulator.CodeInsufficientFreeAddresses, emulator.CodeInvalidParameterValue:
	default:
		return fmt.Errorf("--count-above-free %q is none of InsufficientFreeAddressesInSubnet, InvalidParameterValue", s.CountAboveFree)
	}
	return nil
}
