/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// render tells a decision in words, for golden files and failures.
func render(o observation, d decision) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("ENIs:")
	for _, entry := range d.status.ENIs {
		line("  %s %s %s%s", short(entry.Name), entry.Mode, entry.State, renderENI(o, entry))
	}
	line("Addresses that are not free:")
	for _, entry := range d.status.Addresses {
		line("  %s on %s: %s%s", entry.Address, short(entry.ENIName), entry.State, by(entry.Claim))
	}
	if shared := d.status.Shared; shared != nil {
		line("Shared: capacity %d, allocated %d, free %d, cooling %d, desired %d",
			shared.Capacity, shared.Allocated, shared.Free, shared.Cooling, shared.Desired)
	}
	if exclusive := d.status.Exclusive; exclusive != nil {
		line("Exclusive: capacity %d, allocated %d, free %d, desired %d",
			exclusive.Capacity, exclusive.Allocated, exclusive.Free, exclusive.Desired)
	}
	line("Actions:")
	for _, n := range d.creates {
		line("  create %s %s of %d", short(n.name), n.mode, n.count)
	}
	for _, name := range slices.Sorted(maps.Keys(d.counts)) {
		line("  resize %s to %d", short(name), d.counts[name])
	}
	for _, name := range slices.Sorted(maps.Keys(d.releases)) {
		line("  release %v of %s", d.releases[name], short(name))
	}
	for _, name := range d.removals {
		line("  remove %s", short(name))
	}
	if d.status.SurplusSince != nil {
		line("Surplus since %s", d.status.SurplusSince.UTC().Format("15:04:05"))
	}
	if d.recheck > 0 {
		line("Look again in %s", d.recheck)
	}
	line("Claims:")
	for i := range o.claims {
		v := verdictOn(o, &d.status, &o.claims[i])
		line("  %s: %s %s %s%s", o.claims[i].Name, v.phase, v.reason, v.address, colon(v.message))
	}
	line("Conditions:")
	for _, c := range d.status.Conditions {
		line("  %s=%s %s%s", c.Type, c.Status, c.Reason, colon(c.Message))
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

func renderENI(o observation, entry v1alpha1.PoolENI) string {
	out := by(entry.Claim)
	if entry.CoolingSince != nil {
		out += ", cooling"
	}
	eni := o.eni(entry.Name)
	if eni == nil {
		return out + ", no resource"
	}
	if !entry.Ready {
		out += ", not ready"
	}
	if len(eni.Spec.Release) > 0 {
		out += fmt.Sprintf(", told to release %v", eni.Spec.Release)
	}
	return out + fmt.Sprintf(", carries %d of %d", len(eni.Status.Addresses)+len(eni.Status.Prefixes), specSize(eni))
}

func by(claim *v1alpha1.ClaimReference) string {
	if claim == nil {
		return ""
	}
	return fmt.Sprintf(" (%s)", claim.UID)
}

func short(name string) string { return strings.TrimPrefix(name, instanceID) }

func colon(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}
