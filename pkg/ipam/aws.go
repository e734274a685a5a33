/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ipam

import "github.com/eni-operator/eni-operator/api/v1alpha1"

// AWS takes an address from EC2 for each claim, and gives it back when the claim has
// released it: nothing is kept warm.
const AWS = "aws"

type aws struct{}

func init() { Register(aws{}) }

func (aws) Name() string { return AWS }

// Size is what claims hold and wait for. Addresses that rest are still there, and
// serve nobody, so they come on top.
func (aws) Size(_ Bounds, d Demand) Size {
	return Size{Desired: d.Allocated + d.Pending + d.Resting}
}

// AllocateIP takes the first: it came for some claim, and it does not matter which.
func (aws) AllocateIP(_ v1alpha1.ClaimReference, free []Candidate) (int, bool) {
	return 0, len(free) > 0
}

func (aws) ReleaseIP(Candidate) Disposition { return Return }
