/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/audit"
)

// end checks the scenario, takes it down through the operator, and checks that
// nothing of it is left. It runs after the test's own context is over, unless the
// test calls it while it still has its operator.
func (s *scenario) end() {
	s.t.Helper()
	if s.ended {
		return
	}
	s.ended = true
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if s.t.Failed() {
		s.abandon(ctx)
		return
	}
	eventually(s.t, "everything agrees", func() error { return s.consistent(ctx) })
	s.takeDown(ctx)
	eventually(s.t, "nothing of ours is left in EC2", func() error { return differ("ENIs", len(s.ours(ctx)), 0) })
	assert.NilError(s.t, s.consistent(ctx))
	for _, foul := range s.referee.report() {
		s.t.Error(foul)
	}
}

// takeDown deletes everything that the scenario made in Kubernetes, and waits
// until the operator has let go of it.
func (s *scenario) takeDown(ctx context.Context) {
	s.t.Helper()
	for _, claim := range s.claims(ctx) {
		s.remove(ctx, &claim)
		s.awaitGone(ctx, &claim)
	}
	s.remove(ctx, s.policy())
	s.awaitGone(ctx, s.policy())
	for _, eni := range s.resources(ctx) {
		if eni.Spec.PoolName == "" {
			s.remove(ctx, &eni)
		}
	}
	for _, node := range s.nodes {
		s.awaitGone(ctx, &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: node}})
	}
	for _, eni := range s.resources(ctx) {
		s.awaitGone(ctx, &eni)
	}
	for _, node := range s.nodes {
		s.remove(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
	}
}

// abandon removes what a failed scenario made, without asking the operator, so
// that it disturbs no other.
func (s *scenario) abandon(ctx context.Context) {
	s.server.ClearFaults()
	objects := []client.Object{s.policy()}
	for _, claim := range s.claims(ctx) {
		objects = append(objects, &claim)
	}
	for _, node := range s.nodes {
		objects = append(objects, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}},
			&v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: node}})
	}
	for _, eni := range s.resources(ctx) {
		objects = append(objects, &eni)
	}
	none := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	for _, object := range objects {
		_ = s.Delete(ctx, object)
		_ = s.Patch(ctx, object, none)
	}
}

// consistent is an error unless Kubernetes and EC2 say the same of the scenario:
// the checks that hold in every scenario once nothing is in motion.
func (s *scenario) consistent(ctx context.Context) error {
	actual := map[string]ec2types.NetworkInterface{}
	for _, eni := range s.ours(ctx) {
		actual[aws.ToString(eni.NetworkInterfaceId)] = eni
	}
	resources := map[string]v1alpha1.ElasticNetworkInterface{}
	for _, eni := range s.resources(ctx) {
		if !eni.Primary() {
			resources[eni.Status.NetworkInterfaceID] = eni
			continue
		}
		if err := s.primaryAgrees(eni, s.eni(ctx, eni.Status.NetworkInterfaceID)); err != nil {
			return err
		}
	}
	for id, eni := range resources {
		if err := s.oneToOne(eni, actual[id]); err != nil {
			return err
		}
	}
	for id := range actual {
		if _, ok := resources[id]; !ok {
			return fmt.Errorf("%s in EC2 carries our tags, and no resource stands for it", id)
		}
	}
	return first(s.heldOnce(ctx), s.foreignUntouched(ctx))
}

// oneToOne compares an ENI's status and spec with EC2.
func (s *scenario) oneToOne(eni v1alpha1.ElasticNetworkInterface, actual ec2types.NetworkInterface) error {
	if eni.Status.NetworkInterfaceID == "" && actual.NetworkInterfaceId == nil {
		return nil // It is not created yet, and must not be in EC2.
	}
	tags := audit.Tags(actual)
	status := eni.Status
	err := first(
		differ("uid tag", tags["networking.eni-operator.dev/uid"], string(eni.UID)),
		differ("name tag", tags["networking.eni-operator.dev/name"], eni.Name),
		differ("macAddress", status.MACAddress, aws.ToString(actual.MacAddress)),
		differ("subnetID", status.SubnetID, aws.ToString(actual.SubnetId)),
		differ("vpcID", status.VPCID, aws.ToString(actual.VpcId)),
		differ("availabilityZone", status.AvailabilityZone, aws.ToString(actual.AvailabilityZone)),
		differ("primaryAddress", status.PrimaryAddress, aws.ToString(actual.PrivateIpAddress)),
		differ("addresses", audit.Texts(status.Addresses), audit.Secondaries(actual)),
		differ("prefixes", audit.Texts(status.Prefixes), audit.Prefixes(actual)),
		differ("securityGroupIDs", audit.Texts(status.SecurityGroupIDs), audit.SecurityGroups(actual)),
		differ("attached", status.Attachment != nil, actual.Attachment != nil),
	)
	if at := actual.Attachment; err == nil && at != nil {
		err = first(
			differ("attachment", status.Attachment.ID, aws.ToString(at.AttachmentId)),
			differ("instance", status.Attachment.InstanceID, aws.ToString(at.InstanceId)),
			differ("device index", status.Attachment.DeviceIndex, aws.ToInt32(at.DeviceIndex)),
			differ("network card", status.Attachment.NetworkCardIndex, aws.ToInt32(at.NetworkCardIndex)),
			differ("deleteOnTermination", aws.ToBool(at.DeleteOnTermination), eni.Spec.DeletionPolicy == v1alpha1.DeletionPolicyDelete),
		)
	}
	if err != nil {
		return fmt.Errorf("ENI %s (%s): %w", eni.Name, status.NetworkInterfaceID, err)
	}
	return nil
}

// heldOnce is an error if the pools' records and the claims disagree, or
// something is held twice.
func (s *scenario) heldOnce(ctx context.Context) error {
	bound := map[string]string{} // what is held, by the UID of its claim
	for _, claim := range s.claims(ctx) {
		if claim.Status.Phase != v1alpha1.ClaimBound {
			continue
		}
		bound[string(claim.UID)] = claim.Status.Address
		if claim.Spec.Mode == v1alpha1.ModeExclusive {
			bound[string(claim.UID)] = claim.Status.NetworkInterfaceID
		}
	}
	recorded, held := map[string]string{}, map[string]string{}
	record := func(claim *v1alpha1.ClaimReference, what string) error {
		if _, twice := recorded[string(claim.UID)]; twice || held[what] != "" {
			return fmt.Errorf("%s is recorded for claim %s, and for %s, which holds %s", what, claim.Name, held[what], recorded[string(claim.UID)])
		}
		recorded[string(claim.UID)], held[what] = what, claim.Name
		return nil
	}
	pools := &v1alpha1.ENIPoolList{}
	if err := s.List(ctx, pools); err != nil {
		return err
	}
	for _, pool := range pools.Items {
		if !slices.Contains(s.nodes, pool.Name) {
			continue
		}
		for _, entry := range pool.Status.Addresses {
			if entry.State == v1alpha1.HolderAllocated {
				if err := record(entry.Claim, string(entry.Address)); err != nil {
					return err
				}
			}
		}
		for _, entry := range pool.Status.ENIs {
			if entry.Claim != nil {
				if err := record(entry.Claim, entry.NetworkInterfaceID); err != nil {
					return err
				}
			}
		}
	}
	return differ("what claims say to hold", bound, recorded)
}

// foreignUntouched is an error if an ENI of others is not as it was found.
func (s *scenario) foreignUntouched(ctx context.Context) error {
	now := map[string]ec2types.NetworkInterface{}
	for _, eni := range s.interfaces(ctx, "vpc-id", s.vpc) {
		now[aws.ToString(eni.NetworkInterfaceId)] = eni
	}
	for id, before := range s.foreign {
		after, ok := now[id]
		if !ok && before.Attachment != nil && aws.ToBool(before.Attachment.DeleteOnTermination) {
			continue // It went with its instance.
		}
		if err := differ(id+", which is not ours,", asJSON(after), asJSON(before)); err != nil {
			return err
		}
		if touched := s.mutationsOf(id); len(touched) > 0 {
			return fmt.Errorf("%s is not ours and was touched: %v", id, touched)
		}
	}
	return nil
}

// mutationsOf are the operator's calls that could change a resource.
func (s *scenario) mutationsOf(id string) []string {
	var actions []string
	for _, call := range s.operatorCalls("", id) {
		if call.Mutating {
			actions = append(actions, call.Action)
		}
	}
	return actions
}

// asJSON writes an ENI down for comparing. EC2 lists tags, groups and addresses in any
// order.
func asJSON(eni ec2types.NetworkInterface) string {
	eni.TagSet = slices.SortedFunc(slices.Values(eni.TagSet), func(a, b ec2types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	eni.Groups = slices.SortedFunc(slices.Values(eni.Groups), func(a, b ec2types.GroupIdentifier) int { return strings.Compare(*a.GroupId, *b.GroupId) })
	eni.PrivateIpAddresses = slices.SortedFunc(slices.Values(eni.PrivateIpAddresses), func(a, b ec2types.NetworkInterfacePrivateIpAddress) int {
		return strings.Compare(*a.PrivateIpAddress, *b.PrivateIpAddress)
	})
	text, err := json.Marshal(eni)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
