/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	poolLabel    = "crash.test/pool"
	startupTaint = "eni-operator.dev/not-ready"
	policyName   = "crash"
	namespace    = metav1.NamespaceDefault
)

// path is a piece of the operator's work.
type path struct {
	name string
	// from is made before the operator starts.
	from []step
	// before is the state in which the path begins; nil: with the operator's start.
	before *state
	// act sets the operator to work.
	act step
	// after is the state in which the path ends.
	after state
	// slow: EC2 takes its time, and shows changes late, all along.
	slow bool
}

// step is something that a user does.
type step func(context.Context, *stage) error

// paths are all paths. ENIs are told by the number of addresses that they offer:
// an exclusive one offers none.
var paths = []path{
	{
		name: "create and attach", from: []step{policy(3, 1)},
		act:   startOperator,
		after: state{enis: machines{{0, 3}}, pools: 1, policies: 1},
	},
	{
		name: "slow create", from: []step{policy(3, 1)},
		act:   startOperator,
		after: state{enis: machines{{0, 3}}, pools: 1, policies: 1},
		slow:  true,
	},
	{
		name: "assign", from: []step{policy(3, 0)}, before: &state{enis: machines{{3}}, pools: 1, policies: 1},
		act:   minimum(6),
		after: state{enis: machines{{6}}, pools: 1, policies: 1},
	},
	{
		name: "unassign", from: []step{policy(6, 0)}, before: &state{enis: machines{{6}}, pools: 1, policies: 1},
		act:   minimum(3),
		after: state{enis: machines{{3}}, pools: 1, policies: 1},
	},
	{
		name: "move", from: []step{ownENI}, before: &state{enis: machines{{2}}},
		act:   moveENI,
		after: state{enis: machines{{}, {2}}},
	},
	{
		name: "slow move", from: []step{ownENI}, before: &state{enis: machines{{2}}},
		act:   moveENI,
		after: state{enis: machines{{}, {2}}},
		slow:  true,
	},
	{
		name: "delete", from: []step{policy(3, 1)}, before: &state{enis: machines{{0, 3}}, pools: 1, policies: 1},
		act: deletePolicy,
	},
	{
		name: "grow by an ENI", from: []step{policy(3, 0)}, before: &state{enis: machines{{3}}, pools: 1, policies: 1},
		act:   minimum(20),
		after: state{enis: machines{{6, 14}}, pools: 1, policies: 1},
	},
	{
		name: "shrink by an ENI", from: []step{policy(20, 0)}, before: &state{enis: machines{{6, 14}}, pools: 1, policies: 1},
		act:   minimum(3),
		after: state{enis: machines{{3}}, pools: 1, policies: 1},
	},
	{
		name: "assign prefixes", from: []step{policy(16, 0, inPrefixes)}, before: &state{enis: machines{{16}}, pools: 1, policies: 1},
		act:   minimum(32),
		after: state{enis: machines{{32}}, pools: 1, policies: 1},
	},
	{
		name: "retag and regroup", from: []step{policy(3, 0), retag("old")}, before: &state{enis: machines{{3}}, pools: 1, policies: 1},
		act:   retag("new"),
		after: state{enis: machines{{3}}, pools: 1, policies: 1},
	},
	{
		name: "create own", before: &state{},
		act:   ownENI,
		after: state{enis: machines{{2}}},
	},
	{
		name: "delete own", from: []step{ownENI}, before: &state{enis: machines{{2}}},
		act: deleteOwnENI,
	},
	{
		name: "bind", from: []step{policy(3, 1)}, before: &state{enis: machines{{0, 3}}, pools: 1, policies: 1},
		act:   claim,
		after: state{enis: machines{{0, 3}}, pools: 1, policies: 1, claims: 2},
	},
	{
		name: "release", from: []step{policy(3, 1), claim},
		before: &state{enis: machines{{0, 3}}, pools: 1, policies: 1, claims: 2},
		act:    releaseClaims,
		after:  state{enis: machines{{0, 3}}, pools: 1, policies: 1},
	},
}

// policy makes a policy for the first Node. Released addresses rest shortly, and
// surplus goes soon.
func policy(minimumIPs, exclusive int32, adjust ...func(*v1alpha1.ENIPolicySpec)) step {
	return func(ctx context.Context, s *stage) error {
		spec := v1alpha1.ENIPolicySpec{NodeSelector: metav1.LabelSelector{MatchLabels: map[string]string{poolLabel: "true"}}}
		spec.StartupTaint = startupTaint
		spec.Shared = &v1alpha1.SharedBounds{
			MinimumIPs: minimumIPs, MaximumIPs: 28,
			Cooldown: &metav1.Duration{Duration: 200 * time.Millisecond}, IdleReleaseAfter: &metav1.Duration{Duration: 300 * time.Millisecond},
		}
		if exclusive > 0 {
			spec.Exclusive = &v1alpha1.ExclusiveBounds{Minimum: exclusive, Maximum: exclusive}
		}
		for _, change := range adjust {
			change(&spec)
		}
		return s.kube.Create(ctx, &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyName}, Spec: spec})
	}
}

// inPrefixes has the pool take its addresses in prefixes of 16.
func inPrefixes(spec *v1alpha1.ENIPolicySpec) {
	spec.Shared.AddressType, spec.Shared.MaximumIPs = v1alpha1.AddressTypeIPv4Prefix, 64
}

// retag has the policy's ENIs carry a tag of this key, and a security group of
// this name.
func retag(name string) step {
	return func(ctx context.Context, s *stage) error {
		return s.updatePolicy(ctx, func(spec *v1alpha1.ENIPolicySpec) {
			spec.Tags = map[string]v1alpha1.TagValue{name: "true"}
			spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{Name: name}}
		})
	}
}

func (s *stage) updatePolicy(ctx context.Context, change func(*v1alpha1.ENIPolicySpec)) error {
	changed := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyName}}
	return s.update(ctx, changed, func() { change(&changed.Spec) })
}

// minimum changes how many addresses the policy asks for.
func minimum(addresses int32) step {
	return func(ctx context.Context, s *stage) error {
		return s.updatePolicy(ctx, func(spec *v1alpha1.ENIPolicySpec) { spec.Shared.MinimumIPs = addresses })
	}
}

func deletePolicy(ctx context.Context, s *stage) error {
	return s.kube.Delete(ctx, &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: policyName}})
}

// ownName is the ENI that a person makes.
const ownName = "own"

// ownENI makes an ENI without a pool on the first Node.
func ownENI(ctx context.Context, s *stage) error {
	return s.kube.Create(ctx, &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: ownName},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: s.nodes[0], AddressCount: 2},
	})
}

// moveENI moves that ENI to the second Node.
func moveENI(ctx context.Context, s *stage) error {
	moved := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: ownName}}
	return s.update(ctx, moved, func() { moved.Spec.NodeName = s.nodes[1] })
}

func deleteOwnENI(ctx context.Context, s *stage) error {
	return s.kube.Delete(ctx, &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: ownName}})
}

// claim asks for an address and for a whole ENI.
func claim(ctx context.Context, s *stage) error {
	for _, claim := range s.claims() {
		if err := s.kube.Create(ctx, claim); err != nil {
			return err
		}
	}
	return nil
}

func releaseClaims(ctx context.Context, s *stage) error {
	for _, claim := range s.claims() {
		if err := s.kube.Delete(ctx, claim); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) claims() []*v1alpha1.ENIClaim {
	named := func(name string, mode v1alpha1.Mode) *v1alpha1.ENIClaim {
		return &v1alpha1.ENIClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       v1alpha1.ENIClaimSpec{NodeName: s.nodes[0], Mode: mode},
		}
	}
	return []*v1alpha1.ENIClaim{named("one", v1alpha1.ModeShared), named("whole", v1alpha1.ModeExclusive)}
}

func startOperator(_ context.Context, s *stage) error { return s.operator.start() }
