/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import "strings"

// Shortage is what a subnet lacks.
type Shortage int

const (
	// NoShortage: the call failed for another reason, or did not fail.
	NoShortage Shortage = iota
	// Exhausted: fewer addresses are free than were asked for. To a call that asked for
	// prefixes EC2 may answer the same where addresses are free, but no block of 16.
	Exhausted
	// Fragmented: addresses may be free, but no block of 16 for a prefix.
	Fragmented
)

// shortageTexts are parts of EC2's texts for a shortage that has no code of its own.
// InvalidParameterValue is also the code of much else, which is why the text decides
// here.
var shortageTexts = []string{"sufficient free ipv4 addresses or prefixes", "insufficient free addresses", "enough free addresses"}

// Capacity returns which shortage of a subnet made EC2 refuse a call. EC2 has two codes
// for either, and which one it answers with depends on the action and the counts.
func Capacity(err error) Shortage {
	switch Code(err) {
	case CodeInsufficientFreeAddresses:
		return Exhausted
	case CodeInsufficientCidrBlocks:
		return Fragmented
	case CodeInvalidParameterValue:
		text := strings.ToLower(Message(err))
		for _, part := range shortageTexts {
			if strings.Contains(text, part) {
				return Exhausted
			}
		}
	}
	return NoShortage
}
