/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import "regexp"

// hexSuffix is the part of an identifier after its prefix: 17 digits, or 8 for
// resources of before 2016.
var hexSuffix = regexp.MustCompile(`^(.*)-([0-9a-f]{17}|[0-9a-f]{8})$`)

// wellFormed tells whether an id has its kind's prefix and digits.
func wellFormed(prefix, id string) bool {
	match := hexSuffix.FindStringSubmatch(id)
	return match != nil && match[1] == prefix
}

// malformed is the error for an id that is not well-formed. EC2 spells its code
// differently per kind.
func malformed(code, prefix, id string) error {
	return fail(code, `Invalid id: "%s" (expecting "%s-...")`, id, prefix)
}

// refusal is how EC2 refuses ids of a kind. It spells the codes differently per kind.
type refusal struct {
	prefix    string
	malformed string
	notFound  string
	// text of notFound has a place for the id.
	text string
}

var (
	vpcRefusal         = refusal{"vpc", "InvalidVpcID.Malformed", "InvalidVpcID.NotFound", "The vpc ID '%s' does not exist"}
	subnetRefusal      = refusal{"subnet", "InvalidSubnetID.Malformed", "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist"}
	groupRefusal       = refusal{"sg", "InvalidGroupId.Malformed", "InvalidGroup.NotFound", "The security group '%s' does not exist"}
	reservationRefusal = refusal{
		"scr", "InvalidSubnetCidrReservationId.Malformed", "InvalidSubnetCidrReservationID.NotFound",
		"The subnet CIDR reservation ID '%s' does not exist",
	}
)

// mustExist finds a row by its id, which EC2 refuses where there is none.
func mustExist[R resource](t *table[R], id string, refused refusal) (R, error) {
	row, ok := t.get(id)
	switch {
	case ok:
		return row, nil
	case !wellFormed(refused.prefix, id):
		return row, malformed(refused.malformed, refused.prefix, id)
	default:
		return row, fail(refused.notFound, refused.text, id)
	}
}
