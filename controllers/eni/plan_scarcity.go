/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	// scarcityPoll is how often a subnet is looked at that lacked room.
	scarcityPoll = time.Minute
	// shortageFor is how long a refusal counts that the subnet's free addresses do not
	// explain: a block for a prefix may be free by then.
	shortageFor = 10 * time.Minute
)

// room is what is known of a subnet's free space.
type room struct {
	free       int32
	fragmented bool
}

// shortage is what EC2 refused for lack of capacity.
type shortage struct {
	// refused is the smallest number of addresses or prefixes refused, and times how
	// often EC2 refused any.
	refused int32
	times   int
	// free is what the subnet showed as free then, and need what the call would take.
	free   int32
	need   int32
	reason string
	at     time.Time
}

// outlived reports whether a shortage is over: by a later read, or by its age where no
// read shows that it goes on.
func (s shortage) outlived(now time.Time, known bool, has room) bool {
	if known && has.free > s.free {
		return true
	}
	return now.Sub(s.at) >= shortageFor && (!known || has.free >= s.need)
}

// affordable returns how many of the wanted addresses or prefixes to ask for in a
// subnet: what is free there, if fewer are. besides is what the call takes besides.
func (o *observation) affordable(subnetID string, want, each, besides int32) int32 {
	most := want
	if has, known := o.rooms[subnetID]; known {
		if each > 1 && has.fragmented {
			return 0
		}
		most = min(most, max(has.free-besides, 0)/each)
	}
	short, refused := o.shortages[subnetID]
	if !refused || most < short.refused {
		return most
	}
	if short.times < 2 {
		return most // What it shows as free contradicts that: once more.
	}
	return short.refused / 2
}

// settled reports whether a shortage is to be forgotten: it is over, or the ENI carries
// what is asked for, and the subnet's free addresses show the next one that grows why it
// could not.
func (o *observation) settled(s shortage, known bool, has room) bool {
	return s.outlived(o.now, known, has) || (o.complete() && known && has.free < s.need)
}

// complete reports whether the ENI carries what the spec asks for.
func (o *observation) complete() bool {
	return o.presence == present && len(o.actual.addresses) >= int(o.desired.addressCount) && len(o.actual.prefixes) >= int(o.desired.prefixCount)
}

// sizeOf is the number of addresses, or of prefixes, that an ENI is to be made with,
// and how many addresses of the subnet each takes.
func sizeOf(d desired) (count, each int32) {
	if d.prefixCount > 0 {
		return d.prefixCount, v1alpha1.AddressesPerPrefix
	}
	return d.addressCount, 1
}

// planAttempt records the next attempt: in the first candidate subnet with room for
// all, or else with what fits into the one with the most room.
func planAttempt(o observation, attempt int32, candidates []string) decision {
	want, each := sizeOf(o.desired)
	var best string
	var most int32
	for _, id := range candidates {
		count := o.affordable(id, max(want, 1), each, 1)
		if want == 0 { // Its primary address alone.
			count = o.affordable(id, 1, 1, 0)
		}
		if count > most {
			best = id
			most = count
		}
	}
	if most == 0 {
		return planRefused(o, candidates[0])
	}
	size := o.desired
	if want > most {
		size.addressCount = min(size.addressCount, most)
		size.prefixCount = min(size.prefixCount, most)
	}
	return recordAttempt(o, attempt, best, size)
}

// candidatesAfter are the candidate subnets in the order in which they are tried after
// the attempt of a record.
func candidatesAfter(candidates []string, record *v1alpha1.CreationRecord) []string {
	first := slices.Index(candidates, nextSubnet(candidates, record))
	return slices.Concat(candidates[first:], candidates[:first])
}

// planRefused waits until a subnet has room. The pool grows elsewhere.
func planRefused(o observation, subnetID string) decision {
	reason := v1alpha1.ReasonSubnetExhausted
	if o.rooms[subnetID].fragmented {
		reason = v1alpha1.ReasonSubnetFragmented
	}
	if short, refused := o.shortages[subnetID]; refused {
		reason = short.reason
	}
	message := fmt.Sprintf("Subnet %s has too few free addresses for what the spec asks for. %s", subnetID, roomRemedy(reason))
	switch reason {
	case v1alpha1.ReasonSubnetFragmented:
		message = fmt.Sprintf("Subnet %s has free addresses, but no free block of 16 for a prefix. %s", subnetID, roomRemedy(reason))
	case v1alpha1.ReasonQuotaExceeded:
		message = "EC2 refuses more addresses on this ENI: a limit of its instance is reached. Ask for less."
	}
	return decision{action: actWait, wait: scarcityPoll, reason: reason, message: message,
		refusal: &v1alpha1.GrowthRefusal{Reason: reason, Message: message, Generation: o.eni.Generation}}
}

// planGrowth asks for more addresses or prefixes: for fewer where fewer are free.
func planGrowth(o observation, addresses, prefixes int32) decision {
	subnet := o.actual.subnetID
	d := decision{action: actAssign, reason: v1alpha1.ReasonAssigning, message: "Assigning addresses"}
	if addresses > 0 {
		d.count = o.affordable(subnet, addresses, 1, 0)
	}
	if prefixes > 0 {
		d.prefixes = o.affordable(subnet, prefixes, v1alpha1.AddressesPerPrefix, 0)
	}
	if d.count+d.prefixes == 0 {
		return planRefused(o, subnet)
	}
	return d
}
