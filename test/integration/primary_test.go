/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/audit"
)

// lend lets the operator use the free slots of an instance's primary ENI. The
// addresses that it has already stay protected. It returns the ENI as it is.
func (s *scenario) lend(instance string) ec2types.NetworkInterface {
	s.t.Helper()
	primary := s.interfaces(s.t.Context(), "attachment.instance-id", instance)[0]
	id := aws.ToString(primary.NetworkInterfaceId)
	delete(s.foreign, id)
	s.unprotect(id)
	s.protect(aws.ToString(primary.PrivateIpAddress))
	s.protect(audit.Secondaries(primary)...)
	return primary
}

// primaryAgrees is an error unless a primary ENI carries what its resource lists,
// beside what is not ours, and no tags.
func (s *scenario) primaryAgrees(eni v1alpha1.ElasticNetworkInterface, actual *ec2types.NetworkInterface) error {
	if actual == nil {
		return fmt.Errorf("EC2 has no %s", eni.Status.NetworkInterfaceID)
	}
	for _, address := range audit.Texts(eni.Status.Addresses) {
		if !contains(audit.Secondaries(*actual), address) {
			return fmt.Errorf("primary ENI %s does not carry %s", eni.Status.NetworkInterfaceID, address)
		}
	}
	return first(differ("primaryAddress", eni.Status.PrimaryAddress, aws.ToString(actual.PrivateIpAddress)), differ("tags", len(actual.TagSet), 0))
}

func TestPrimaryENIServesWithWhatWeAssigned(t *testing.T) {
	t.Parallel()
	s := shared.tell(t, "primary")
	node, instance := s.machine("m5.large")
	before := s.lend(instance)
	id, foreign := aws.ToString(before.NetworkInterfaceId), audit.Secondaries(before)
	policy := s.policy(sharing(4, 8), func(spec *v1alpha1.ENIPolicySpec) { spec.MinDeviceIndex = ptr.To[int32](0) })
	s.create(policy)
	s.awaitReady(node)
	ours := s.primaryResource(node)
	assert.Equal(t, ours.Status.NetworkInterfaceID, id)
	assert.Equal(t, len(ours.Status.Addresses), 4)
	claims := s.bind(node, v1alpha1.ModeShared, "web-0", "web-1", "web-2", "web-3", "web-4", "web-5", "web-6", "web-7")
	for _, claim := range claims {
		assert.Assert(t, !contains(foreign, claim.Status.Address), "%s is somebody else's", claim.Status.Address)
	}
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })
	assert.Equal(t, len(audit.Secondaries(*s.eni(t.Context(), id))), 9, "eight of ours, and one")

	t.Log("It shrinks by names of ours")
	for _, claim := range claims[2:] {
		s.remove(t.Context(), claim)
		s.awaitGone(t.Context(), claim)
	}
	s.update(policy, func() { policy.Spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: 100 * time.Millisecond} })
	eventually(t, "the surplus is given back", func() error {
		return differ("addresses", len(audit.Secondaries(*s.eni(t.Context(), id))), 4+len(foreign))
	})
	for _, claim := range claims[:2] {
		s.awaitBound(claim)
	}

	t.Log("Without the policy it is as it was")
	for _, claim := range claims[:2] {
		s.remove(t.Context(), claim)
		s.awaitGone(t.Context(), claim)
	}
	s.remove(t.Context(), policy)
	s.awaitGone(t.Context(), &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: node}})
	assert.Equal(t, asJSON(*s.eni(t.Context(), id)), asJSON(before))
	actions := s.mutationsOf(id)
	slices.Sort(actions)
	assert.DeepEqual(t, slices.Compact(actions), []string{"AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"})
	assert.Equal(t, len(s.operatorCalls("CreateNetworkInterface", s.home.id)), 0)
}

// primaryResource is the resource that stands for a node's primary ENI.
func (s *scenario) primaryResource(node string) v1alpha1.ElasticNetworkInterface {
	s.t.Helper()
	enis := slices.DeleteFunc(s.resourcesOf(node, v1alpha1.ModeShared), func(eni v1alpha1.ElasticNetworkInterface) bool { return !eni.Primary() })
	assert.Equal(s.t, len(enis), 1)
	return enis[0]
}
