/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"hash/fnv"
	"math/rand/v2"
)

// leastPage is the part of MaxResults that a page which is not the last holds at
// least: EC2 was seen to answer with one row of five.
const leastPage = 5

// order is how much order the answers have that EC2 leaves open.
type order struct {
	seed                      uint64
	rising, sorted, fullPages bool
}

func newOrder(options Options) order {
	return order{seed: options.Seed, rising: options.Rising, sorted: options.Sorted, fullPages: options.FullPages}
}

// dice returns the generators of one Region: one for addresses, one for the order
// and the length of answers. Each Region has its own, so that calls elsewhere have
// no part in what it answers.
func (o order) dice(key regionKey) (addresses, answers *rand.Rand) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(key.account + "/" + key.name)) // never fails
	if !o.rising {
		addresses = rand.New(rand.NewPCG(o.seed, hash.Sum64()))
	}
	if !o.sorted || !o.fullPages {
		answers = rand.New(rand.NewPCG(o.seed, ^hash.Sum64()))
	}
	return addresses, answers
}

// shuffle brings rows into any order, unless Options.Sorted asks for theirs.
func shuffle[T any](r *region, rows []T) {
	if !r.sorted {
		r.orderDice.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
}

// pageLength is the number of rows of a page that may have up to limit. Half of the
// pages are shorter.
func (r *region) pageLength(limit int) int {
	if r.fullPages || limit == 0 || r.orderDice.IntN(2) == 0 {
		return limit
	}
	least := max(1, limit/leastPage)
	return least + r.orderDice.IntN(limit-least+1)
}
