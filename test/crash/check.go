/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/audit"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// machines are the ENIs of ours that each instance should carry, by the number of
// addresses that they offer, in secondary addresses and prefixes, sorted.
type machines [][]int

// state is what there should be in the end, in EC2 and in Kubernetes.
type state struct {
	enis                    machines
	pools, policies, claims int
}

// view is what there is.
type view struct {
	// ours are the ENIs in EC2 that carry this cluster's tags, others the rest.
	ours, others map[string]types.NetworkInterface
	resources    []v1alpha1.ElasticNetworkInterface
	pools        []v1alpha1.ENIPool
	policies     []v1alpha1.ENIPolicy
	claims       []v1alpha1.ENIClaim
	nodes        []corev1.Node
}

// check is an error unless all is as wanted, and nothing is twice, leaked, or
// taken from others.
func (s *stage) check(ctx context.Context, want state) error {
	seen, err := s.look(ctx)
	if err != nil {
		return err
	}
	return firstError(
		s.placed(seen, want.enis),
		oneToOne(seen),
		addressesOnce(seen),
		differ("pools", len(seen.pools), want.pools),
		differ("policies", len(seen.policies), want.policies),
		differ("claims", len(seen.claims), want.claims),
		poolsAgree(seen),
		claimsHold(seen),
		s.foreignUntouched(seen),
	)
}

func (s *stage) look(ctx context.Context) (view, error) {
	enis, err := s.cloud.allENIs(ctx)
	if err != nil {
		return view{}, err
	}
	seen := view{ours: map[string]types.NetworkInterface{}, others: map[string]types.NetworkInterface{}}
	for i := range enis {
		id := aws.ToString(enis[i].NetworkInterfaceId)
		_, foreign := s.cloud.foreign[id]
		if !foreign && audit.Tags(enis[i])["networking.eni-operator.dev/cluster-uid"] == s.kube.UID {
			seen.ours[id] = enis[i]
		} else {
			seen.others[id] = enis[i]
		}
	}
	err = s.lookAtKubernetes(ctx, &seen)
	return seen, err
}

func (s *stage) lookAtKubernetes(ctx context.Context, seen *view) error {
	resources, pools, policies := &v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIPoolList{}, &v1alpha1.ENIPolicyList{}
	claims, nodes := &v1alpha1.ENIClaimList{}, &corev1.NodeList{}
	err := firstError(s.kube.List(ctx, resources), s.kube.List(ctx, pools), s.kube.List(ctx, policies),
		s.kube.List(ctx, claims), s.kube.List(ctx, nodes))
	seen.resources, seen.pools, seen.policies = resources.Items, pools.Items, policies.Items
	seen.claims, seen.nodes = claims.Items, nodes.Items
	return err
}

// placed is an error unless each instance carries the ENIs that it should, and
// none is attached nowhere.
func (s *stage) placed(seen view, want machines) error {
	carried := make(machines, len(s.cloud.instances))
	for id, eni := range seen.ours {
		at := -1
		if eni.Attachment != nil && eni.Attachment.Status == types.AttachmentStatusAttached {
			at = slices.Index(s.cloud.instances, aws.ToString(eni.Attachment.InstanceId))
		}
		if at < 0 {
			return fmt.Errorf("%s in EC2 is ours and %s: %s", id, eni.Status, asJSON(eni.Attachment))
		}
		carried[at] = append(carried[at], len(audit.Secondaries(eni))+addressesPerPrefix*len(eni.Ipv4Prefixes))
	}
	for i := range carried {
		slices.Sort(carried[i])
		var wanted []int
		if i < len(want) {
			wanted = want[i]
		}
		if !slices.Equal(carried[i], wanted) {
			return fmt.Errorf("instance %d carries ENIs of ours with %v addresses, not %v", i, carried[i], wanted)
		}
	}
	return nil
}

// oneToOne is an error unless each resource stands for one ENI in EC2 and says of
// it what EC2 says, and each ENI has its resource.
func oneToOne(seen view) error {
	if len(seen.ours) != len(seen.resources) {
		return fmt.Errorf("EC2 has %d ENIs of ours, Kubernetes %d resources", len(seen.ours), len(seen.resources))
	}
	for i := range seen.resources {
		resource := &seen.resources[i]
		actual, ok := seen.ours[resource.Status.NetworkInterfaceID]
		if !ok {
			return fmt.Errorf("resource %s stands for no ENI in EC2: %q", resource.Name, resource.Status.NetworkInterfaceID)
		}
		if err := agree(resource, actual); err != nil {
			return fmt.Errorf("ENI %s (%s): %w", resource.Name, resource.Status.NetworkInterfaceID, err)
		}
	}
	return nil
}

func agree(resource *v1alpha1.ElasticNetworkInterface, actual types.NetworkInterface) error {
	tags, status := audit.Tags(actual), resource.Status
	err := firstError(
		differ("uid tag", tags["networking.eni-operator.dev/uid"], string(resource.UID)),
		differ("node tag", tags["networking.eni-operator.dev/node"], resource.Spec.NodeName),
		differ("macAddress", status.MACAddress, aws.ToString(actual.MacAddress)),
		differ("primaryAddress", status.PrimaryAddress, aws.ToString(actual.PrivateIpAddress)),
		differ("addresses", audit.Texts(status.Addresses), audit.Secondaries(actual)),
		differ("prefixes", audit.Texts(status.Prefixes), audit.Prefixes(actual)),
		differ("addressCount", int(resource.Spec.AddressCount), len(audit.Secondaries(actual))),
		differ("prefixCount", int(resource.Spec.PrefixCount), len(actual.Ipv4Prefixes)),
		differ("security groups", audit.Texts(status.SecurityGroupIDs), audit.SecurityGroups(actual)),
		differ("tags of the user", strangeTags(tags), userTags(resource)),
		differ("names to release", len(resource.Spec.Release), 0),
		differ("attached", status.Attachment != nil, actual.Attachment != nil),
		differ("ready", meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady), true),
	)
	if err != nil || actual.Attachment == nil {
		return err
	}
	return firstError(
		differ("attachment", status.Attachment.ID, aws.ToString(actual.Attachment.AttachmentId)),
		differ("instance", status.Attachment.InstanceID, aws.ToString(actual.Attachment.InstanceId)),
		differ("device index", status.Attachment.DeviceIndex, aws.ToInt32(actual.Attachment.DeviceIndex)),
		differ("deleteOnTermination", aws.ToBool(actual.Attachment.DeleteOnTermination), true),
	)
}

// addressesOnce is an error if two ENIs have the same address.
func addressesOnce(seen view) error {
	holder := map[string]string{}
	for _, enis := range []map[string]types.NetworkInterface{seen.ours, seen.others} {
		for id, eni := range enis {
			for _, address := range append(audit.Secondaries(eni), aws.ToString(eni.PrivateIpAddress)) {
				if other, taken := holder[address]; taken {
					return fmt.Errorf("%s is on %s and on %s", address, other, id)
				}
				holder[address] = id
			}
		}
	}
	return nil
}

// poolsAgree is an error unless each pool is ready, has nothing on its way out,
// and let its Node go to work.
func poolsAgree(seen view) error {
	for i := range seen.pools {
		pool := &seen.pools[i]
		err := firstError(
			differ("ready", meta.IsStatusConditionTrue(pool.Status.Conditions, v1alpha1.ConditionReady), true),
			differ("observedGeneration", pool.Status.ObservedGeneration, pool.Generation),
			differ("ENIs", int(pool.Status.ENICount), len(seen.ours)),
		)
		for _, entry := range pool.Status.Addresses {
			if entry.State != v1alpha1.HolderAllocated && entry.State != v1alpha1.HolderReserved {
				err = firstError(err, fmt.Errorf("%s is %s", entry.Address, entry.State))
			}
		}
		if err != nil {
			return fmt.Errorf("pool %s: %w", pool.Name, err)
		}
	}
	for i := range seen.policies {
		if err := differ("pools that the policy calls ready", int(seen.policies[i].Status.ReadyPools), len(seen.pools)); err != nil {
			return err
		}
	}
	return untainted(seen)
}

// untainted is an error if a Node whose pool is ready has the startup taint.
func untainted(seen view) error {
	for i := range seen.nodes {
		for _, taint := range seen.nodes[i].Spec.Taints {
			if taint.Key == startupTaint && len(seen.pools) > 0 {
				return fmt.Errorf("node %s still has its startup taint", seen.nodes[i].Name)
			}
		}
	}
	return nil
}

// claimsHold is an error unless each claim holds something of its own that is
// there, and the pool's record says the same.
func claimsHold(seen view) error {
	held := map[string]string{}
	for i := range seen.claims {
		claim := &seen.claims[i]
		what := claim.Status.Address
		if claim.Spec.Mode == v1alpha1.ModeExclusive {
			what = claim.Status.NetworkInterfaceID
		}
		eni, there := seen.ours[claim.Status.NetworkInterfaceID]
		carried := append(audit.Secondaries(eni), aws.ToString(eni.PrivateIpAddress))
		if claim.Status.Phase != v1alpha1.ClaimBound || !there || !slices.Contains(carried, claim.Status.Address) {
			return fmt.Errorf("claim %s is %s and holds %q of %q", claim.Name, claim.Status.Phase, claim.Status.Address, claim.Status.NetworkInterfaceID)
		}
		held[what] = string(claim.UID)
	}
	return firstError(differ("claims that hold something of their own", len(held), len(seen.claims)),
		differ("holders", held, recordedHolders(seen)))
}

// recordedHolders are the UIDs of the claims of which the pools' records say that they hold
// something, by what that is.
func recordedHolders(seen view) map[string]string {
	recorded := map[string]string{}
	for i := range seen.pools {
		for _, entry := range seen.pools[i].Status.Addresses {
			if entry.Claim != nil && entry.State != v1alpha1.HolderReserved {
				recorded[string(entry.Address)] = string(entry.Claim.UID)
			}
		}
		for _, entry := range seen.pools[i].Status.ENIs {
			if entry.Claim != nil {
				recorded[entry.NetworkInterfaceID] = string(entry.Claim.UID)
			}
		}
	}
	return recorded
}

// foreignUntouched is an error if an ENI of others is not as it was found, or the
// operator made a call that could change one.
func (s *stage) foreignUntouched(seen view) error {
	if err := differ("ENIs of others", len(seen.others), len(s.cloud.foreign)); err != nil {
		return err
	}
	for id, before := range s.cloud.foreign {
		if err := differ(id+", which is not ours,", audit.Text(seen.others[id]), audit.Text(before)); err != nil {
			return err
		}
	}
	for _, call := range s.cloud.emulator.Calls() {
		if call.Caller != operatorKey || !call.Mutating {
			continue
		}
		for id, eni := range s.cloud.foreign {
			if names(call, id) || (eni.Attachment != nil && names(call, aws.ToString(eni.Attachment.AttachmentId))) {
				return fmt.Errorf("%s is not ours and was named in %s", id, call.Action)
			}
		}
	}
	return nil
}

// names says whether a call is about a resource.
func names(call emulator.Call, resource string) bool {
	for _, values := range call.Params {
		if slices.Contains(values, resource) {
			return true
		}
	}
	return slices.Contains(call.ResourceIDs, resource)
}

// differ is an error unless two values are equal.
func differ(what string, got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%s: %v, not %v", what, got, want)
}

// asJSON writes something of EC2's down for comparing.
func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
