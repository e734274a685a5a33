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
