/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"cmp"
	"fmt"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// reasoned is an error of this controller's own that has a reason for a condition.
// Its text names the remedy.
type reasoned interface {
	error
	reason() string
}

// subnetFullError says that a subnet has too few free addresses for an ENI or, where
// that is its reason, no free block for a prefix.
type subnetFullError struct {
	subnetID string
	lack     string
	cause    error
}

func (e *subnetFullError) Error() string {
	lack := "too few free addresses"
	if e.reason() == v1alpha1.ReasonSubnetFragmented {
		lack = "no free block of 16 addresses for a prefix"
	}
	said := ec2.Message(e.cause)
	if action := ec2.Action(e.cause); action != "" {
		said = action + ": " + said
	}
	return fmt.Sprintf("subnet %s has %s: %s. The next candidate subnet is tried. %s", e.subnetID, lack, said, roomRemedy(e.reason()))
}

// roomRemedy is what a person can do about a subnet without room, for each reason of it.
func roomRemedy(reason string) string {
	if reason == v1alpha1.ReasonSubnetFragmented {
		return "Add a subnet to subnetSelectorTerms, or reserve a block for prefixes in it."
	}
	return "Add a subnet to subnetSelectorTerms, or free addresses."
}

func (e *subnetFullError) reason() string { return cmp.Or(e.lack, v1alpha1.ReasonSubnetExhausted) }

func (e *subnetFullError) Unwrap() error { return e.cause }

// noVacancyError says that a primary ENI's subnet has no address left for it.
type noVacancyError struct{ subnetID string }

func (e *noVacancyError) Error() string {
	return fmt.Sprintf("subnet %s of the primary ENI has no free address or prefix: free some, or set minDeviceIndex to 1 and "+
		"select other subnets", e.subnetID)
}

func (*noVacancyError) reason() string { return v1alpha1.ReasonSubnetExhausted }

// noCIDRError says that EC2 told no IPv4 CIDR for the ENI's subnet.
type noCIDRError struct{ subnetID string }

func (e *noCIDRError) Error() string {
	return fmt.Sprintf("EC2 tells no IPv4 CIDR for subnet %s; it is asked again", e.subnetID)
}

func (*noCIDRError) reason() string { return v1alpha1.ReasonInProgress }

// tooManyError says that no ENI of an instance type carries as much as is asked for.
type tooManyError struct {
	instanceType string
	most         int32
}

func (e *tooManyError) Error() string {
	return fmt.Sprintf("on instance type %s an ENI carries %d addresses or prefixes at most besides its primary address: "+
		"lower addressCount or prefixCount, or use a larger instance", e.instanceType, e.most)
}

func (*tooManyError) reason() string { return v1alpha1.ReasonQuotaExceeded }

// otherZoneError says that no candidate subnet lies in the instance's zone.
type otherZoneError struct {
	subnet ec2.Subnet
	zone   string
}

func (e *otherZoneError) Error() string {
	return fmt.Sprintf("subnet %s lies in zone %s, and the instance in zone %s: name a subnet of zone %s in subnetIDs, or none",
		e.subnet.ID, e.subnet.AvailabilityZone, e.zone, e.zone)
}

func (*otherZoneError) reason() string { return v1alpha1.ReasonInvalidParameter }

// foreignInstanceError says that a person's ENI names an instance that its Node does not stand for.
type foreignInstanceError struct{ instanceID, node string }

func (e *foreignInstanceError) Error() string {
	return fmt.Sprintf("Node %s does not stand for instance %s, and the operator attaches ENIs only to instances of Nodes: "+
		"leave spec.instanceID unset, or name the instance of spec.nodeName", e.node, e.instanceID)
}

func (*foreignInstanceError) reason() string { return v1alpha1.ReasonInvalidParameter }

// primaryTakenError says that another resource stands for the same primary ENI.
type primaryTakenError struct{ by string }

func (e *primaryTakenError) Error() string {
	return fmt.Sprintf("ElasticNetworkInterface %s stands for the primary ENI of this instance already: delete one of the two", e.by)
}

func (*primaryTakenError) reason() string { return v1alpha1.ReasonNoFreeDeviceIndex }

// noSlotError says that an instance has no free device index for an ENI.
type noSlotError struct{ instanceID string }

func (e *noSlotError) Error() string {
	return fmt.Sprintf("instance %s has no free device index for this ENI: "+
		"lower minDeviceIndex, name a free deviceIndex, or detach another ENI", e.instanceID)
}

func (*noSlotError) reason() string { return v1alpha1.ReasonNoFreeDeviceIndex }

// fullInstanceError says that EC2 refused another ENI on the instance lately.
type fullInstanceError struct{ instanceID string }

func (e *fullInstanceError) Error() string {
	return fmt.Sprintf("EC2 lets instance %s carry no more ENIs, although its type promises more: "+
		"it is tried again after a while; use fewer ENIs on it, or another instance", e.instanceID)
}

func (*fullInstanceError) reason() string { return v1alpha1.ReasonQuotaExceeded }
