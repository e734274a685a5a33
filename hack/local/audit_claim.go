package main

import (
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	apitypes "k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// claim compares what a bound claim was given with the ENI that carries it, and
// with the pool's record.
func (a *audit) claim(claim *v1alpha1.ENIClaim) {
	subject, status := "claim "+claim.Name, &claim.Status
	if status.Phase != v1alpha1.ClaimBound {
		return
	}
	actual, exists := a.enis[status.NetworkInterfaceID]
	if !exists || actual.Attachment == nil {
		a.same(subject, "its ENI is attached", true, false)
		return
	}
	instance := a.ec2.instances[aws.ToString(actual.Attachment.InstanceId)]
	a.same(subject, "node", claim.Spec.NodeName, aws.ToString(instance.PrivateDnsName))
	a.same(subject, "mode of its ENI", claim.Spec.Mode, a.modeOf(actual))
	a.same(subject, "name of its ENI", status.ENIName, tagsOf(actual.TagSet)[tagName])
	a.same(subject, "MAC address", status.MACAddress, aws.ToString(actual.MacAddress))
	a.same(subject, "device index", aws.ToInt32(status.DeviceIndex), aws.ToInt32(actual.Attachment.DeviceIndex))
	a.same(subject, "network card", aws.ToInt32(status.NetworkCardIndex), aws.ToInt32(actual.Attachment.NetworkCardIndex))
	a.claimedAddress(subject, claim, actual)
	a.claimedSubnet(subject, status, actual)
	a.same(subject, "holder in the pool's record", claim.UID, a.holder(claim))
}

func (a *audit) claimedAddress(subject string, claim *v1alpha1.ENIClaim, actual types.NetworkInterface) {
	carried := secondaries(actual)
	if claim.Spec.Mode == v1alpha1.ModeExclusive {
		carried = []string{aws.ToString(actual.PrivateIpAddress)}
	}
	a.same(subject, "address "+claim.Status.Address+" is on the ENI", true, slices.Contains(carried, claim.Status.Address))
}

func (a *audit) claimedSubnet(subject string, status *v1alpha1.ENIClaimStatus, actual types.NetworkInterface) {
	cidr := a.ec2.subnetCIDRs[aws.ToString(actual.SubnetId)]
	a.same(subject, "subnet's CIDR", status.SubnetCIDR, cidr)
	subnet, err := netip.ParsePrefix(cidr)
	if err != nil {
		a.differ("%s: EC2 shows no subnet %s", subject, aws.ToString(actual.SubnetId))
		return
	}
	a.same(subject, "prefix length", status.PrefixLength, int32(subnet.Bits()))
	a.same(subject, "gateway", status.Gateway, subnet.Masked().Addr().Next().String())
}

// holder returns who holds what the claim was given, by the pool's record.
func (a *audit) holder(claim *v1alpha1.ENIClaim) apitypes.UID {
	for _, pool := range a.kubernetes.on(claim.Spec.NodeName).pools {
		for _, address := range pool.Status.Addresses {
			if string(address.Address) == claim.Status.Address && address.State == v1alpha1.HolderAllocated && address.Claim != nil {
				return address.Claim.UID
			}
		}
		for _, eni := range pool.Status.ENIs {
			if eni.Mode == v1alpha1.ModeExclusive && eni.Name == claim.Status.ENIName && eni.Claim != nil {
				return eni.Claim.UID
			}
		}
	}
	return ""
}
