/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package webhooks refuses at admission what the schemas cannot tell is wrong, since
// it takes other objects to see it, and warns of what will probably not do what it is
// meant to.
//
// What a verdict depends on is read first, from the cache; the verdict is a pure
// function of that. The controllers come to the same verdicts by the same functions of
// api/v1alpha1, since two requests can race. EC2 is never asked: what only it knows
// becomes a condition.
//
// Nothing here may stand in the way of the operator itself, nor of the end of anything:
//
//   - Status is not admitted at all, and neither are claims that exist: their spec
//     cannot change but for the lease, which the schema checks.
//   - What the operator itself writes is accepted: whoever asks is the API server's word,
//     while anybody can write a label. Where it can, the API server does not even ask
//     (matchConditions, which OLM does not install).
//   - Where an object may carry our finalizer, or the operator deletes by itself, the
//     policy on failure is Ignore: while no replica answers, a finalizer can still be
//     removed, and the operator go on. The same holds for a replica that answers and
//     cannot read what a verdict depends on. What admission would have refused then
//     waits in the finalizer.
//   - What is being deleted is never looked at.
package webhooks
