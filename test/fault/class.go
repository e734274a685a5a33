/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"net/http"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// Class is a way in which calls go wrong.
type Class string

// The classes, in the order in which they are tried for a call.
const (
	// Throttled calls are refused as if their bucket were empty.
	Throttled Class = "throttle"
	// Failed calls are answered with an error of the server, and not executed.
	Failed Class = "500"
	// Lost are the answers to calls that were executed.
	Lost Class = "lost answer"
	// Stale reads show what was a moment before.
	Stale Class = "stale read"
	// Incorrect refuses a call for a state that passes by itself.
	Incorrect Class = "IncorrectState"
	// Unseen refuses a call because it names an ENI that was just made.
	Unseen Class = "NotFound after create"
)

// Classes are all classes.
func Classes() []Class { return []Class{Throttled, Failed, Lost, Stale, Incorrect, Unseen} }

// haze is how long EC2 may not show what is.
type haze struct {
	// window is how long the operator expects it to last, at most.
	window time.Duration
	// lag is how long a stale read lags behind; the emulator makes it up to twice
	// as long, and a little more.
	lag time.Duration
	// youth is how long a new ENI may be unknown.
	youth time.Duration
}

// hazeFor is the haze of a fleet. ENIs of a large one wait in the operator's own
// queues, at five attachments a second, and it has to last until their turn comes.
func hazeFor(nodes int) haze {
	window := 3*time.Second + time.Duration(nodes)*100*time.Millisecond
	return haze{window: window, lag: window / 3, youth: window * 3 / 4}
}

// The actions that the operator makes use of, by what can go wrong with them.
var (
	readsOfENIs = []string{"DescribeNetworkInterfaces", "DescribeInstances"}
	otherReads  = []string{"DescribeSubnets", "DescribeSecurityGroups", "DescribeInstanceTypes"}
	// writesByState depend on the state of what they change.
	writesByState = []string{
		"AttachNetworkInterface", "DetachNetworkInterface", "DeleteNetworkInterface",
		"ModifyNetworkInterfaceAttribute", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses",
	}
	// writesByID name an ENI.
	writesByID = []string{
		"AttachNetworkInterface", "DeleteNetworkInterface", "ModifyNetworkInterfaceAttribute",
		"AssignPrivateIpAddresses", "UnassignPrivateIpAddresses", "CreateTags", "DeleteTags",
	}
	allActions = slices.Concat(readsOfENIs, otherReads, writesByState,
		[]string{"CreateNetworkInterface", "CreateTags", "DeleteTags"})
)

// actions are those to which a class applies.
func (c Class) actions() []string {
	switch c {
	case Stale:
		return readsOfENIs
	case Incorrect:
		return writesByState
	case Unseen:
		return writesByID
	default:
		return allActions
	}
}

// faults of the class, each with its share of the calls that it can strike. Half
// of the lost answers cut the connection, and half are errors after the effect.
func (c Class) faults(h haze) []emulator.Fault {
	const internal, failed = "InternalError", "An internal error has occurred"
	switch c {
	case Throttled:
		return []emulator.Fault{{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Status: http.StatusServiceUnavailable}}
	case Failed:
		return []emulator.Fault{{Code: internal, Message: failed, Status: http.StatusInternalServerError}}
	case Lost:
		return []emulator.Fault{
			{LoseAnswer: true, Probability: 1. / 2},
			{LoseAnswer: true, Probability: 1. / 2, Code: internal, Message: failed, Status: http.StatusInternalServerError},
		}
	case Stale:
		return []emulator.Fault{{Stale: h.lag}}
	case Incorrect:
		return []emulator.Fault{{Code: "IncorrectState", Message: "The resource is not in the state that this request needs."}}
	default:
		return []emulator.Fault{{
			YoungENI: h.youth, Code: "InvalidNetworkInterfaceID.NotFound", Message: "The networkInterface ID does not exist",
		}}
	}
}

// disturbances are the faults that strike each class's calls of a caller with a
// probability. A call meets one fault at most, and those that come later are tried
// only on calls that the earlier ones left alone: they are tried harder for it.
func disturbances(caller string, probability float64, h haze) []emulator.Fault {
	if probability == 0 {
		return nil
	}
	var all []emulator.Fault
	left := map[string]float64{}
	for _, action := range allActions {
		left[action] = 1
	}
	for _, class := range Classes() {
		for _, action := range class.actions() {
			for _, fault := range class.faults(h) {
				share := probability
				if fault.Probability > 0 {
					share *= fault.Probability
				}
				fault.Name, fault.Action, fault.Caller, fault.Probability = string(class), action, caller, share/left[action]
				left[action] -= share
				all = append(all, fault)
			}
		}
	}
	return all
}

// injected counts the faults that calls met, by class and action.
func injected(calls []emulator.Call) map[Class]map[string]int {
	counts := map[Class]map[string]int{}
	for _, class := range Classes() {
		counts[class] = map[string]int{}
	}
	for _, call := range calls {
		if call.Fault != "" {
			counts[Class(call.Fault)][call.Action]++
		}
	}
	return counts
}

// refused counts the calls that EC2 refused on its own account, by action and error
// code. A call that meets no fault is refused if it was led astray by one before.
func refused(calls []emulator.Call) map[string]int {
	counts := map[string]int{}
	for _, call := range calls {
		if call.Fault == "" && call.ErrorCode != "" {
			counts[call.Action+" "+call.ErrorCode]++
		}
	}
	return counts
}
