/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"fmt"
	"maps"
	"slices"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// state is what there is, or should be, without what differs from run to run.
type state struct {
	nodes  map[string]node
	claims map[string]claim
}

// node is a node's pool and its ENIs as EC2 has them.
type node struct {
	policy  string
	ready   bool
	tainted bool
	// Addresses of a shared pool, ENIs of an exclusive one.
	capacity, allocated, free, cooling, desired int
	// aside is the number of addresses that are neither free nor held.
	aside int
	// enis are in the order of their device indexes.
	enis []eni
}

type eni struct {
	mode                v1alpha1.Mode
	index, card         int
	addresses, prefixes int
	groups              []string
	tags                map[string]string
	deleteOnTermination bool
}

type claim struct {
	mode  v1alpha1.Mode
	node  string
	phase v1alpha1.ClaimPhase
}

// differences are what is otherwise than wanted, a line for each node and claim.
func differences(got, want state) []string {
	return append(unequal("node", got.nodes, want.nodes), unequal("claim", got.claims, want.claims)...)
}

func unequal[V any](what string, got, want map[string]V) []string {
	text := func(all map[string]V, name string) string {
		if value, ok := all[name]; ok {
			return fmt.Sprintf("%+v", value)
		}
		return "none"
	}
	names := maps.Clone(got)
	maps.Copy(names, want)
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if is, should := text(got, name), text(want, name); is != should {
			lines = append(lines, fmt.Sprintf("%s %s\n  is:     %s\n  should: %s", what, name, is, should))
		}
	}
	return lines
}
