/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// callsOf are the EC2 actions of those decisions that change something there. A
// record is written when its call is admitted, so that it is not old before the call
// is made.
var callsOf = map[action]string{
	actRecord:            ec2.ActionCreate,
	actCreate:            ec2.ActionCreate,
	actAttach:            ec2.ActionAttach,
	actDetach:            ec2.ActionDetach,
	actDelete:            ec2.ActionDelete,
	actUnassign:          ec2.ActionUnassign,
	actRecordAssignment:  ec2.ActionAssign,
	actAssign:            ec2.ActionAssign,
	actSetSecurityGroups: ec2.ActionModify,
	actSetTermination:    ec2.ActionModify,
	actSetTags:           ec2.ActionCreateTags,
	actTakeOver:          ec2.ActionCreateTags,
}

// callOf is the EC2 action of a decision, or "".
func callOf(d decision) string {
	if d.action == actSetTags && len(d.tags) == 0 {
		return ec2.ActionDeleteTags
	}
	return callsOf[d.action]
}

// admit asks for the token of the call that a decision makes. If it is not the call's
// turn, it returns how long to stay away: a worker that waited in the queue would hold
// up calls whose own queues are empty.
func (r *Reconciler) admit(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, d decision, done *progress) (context.Context, time.Duration) {
	name := callOf(d)
	if name == "" {
		return ctx, 0
	}
	ctx = ec2.WithPriority(ctx, r.priority(ctx, eni, d), eni.Spec.NodeName)
	if !done.admission.For(name) {
		admission, pause := r.inventory.Admit(ctx, name, string(eni.UID))
		if admission == nil {
			return ctx, pause
		}
		done.admission = admission
	}
	return ec2.WithAdmission(ctx, done.admission), 0
}

// reportQueued stores what an ENI waits for, if its status says nothing yet: what it says
// otherwise is still so. A short wait is not worth a write for each ENI of a large join. One
// that would be longer than the visibility window is, since a resource of that age without a
// status is taken for one that lost it.
func (r *Reconciler) reportQueued(
	ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, done *progress, o observation, d decision, pause time.Duration,
) error {
	if len(eni.Status.Conditions) > 0 || o.now.Add(pause).Sub(eni.CreationTimestamp.Time) < o.visibility {
		return nil
	}
	d.action = actWait
	return r.report(ctx, eni, done, o, d, nil)
}
