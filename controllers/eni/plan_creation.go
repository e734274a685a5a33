/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"math"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// planCreation follows protocol 5: a record before each call, the same call while
// its outcome is open, another only after a definite refusal.
func planCreation(o observation) decision {
	if o.instance != instanceLive {
		return planNoInstance(o)
	}
	record := o.eni.Status.Creation
	switch {
	case o.predecessor != "" && !mayExist(record):
		return planTakeOver(o)
	case record == nil:
		return planAttempt(o, 1, o.desired.subnetIDs)
	case record.Refused == "" && record.StartedAt.After(o.now):
		return restamp(o)
	case record.Refused == "" && o.now.Sub(record.StartedAt.Time) < o.recordMaxAge:
		return decision{action: actCreate, reason: v1alpha1.ReasonCreating, message: "Creating the ENI"}
	case !mayExist(record):
		return planAttempt(o, attemptAfter(record.Attempt), candidatesAfter(o.desired.subnetIDs, record))
	default:
		return planSearch(o, planAttempt(o, attemptAfter(record.Attempt), candidatesAfter(o.desired.subnetIDs, record)))
	}
}

// restamp sets the time of a record that lies ahead, by a clock that was wrong, to now: else
// its call would be repeated for longer than EC2 remembers its token. The call itself
// stays the same.
func restamp(o observation) decision {
	d := decision{action: actRestamp, reason: v1alpha1.ReasonCreating, message: "Creating the ENI", record: *o.eni.Status.Creation}
	d.record.StartedAt = metav1.NewTime(o.now.UTC().Truncate(time.Second))
	return d
}

// planNoInstance waits for an instance. A Node that changes tells of it; an
// instance that EC2 begins to show does not.
func planNoInstance(o observation) decision {
	if o.instance == instanceUnknown && o.instanceID != "" {
		return decision{action: actWait, wait: settledPoll, reason: v1alpha1.ReasonNodeUnknown,
			message: "EC2 does not know instance " + o.instanceID + " of Node " + o.eni.Spec.NodeName + "; it is asked again"}
	}
	return decision{action: actNothing, reason: v1alpha1.ReasonNodeUnknown,
		message: "Waiting for Node " + o.eni.Spec.NodeName + " to name a running EC2 instance in spec.providerID"}
}

// planSearch looks for an ENI that an earlier call may have made, twice, a
// visibility window apart, before it goes on with what follows.
func planSearch(o observation, then decision) decision {
	missed := o.eni.Status.Creation.MissedAt
	const message = "Looking for an ENI that an earlier attempt may have created"
	switch {
	case missed == nil || ahead(missed, o.now, o.visibility):
		return decision{action: actFind, reason: v1alpha1.ReasonCreating, message: message}
	case o.now.Sub(missed.Time) < o.visibility:
		return decision{action: actWait, wait: o.visibility - o.now.Sub(missed.Time), reason: v1alpha1.ReasonCreating, message: message}
	case !o.looked:
		return decision{action: actFind, reason: v1alpha1.ReasonCreating, message: message}
	default:
		return then
	}
}

// ahead says whether a time of the status is further ahead than any wait from it: by a
// clock that was wrong, or an edit. Nobody waits for it.
func ahead(at *metav1.Time, now time.Time, wait time.Duration) bool { return at.Sub(now) > wait }

// attemptAfter is the attempt that follows another. Nobody makes so many that the next
// is the first again, but a status that somebody has edited may say so.
func attemptAfter(attempt int32) int32 {
	if attempt == math.MaxInt32 {
		return 1
	}
	return attempt + 1
}

func recordAttempt(o observation, attempt int32, subnetID string, size desired) decision {
	return decision{
		action: actRecord, reason: v1alpha1.ReasonCreating, message: "Creating the ENI",
		record: newRecord(size, attempt, subnetID, o.now),
	}
}

// nextSubnet is the candidate after the one that refused: the same one again if
// the refusal was not for want of addresses.
func nextSubnet(candidates []string, record *v1alpha1.CreationRecord) string {
	at := slices.Index(candidates, string(record.SubnetID))
	if at < 0 {
		return candidates[0]
	}
	if record.SubnetFull {
		at++
	}
	return candidates[at%len(candidates)]
}

// mayExist says whether a creation may have made an ENI that nobody has seen.
func mayExist(record *v1alpha1.CreationRecord) bool {
	return record != nil && (record.Refused == "" || record.Unclear)
}
