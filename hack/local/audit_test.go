package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestCompareAcceptsWhatIsTrue(t *testing.T) {
	kubernetes, ec2 := testWorld()
	a := compare(kubernetes, ec2, testCluster)
	if len(a.differences) > 0 {
		t.Errorf("differences where there are none:\n%s", strings.Join(a.differences, "\n"))
	}
	if a.comparisons < 70 {
		t.Errorf("only %d comparisons", a.comparisons)
	}
}

// Each lie is told alone, and the audit has to find it.
func TestCompareFindsEachLie(t *testing.T) {
	const shared, exclusive = 0, 1 // ENIs of the picture
	const router, web = 0, 1       // claims
	const primary, first, second = 0, 1, 2
	tests := []struct {
		name string
		lie  func(*picture, *evidence)
		want string
	}{
		{"an ENI that EC2 does not know", func(p *picture, _ *evidence) { p.enis[shared].Status.NetworkInterfaceID = "eni-9" }, "exists in EC2 as eni-9"},
		{"no ENI id at all", func(p *picture, _ *evidence) { p.enis[shared].Status.NetworkInterfaceID = "" }, "exists in EC2"},
		{"another MAC", func(p *picture, _ *evidence) { p.enis[shared].Status.MACAddress = "x" }, "MAC address"},
		{"another subnet", func(_ *picture, e *evidence) { e.enis[first].SubnetId = aws.String("subnet-2") }, "subnet: status says subnet-1"},
		{"another CIDR", func(p *picture, _ *evidence) { p.enis[shared].Status.SubnetCIDR = "10.0.0.0/8" }, "subnet's CIDR"},
		{"another group", func(_ *picture, e *evidence) { e.enis[first].Groups[0].GroupId = aws.String("sg-2") }, "security groups"},
		{"an address too many", func(p *picture, _ *evidence) {
			p.enis[shared].Status.Addresses = append(p.enis[shared].Status.Addresses, "10.0.1.13")
		}, "addresses: status says [10.0.1.11 10.0.1.12 10.0.1.13]"},
		{"an address lost in EC2", func(_ *picture, e *evidence) {
			e.enis[first].PrivateIpAddresses = e.enis[first].PrivateIpAddresses[:2]
		}, "claim web-0: address 10.0.1.11 is on the ENI"},
		{"a wrong count", func(p *picture, _ *evidence) { p.enis[shared].Status.AddressCount = 5 }, "number of addresses"},
		{"a prefix that status does not show", func(_ *picture, e *evidence) {
			e.enis[first].Ipv4Prefixes = []types.Ipv4PrefixSpecification{{Ipv4Prefix: aws.String("10.0.1.16/28")}}
		}, "prefixes: status says [], EC2 [10.0.1.16/28]"},
		{"still attaching", func(_ *picture, e *evidence) { e.enis[first].Attachment.Status = types.AttachmentStatusAttaching }, "attachment's status"},
		{"detached", func(_ *picture, e *evidence) { e.enis[second].Attachment = nil }, "attached: status says true, EC2 false"},
		{"another device index", func(_ *picture, e *evidence) { e.enis[first].Attachment.DeviceIndex = aws.Int32(3) }, "attachment: "},
		{"survives its instance", func(_ *picture, e *evidence) {
			e.enis[first].Attachment.DeleteOnTermination = aws.Bool(false)
		}, "ends with its instance"},
		{"another instance", func(p *picture, _ *evidence) { p.pools[0].Spec.InstanceID = "i-9" }, "the node's instance"},
		{"a tag missing", func(_ *picture, e *evidence) { e.enis[first].TagSet = e.enis[first].TagSet[1:] }, "tag " + tagCluster},
		{"another owner", func(p *picture, _ *evidence) { p.enis[shared].UID = "u" }, "tag " + tagUID},
		{"a leaked ENI", func(_ *picture, e *evidence) { e.enis = append(e.enis, testEC2ENI("lost", 3, "10.0.1.99")) }, "eni-of-lost in EC2 is tagged as the ENI lost"},
		{"another instance type", func(p *picture, _ *evidence) { p.pools[0].Status.InstanceType = "t3.nano" }, "instance type"},
		{"too large a pool", func(p *picture, _ *evidence) { p.pools[0].Status.Shared.Capacity = 3 }, "capacity: status says 3, EC2 2"},
		{"an address unaccounted for", func(p *picture, _ *evidence) { p.pools[0].Status.Shared.Free = 0 }, "allocated + free + cooling"},
		{"an exclusive ENI said to be free", func(p *picture, _ *evidence) { p.pools[0].Status.Exclusive.Free = 1 }, "free exclusive ENIs"},
		{"another pool's record", func(p *picture, _ *evidence) { p.pools[0].Status.PoolUID = "u" }, "record's owner"},
		{"an address that nobody recorded", func(p *picture, _ *evidence) { p.pools[0].Status.Addresses = nil }, "claim web-0: holder in the pool's record"},
		{"another holder", func(p *picture, _ *evidence) { p.pools[0].Status.ENIs[exclusive].Claim.UID = "u" }, "claim router-0: holder in the pool's record"},
		{"two holders of an address", func(p *picture, _ *evidence) {
			p.claims = append(p.claims, testClaim("web-1", v1alpha1.ModeShared, testShared, 1, "10.0.1.11"))
		}, "10.0.1.11 is held by the claims web-0 and web-1"},
		{"two holders of an ENI", func(p *picture, _ *evidence) {
			p.claims = append(p.claims, testClaim("router-1", v1alpha1.ModeExclusive, testExclusive, 2, "10.0.1.20"))
		}, "held by the claims router-0 and router-1"},
		{"a claim on another node", func(p *picture, _ *evidence) { p.claims[web].Spec.NodeName = "ip-10-0-9-9.ec2.internal" }, "claim web-0: node"},
		{"a claim on the wrong mode of ENI", func(p *picture, _ *evidence) {
			p.claims[router].Status.NetworkInterfaceID = "eni-of-" + testShared
		}, "claim router-0: mode of its ENI"},
		{"a claim on the primary ENI", func(p *picture, e *evidence) {
			p.claims[web].Status.NetworkInterfaceID = aws.ToString(e.enis[primary].NetworkInterfaceId)
		}, "claim web-0: name of its ENI"},
		{"another gateway", func(p *picture, _ *evidence) { p.claims[web].Status.Gateway = "10.0.1.254" }, "claim web-0: gateway"},
		{"another mask", func(p *picture, _ *evidence) { p.claims[web].Status.PrefixLength = 16 }, "claim web-0: prefix length"},
		{"a claim on nothing", func(p *picture, _ *evidence) { p.claims[web].Status.NetworkInterfaceID = "" }, "claim web-0: its ENI is attached"},
		{"a policy that counts wrong", func(p *picture, _ *evidence) { p.policies[0].Status.ReadyPools = 0 }, "ready pools"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kubernetes, ec2 := testWorld()
			test.lie(&kubernetes, &ec2)
			found := strings.Join(compare(kubernetes, ec2, testCluster).differences, "\n")
			if !strings.Contains(found, test.want) {
				t.Errorf("want a difference with %q, got:\n%s", test.want, found)
			}
		})
	}
}

// A claim that lost its node holds nothing, so there is nothing to compare.
func TestCompareSkipsLostClaims(t *testing.T) {
	kubernetes, ec2 := testWorld()
	lost := testClaim("web-9", v1alpha1.ModeShared, testShared, 1, "10.0.1.11")
	lost.Status.Phase = v1alpha1.ClaimLost
	kubernetes.claims = append(kubernetes.claims, lost)
	if found := compare(kubernetes, ec2, testCluster).differences; len(found) > 0 {
		t.Errorf("differences: %v", found)
	}
}
