/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"testing"

	"gotest.tools/v3/assert"
)

func TestMatchGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"?", "", false},
		{"a*", "a", true},
		{"a*c", "abcbc", true},
		{"a*c", "abcb", false},
		{"*b*d*", "abcde", true},
		{"*b*d", "abcde", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{`a\?*`, "a?b", true},
		{`*\*`, "a*b*", true},
		{`a\\`, `a\`, true},
		{"**", "abc", true},
		{"a**", "a", true},
	} {
		assert.Equal(t, matchGlob(test.pattern, test.value), test.want, "%q against %q", test.pattern, test.value)
	}
}
