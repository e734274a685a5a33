package main

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// The operator's tags in EC2, spelled out here a second time: the audit shares
// nothing with the operator but its API.
const (
	tagCluster        = "networking.eni-operator.dev/cluster"
	tagClusterUID     = "networking.eni-operator.dev/cluster-uid"
	tagName           = "networking.eni-operator.dev/name"
	tagUID            = "networking.eni-operator.dev/uid"
	tagNode           = "networking.eni-operator.dev/node"
	tagCreatedAt      = "networking.eni-operator.dev/created-at"
	tagDeletionPolicy = "networking.eni-operator.dev/deletion-policy"
	tagNoManage       = "node.k8s.amazonaws.com/no_manage"
)

// audit compares what every status says with what EC2 shows.
type audit struct {
	kubernetes picture
	ec2        evidence
	clusterUID string

	// enis are EC2's ENIs by id.
	enis map[string]types.NetworkInterface

	comparisons int
	differences []string
}

// compare finds every difference between the resources and EC2, in both
// directions. Nothing may be in motion.
func compare(kubernetes picture, ec2 evidence, clusterUID string) *audit {
	a := &audit{kubernetes: kubernetes, ec2: ec2, clusterUID: clusterUID, enis: map[string]types.NetworkInterface{}}
	for _, eni := range ec2.enis {
		a.enis[aws.ToString(eni.NetworkInterfaceId)] = eni
	}
	for i := range kubernetes.enis {
		a.eni(&kubernetes.enis[i])
	}
	for i := range kubernetes.pools {
		a.pool(&kubernetes.pools[i])
	}
	for i := range kubernetes.claims {
		a.claim(&kubernetes.claims[i])
	}
	for i := range kubernetes.policies {
		a.policy(&kubernetes.policies[i])
	}
	a.holders()
	a.owners()
	return a
}

// same compares one value. Slices are to be sorted.
func (a *audit) same(subject, what string, status, ec2 any) {
	a.comparisons++
	if !reflect.DeepEqual(status, ec2) {
		a.differ("%s: %s: status says %v, EC2 %v", subject, what, status, ec2)
	}
}

func (a *audit) differ(format string, args ...any) {
	a.differences = append(a.differences, fmt.Sprintf(format, args...))
}

func (a *audit) policy(policy *v1alpha1.ENIPolicy) {
	subject := "policy " + policy.Name
	nodes := int32(len(a.kubernetes.nodes)) // the demo's policy selects all
	a.same(subject, "nodes", policy.Status.Nodes, nodes)
	a.same(subject, "ready pools", policy.Status.ReadyPools, nodes)
}

// holders finds what two claims hold.
func (a *audit) holders() {
	holders := map[string]string{}
	for i := range a.kubernetes.claims {
		claim := &a.kubernetes.claims[i]
		if claim.Status.Phase != v1alpha1.ClaimBound {
			continue
		}
		held := claim.Status.Address
		if claim.Spec.Mode == v1alpha1.ModeExclusive {
			held = claim.Status.NetworkInterfaceID
		}
		a.comparisons++
		if other, taken := holders[held]; taken {
			a.differ("%s is held by the claims %s and %s", held, other, claim.Name)
		}
		holders[held] = claim.Name
	}
}

// owners finds ENIs with our tags that no resource stands for.
func (a *audit) owners() {
	for id, eni := range a.enis {
		tags := tagsOf(eni.TagSet)
		if tags[tagClusterUID] != a.clusterUID {
			continue
		}
		a.comparisons++
		if !slices.ContainsFunc(a.kubernetes.enis, func(resource v1alpha1.ElasticNetworkInterface) bool {
			return string(resource.UID) == tags[tagUID] && resource.Status.NetworkInterfaceID == id
		}) {
			a.differ("%s in EC2 is tagged as the ENI %s, which is not its resource", id, tags[tagName])
		}
	}
}

// attached returns EC2's ENIs on an instance that carry our tags.
func (a *audit) attached(instanceID string) []types.NetworkInterface {
	return keep(a.ec2.enis, func(eni *types.NetworkInterface) bool {
		return eni.Attachment != nil && aws.ToString(eni.Attachment.InstanceId) == instanceID &&
			tagsOf(eni.TagSet)[tagClusterUID] == a.clusterUID
	})
}

// ours returns the ENIs in EC2 with our tags.
func (e evidence) ours(clusterUID string) []types.NetworkInterface {
	return keep(e.enis, func(eni *types.NetworkInterface) bool {
		return tagsOf(eni.TagSet)[tagClusterUID] == clusterUID
	})
}

func tagsOf(set []types.Tag) map[string]string {
	tags := make(map[string]string, len(set))
	for _, tag := range set {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

// secondaries are an ENI's addresses but for the primary one, sorted.
func secondaries(eni types.NetworkInterface) []string {
	addresses := []string{}
	for _, address := range eni.PrivateIpAddresses {
		if !aws.ToBool(address.Primary) {
			addresses = append(addresses, aws.ToString(address.PrivateIpAddress))
		}
	}
	slices.Sort(addresses)
	return addresses
}

// sorted turns a list of the API into plain strings, sorted as text.
func sorted[S ~string](list []S) []string {
	texts := make([]string, 0, len(list))
	for _, s := range list {
		texts = append(texts, string(s))
	}
	slices.Sort(texts)
	return texts
}
