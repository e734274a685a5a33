/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// A pool has our finalizer, and the operator deletes it: see the package comment.
//
// +kubebuilder:webhook:path=/validate-networking-eni-operator-dev-v1alpha1-enipool,mutating=false,failurePolicy=ignore,matchPolicy=Equivalent,sideEffects=None,timeoutSeconds=5,groups=networking.eni-operator.dev,resources=enipools,verbs=delete,versions=v1alpha1,name=enipools.networking.eni-operator.dev,admissionReviewVersions=v1

type poolValidator struct{ *world }

var _ admission.Validator[*v1alpha1.ENIPool] = (*poolValidator)(nil)

// ValidateCreate accepts: the operator derives each pool from a Node and a policy,
// which are judged, and puts right what a person writes.
func (*poolValidator) ValidateCreate(context.Context, *v1alpha1.ENIPool) (admission.Warnings, error) {
	return nil, nil
}

// ValidateUpdate accepts, as ValidateCreate does.
func (*poolValidator) ValidateUpdate(context.Context, *v1alpha1.ENIPool, *v1alpha1.ENIPool) (admission.Warnings, error) {
	return nil, nil
}

// ValidateDelete keeps a pool in use. The operator deletes none: it waits until the
// Node is gone, or nobody holds anything.
func (p *poolValidator) ValidateDelete(ctx context.Context, pool *v1alpha1.ENIPool) (admission.Warnings, error) {
	if mayBeDeleted(pool) || len(pool.Status.Holders()) == 0 {
		return nil, nil
	}
	holders, err := holdersIn(ctx, p.live, pool.Name, (*v1alpha1.ENIPoolStatus).Holders)
	if err != nil {
		return acceptUnread(err)
	}
	if len(holders) == 0 {
		return nil, nil
	}
	return nil, forbidDeletion("enipools", pool.Name, fmt.Sprintf("%d claims hold addresses or ENIs of this pool (%s), and its Node is there. %s",
		len(holders), shownClaims(holders), deletionRemedy))
}
