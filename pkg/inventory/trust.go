/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import "github.com/eni-operator/eni-operator/api/v1alpha1"

// Trust reports whether EC2 may be believed: whether it shows what this cluster has
// there. While it may not, nothing that cannot be undone follows from its answers,
// and no call changes anything.
type Trust struct {
	// Broken is true while EC2 is not believed.
	Broken bool
	// Reason of the condition EC2Trusted, and a message that says what was seen and
	// what to do.
	Reason  string
	Message string
}

// Trust returns what is known of EC2's trustworthiness.
func (i *Inventory) Trust() Trust { return Trust{} }

// SubscribeTrust calls notify each time that Trust changes. It must not block.
func (i *Inventory) SubscribeTrust(notify func(Trust)) { _ = notify }

// Distrusted reports whether a write was refused because EC2 is not believed.
func Distrusted(err error) bool {
	return refusedFor(err, v1alpha1.ReasonOtherRegion, v1alpha1.ReasonNothingKnown, v1alpha1.ReasonTooManyVanished)
}
