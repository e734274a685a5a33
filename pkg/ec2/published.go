/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import vpclimits "github.com/aws/amazon-vpc-resource-controller-k8s/pkg/aws/vpc"

// PublishedLimits are the limits of an instance type by the table that the VPC resource
// controller for Kubernetes publishes. It may lack types that are newer than this
// release: for decisions ask EC2.
func PublishedLimits(name string) (InstanceType, bool) {
	limits, ok := vpclimits.Limits[name]
	if !ok {
		return InstanceType{}, false
	}
	published := InstanceType{
		Name:       name,
		MaxENIs:    int32(limits.Interface),          //nolint:gosec // a table of small numbers
		IPv4PerENI: int32(limits.IPv4PerInterface),   //nolint:gosec // a table of small numbers
		CardENIs:   []int32{int32(limits.Interface)}, //nolint:gosec // a table of small numbers
		Nitro:      limits.Hypervisor == "nitro" || limits.IsBareMetal,
	}
	for _, card := range limits.NetworkCards {
		for int(card.NetworkCardIndex) >= len(published.CardENIs) {
			published.CardENIs = append(published.CardENIs, 0)
		}
		published.CardENIs[card.NetworkCardIndex] = int32(card.MaximumNetworkInterfaces) //nolint:gosec // a table of small numbers
	}
	return published, true
}
