package main

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// The functions here say what is still to come, from what Kubernetes shows.
// Nothing missing means done.

// notReady wants a settled pool for each node, all ENIs ready and the given
// number of claims, all bound.
func notReady(p picture, nodes []string, claims int) []string {
	var missing []string
	for i := range p.policies {
		policy := &p.policies[i]
		missing = append(missing, unlessReady("policy", policy, policy.Status.ObservedGeneration, policy.Status.Conditions)...)
	}
	for _, node := range nodes {
		missing = append(missing, poolNotReady(p.on(node), node)...)
	}
	for i := range p.enis {
		eni := &p.enis[i]
		missing = append(missing, unlessReady("ENI", eni, eni.Status.ObservedGeneration, eni.Status.Conditions)...)
	}
	for i := range p.claims {
		claim := &p.claims[i]
		missing = append(missing, unlessReady("claim", claim, claim.Status.ObservedGeneration, claim.Status.Conditions)...)
	}
	if len(p.claims) != claims {
		missing = append(missing, fmt.Sprintf("%d of %d claims", len(p.claims), claims))
	}
	return missing
}

// poolNotReady wants a pool that is ready and as large as it wants to be.
func poolNotReady(mine picture, node string) []string {
	if len(mine.pools) == 0 {
		return []string{"pool " + node + " (not made yet)"}
	}
	pool := &mine.pools[0]
	status := &pool.Status
	if missing := unlessReady("pool", pool, status.ObservedGeneration, status.Conditions); missing != nil {
		return missing
	}
	if s := status.Shared; s == nil || s.Capacity != s.Desired {
		return []string{"pool " + node + " (shared addresses)"}
	}
	if e := status.Exclusive; e == nil || e.Capacity != e.Desired {
		return []string{"pool " + node + " (exclusive ENIs)"}
	}
	return nil
}

// unlessReady names an object that is not ready, with what its status says.
func unlessReady(kind string, object metav1.Object, observed int64, conditions []metav1.Condition) []string {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	var why string
	switch {
	case object.GetDeletionTimestamp() != nil:
		why = "being deleted"
	case ready == nil:
		why = "no status yet"
	case observed != object.GetGeneration():
		why = "status is of an older spec"
	case ready.Status != metav1.ConditionTrue && ready.Message != "":
		why = ready.Reason + ": " + ready.Message
	case ready.Status != metav1.ConditionTrue:
		why = ready.Reason
	default:
		return nil
	}
	return []string{fmt.Sprintf("%s %s (%s)", kind, object.GetName(), why)}
}

// notGone wants a lost node's pool and ENIs gone, and its claims Lost.
func notGone(p picture, node string) []string {
	mine := p.on(node)
	missing := slices.Concat(names("pool", mine.pools), names("ENI", mine.enis))
	for i := range mine.claims {
		if claim := &mine.claims[i]; claim.Status.Phase != v1alpha1.ClaimLost {
			missing = append(missing, fmt.Sprintf("claim %s (%s, not Lost)", claim.Name, claim.Status.Phase))
		}
	}
	return missing
}

// remaining wants nothing of ours left.
func remaining(p picture) []string {
	return slices.Concat(
		names("policy", p.policies), names("pool", p.pools), names("ENI", p.enis), names("claim", p.claims))
}

func names[T any, P interface {
	*T
	metav1.Object
}](kind string, objects []T) []string {
	var all []string
	for i := range objects {
		all = append(all, kind+" "+P(&objects[i]).GetName())
	}
	return all
}
