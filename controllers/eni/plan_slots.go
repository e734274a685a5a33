/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"slices"
	"time"
)

// The pauses before a network card is tried again that EC2 said is full: each is twice
// the one before.
const (
	firstCardPause   = 5 * time.Second
	longestCardPause = 10 * time.Minute
)

// slot is a place on an instance.
type slot struct{ card, index int32 }

// card is what is known of a network card of an instance.
type card struct {
	// limit is how many ENIs it takes by the instance's type, and attached how many it
	// has.
	limit, attached int32
	// refusal is what EC2 refused on it, if anything.
	refusal cardRefusal
}

// cardRefusal notes that EC2 refused an ENI on a card which by its type has room.
type cardRefusal struct {
	// attached is how many ENIs the card had: with fewer it is tried again.
	attached int32
	pause    time.Duration
	until    time.Time
}

// open reports whether a card may take another ENI.
func (c card) open(now time.Time) bool {
	if c.attached >= c.limit {
		return false
	}
	return c.attached < c.refusal.attached || !now.Before(c.refusal.until)
}

// openSlots are the slots on cards that may take another ENI; those of cards that EC2
// never refused come first. refused reports whether others were left out.
func openSlots(slots []slot, cards map[int32]card, now time.Time) (open []slot, refused bool) {
	for _, at := range slots {
		on := cards[at.card]
		switch {
		case on.open(now):
			open = append(open, at)
		case on.attached < on.limit:
			refused = true
		}
	}
	slices.SortStableFunc(open, func(a, b slot) int {
		return int(cards[a.card].refusal.pause - cards[b.card].refusal.pause)
	})
	return open, refused
}

// again is the refusal after one more.
func (c cardRefusal) again(now time.Time, attached int32) cardRefusal {
	pause := min(max(2*c.pause, firstCardPause), longestCardPause)
	return cardRefusal{attached: attached, pause: pause, until: now.Add(pause)}
}
