/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package tracing

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
)

// Names of spans.
const (
	SpanClaim   = "ENIClaim"
	SpanBatch   = "EC2 batch"
	SpanAudit   = "Audit"
	SpanCollect = "Collect leaked ENIs"
)

// ReconcileOf is the name of the span of a reconcile of a kind.
func ReconcileOf(kind string) string { return "Reconcile " + kind }

// CallOf is the name of the span of a call of an EC2 action.
func CallOf(action string) string { return "EC2/" + action }

// EventSent is the event of a call's span that ends its wait for EC2's rate limit.
const EventSent = "Sent"

// Kinds that are reconciled. A Lease is that of a claim.
const (
	KindNode   = "Node"
	KindPolicy = "ENIPolicy"
	KindPool   = "ENIPool"
	KindENI    = "ElasticNetworkInterface"
	KindClaim  = "ENIClaim"
	KindLease  = "Lease"
)

// Attributes of spans and of their events, besides OpenTelemetry's own.
const (
	ObjectKind   attribute.Key = "eni_operator.object.kind"
	ObjectName   attribute.Key = "eni_operator.object.name"
	RequeueAfter attribute.Key = "eni_operator.requeue_after"
	Conflicts    attribute.Key = "eni_operator.conflicts"

	Mode       attribute.Key = "eni_operator.mode"
	Ready      attribute.Key = "eni_operator.ready"
	Reason     attribute.Key = "eni_operator.reason"
	AgeSeconds attribute.Key = "eni_operator.age"

	ENIName         attribute.Key = "eni_operator.eni.name"
	ENIID           attribute.Key = "eni_operator.eni.id"
	ENIState        attribute.Key = "eni_operator.eni.state"
	ENIStateSeconds attribute.Key = "eni_operator.eni.previous_state.seconds"
	ENIAddresses    attribute.Key = "eni_operator.eni.addresses"
	DeviceIndex     attribute.Key = "eni_operator.eni.device_index"
	Attempt         attribute.Key = "eni_operator.eni.attempt"
	Observations    attribute.Key = "eni_operator.eni.observations"
	Transitions     attribute.Key = "eni_operator.eni.transitions"

	SharedDesired    attribute.Key = "eni_operator.pool.shared.desired"
	SharedActual     attribute.Key = "eni_operator.pool.shared.actual"
	SharedAllocated  attribute.Key = "eni_operator.pool.shared.allocated"
	ExclusiveDesired attribute.Key = "eni_operator.pool.exclusive.desired"
	ExclusiveActual  attribute.Key = "eni_operator.pool.exclusive.actual"
	PoolENIs         attribute.Key = "eni_operator.pool.enis"
	PoolReadyENIs    attribute.Key = "eni_operator.pool.enis.ready"
	PoolSubnetCIDRs  attribute.Key = "eni_operator.pool.subnet_cidrs"
	EvictedAddresses attribute.Key = "eni_operator.pool.evicted.addresses"
	EvictedENIs      attribute.Key = "eni_operator.pool.evicted.enis"

	ClaimPhase   attribute.Key = "eni_operator.claim.phase"
	ClaimAddress attribute.Key = "eni_operator.claim.address"

	Priority  attribute.Key = "eni_operator.ec2.priority"
	Wait      attribute.Key = "eni_operator.ec2.wait"
	BatchKeys attribute.Key = "eni_operator.ec2.batch_keys"
	Leaked    attribute.Key = "eni_operator.leaked_enis"
)

// Documented is a span or an attribute, as docs/tracing.md lists it.
type Documented struct {
	Name string
	// On is what has it, for attributes: some spans, or events.
	On string
	// Type of its value, for attributes.
	Type string
	Help string
}

// Spans are all that there are.
func Spans() []Documented {
	reconcile := func(kind, help string) Documented { return Documented{Name: ReconcileOf(kind), Help: help} }
	return []Documented{
		{Name: SpanClaim, Help: "A claim, from its making to its being told what it holds. Its parent is the span that its annotation `networking.eni-operator.dev/traceparent` names, if whoever made it put one there."},
		reconcile(KindPool, "A round of a node's pool. While claims wait, it is a child of the oldest one's span, and linked with those of the others, both ways."),
		reconcile(KindENI, "A reconcile of an ENI. It is a child of the pool's round that asked for what it does, until that is done, and linked with it from then on."),
		reconcile(KindNode, "A Node: which policy governs it, and its pool's bounds."),
		reconcile(KindPolicy, "A policy's status."),
		reconcile(KindLease, "The Lease of a claim; the object is the claim."),
		{Name: CallOf("<action>"), Help: "One call of EC2, its wait for the rate limit included; the event `Sent` ends the wait. A child of the reconcile, or of the batch, that made it."},
		{Name: SpanBatch, Help: "A read of EC2 for many reconciles, linked with those, both ways."},
		{Name: SpanAudit, Help: "A read of all our ENIs, at the start and at each `--audit-interval`."},
		{Name: SpanCollect, Help: "A search for leaked ENIs, and their deletion."},
	}
}

// Attributes are all that there are.
func Attributes() []Documented {
	own := func(key attribute.Key, kind, on, help string) Documented {
		return Documented{Name: string(key), Type: kind, On: on, Help: help}
	}
	const reconciles, enis, pools, calls, events = "reconciles", "ENI", "pool", "EC2 calls", "events"
	return []Documented{
		own(semconv.K8SNodeNameKey, "string", "all", "The Node that it is about."),
		own(semconv.K8SNamespaceNameKey, "string", "claim", "The claim's namespace."),
		own(semconv.ErrorTypeKey, "string", "all", "Of what failed: EC2's error code; else timeout, canceled or _OTHER."),
		own(semconv.RPCSystemNameKey, "string", calls, "aws-api."),
		own(semconv.RPCMethodKey, "string", calls, "The action, as in EC2/CreateNetworkInterface."),
		own(semconv.CloudRegionKey, "string", calls, "The Region."),
		own(semconv.AWSRequestIDKey, "string", calls, "EC2's id of the request, for CloudTrail and for AWS' support."),
		own(semconv.HTTPResponseStatusCodeKey, "int", calls, "EC2's HTTP status; absent where it did not answer."),
		own(ObjectKind, "string", "reconciles, claim, events", "The object's kind."),
		own(ObjectName, "string", "reconciles, claim, events", "The object's name."),
		own(RequeueAfter, "double", reconciles, "Seconds after which it is looked at again."),
		own(Conflicts, "int", reconciles, "How many writes in a row Kubernetes refused because the object had changed, this one included."),
		own(Mode, "string", "ENI, claim, events", "Shared or Exclusive."),
		own(Ready, "bool", "ENI, pool, events", "Whether the condition Ready is True."),
		own(Reason, "string", events, "The reason of the condition Ready."),
		own(AgeSeconds, "double", events, "Seconds since the object was made (Kubernetes knows whole seconds): of the first ENIReady, how long its creation took; of the first PoolReady, the set-up; of ClaimBound, the binding."),
		own(ENIName, "string", events, "The ElasticNetworkInterface."),
		own(ENIID, "string", "ENI, claim, events", "The ENI's id in EC2."),
		own(ENIState, "string", "ENI, events", "Its state."),
		own(ENIStateSeconds, "double", events, "Of ENIStateChanged: the seconds that it spent in the state before."),
		own(ENIAddresses, "int", "ENI, events", "How many addresses it offers."),
		own(DeviceIndex, "int", "ENI, events", "Where it is attached."),
		own(Attempt, "int", "ENI, events, EC2/CreateNetworkInterface", "The attempt to create it, from 1."),
		own(Observations, "int", enis, "How often this reconcile looked at it."),
		own(Transitions, "int", enis, "How many state transitions its status remembers."),
		own(SharedDesired, "int", "pool, events", "Addresses that the pool wants."),
		own(SharedActual, "int", "pool, events", "Addresses that it has."),
		own(SharedAllocated, "int", "pool, events", "Addresses that claims hold."),
		own(ExclusiveDesired, "int", "pool, events", "Exclusive ENIs that it wants."),
		own(ExclusiveActual, "int", "pool, events", "Exclusive ENIs that it has."),
		own(PoolENIs, "int", "pool, events", "ENIs of the pool."),
		own(PoolReadyENIs, "int", pools, "Those that are ready."),
		own(PoolSubnetCIDRs, "string[]", pools, "The CIDRs of its ENIs' subnets."),
		own(EvictedAddresses, "int", events, "Addresses that it began to give back with this write."),
		own(EvictedENIs, "int", events, "ENIs that it began to give back with this write."),
		own(ClaimPhase, "string", "claim, events", "The claim's phase."),
		own(ClaimAddress, "string", "claim, events", "The address that it holds."),
		own(Priority, "string", calls, "urgent (a claim waits for it), normal or background."),
		own(Wait, "double", calls, "Seconds that the call waited for the rate limit."),
		own(BatchKeys, "int", SpanBatch, "How many things are read."),
		own(Leaked, "int", SpanCollect, "How many ENIs that no resource stands for were found."),
	}
}
