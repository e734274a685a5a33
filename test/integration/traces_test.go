/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// Lines of ancestors of what the operator does for a pool.
const (
	fromRound = " < Reconcile ElasticNetworkInterface < Reconcile ENIPool"
	fromClaim = fromRound + " < ENIClaim"
)

// checkTraces looks for the whole story in the spans.
func checkTraces(t *testing.T, s *scenario, f traces, log string) {
	t.Helper()
	t.Run("create", func(t *testing.T) { traceOfCreation(t, s, f.in(t)) })
	t.Run("throttle", func(t *testing.T) { traceOfThrottles(t, f.in(t)) })
	t.Run("failure and recovery", func(t *testing.T) { traceOfFailure(t, s, f.in(t)) })
	t.Run("shrink and delete", func(t *testing.T) { traceOfEnd(t, f.in(t)) })
	t.Run("batches", func(t *testing.T) { traceOfBatches(t, f.in(t)) })
	t.Run("catalog", func(t *testing.T) { asDocumented(t, f.in(t)) })
	t.Run("log", func(t *testing.T) { logNamesTraces(t, f.in(t), log) })
}

// traceOfCreation: from a claim that waited for its node's first pool to EC2.
func traceOfCreation(t *testing.T, s *scenario, f *traces) {
	claims := f.some("ENIClaim", "eni_operator.object.name=web")
	assert.Equal(t, len(claims), 1)
	claim, node := claims[0], s.nodes[0]
	assert.Assert(t, claim.has("ENIClaim", "eni_operator.claim.phase=Bound", "eni_operator.mode=Shared", "k8s.node.name="+node,
		"k8s.namespace.name="+s.namespace, "eni_operator.claim.address", "eni_operator.eni.id"), "%v", claim.attributes)
	assert.Equal(t, claim.parent, "")
	assert.Equal(t, claim.resource["service.name"], "eni-operator")
	assert.Equal(t, claim.resource["k8s.cluster.name"], clusterName)
	assert.Equal(t, claim.resource["team"], "platform")

	for _, action := range []string{"CreateNetworkInterface", "AttachNetworkInterface"} {
		for _, call := range f.descend("EC2/"+action+fromClaim, "k8s.node.name="+node, "eni_operator.ec2.wait", "eni_operator.ec2.priority=urgent",
			"rpc.system.name=aws-api", "cloud.region="+region, "http.response.status_code=200", "aws.request_id") {
			assert.Equal(t, call.trace, claim.trace)
			assert.Equal(t, len(call.event("Sent")), 1)
			assert.Assert(t, !call.failed)
		}
	}
	f.descend("EC2/CreateNetworkInterface"+fromClaim, "eni_operator.eni.attempt=1")
	ready := 0
	for _, reconcile := range f.descend("Reconcile ElasticNetworkInterface < Reconcile ENIPool < ENIClaim",
		"eni_operator.eni.observations", "eni_operator.eni.transitions", "eni_operator.eni.attempt=1", "eni_operator.mode") {
		if reconcile.trace != claim.trace {
			continue // Other claims had them grow later.
		}
		for _, event := range reconcile.event("ENIReady", "eni_operator.age", "eni_operator.eni.device_index", "eni_operator.eni.attempt=1") {
			assert.Assert(t, event.attributes["eni_operator.eni.device_index"] != "0")
			assert.Assert(t, reconcile.has("Reconcile ElasticNetworkInterface", "eni_operator.ready=true", "eni_operator.eni.state=Attached"))
			ready++
		}
	}
	assert.Equal(t, ready, 2, "a shared ENI and an exclusive one became ready in the claim's trace")

	bound := false
	for _, round := range f.descend("Reconcile ENIPool < ENIClaim", "k8s.node.name="+node) {
		if round.parent != claim.id {
			continue // Other claims waited later.
		}
		for _, event := range round.event("ClaimBound", "eni_operator.object.name=web", "eni_operator.age") {
			bound = bound || event.attributes["eni_operator.claim.address"] == claim.attributes["eni_operator.claim.address"]
		}
	}
	assert.Assert(t, bound, "no round of the claim's trace bound it")
	setUp := f.some("Reconcile ENIPool", "k8s.node.name="+node, "eni_operator.pool.shared.actual=2", "eni_operator.pool.exclusive.actual=1",
		"eni_operator.pool.shared.desired=2", "eni_operator.pool.enis=2", "eni_operator.pool.enis.ready=2", "eni_operator.pool.subnet_cidrs="+s.home.cidr)
	assert.Assert(t, slices.ContainsFunc(setUp, func(round *span) bool {
		return len(round.event("PoolReady", "eni_operator.age")) == 1
	}), "the round in which the pool was set up says its size, its subnet and its duration")
}

// traceOfThrottles: all attempts are in the trace of the round that asked for more.
func traceOfThrottles(t *testing.T, f *traces) {
	line := "EC2/AssignPrivateIpAddresses" + fromRound
	throttled := f.descend(line, "error.type=RequestLimitExceeded", "http.response.status_code=503")
	assert.Equal(t, len(throttled), 2)
	assert.Assert(t, throttled[0].failed && throttled[1].failed)
	assert.Equal(t, throttled[0].trace, throttled[1].trace)
	assert.Assert(t, slices.ContainsFunc(f.descend(line, "http.response.status_code=200"), func(call *span) bool {
		return call.trace == throttled[0].trace
	}), "the attempt that worked is in the same trace")
	reconcile := f.byID[throttled[0].parent]
	assert.Assert(t, reconcile.failed && reconcile.has("Reconcile ElasticNetworkInterface", "error.type=RequestLimitExceeded"), "%v", reconcile.attributes)
	assert.Assert(t, f.byID[reconcile.parent].has("Reconcile ENIPool", "eni_operator.pool.shared.desired=5"))
}

// traceOfFailure: EC2 refuses an ENI, and the next attempt works, in one trace.
func traceOfFailure(t *testing.T, s *scenario, f *traces) {
	node := s.nodes[1]
	refused := f.descend("EC2/CreateNetworkInterface"+fromRound, "k8s.node.name="+node, "error.type=InsufficientFreeAddressesInSubnet")
	assert.Equal(t, len(refused), 1)
	told := 0
	for _, call := range refused {
		told += len(f.byID[call.parent].event("ENICreationRefused", "error.type=InsufficientFreeAddressesInSubnet", "eni_operator.eni.attempt="+
			call.attributes["eni_operator.eni.attempt"]))
	}
	assert.Equal(t, told, 1)
	trace := refused[0].trace
	recovered := f.descend("EC2/CreateNetworkInterface"+fromRound, "k8s.node.name="+node, "http.response.status_code=200")
	assert.Assert(t, slices.ContainsFunc(recovered, func(call *span) bool {
		return call.trace == trace && call.attributes["eni_operator.eni.attempt"] > "1"
	}), "a later attempt worked")
	f.some("Reconcile ENIPool", "k8s.node.name="+node, "eni_operator.ready=true", "eni_operator.pool.subnet_cidrs="+s.home.cidr)
}

// traceOfEnd: what the pool gave back, by names, and its ENIs' end.
func traceOfEnd(t *testing.T, f *traces) {
	evicted, enis := 0, 0
	for _, round := range f.all("Reconcile ENIPool") {
		for _, event := range round.event("PoolResized", "eni_operator.pool.evicted.addresses") {
			evicted += number(t, event, "eni_operator.pool.evicted.addresses")
			enis += number(t, event, "eni_operator.pool.evicted.enis")
		}
	}
	assert.Assert(t, evicted >= 4 && enis >= 1, "%d addresses and %d ENIs", evicted, enis)
	for _, action := range []string{"UnassignPrivateIpAddresses", "DetachNetworkInterface", "DeleteNetworkInterface"} {
		f.descend("EC2/"+action+fromRound, "eni_operator.ec2.priority=background")
	}
	gone := 0
	for _, reconcile := range f.all("Reconcile ElasticNetworkInterface") {
		gone += len(reconcile.event("ENIGone"))
	}
	assert.Assert(t, gone >= 3, "%d ENIs are gone", gone)
	f.descend("EC2/DeleteNetworkInterface < Collect leaked ENIs")
}

// traceOfBatches: a batch and those that it is read for lead to each other.
func traceOfBatches(t *testing.T, f *traces) {
	f.descend("EC2/DescribeNetworkInterfaces < Audit")
	linked := 0
	for _, call := range f.descend("EC2/DescribeInstances < EC2 batch") {
		batch := f.byID[call.parent]
		assert.Assert(t, number(t, batch, "eni_operator.ec2.batch_keys") > 0)
		for _, id := range batch.links {
			if caller := f.byID[id]; caller != nil && slices.Contains(caller.links, batch.id) {
				assert.Assert(t, strings.HasPrefix(caller.name, "Reconcile "), caller.name)
				linked++
			}
		}
	}
	assert.Assert(t, linked > 0)
}

// notHere are attributes that need what this story has not.
var notHere = map[string]string{string(tracing.Conflicts): "pkg/store: another writer at the same moment"}

// asDocumented: docs/tracing.md, which is made from the same catalog, lists all that
// there is and nothing else.
func asDocumented(t *testing.T, f *traces) {
	names, attributes := map[string]bool{}, map[string]bool{}
	for _, s := range f.spans {
		name := s.name
		if strings.HasPrefix(name, "EC2/") {
			name = tracing.CallOf("<action>")
		}
		names[name] = true
		for _, described := range append([]*span{s}, s.events...) {
			for key := range described.attributes {
				attributes[key] = true
			}
		}
	}
	for _, known := range tracing.Spans() {
		assert.Check(t, names[known.Name], "no span %s", known.Name)
		delete(names, known.Name)
	}
	for _, known := range tracing.Attributes() {
		assert.Check(t, attributes[known.Name] || notHere[known.Name] != "", "nothing has %s", known.Name)
		delete(attributes, known.Name)
	}
	assert.Equal(t, len(names), 0, "spans that are not documented: %v", names)
	assert.Equal(t, len(attributes), 0, "attributes that are not documented: %v", attributes)
}

// logNamesTraces: a line of the log leads to its trace, and names EC2's error code.
func logNamesTraces(t *testing.T, f *traces, log string) {
	claim := f.some("ENIClaim", "eni_operator.object.name=web")[0]
	throttled := f.some("Reconcile ElasticNetworkInterface", "error.type=RequestLimitExceeded")[0]
	bound, refused := false, false
	for line := range strings.Lines(log) {
		bound = bound || (strings.Contains(line, "Claim is Bound") && strings.Contains(line, `"traceID": "`+claim.trace))
		refused = refused || (strings.Contains(line, "Reconciler error") && strings.Contains(line, `"spanID": "`+throttled.id) &&
			strings.Contains(line, `"errorCode": "RequestLimitExceeded"`))
	}
	assert.Assert(t, bound, "no line says which trace bound the claim")
	assert.Assert(t, refused, "no line says why, and during which span, the reconcile failed")
}
