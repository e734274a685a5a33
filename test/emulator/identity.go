/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultAccount is the account of callers that Options.Accounts does not name.
const DefaultAccount = "123456789012"

// identities makes identifiers that are unique in one Server, in all Regions.
// Both generators are bijections of a counter, so that nothing needs to be
// remembered.
type identities struct {
	seed    uint64
	counter atomic.Uint64
}

// next returns prefix followed by 17 hexadecimal digits, of which EC2's first
// is 0 as well.
func (g *identities) next(prefix string) string {
	return fmt.Sprintf("%s-0%016x", prefix, g.scramble())
}

// mac returns a locally administered MAC address.
func (g *identities) mac() string {
	const bits40 = 1<<40 - 1
	const odd = 0x9e3779b97f4b
	n := (g.counter.Add(1)*odd + g.seed) & bits40
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", n>>32, n>>24&0xff, n>>16&0xff, n>>8&0xff, n&0xff)
}

// principalID is the identifier of the user that an access key belongs to.
func principalID(caller string) string { return "AIDA" + strings.TrimPrefix(caller, "AKIA") }

// requestID returns an identifier in the form of a version 4 UUID.
func (g *identities) requestID() string {
	high, low := g.scramble(), g.scramble()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x",
		high>>32, high>>16&0xffff, high&0xfff, low>>48&0xfff, low&(1<<48-1))
}

// scramble is the SplitMix64 generator.
func (g *identities) scramble() uint64 {
	z := g.seed + g.counter.Add(1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// dice draws seeded random numbers for several goroutines.
type dice struct {
	mu     sync.Mutex
	source *rand.Rand
}

func newDice(seed uint64) *dice {
	return &dice{source: rand.New(rand.NewPCG(seed, seed))}
}

// within draws a duration from a span.
func (d *dice) within(s Span) time.Duration {
	if s.Max <= s.Min {
		return s.Min
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return s.Min + time.Duration(d.source.Int64N(int64(s.Max-s.Min)+1))
}

// chance is true with the given probability.
func (d *dice) chance(probability float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.Float64() < probability
}
