/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
)

// reserve creates a CIDR reservation and returns its id.
func (w *world) reserve(subnetID, cidr string, kind types.SubnetCidrReservationType) string {
	w.t.Helper()
	out, err := w.CreateSubnetCidrReservation(w.ctx(), &ec2.CreateSubnetCidrReservationInput{SubnetId: &subnetID, Cidr: &cidr, ReservationType: kind})
	assert.NilError(w.t, err)
	return *out.SubnetCidrReservation.SubnetCidrReservationId
}

// TestReservedAddressesAreNotChosen reserves most of a subnet: what is left is
// chosen, the reserved addresses go on to count as free, and can be named.
func TestReservedAddressesAreNotChosen(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/27") // 27 addresses
	reservation := w.reserve(subnetID, "10.0.0.16/28", types.SubnetCidrReservationTypeExplicit)
	id := w.eni(subnetID)
	reserved := netip.MustParsePrefix("10.0.0.16/28")
	for _, address := range append(w.assign(id, count(11)), *w.describe(id).PrivateIpAddress) {
		assert.Assert(t, !reserved.Contains(netip.MustParseAddr(address)), address)
	}
	assert.Equal(t, w.free(subnetID), int32(15))
	_, err := w.AssignPrivateIpAddresses(w.ctx(), &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, SecondaryPrivateIpAddressCount: aws.Int32(1)})
	assertAPIError(t, err, "InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.")

	assert.DeepEqual(t, w.assign(id, names("10.0.0.20")), []string{"10.0.0.20"})
	assert.Equal(t, w.free(subnetID), int32(14))
	must(w.DeleteSubnetCidrReservation(w.ctx(), &ec2.DeleteSubnetCidrReservationInput{SubnetCidrReservationId: &reservation}))
	assert.Equal(t, len(w.assign(id, count(14))), 14)
}

// TestPrefixesComeFromTheirReservation: prefixes by count are chosen there first, and
// no address of it may be named.
func TestPrefixesComeFromTheirReservation(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/25")
	w.reserve(subnetID, "10.0.0.64/27", types.SubnetCidrReservationTypePrefix)
	id := w.eni(subnetID)
	assert.DeepEqual(t, w.assign(id, prefixCount(1)), []string{"10.0.0.64/28"})
	_, err := w.AssignPrivateIpAddresses(w.ctx(), &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: &id, PrivateIpAddresses: []string{"10.0.0.80"}})
	assert.ErrorContains(t, err, "10.0.0.80 is in the CIDR reservation scr-")
	assert.DeepEqual(t, w.assign(id, ec2.AssignPrivateIpAddressesInput{Ipv4Prefixes: []string{"10.0.0.80/28"}}), []string{"10.0.0.80/28"})
}

func TestListingReservations(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID, other := w.subnet("10.0.0.0/24"), w.subnet("10.1.0.0/24")
	id := *must(w.CreateSubnetCidrReservation(w.ctx(), &ec2.CreateSubnetCidrReservationInput{
		SubnetId: &subnetID, Cidr: aws.String("10.0.0.64/26"), ReservationType: types.SubnetCidrReservationTypePrefix, Description: aws.String("pods"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSubnetCidrReservation, Tags: []types.Tag{tag("a", "b")}}},
	})).SubnetCidrReservation.SubnetCidrReservationId
	w.reserve(other, "10.1.0.64/26", types.SubnetCidrReservationTypeExplicit)
	rows := must(w.GetSubnetCidrReservations(w.ctx(), &ec2.GetSubnetCidrReservationsInput{SubnetId: &subnetID})).SubnetIpv4CidrReservations
	assert.DeepEqual(t, rows, []types.SubnetCidrReservation{{
		SubnetCidrReservationId: &id, SubnetId: &subnetID, Cidr: aws.String("10.0.0.64/26"), ReservationType: types.SubnetCidrReservationTypePrefix,
		OwnerId: aws.String("123456789012"), Description: aws.String("pods"), Tags: []types.Tag{tag("a", "b")},
	}}, exportedOnly)
	for cidr, message := range map[string]string{
		"10.0.0.64/28": "The CIDR '10.0.0.64/28' conflicts with another reservation of subnet '" + subnetID + "'.",
		"10.9.0.64/28": "The CIDR '10.9.0.64/28' is not within the CIDR of subnet '" + subnetID + "'.",
		"10.0.0.32/29": "The CIDR '10.0.0.32/29' is too small for a reservation of type prefix.",
	} {
		_, err := w.CreateSubnetCidrReservation(w.ctx(), &ec2.CreateSubnetCidrReservationInput{
			SubnetId: &subnetID, Cidr: &cidr, ReservationType: types.SubnetCidrReservationTypePrefix,
		})
		assertAPIError(t, err, "InvalidParameterValue", message)
	}
}
