/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ipam

// Room is what an instance offers to a pool.
type Room struct {
	// Slots are the ENIs that it may attach.
	Slots int32
	// AddressSlots is how many secondary addresses, or prefixes, each of them carries.
	AddressSlots int32
	// PrimarySlots is how many of them the pool may put on the primary ENI besides.
	PrimarySlots int32
	// Nitro instances alone carry prefixes (EC2).
	Nitro bool
}

// Carries says whether the instance takes addresses in a unit: 1, or those of a
// prefix.
func (r Room) Carries(unit int32) bool { return unit == 1 || r.Nitro }

// Fit works out what of two minima the instance carries: so many exclusive ENIs,
// which come first, and so many addresses, taken in a unit.
func (r Room) Fit(exclusive, addresses, unit int32) (exclusiveFits, addressesFit int32) {
	exclusiveFits = min(exclusive, max(r.Slots, 0))
	if r.Carries(unit) {
		addressesFit = min(addresses, ((max(r.Slots, 0)-exclusiveFits)*r.AddressSlots+r.PrimarySlots)*unit)
	}
	return exclusiveFits, addressesFit
}
