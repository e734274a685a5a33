/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"slices"
)

// Actions lists the names of the actions that the emulator implements.
func Actions() []string { return slices.Sorted(maps.Keys(actions)) }
