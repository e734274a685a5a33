package main

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apitypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

const (
	testNode     = "ip-10-0-1-4.ec2.internal"
	testInstance = "i-0123456789abcdef0"
	testCluster  = "cluster-uid"

	testShared    = testInstance + "-1"
	testExclusive = testInstance + "-2"
)

// testWorld is one node with a shared and an exclusive ENI and a claim on each,
// all in order: in Kubernetes, and as EC2 shows it.
func testWorld() (picture, evidence) {
	return picture{
			nodes:    []corev1.Node{*nodeOf(testEC2Instance())},
			policies: []v1alpha1.ENIPolicy{testPolicy()},
			pools:    []v1alpha1.ENIPool{testPool()},
			enis: []v1alpha1.ElasticNetworkInterface{
				testENI(testShared, v1alpha1.ModeShared, 1, "10.0.1.10", "10.0.1.11", "10.0.1.12"),
				testENI(testExclusive, v1alpha1.ModeExclusive, 2, "10.0.1.20"),
			},
			claims: []v1alpha1.ENIClaim{
				testClaim("router-0", v1alpha1.ModeExclusive, testExclusive, 2, "10.0.1.20"),
				testClaim("web-0", v1alpha1.ModeShared, testShared, 1, "10.0.1.11"),
			},
		}, evidence{
			instances:   map[string]types.Instance{testInstance: testEC2Instance()},
			subnetCIDRs: map[string]string{"subnet-1": "10.0.1.0/24"},
			enis: []types.NetworkInterface{
				testEC2ENI("", 0, "10.0.1.4"),
				testEC2ENI(testShared, 1, "10.0.1.10", "10.0.1.12", "10.0.1.11"), // EC2 does not sort
				testEC2ENI(testExclusive, 2, "10.0.1.20"),
			},
		}
}

func ready() []metav1.Condition {
	return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady}}
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, UID: apitypes.UID("uid-of-" + name), Generation: 1}
}

func testPolicy() v1alpha1.ENIPolicy {
	return v1alpha1.ENIPolicy{
		ObjectMeta: named("general"),
		Status:     v1alpha1.ENIPolicyStatus{ObservedGeneration: 1, Nodes: 1, ReadyPools: 1, Conditions: ready()},
	}
}

func testPool() v1alpha1.ENIPool {
	holder := func(claim string) *v1alpha1.ClaimReference {
		return &v1alpha1.ClaimReference{Namespace: claimNamespace, Name: claim, UID: named(claim).UID}
	}
	return v1alpha1.ENIPool{
		ObjectMeta: named(testNode),
		Spec:       v1alpha1.ENIPoolSpec{NodeName: testNode, InstanceID: testInstance},
		Status: v1alpha1.ENIPoolStatus{
			ObservedGeneration: 1,
			PoolUID:            named(testNode).UID,
			InstanceType:       "m5.large",
			AvailabilityZone:   "us-east-1a",
			ENICount:           2,
			Shared:             &v1alpha1.SharedStatus{Capacity: 2, Allocated: 1, Free: 1, Desired: 2},
			Exclusive:          &v1alpha1.ExclusiveStatus{Capacity: 1, Allocated: 1, Desired: 1},
			ENIs: []v1alpha1.PoolENI{
				{Name: testShared, Mode: v1alpha1.ModeShared},
				{Name: testExclusive, Mode: v1alpha1.ModeExclusive, Claim: holder("router-0")},
			},
			Addresses: []v1alpha1.PoolAddress{
				{Address: "10.0.1.11", ENIName: testShared, State: v1alpha1.HolderAllocated, Claim: holder("web-0")},
			},
			Conditions: ready(),
		},
	}
}

func testENI(name string, mode v1alpha1.Mode, index int32, primary string, addresses ...v1alpha1.Address) v1alpha1.ElasticNetworkInterface {
	return v1alpha1.ElasticNetworkInterface{
		ObjectMeta: named(name),
		Spec: v1alpha1.ElasticNetworkInterfaceSpec{
			NodeName: testNode, InstanceID: testInstance, PoolName: testNode, Mode: mode,
			DeletionPolicy: v1alpha1.DeletionPolicyDelete, Tags: map[string]v1alpha1.TagValue{"team": "demo"},
		},
		Status: v1alpha1.ElasticNetworkInterfaceStatus{
			ObservedGeneration: 1,
			State:              v1alpha1.ENIAttached,
			NetworkInterfaceID: "eni-of-" + name,
			MACAddress:         "mac-of-" + name,
			VPCID:              "vpc-1",
			AvailabilityZone:   "us-east-1a",
			SubnetID:           "subnet-1",
			SubnetCIDR:         "10.0.1.0/24",
			SecurityGroupIDs:   []v1alpha1.SecurityGroupID{"sg-1"},
			PrimaryAddress:     primary,
			Addresses:          addresses,
			AddressCount:       int32(len(addresses)),
			Attachment: &v1alpha1.Attachment{
				ID: "eni-attach-of-" + name, InstanceID: testInstance, DeviceIndex: index,
			},
			Conditions: ready(),
		},
	}
}

func testClaim(name string, mode v1alpha1.Mode, eni string, index int32, address string) v1alpha1.ENIClaim {
	meta := named(name)
	meta.Namespace = claimNamespace
	return v1alpha1.ENIClaim{
		ObjectMeta: meta,
		Spec:       v1alpha1.ENIClaimSpec{NodeName: testNode, Mode: mode},
		Status: v1alpha1.ENIClaimStatus{
			ObservedGeneration: 1,
			Phase:              v1alpha1.ClaimBound,
			Address:            address,
			PrefixLength:       24,
			SubnetCIDR:         "10.0.1.0/24",
			Gateway:            "10.0.1.1",
			MACAddress:         "mac-of-" + eni,
			DeviceIndex:        &index,
			NetworkCardIndex:   ptr.To[int32](0),
			NetworkInterfaceID: "eni-of-" + eni,
			ENIName:            eni,
			Conditions:         ready(),
		},
	}
}

func testEC2Instance() types.Instance {
	return types.Instance{
		InstanceId:     aws.String(testInstance),
		InstanceType:   types.InstanceTypeM5Large,
		PrivateDnsName: aws.String(testNode),
		Placement:      &types.Placement{AvailabilityZone: aws.String("us-east-1a")},
	}
}

// testEC2ENI is an attached ENI as EC2 shows it; without a name it is the
// instance's own.
func testEC2ENI(name string, index int32, addresses ...string) types.NetworkInterface {
	eni := types.NetworkInterface{
		NetworkInterfaceId: aws.String("eni-of-" + name),
		MacAddress:         aws.String("mac-of-" + name),
		VpcId:              aws.String("vpc-1"),
		AvailabilityZone:   aws.String("us-east-1a"),
		SubnetId:           aws.String("subnet-1"),
		Groups:             []types.GroupIdentifier{{GroupId: aws.String("sg-1")}},
		PrivateIpAddress:   &addresses[0],
		Status:             types.NetworkInterfaceStatusInUse,
		Attachment: &types.NetworkInterfaceAttachment{
			AttachmentId:        aws.String("eni-attach-of-" + name),
			InstanceId:          aws.String(testInstance),
			DeviceIndex:         &index,
			NetworkCardIndex:    aws.Int32(0),
			DeleteOnTermination: aws.Bool(true),
			Status:              types.AttachmentStatusAttached,
		},
	}
	for i := range addresses {
		eni.PrivateIpAddresses = append(eni.PrivateIpAddresses,
			types.NetworkInterfacePrivateIpAddress{PrivateIpAddress: &addresses[i], Primary: aws.Bool(i == 0)})
	}
	if name != "" {
		eni.TagSet = testTags(name)
	}
	return eni
}

func testTags(name string) []types.Tag {
	var tags []types.Tag
	for _, tag := range [][2]string{
		{tagCluster, clusterName},
		{tagClusterUID, testCluster},
		{tagName, name},
		{tagUID, string(named(name).UID)},
		{tagNode, testNode},
		{tagCreatedAt, "2026-01-02T03:04:05Z"},
		{tagDeletionPolicy, "Delete"},
		{tagNoManage, "true"},
		{"team", "demo"},
	} {
		tags = append(tags, types.Tag{Key: aws.String(tag[0]), Value: aws.String(tag[1])})
	}
	return tags
}
