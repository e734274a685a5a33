/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// calls counts EC2 calls by action.
type calls map[string]emulator.ActionCount

// calls are the operator's since the start: without those that only we make.
func (c *cloud) calls() calls {
	made := calls(c.emulator.Counts())
	delete(made, "RunInstances")
	delete(made, "TerminateInstances")
	return made
}

// since is what came after an earlier count.
func (c calls) since(before calls) calls {
	later := calls{}
	for action, count := range c {
		count.Calls -= before[action].Calls
		count.Throttled -= before[action].Throttled
		if count.Calls > 0 {
			later[action] = count
		}
	}
	return later
}

func (c calls) total() int {
	return c.sum(func(string) bool { return true })
}

// reads are the calls that change nothing.
func (c calls) reads() int { return c.sum(isRead) }

// writes are all others.
func (c calls) writes() int {
	return c.sum(func(action string) bool { return !isRead(action) })
}

func (c calls) throttled() int {
	throttled := 0
	for _, count := range c {
		throttled += count.Throttled
	}
	return throttled
}

// throttledShare is in percent.
func (c calls) throttledShare() float64 {
	return 100 * float64(c.throttled()) / float64(max(c.total(), 1))
}

func (c calls) sum(counts func(action string) bool) int {
	sum := 0
	for action, count := range c {
		if counts(action) {
			sum += count.Calls
		}
	}
	return sum
}

func isRead(action string) bool { return strings.HasPrefix(action, "Describe") }

// firstWrite is when EC2 executed the first write after a moment.
func (c *cloud) firstWrite(after time.Time) (time.Time, bool) {
	for _, call := range c.emulator.Calls() {
		if call.Mutating && call.Time.After(after) {
			return call.Time, true
		}
	}
	return time.Time{}, false
}

// audits is how many sweeps over all our ENIs began after a moment: each page
// beyond the first carries a token.
func (c *cloud) audits(after time.Time) int {
	audits := 0
	for _, call := range c.emulator.Calls() {
		if call.Action == auditAction && !call.Params.Has("NextToken") && call.Time.After(after) {
			audits++
		}
	}
	return audits
}
