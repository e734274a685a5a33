/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package ipam holds the plugins that decide how the addresses of a node's shared
// ENIs are handed out. A policy names one in spec.ipam; docs/ipam.md is for those who
// choose or write one.
//
// A plugin advises, and the pool decides. For each decision about a pool the pool
// controller asks
//
//   - Size: how many addresses should the pool have?
//   - AllocateIP: which of the free addresses does this claim get?
//   - ReleaseIP: an address has rested its cooldown. Is it free again, or does it go
//     back to the subnet?
//
// The pool alone writes down who holds what, by compare-and-swap, before anybody is
// told, and takes nothing from a plugin that could break its promises: it keeps the
// size within maximumIPs and what the instance carries, hands out nothing but what it
// offered as free, and releases nothing that is held or rests. So the worst that a
// plugin can do is to let claims wait.
//
// The contract of a plugin:
//
//   - It is pure: the same question, the same answer. It keeps no state, changes none
//     of its arguments, and uses no client, clock, randomness or goroutine; the linter
//     holds it to that. A decision that is repeated after a crash must come out the
//     same.
//   - It is total: it answers every question, also one about no addresses at all.
//   - Size covers what is held, what rests and what is waited for: less, and claims
//     wait for ever.
//   - It is safe for concurrent use, which follows from being pure.
//
// Package ipamtest tests a plugin against this contract. A plugin registers itself in
// its file's init function, and its name is added to the rule of the field IPAM in
// api/v1alpha1, which a test compares with the registry.
package ipam
