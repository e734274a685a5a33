/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const memoryNamespace = "memory"

// memory measures what bound claims take of the operator's memory for as long as they are
// there: the heap that is left after a collection, without them and with them.
func (b *bench) memory(ctx context.Context, s *sheet) error {
	b.profiled = true // The heap is read from net/http/pprof.
	if err := b.settle(ctx); err != nil {
		return err
	}
	watcher, err := b.cluster.watchClaims(ctx, memoryNamespace)
	if err != nil {
		return err
	}
	defer watcher.stop()
	before, err := liveHeap(ctx, b.operator.profiles)
	if err != nil {
		return err
	}
	claims := claimsFor(memoryNamespace, b.cloud.nodeNames())
	say("memory: %d claims on %d nodes; machine: %s", len(claims), b.settings.nodes, machineLoad())
	if _, err := b.cluster.each(claims, func(claim *v1alpha1.ENIClaim) error { return b.cluster.Create(ctx, claim) }); err != nil {
		return err
	}
	if _, err := watcher.await(ctx, len(claims), b.operator.alive); err != nil {
		return err
	}
	if err := b.awaitQuiet(ctx); err != nil {
		return err
	}
	after, err := liveHeap(ctx, b.operator.profiles)
	if err != nil {
		return err
	}
	peak, err := peakMemory(b.operator.process.Pid())
	if err != nil {
		return err
	}
	s.add("live heap of the operator without claims", before, "MiB")
	s.add("bound claims", float64(len(claims)), "claims")
	s.add("live heap for 10,000 bound claims", (after-before)/float64(len(claims))*10_000, "MiB")
	s.add("peak memory of the operator", peak, "MiB")
	return nil
}

// liveHeap is what the heap of a Go program holds after a collection, in MiB.
func liveHeap(ctx context.Context, address string) (float64, error) {
	text, err := fetch(ctx, "http://"+address+"/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	return parseHeap(string(text))
}

var heapLine = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// parseHeap reads the numbers of runtime.MemStats that a heap profile ends with.
func parseHeap(profile string) (float64, error) {
	found := heapLine.FindStringSubmatch(profile)
	if found == nil {
		return 0, fmt.Errorf("no HeapAlloc in a heap profile of %d bytes", len(profile))
	}
	bytes, err := strconv.ParseFloat(found[1], 64)
	return bytes / (1 << 20), err
}
