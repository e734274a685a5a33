package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// row is a line of the table: a node with its pool, and below it, indented, its
// ENIs and claims.
type row struct {
	name, kind, state, details string
	ready                      bool
}

// rowsOf lays a picture out.
func rowsOf(p picture) []row {
	var rows []row
	for _, name := range p.nodeNames() {
		mine := p.on(name)
		rows = append(rows, nodeRow(name, mine))
		for i := range mine.enis {
			rows = append(rows, eniRow(&mine.enis[i]))
		}
		for i := range mine.claims {
			rows = append(rows, claimRow(&mine.claims[i]))
		}
	}
	return rows
}

func nodeRow(name string, mine picture) row {
	r := row{name: name, kind: "node", state: "No pool"}
	if len(mine.nodes) > 0 {
		labels := mine.nodes[0].Labels
		r.kind = "node, " + labels[corev1.LabelInstanceTypeStable]
		r.details = labels[corev1.LabelTopologyZone]
	}
	if len(mine.pools) > 0 {
		pool := &mine.pools[0]
		r.ready = meta.IsStatusConditionTrue(pool.Status.Conditions, v1alpha1.ConditionReady)
		r.state = "Pool " + stateOf(pool, pool.Status.Conditions)
		r.details = poolDetails(pool)
	}
	if len(mine.nodes) == 0 {
		r.ready, r.state = false, "Node gone"
	}
	return r
}

func poolDetails(pool *v1alpha1.ENIPool) string {
	parts := []string{pool.Status.AvailabilityZone}
	if s := pool.Status.Shared; s != nil {
		parts = append(parts, fmt.Sprintf("%d of %d IPs held", s.Allocated, s.Capacity))
	}
	if e := pool.Status.Exclusive; e != nil {
		parts = append(parts, fmt.Sprintf("%d of %d exclusive held", e.Allocated, e.Capacity))
	}
	return strings.Join(parts, ", ")
}

func eniRow(eni *v1alpha1.ElasticNetworkInterface) row {
	status := &eni.Status
	r := row{
		name:  "  " + eni.Name,
		kind:  strings.ToLower(string(eni.Spec.Mode)) + " ENI",
		state: orPending(string(status.State)),
		ready: meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady),
	}
	if status.NetworkInterfaceID == "" {
		return r
	}
	r.details = fmt.Sprintf("%s %s + %d IPs", status.NetworkInterfaceID, status.PrimaryAddress, status.AddressCount)
	if status.Attachment != nil {
		r.details += fmt.Sprintf(", index %d", status.Attachment.DeviceIndex)
	}
	return r
}

func claimRow(claim *v1alpha1.ENIClaim) row {
	status := &claim.Status
	r := row{
		name:  "  " + claim.Namespace + "/" + claim.Name,
		kind:  strings.ToLower(string(claim.Spec.Mode)) + " claim",
		state: orPending(string(status.Phase)),
		ready: status.Phase == v1alpha1.ClaimBound,
	}
	switch {
	case claim.DeletionTimestamp != nil:
		r.state, r.ready = "Releasing", false
	case r.ready:
		r.details = status.Address + " on " + status.ENIName
	default:
		r.details = reasonOf(status.Conditions)
	}
	return r
}

// stateOf says Ready, or why not.
func stateOf(object metav1.Object, conditions []metav1.Condition) string {
	switch {
	case object.GetDeletionTimestamp() != nil:
		return "going"
	case meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady):
		return "ready"
	default:
		return orPending(reasonOf(conditions))
	}
}

func reasonOf(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

func orPending(state string) string {
	if state == "" {
		return "Pending"
	}
	return state
}

var header = row{name: "NODE, ENI, CLAIM", kind: "KIND", state: "STATE", details: "DETAILS"}

// layout aligns the columns; paint colours a state that is already padded.
func layout(rows []row, paint func(r row, padded string) string) []string {
	all := append([]row{header}, rows...)
	var name, kind, state int
	for _, r := range all {
		name = max(name, utf8.RuneCountInString(r.name))
		kind = max(kind, utf8.RuneCountInString(r.kind))
		state = max(state, utf8.RuneCountInString(r.state))
	}
	lines := make([]string, 0, len(all))
	for i, r := range all {
		padded := fmt.Sprintf("%-*s", state, r.state)
		if i > 0 {
			padded = paint(r, padded)
		}
		lines = append(lines, fmt.Sprintf("%-*s  %-*s  %s  %s", name, r.name, kind, r.kind, padded, r.details))
	}
	return lines
}
