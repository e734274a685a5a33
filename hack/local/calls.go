package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// byOperator returns the calls that the operator made, known by its access key.
func byOperator(calls []emulator.Call) []emulator.Call {
	return keep(calls, func(c *emulator.Call) bool { return c.Caller == operatorKey })
}

// succeeded tells whether a call of an action on a resource took effect.
func succeeded(calls []emulator.Call, action, id string) bool {
	return slices.ContainsFunc(calls, func(c emulator.Call) bool {
		return c.Action == action && c.ErrorCode == "" && slices.Contains(c.ResourceIDs, id)
	})
}

// notReturned names the ENIs that no Detach and Delete among the calls gave back
// to EC2, though they were attached when they were seen.
func notReturned(enis []v1alpha1.ElasticNetworkInterface, calls []emulator.Call) []string {
	var missing []string
	for i := range enis {
		status := &enis[i].Status
		if status.Attachment == nil || !succeeded(calls, "DetachNetworkInterface", status.Attachment.ID) {
			missing = append(missing, status.NetworkInterfaceID+": the operator did not detach it")
		}
		if !succeeded(calls, "DeleteNetworkInterface", status.NetworkInterfaceID) {
			missing = append(missing, status.NetworkInterfaceID+": the operator did not delete it")
		}
	}
	return missing
}

// total sums up the calls of one action.
type total struct {
	action                   string
	calls, throttled, failed int
}

// totals are sorted by action.
func totals(calls []emulator.Call) []total {
	byAction := map[string]total{}
	for _, c := range calls {
		t := byAction[c.Action]
		t.action = c.Action
		t.calls++
		switch {
		case c.Throttled:
			t.throttled++
		case c.ErrorCode != "":
			t.failed++
		}
		byAction[c.Action] = t
	}
	return slices.SortedFunc(maps.Values(byAction), func(a, b total) int { return cmp.Compare(a.action, b.action) })
}

// report lays totals out, with a sum.
func report(all []total) []string {
	sum := total{action: "all"}
	for _, t := range all {
		sum.calls += t.calls
		sum.throttled += t.throttled
		sum.failed += t.failed
	}
	lines := []string{fmt.Sprintf("%-32s %6s %10s %7s", "EC2 CALLS OF THE OPERATOR", "CALLS", "THROTTLED", "FAILED")}
	for _, t := range append(all, sum) {
		lines = append(lines, fmt.Sprintf("%-32s %6d %10d %7d", t.action, t.calls, t.throttled, t.failed))
	}
	return lines
}
