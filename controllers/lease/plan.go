/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// observation is all that a decision about one claim's lease depends on.
type observation struct {
	claim *v1alpha1.ENIClaim
	// unchanged is how long this process has seen nothing change that counts as a
	// renewal.
	unchanged time.Duration
	// reachable is true if Kubernetes can be reached, so that a renewal could be made
	// and seen.
	reachable bool
	grace     time.Duration
}

// decision says whether a claim expires and, if not, when time alone changes that; zero:
// never.
type decision struct {
	expires bool
	wait    time.Duration
}

// plan decides whether a claim's lease has run out. Only a bound claim holds something that
// could be taken back.
func plan(o observation) decision {
	if o.claim.Spec.Lease == nil || o.claim.Status.Phase != v1alpha1.ClaimBound || !o.claim.DeletionTimestamp.IsZero() {
		return decision{}
	}
	left := o.claim.Spec.Lease.Duration.Duration + o.grace - o.unchanged
	switch {
	case left > 0:
		return decision{wait: left}
	case !o.reachable:
		return decision{wait: beatInterval(o.grace)}
	default:
		return decision{expires: true}
	}
}
