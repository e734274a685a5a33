/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ipam

import "github.com/eni-operator/eni-operator/api/v1alpha1"

// Shared hands out of a warm pool: addresses are there before they are asked for,
// and are used again.
const Shared = "shared"

type shared struct{}

func init() { Register(shared{}) }

func (shared) Name() string { return Shared }

// Size keeps warm addresses beside those that are held and waited for. Addresses
// that rest stand in for warm ones.
func (shared) Size(b Bounds, d Demand) Size {
	return Size{Minimum: b.Minimum, Desired: max(d.Allocated+d.Pending+max(b.Warm, d.Resting), b.Minimum)}
}

// AllocateIP takes the first.
func (shared) AllocateIP(_ v1alpha1.ClaimReference, free []Candidate) (int, bool) {
	return 0, len(free) > 0
}

func (shared) ReleaseIP(Candidate) Disposition { return Keep }
