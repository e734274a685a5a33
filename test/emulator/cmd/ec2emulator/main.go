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
	if err := flags.Parse(args); err != nil {
		return "", options, err
	}
	switch limits.Replay = emulator.ReplayPolicy(*replay); limits.Replay {
	case emulator.ReplayStale, emulator.ReplayNotFound, emulator.ReplayEcho, emulator.ReplayRecreate:
	default:
		return "", options, fmt.Errorf("--token-replay %q is none of Stale, NotFound, Echo, Recreate", *replay)
	}
	options.Limits = limits
	options.Throttling.Off = !*throttling
	if !*instant {
		options.Timings = emulator.DefaultTimings()
	}
	return address, options, nil
}
