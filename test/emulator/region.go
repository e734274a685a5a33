/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// region is the state of one Region. Its fields are guarded by mu, which the
// Server holds while a handler runs.
type region struct {
	mu      sync.Mutex
	name    string
	account string
	zones   []zone
	limits  Limits
	types   *table[*instanceType]
	timings Timings
	ids     *identities
	dice    *dice

	// addressDice choose addresses, and orderDice the order and the length of
	// answers, so that reads have no part in which addresses are chosen. They are
	// nil where Options ask for order.
	addressDice, orderDice *rand.Rand
	// sorted and fullPages are those of Options.
	sorted, fullPages bool
	quirks            quirks

	// now is the time of the request, or of the transition, being handled.
	now time.Time
	// stale is what reads must not show yet, as of the request's start.
	stale StaleReads
	// includeManaged is true of a request that asks for managed resources too.
	includeManaged bool
	seq            uint64
	agenda         agenda

	vpcs         *table[*vpc]
	subnets      *table[*subnet]
	groups       *table[*securityGroup]
	reservations *table[*reservationOfCIDR]
	instances    *table[*instance]
	enis         *table[*eni]
	// attachments are the ENIs' attachments by id.
	attachments map[string]*attachment
	// enisByZone counts against the quota.
	enisByZone map[string]int
	tokens     map[tokenKey]*clientToken
	// past are copies for stale reads, the oldest first.
	past []*region
}

// quirks are what EC2 was seen to do in more than one way, by the Options of the same
// names.
type quirks struct{ cardBlind, filterLimitEach bool }

// defaultVPC is the network of the VPC that every Region begins with. Each zone
// has a /20 of it as its default subnet.
var defaultVPC = netip.MustParsePrefix("172.31.0.0/16")

const defaultSubnetBits = 20

func newRegion(s *Server, key regionKey) *region {
	r := &region{
		name:         key.name,
		account:      key.account,
		zones:        zonesOf(key.name),
		limits:       s.limits,
		types:        s.types,
		timings:      s.timings,
		ids:          s.identities,
		dice:         s.dice,
		vpcs:         newTable[*vpc](),
		subnets:      newTable[*subnet](),
		groups:       newTable[*securityGroup](),
		reservations: newTable[*reservationOfCIDR](),
		instances:    newTable[*instance](),
		enis:         newTable[*eni](),
		attachments:  make(map[string]*attachment),
		enisByZone:   make(map[string]int),
		tokens:       make(map[tokenKey]*clientToken),
	}
	r.addressDice, r.orderDice = s.order.dice(key)
	r.sorted, r.fullPages = s.order.sorted, s.order.fullPages
	r.quirks = s.quirks
	r.addDefaultNetwork()
	return r
}

func (r *region) addDefaultNetwork() {
	v := r.addVPC(defaultVPC, nil)
	v.isDefault = true
	network := newAllocator(defaultVPC, nil)
	for i, z := range r.zones {
		cidr := network.at(i<<(32-defaultSubnetBits), defaultSubnetBits)
		r.addSubnet(v, z, cidr, nil).isDefault = true
	}
}

// newRecord identifies a new resource.
func (r *region) newRecord(prefix string, tags map[string]string) record {
	if tags == nil {
		tags = make(map[string]string)
	}
	return record{id: r.ids.next(prefix), seq: r.nextSeq(), tags: tags}
}

func (r *region) nextSeq() uint64 {
	r.seq++
	return r.seq
}

// domain is the suffix of the private DNS names of a Region.
func (r *region) domain() string {
	if r.name == defaultRegion {
		return "ec2.internal"
	}
	return r.name + ".compute.internal"
}

// span draws how long a state change takes.
func (r *region) span(s Span) time.Duration { return r.dice.within(s) }
