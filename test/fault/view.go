/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	opec2 "github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/audit"
)

// view is what there is, as Kubernetes and EC2 tell it.
type view struct {
	audit.View
	// others are the ENIs in EC2 that are not our cluster's.
	others map[string]types.NetworkInterface
	nodes  []corev1.Node
}

func (s *stage) look(ctx context.Context) (view, error) {
	enis, err := s.cloud.allENIs(ctx)
	if err != nil {
		return view{}, err
	}
	seen := view{View: audit.View{Ours: map[string]types.NetworkInterface{}}, others: map[string]types.NetworkInterface{}}
	for i := range enis {
		id := aws.ToString(enis[i].NetworkInterfaceId)
		if _, foreign := s.cloud.foreign[id]; !foreign && audit.Tags(enis[i])[opec2.TagClusterUID] == s.kube.UID {
			seen.Ours[id] = enis[i]
		} else {
			seen.others[id] = enis[i]
		}
	}
	resources, pools := &v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIPoolList{}
	claims, nodes := &v1alpha1.ENIClaimList{}, &corev1.NodeList{}
	err = errors.Join(s.kube.List(ctx, resources), s.kube.List(ctx, pools), s.kube.List(ctx, claims), s.kube.List(ctx, nodes))
	seen.Resources, seen.Pools, seen.Claims, seen.nodes = resources.Items, pools.Items, claims.Items, nodes.Items
	return seen, err
}

// state strips the view of what differs from run to run. An ENI counts for the
// node to whose instance it is attached, or else for its resource's.
func (s *stage) state(seen view) state {
	got := state{nodes: map[string]node{}, claims: map[string]claim{}}
	for i := range seen.Claims {
		c := &seen.Claims[i]
		got.claims[c.Name] = claim{mode: c.Spec.Mode, node: c.Spec.NodeName, phase: c.Status.Phase}
	}
	for i := range seen.Pools {
		got.nodes[seen.Pools[i].Name] = nodeOf(&seen.Pools[i])
	}
	machineOf := map[string]string{}
	for name, id := range s.cloud.instances {
		machineOf[id] = name
	}
	modes := map[string]v1alpha1.Mode{}
	for i := range seen.Resources {
		resource := &seen.Resources[i]
		modes[resource.Status.NetworkInterfaceID] = resource.Spec.Mode
		n := got.nodes[resource.Spec.NodeName] // also where the pool is gone
		got.nodes[resource.Spec.NodeName] = n
	}
	for id, actual := range seen.Ours {
		name := "attached nowhere"
		if actual.Attachment != nil {
			name = machineOf[aws.ToString(actual.Attachment.InstanceId)]
		}
		n := got.nodes[name]
		n.enis = append(n.enis, s.eni(actual, modes[id]))
		got.nodes[name] = n
	}
	for i := range seen.nodes {
		name := seen.nodes[i].Name
		n := got.nodes[name]
		n.tainted = slices.ContainsFunc(seen.nodes[i].Spec.Taints, func(t corev1.Taint) bool { return t.Key == startupTaint })
		got.nodes[name] = n
	}
	for _, n := range got.nodes {
		slices.SortFunc(n.enis, func(a, b eni) int {
			return cmp.Or(cmp.Compare(a.card, b.card), cmp.Compare(a.index, b.index), cmp.Compare(a.addresses, b.addresses))
		})
	}
	return got
}

func nodeOf(pool *v1alpha1.ENIPool) node {
	n := node{
		policy: pool.Spec.PolicyName,
		ready: meta.IsStatusConditionTrue(pool.Status.Conditions, v1alpha1.ConditionReady) &&
			pool.Status.ObservedGeneration == pool.Generation,
	}
	if c := pool.Status.Shared; c != nil {
		n.capacity, n.allocated, n.free = int(c.Capacity), int(c.Allocated), int(c.Free)
		n.cooling, n.desired = int(c.Cooling), int(c.Desired)
	}
	if c := pool.Status.Exclusive; c != nil {
		n.capacity, n.allocated, n.free, n.desired = int(c.Capacity), int(c.Allocated), int(c.Free), int(c.Desired)
	}
	for _, entry := range pool.Status.Addresses {
		if entry.State == v1alpha1.HolderReleasing || entry.State == v1alpha1.HolderQuarantined {
			n.aside++
		}
	}
	return n
}

func (s *stage) eni(actual types.NetworkInterface, mode v1alpha1.Mode) eni {
	e := eni{
		mode: mode, addresses: len(audit.Secondaries(actual)), prefixes: len(actual.Ipv4Prefixes),
		groups: groupsOf(actual, func(g types.GroupIdentifier) *string { return g.GroupName }), tags: userTags(actual),
	}
	if at := actual.Attachment; at != nil {
		e.index, e.card = int(aws.ToInt32(at.DeviceIndex)), int(aws.ToInt32(at.NetworkCardIndex))
		e.deleteOnTermination = aws.ToBool(at.DeleteOnTermination)
	}
	return e
}

// userTags are the tags that are not the operator's own.
func userTags(eni types.NetworkInterface) map[string]string {
	tags := audit.Tags(eni)
	maps.DeleteFunc(tags, func(key, _ string) bool {
		return strings.HasPrefix(key, "networking.eni-operator.dev/") || key == opec2.TagNoManage
	})
	return tags
}

// groupsOf are an ENI's groups, by name or id, sorted.
func groupsOf(eni types.NetworkInterface, by func(types.GroupIdentifier) *string) []string {
	groups := []string{}
	for _, group := range eni.Groups {
		groups = append(groups, aws.ToString(by(group)))
	}
	slices.Sort(groups)
	return groups
}
