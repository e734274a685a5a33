/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// The policies and what they ask for.
const (
	sharedPolicy    = "shared"
	exclusivePolicy = "exclusive"

	warmIPs    = 2
	maximumIPs = 20

	minimumIPs, raisedIPs   = 5, 10
	minimumENIs, raisedENIs = 1, 2
	maximumENIs             = 2
)

// machine is a node of the fleet, with the claims that are made on it.
type machine struct {
	name   string
	kind   types.InstanceType
	zone   int
	policy string
	// late machines join while others are at work.
	late bool
	// doomed machines are terminated.
	doomed bool
	// claims are made when the machine joins. Later the first of them are
	// released and others made.
	claims, released, added int
}

// addressesPerENI is what an ENI carries besides its primary address (EC2).
var addressesPerENI = map[types.InstanceType]int{
	types.InstanceTypeM5Large: 9, types.InstanceTypeM5Xlarge: 14, types.InstanceTypeT3Medium: 5,
}

// fleet makes up n machines, and a few that come late.
//
// Where a claim or an ENI could end up in several ways that are all right, the
// states of two runs could not be compared. So no claim is made while a pool holds
// more than one shared ENI, an exclusive ENI that goes is the only free one, and a
// small instance has few claims.
func fleet(n int) []machine {
	var machines []machine
	for i := range n + lateMachines(n) {
		m := machine{name: fmt.Sprintf("node-%04d.ec2.internal", i), kind: types.InstanceTypeM5Large, zone: i % len(zones)}
		switch i % 10 {
		case 3:
			m.kind = types.InstanceTypeM5Xlarge
		case 7:
			m.kind = types.InstanceTypeT3Medium
		}
		m.late = i >= n
		m.doomed = !m.late && (i%10 == 5 || i%20 == 8)
		m.policy = sharedPolicy
		if i%5 >= 3 {
			m.policy = exclusivePolicy
		}
		m.ask(i)
		machines = append(machines, m)
	}
	return machines
}

func lateMachines(n int) int { return max(n/20, 1) }

// ask makes up the claims.
func (m *machine) ask(i int) {
	if m.policy == exclusivePolicy {
		m.claims = 1 + i/5%2
		if m.claims == maximumENIs {
			m.released, m.added = 1, 1
		}
		return
	}
	switch i % 4 {
	case 1:
		m.claims, m.added = 1, 5
	case 2:
		m.claims, m.released, m.added = 3, 1, 1
	case 3:
		m.claims, m.released = 6, 2
	}
	if m.kind == types.InstanceTypeT3Medium {
		m.claims, m.released, m.added = 3, 1, 1
	}
}

// mode is what the machine's claims ask for.
func (m *machine) mode() v1alpha1.Mode {
	if m.policy == exclusivePolicy {
		return v1alpha1.ModeExclusive
	}
	return v1alpha1.ModeShared
}

// phase is a part of the scenario: what is there in its end.
type phase int

const (
	// joining: the fleet comes, and its claims with it.
	joining phase = iota
	// churning: claims are released and others made, machines go and come.
	churning
	// raising: both policies' minimum.
	raising
	// lowering: to what it was.
	lowering
)

func (p phase) String() string {
	return [...]string{"joining", "churning", "raising", "lowering"}[p]
}

// minima are what the policies ask for in a phase.
func (p phase) minima() (addresses, enis int) {
	if p == raising {
		return raisedIPs, raisedENIs
	}
	return minimumIPs, minimumENIs
}

// there says whether a machine is part of the fleet in a phase.
func (m *machine) there(p phase) bool {
	if p == joining {
		return !m.late
	}
	return !m.doomed
}

// claimNames are the claims on a machine in a phase. Those on a machine that was
// terminated stay, and are lost.
func (m *machine) claimNames(p phase) []string {
	first, last := 0, m.claims
	if p >= churning && !m.doomed && !m.late {
		first, last = m.released, m.claims+m.added
	}
	if m.late && p == joining {
		return nil
	}
	var names []string
	for i := first; i < last; i++ {
		names = append(names, fmt.Sprintf("%.9s-%d", m.name, i))
	}
	return names
}

// wanted is the state in which a phase is to end.
func wanted(machines []machine, p phase) state {
	want := state{nodes: map[string]node{}, claims: map[string]claim{}}
	for i := range machines {
		m := &machines[i]
		for _, name := range m.claimNames(p) {
			phase := v1alpha1.ClaimBound
			if m.doomed && p >= churning {
				phase = v1alpha1.ClaimLost
			}
			want.claims[name] = claim{mode: m.mode(), node: m.name, phase: phase}
		}
		if m.there(p) {
			want.nodes[m.name] = m.wanted(p)
		}
	}
	return want
}

func (m *machine) wanted(p phase) node {
	n := node{policy: m.policy, ready: true}
	addresses, enis := p.minima()
	allocated := len(m.claimNames(p))
	if m.policy == exclusivePolicy {
		n.capacity = max(enis, allocated)
		for range n.capacity {
			n.enis = append(n.enis, m.wantedENI(0))
		}
	} else {
		n.capacity = max(addresses, allocated+warmIPs)
		for left := n.capacity; left > 0; left -= addressesPerENI[m.kind] {
			n.enis = append(n.enis, m.wantedENI(min(left, addressesPerENI[m.kind])))
		}
	}
	n.allocated, n.free, n.desired = allocated, n.capacity-allocated, n.capacity
	for i := range n.enis {
		n.enis[i].index = m.firstIndex() + i
	}
	return n
}

func (m *machine) wantedENI(addresses int) eni {
	return eni{
		mode: m.mode(), addresses: addresses, groups: []string{groupOf[m.policy]},
		tags: map[string]string{"team": m.policy}, deleteOnTermination: true,
	}
}

// firstIndex is the device index of the machine's first ENI of ours: somebody
// else's ENI is in the way on one machine.
func (m *machine) firstIndex() int {
	if m.name == crowded {
		return 2
	}
	return 1
}

// crowded is the machine on which an ENI of others is attached: one that has a
// slot to spare.
var crowded = fleet(crowdedIndex + 1)[crowdedIndex].name

const crowdedIndex = 3

// find is the machine of this name.
func find(machines []machine, name string) *machine {
	return &machines[slices.IndexFunc(machines, func(m machine) bool { return m.name == name })]
}
