/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package fault runs the operator, a real process, against an EC2 that goes wrong,
// and looks whether it gets to where it gets without.
//
// A run plays one scenario: a fleet joins with claims of both modes, claims come
// and go while nodes are terminated and others join, a policy's minimum is raised
// and lowered again. It is played twice on one control plane, first undisturbed,
// then with a part of the operator's calls disturbed, in six classes: throttled,
// failed, with the answer lost after the effect, answered with the past, refused
// for an ENI that was just made, refused for a state that passes.
//
// After each phase the state must be the one that the scenario asks for. It is
// worked out from the scenario alone, so that equal states of both runs are not
// the same mistake made twice. States are compared without what differs by nature,
// such as ids and addresses. Besides, each ENI of ours in EC2 must belong to one
// resource, and each resource to one ENI, whose status says of it what EC2 says;
// nothing is held twice, at no time; ENIs of others are as they were, and no call
// named one. The collector of leaked ENIs runs, and must find nothing: whatever it
// deletes counts as leaked, since here nothing crashes that would excuse a leak.
//
// Faults go on while a state is judged, and are never switched off: EC2 gives no
// such pause either. A state counts once it has stayed as it should be, without
// any write to EC2, for a window that holds several audits, of which each can be
// disturbed too. So an operator that is led astray at rest by a stale or failed
// read does not pass.
//
// The seed decides which of an action's calls, counted from the first, meet which
// fault. Which ENI makes that call is up to the operator's workers, so a repeated
// run is much like the first, and not equal to it.
package fault
