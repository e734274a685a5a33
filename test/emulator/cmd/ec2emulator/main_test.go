/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestRunServesUntilItsContextIsDone(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--listen", "127.0.0.1:0"}, writer) }()
	line, err := bufio.NewReader(reader).ReadString('\n')
	assert.NilError(t, err)
	_, url, found := strings.Cut(strings.TrimSpace(line), "listening on ")
	assert.Assert(t, found, line)

	response, err := http.Get(url + "/_emulator/healthz")
	assert.NilError(t, err)
	assert.NilError(t, response.Body.Close())
	assert.Equal(t, response.StatusCode, http.StatusOK)
	http.DefaultClient.CloseIdleConnections()
	cancel()
	assert.NilError(t, <-ended)
}

func TestParseFlags(t *testing.T) {
	address, options, err := parseFlags(nil)
	assert.NilError(t, err)
	assert.Equal(t, address, "127.0.0.1:4566")
	assert.Equal(t, options.Throttling.Off, false)
	assert.Equal(t, options.Compress, true)
	assert.DeepEqual(t, options.Timings, emulator.DefaultTimings())
	assert.DeepEqual(t, options.Limits, emulator.DefaultLimits())

	_, options, err = parseFlags([]string{"--instant", "--throttling=false", "--seed=7", "--token-replay=Echo"})
	assert.NilError(t, err)
	assert.Equal(t, options.Throttling.Off, true)
	assert.DeepEqual(t, options.Timings, emulator.Timings{})
	assert.Equal(t, options.Seed, uint64(7))
	assert.Equal(t, options.Limits.Replay, emulator.ReplayEcho)

	_, options, err = parseFlags([]string{
		"--rising", "--sorted", "--full-pages", "--plain-refusals", "--keep-past=30s", "--account=AKID=210987654321",
		"--card-blind", "--filter-limit-each", "--compress=false",
		"--prefix-shortage=InsufficientCidrBlocks", "--count-above-free=InvalidParameterValue",
	})
	assert.NilError(t, err)
	assert.Assert(t, options.Rising && options.Sorted && options.FullPages && options.PlainRefusals)
	assert.Assert(t, options.CardBlind && options.FilterLimitEach && !options.Compress)
	assert.Equal(t, options.KeepPast, 30*time.Second)
	assert.DeepEqual(t, options.Accounts, map[string]string{"AKID": "210987654321"})
	assert.Equal(t, options.Limits.Scarcity, emulator.Scarcity{
		PrefixShortage: emulator.CodeInsufficientCIDRBlocks, CountAboveFree: emulator.CodeInvalidParameterValue,
	})
	_, _, err = parseFlags([]string{"--prefix-shortage=x"})
	assert.Error(t, err, `--prefix-shortage "x" is none of InvalidParameterValue, InsufficientCidrBlocks`)
	_, _, err = parseFlags([]string{"--count-above-free=x"})
	assert.Error(t, err, `--count-above-free "x" is none of InsufficientFreeAddressesInSubnet, InvalidParameterValue`)

	_, _, err = parseFlags([]string{"--token-replay=Maybe"})
	assert.Error(t, err, `--token-replay "Maybe" is none of Stale, NotFound, Echo, Recreate`)
}
