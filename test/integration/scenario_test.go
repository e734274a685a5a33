/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	operatorec2 "github.com/eni-operator/eni-operator/pkg/ec2"
)

// scenarioLabel tells the Nodes of one scenario from all others.
const scenarioLabel = "scenario"

// scenario is one story in a world: a VPC, a namespace, Nodes and a policy that
// nobody else uses.
type scenario struct {
	*world
	t         *testing.T
	name      string
	namespace string
	vpc       string
	cidr      string // the first two numbers of the VPC's addresses
	group     string
	// home is the subnet in zone A in which machines are launched.
	home subnet
	// nodes are the names of the Nodes, in the order of their making.
	nodes []string
	// foreign are ENIs of others, as they were found.
	foreign map[string]ec2types.NetworkInterface
	// ended: it was checked and taken down.
	ended bool
}

// subnet is a subnet, and how many addresses it had when it was made.
type subnet struct {
	id   string
	cidr string
	zone string
}

// tell begins a scenario. When it ends, everything of it is checked, taken down,
// and checked again.
func (w *world) tell(t *testing.T, name string) *scenario {
	t.Helper()
	if w == shared {
		seats <- struct{}{}
		t.Cleanup(func() { <-seats })
	}
	number := w.networks.Add(1)
	s := &scenario{
		world: w, t: t, name: name, namespace: name, cidr: fmt.Sprintf("10.%d", number),
		foreign: map[string]ec2types.NetworkInterface{},
	}
	vpc, err := w.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String(s.cidr + ".0.0/16")})
	assert.NilError(t, err)
	s.vpc = aws.ToString(vpc.Vpc.VpcId)
	s.group = s.securityGroup("nodes", nil)
	s.home = s.subnet(zoneA, "1.0/24", nil)
	s.foreignENIs()
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
	t.Cleanup(s.end)
	return s
}

// create makes an object.
func (s *scenario) create(object client.Object) {
	s.t.Helper()
	assert.NilError(s.t, s.Create(s.t.Context(), object))
}

// subnet makes a subnet; range is the end of its CIDR, as in 1.0/24.
func (s *scenario) subnet(zone, addresses string, tags map[string]string) subnet {
	s.t.Helper()
	made, err := s.CreateSubnet(s.t.Context(), &ec2.CreateSubnetInput{
		VpcId: &s.vpc, AvailabilityZone: &zone, CidrBlock: aws.String(s.cidr + "." + addresses),
		TagSpecifications: tagged(ec2types.ResourceTypeSubnet, tags),
	})
	assert.NilError(s.t, err)
	return subnet{id: aws.ToString(made.Subnet.SubnetId), cidr: aws.ToString(made.Subnet.CidrBlock), zone: zone}
}

// securityGroup makes a security group.
func (s *scenario) securityGroup(name string, tags map[string]string) string {
	s.t.Helper()
	made, err := s.CreateSecurityGroup(s.t.Context(), &ec2.CreateSecurityGroupInput{
		VpcId: &s.vpc, GroupName: &name, Description: &name, TagSpecifications: tagged(ec2types.ResourceTypeSecurityGroup, tags),
	})
	assert.NilError(s.t, err)
	return aws.ToString(made.GroupId)
}

func tagged(kind ec2types.ResourceType, tags map[string]string) []ec2types.TagSpecification {
	if len(tags) == 0 {
		return nil
	}
	specification := ec2types.TagSpecification{ResourceType: kind}
	for key, value := range tags {
		specification.Tags = append(specification.Tags, ec2types.Tag{Key: aws.String(key), Value: aws.String(value)})
	}
	return []ec2types.TagSpecification{specification}
}

// foreignENIs makes ENIs of others beside ours: one of nobody we know, one of
// another cluster, one of another cluster of the same name, and one that this
// cluster let go of. They are old enough for the collector.
func (s *scenario) foreignENIs() {
	s.t.Helper()
	old := time.Now().Add(-24 * time.Hour)
	for _, tags := range []map[string]string{
		{"Name": "somebody else's"},
		operatorec2.Ownership{Cluster: "another", ClusterUID: "another-cluster", Name: "eni", UID: "no-such-resource", CreatedAt: old, DeletionPolicy: "Delete"}.Tags(nil),
		operatorec2.Ownership{Cluster: clusterName, ClusterUID: "another-cluster", Name: "eni", UID: "no-such-resource", CreatedAt: old, DeletionPolicy: "Delete"}.Tags(nil),
		operatorec2.Ownership{Cluster: clusterName, ClusterUID: s.UID, Name: "eni", UID: "no-such-resource", CreatedAt: old, DeletionPolicy: "Retain"}.Tags(nil),
	} {
		made, err := s.CreateNetworkInterface(s.t.Context(), &ec2.CreateNetworkInterfaceInput{
			SubnetId: &s.home.id, TagSpecifications: tagged(ec2types.ResourceTypeNetworkInterface, tags),
		})
		assert.NilError(s.t, err)
		s.disown(aws.ToString(made.NetworkInterface.NetworkInterfaceId))
	}
}

// disown remembers how an ENI of somebody else looks once it is settled.
func (s *scenario) disown(id string) {
	s.t.Helper()
	eventually(s.t, "ENI "+id+" settles", func() error {
		eni := s.eni(s.t.Context(), id)
		if eni == nil || eni.Status == "pending" ||
			(eni.Attachment != nil && eni.Attachment.Status != ec2types.AttachmentStatusAttached) {
			return fmt.Errorf("it is %+v", eni)
		}
		s.foreign[id] = *eni
		s.protect(id)
		if eni.Attachment != nil {
			s.protect(aws.ToString(eni.Attachment.AttachmentId))
		}
		return nil
	})
}

// addressesOfPrimary is how many addresses an instance's primary ENI has: its own,
// and one that is somebody else's.
const addressesOfPrimary = 2

// launch starts an instance in a subnet.
func (s *scenario) launch(instanceType string, in subnet) string {
	s.t.Helper()
	made, err := s.RunInstances(s.t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: ec2types.InstanceType(instanceType),
		SubnetId: &in.id, SecurityGroupIds: []string{s.group}, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	assert.NilError(s.t, err)
	id := aws.ToString(made.Instances[0].InstanceId)
	for _, primary := range s.interfaces(s.t.Context(), "attachment.instance-id", id) {
		_, err := s.AssignPrivateIpAddresses(s.t.Context(), &ec2.AssignPrivateIpAddressesInput{
			NetworkInterfaceId: primary.NetworkInterfaceId, SecondaryPrivateIpAddressCount: aws.Int32(addressesOfPrimary - 1),
		})
		assert.NilError(s.t, err)
		s.disown(aws.ToString(primary.NetworkInterfaceId))
	}
	return id
}

// register makes a Node for an instance.
func (s *scenario) register(name, instanceID string) {
	s.t.Helper()
	s.registerAs(name, "aws:///"+zoneA+"/"+instanceID)
}

// registerAs makes a Node with any providerID.
func (s *scenario) registerAs(name, providerID string, taints ...corev1.Taint) {
	s.t.Helper()
	s.nodes = append(s.nodes, name)
	s.create(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{scenarioLabel: s.name}},
		Spec:       corev1.NodeSpec{ProviderID: providerID, Taints: taints},
	})
}

// nodeName is the name of the scenario's Node with a number.
func (s *scenario) nodeName(number int) string {
	return fmt.Sprintf("%s-%d.ec2.internal", s.name, number)
}

// machine launches an instance in the home subnet and makes its Node.
func (s *scenario) machine(instanceType string) (node, instanceID string) {
	s.t.Helper()
	node = s.nodeName(len(s.nodes))
	instanceID = s.launch(instanceType, s.home)
	s.register(node, instanceID)
	return node, instanceID
}

// policy is a policy for the scenario's Nodes. Released addresses rest shortly,
// and surplus stays, so that nothing moves by itself.
func (s *scenario) policy(adjust ...func(*v1alpha1.ENIPolicySpec)) *v1alpha1.ENIPolicy {
	policy := &v1alpha1.ENIPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: s.name},
		Spec:       v1alpha1.ENIPolicySpec{NodeSelector: metav1.LabelSelector{MatchLabels: map[string]string{scenarioLabel: s.name}}},
	}
	for _, change := range adjust {
		change(&policy.Spec)
	}
	return policy
}

// sharing asks for shared ENIs with this many addresses; none are kept warm.
func sharing(minimum, maximum int32) func(*v1alpha1.ENIPolicySpec) {
	return func(spec *v1alpha1.ENIPolicySpec) {
		spec.Shared = &v1alpha1.SharedBounds{
			MinimumIPs: minimum, MaximumIPs: maximum,
			Cooldown:         &metav1.Duration{Duration: 200 * time.Millisecond},
			IdleReleaseAfter: &metav1.Duration{Duration: time.Hour},
		}
	}
}

// exclusive asks for exclusive ENIs.
func exclusive(minimum, maximum int32) func(*v1alpha1.ENIPolicySpec) {
	return func(spec *v1alpha1.ENIPolicySpec) {
		spec.Exclusive = &v1alpha1.ExclusiveBounds{Minimum: minimum, Maximum: maximum}
	}
}

// claimOn is a claim on a node.
func (s *scenario) claimOn(node, name string, mode v1alpha1.Mode) *v1alpha1.ENIClaim {
	return &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: node, Mode: mode},
	}
}

// bind makes claims on a node and waits until they are bound.
func (s *scenario) bind(node string, mode v1alpha1.Mode, names ...string) []*v1alpha1.ENIClaim {
	s.t.Helper()
	claims := make([]*v1alpha1.ENIClaim, 0, len(names))
	for _, name := range names {
		claim := s.claimOn(node, name, mode)
		s.create(claim)
		claims = append(claims, claim)
	}
	for _, claim := range claims {
		s.awaitBound(claim)
	}
	return claims
}

// update changes an object, anew while others write it too.
func (s *scenario) update(object client.Object, change func()) {
	s.t.Helper()
	eventually(s.t, "an update of "+object.GetName()+" is taken", func() error {
		if err := s.Get(s.t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change()
		return s.Update(s.t.Context(), object)
	})
}

// remove deletes an object; it may be gone already.
func (s *scenario) remove(ctx context.Context, object client.Object) {
	s.t.Helper()
	assert.NilError(s.t, client.IgnoreNotFound(s.Delete(ctx, object)))
}

// annotate sets an annotation.
func (s *scenario) annotate(object client.Object, key, value string) {
	s.t.Helper()
	s.update(object, func() {
		annotations := maps.Clone(object.GetAnnotations())
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
		object.SetAnnotations(annotations)
	})
}

// letGo deletes an ENI as a person in the EC2 console does.
func (s *scenario) letGo(id string) {
	s.t.Helper()
	if at := s.eni(s.t.Context(), id).Attachment; at != nil {
		_, err := s.DetachNetworkInterface(s.t.Context(), &ec2.DetachNetworkInterfaceInput{AttachmentId: at.AttachmentId})
		assert.NilError(s.t, err)
	}
	eventually(s.t, "ENI "+id+" is deleted", func() error {
		_, err := s.DeleteNetworkInterface(s.t.Context(), &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id})
		return err
	})
}
