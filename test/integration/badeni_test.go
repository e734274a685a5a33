/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// badENI is an ENI of a person that cannot be what its spec asks for.
type badENI struct {
	name string
	// spoil makes it so: in the spec, in EC2, or both.
	spoil func(b *badENIStory)
	// alive: the ENI is ready before it is spoiled, and stays so.
	alive bool
	// reason and words are those of the condition Ready and of the event.
	reason string
	words  []string
	// action is what fails; tried are the calls that show the attempts, where none
	// fails. Without either there is no call, and no ENI before it heals.
	action string
	tried  string
	// remembered: what EC2 refused is not asked for again for a while.
	remembered bool
	// heal takes the cause away.
	heal func(b *badENIStory)
}

// badENIStory is one of them being told.
type badENIStory struct {
	*scenario
	node, instance string
	eni            *v1alpha1.ElasticNetworkInterface
	// culprit is an id that the words must name, and undo takes away a fault.
	culprit string
	undo    func()
}

// spec changes the ENI's spec, in EC2's turn if it is there already.
func (b *badENIStory) spec(change func(*v1alpha1.ElasticNetworkInterfaceSpec)) {
	b.t.Helper()
	if b.eni.UID == "" {
		change(&b.eni.Spec)
		return
	}
	b.update(b.eni, func() { change(&b.eni.Spec) })
}

// refusal makes EC2 refuse an action with a code.
func refusal(action, code, message string, about func(b *badENIStory) map[string]string) func(*badENIStory) {
	return func(b *badENIStory) {
		b.undo = b.disturb(emulator.Fault{Action: action, Code: code, Message: message, Params: about(b)})
	}
}

func described(b *badENIStory) map[string]string  { return in("Description", b.eni.Spec.Description) }
func onInstance(b *badENIStory) map[string]string { return in("InstanceId", b.instance) }
func undo(b *badENIStory)                         { b.undo() }

// inSubnet asks for one subnet.
func inSubnet(b *badENIStory, id string) {
	b.spec(func(spec *v1alpha1.ElasticNetworkInterfaceSpec) {
		spec.SubnetIDs = []v1alpha1.SubnetID{v1alpha1.SubnetID(id)}
	})
}

func atHome(b *badENIStory) { inSubnet(b, b.home.id) }

// inGroups asks for so many security groups.
func inGroups(count int) func(*badENIStory) {
	return func(b *badENIStory) {
		var groups []v1alpha1.SecurityGroupID
		for i := range count {
			groups = append(groups, v1alpha1.SecurityGroupID(b.securityGroup(fmt.Sprintf("group-%d-%d", count, i), nil)))
		}
		b.spec(func(spec *v1alpha1.ElasticNetworkInterfaceSpec) { spec.SecurityGroupIDs = groups })
	}
}

// addresses asks for a number of addresses.
func addresses(count int32) func(*badENIStory) {
	return func(b *badENIStory) {
		b.spec(func(spec *v1alpha1.ElasticNetworkInterfaceSpec) { spec.AddressCount = count })
	}
}

// Ids that are malformed are refused by the API server: see TestENIRules.
var badENIs = []badENI{
	{
		name: "deleted-subnet", action: "CreateNetworkInterface",
		spoil: func(b *badENIStory) {
			gone := b.subnet(zoneA, "9.0/24", nil)
			_, err := b.DeleteSubnet(b.t.Context(), &ec2.DeleteSubnetInput{SubnetId: &gone.id})
			assert.NilError(b.t, err)
			b.culprit = gone.id
			inSubnet(b, gone.id)
		},
		reason: v1alpha1.ReasonNotFound, words: []string{"InvalidSubnetID.NotFound", "Name one that exists"}, heal: atHome,
	}, {
		name: "malformed-id", action: "CreateNetworkInterface",
		spoil:  refusal("CreateNetworkInterface", "InvalidSubnetID.Malformed", "Invalid id: \"x\"", described),
		reason: v1alpha1.ReasonInvalidParameter, words: []string{"InvalidSubnetID.Malformed", "Change what the spec asks for"}, heal: undo,
	}, {
		name:   "another-zone",
		spoil:  func(b *badENIStory) { inSubnet(b, b.subnet(zoneB, "9.0/24", nil).id) },
		reason: v1alpha1.ReasonInvalidParameter, words: []string{zoneA, zoneB, "name a subnet of zone " + zoneA}, heal: atHome,
	}, {
		name: "unknown-group", action: "CreateNetworkInterface",
		spoil: func(b *badENIStory) {
			b.culprit = "sg-0fffffffffffffff3"
			b.spec(func(spec *v1alpha1.ElasticNetworkInterfaceSpec) {
				spec.SecurityGroupIDs = []v1alpha1.SecurityGroupID{"sg-0fffffffffffffff3"}
			})
		},
		reason: v1alpha1.ReasonNotFound, words: []string{"InvalidGroup.NotFound", "Name one that exists"}, heal: inGroups(1),
	}, {
		name: "too-many-groups", action: "CreateNetworkInterface", spoil: inGroups(6),
		reason: v1alpha1.ReasonQuotaExceeded, words: []string{"SecurityGroupsPerInterfaceLimitExceeded", "Ask for less, or have the quota raised"}, heal: inGroups(5),
	}, {
		name: "too-many-groups-later", action: "ModifyNetworkInterfaceAttribute", spoil: inGroups(6), alive: true,
		reason: v1alpha1.ReasonQuotaExceeded, words: []string{"SecurityGroupsPerInterfaceLimitExceeded", "Ask for less, or have the quota raised"}, heal: inGroups(5),
	}, {
		name: "taken-index", tried: "DescribeInstances",
		spoil: func(b *badENIStory) {
			stranger := b.stranger(b.instance, 1)
			b.undo = func() {
				b.letGo(stranger)
				delete(b.foreign, stranger)
			}
			b.culprit = b.instance
			b.spec(func(spec *v1alpha1.ElasticNetworkInterfaceSpec) { spec.DeviceIndex = ptr.To[int32](1) })
		},
		reason: v1alpha1.ReasonNoFreeDeviceIndex, words: []string{"name a free deviceIndex, or detach another ENI"}, heal: undo,
	}, {
		name: "quota-of-enis", action: "CreateNetworkInterface",
		spoil:  refusal("CreateNetworkInterface", "NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached.", described),
		reason: v1alpha1.ReasonQuotaExceeded, words: []string{"NetworkInterfaceLimitExceeded", "have the quota raised"}, heal: undo,
	}, {
		name: "quota-of-attachments", action: "AttachNetworkInterface",
		spoil:  refusal("AttachNetworkInterface", "AttachmentLimitExceeded", "Interface count 4 exceeds the limit for t3.medium", onInstance),
		reason: v1alpha1.ReasonQuotaExceeded, words: []string{"AttachmentLimitExceeded", "Ask for less"}, heal: undo, remembered: true,
	}, {
		name: "quota-of-addresses", spoil: addresses(6), // a t3.medium carries five besides the primary one
		reason: v1alpha1.ReasonQuotaExceeded, words: []string{"t3.medium", "5 addresses", "lower addressCount"}, heal: addresses(5),
	}, {
		name: "quota-of-addresses-later", action: "AssignPrivateIpAddresses", spoil: addresses(6), alive: true,
		reason: v1alpha1.ReasonQuotaExceeded, words: []string{"PrivateIpAddressLimitExceeded", "Ask for less"}, heal: addresses(5),
	},
}

// TestBadENIsAreToldAndHeal holds each to the same: a condition with reason and
// remedy, an event, attempts that become rare, and no second ENI when it heals.
func TestBadENIsAreToldAndHeal(t *testing.T) {
	t.Parallel()
	for _, bad := range badENIs {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			b := &badENIStory{scenario: shared.tell(t, "bad-"+bad.name)}
			b.node, b.instance = b.machine("t3.medium")
			b.eni = &v1alpha1.ElasticNetworkInterface{
				ObjectMeta: metav1.ObjectMeta{Name: b.name},
				Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: b.node, Description: b.name},
			}
			if bad.alive {
				b.create(b.eni)
				b.awaitENIReady(b.eni)
			}
			bad.spoil(b)
			if !bad.alive {
				b.create(b.eni)
			}
			bad.check(b)
			bad.heal(b)
			b.awaitENIReady(b.eni)
			tagged := b.interfaces(t.Context(), "tag:networking.eni-operator.dev/uid", string(b.eni.UID))
			assert.Equal(t, len(tagged), 1)
		})
	}
}

func (bad badENI) check(b *badENIStory) {
	b.t.Helper()
	b.awaitENI(b.eni, "says what is wrong", func() error {
		ready := metav1.ConditionFalse
		if bad.alive && bad.action == "ModifyNetworkInterfaceAttribute" {
			ready = metav1.ConditionTrue // Nobody waits for that.
		}
		return conditionIs(b.eni.Status.Conditions, v1alpha1.ConditionReady, ready, bad.reason)
	})
	words := bad.words
	if b.culprit != "" {
		words = append([]string{b.culprit}, words...)
	}
	b.says(messageOf(b.eni.Status.Conditions, v1alpha1.ConditionReady), words...)
	b.awaitEvent(b.eni.Name, bad.reason, words...)
	switch {
	case bad.remembered:
		assert.Equal(b.t, len(b.operatorCalls(bad.action, b.about(bad.action))), 1, "what EC2 refused is not asked for again while it is remembered")
	case bad.tried != "":
		b.slowsDown(bad.tried, func() []emulator.Call { return b.operatorCalls(bad.tried, b.instance) })
	case bad.action != "":
		b.backsOff(bad.action, b.about(bad.action))
	default:
		assert.Equal(b.t, len(b.creations(b.eni)), 0)
	}
	assert.Equal(b.t, len(b.events(b.eni.Name, bad.reason)), 1, "the same thing again is counted, not told again")
}

// about is what the calls of an action for the ENI name.
func (b *badENIStory) about(action string) string {
	if action == "CreateNetworkInterface" {
		return b.eni.Spec.Description
	}
	return b.eni.Status.NetworkInterfaceID
}

// stranger attaches an ENI of somebody else to an instance.
func (s *scenario) stranger(instance string, index int32) string {
	s.t.Helper()
	made, err := s.CreateNetworkInterface(s.t.Context(), &ec2.CreateNetworkInterfaceInput{SubnetId: &s.home.id})
	assert.NilError(s.t, err)
	id := aws.ToString(made.NetworkInterface.NetworkInterfaceId)
	eventually(s.t, "a stranger's ENI is attached", func() error {
		_, err := s.AttachNetworkInterface(s.t.Context(), &ec2.AttachNetworkInterfaceInput{InstanceId: &instance, NetworkInterfaceId: &id, DeviceIndex: &index})
		return err
	})
	s.disown(id)
	return id
}
