/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// admissions are others' webhooks and policies, which refuse the operator's writes.
func admissions() []adversary {
	return []adversary{
		{"admission", "others refuse writes in a namespace", 3, lockNamespace},
		{"admission", "others refuse writes of a kind", 2, lockKind},
	}
}

func (w *world) lock(key string, wait time.Duration) {
	w.mu.Lock()
	w.locked[key] = true
	w.mu.Unlock()
	w.later(wait, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.locked, key)
	})
}

func lockNamespace(w *world, rng *rand.Rand) string {
	name, wait := namespaces[rng.IntN(len(namespaces))], aWhile(rng)
	w.lock("eniclaims/"+name, wait)
	w.mu.Lock()
	w.hindered[name] = time.Now().Add(wait)
	w.mu.Unlock()
	return fmt.Sprintf("for %s others refuse writes of claims in namespace %s", wait.Round(time.Second), name)
}

func lockKind(w *world, rng *rand.Rand) string {
	what := []string{
		"create elasticnetworkinterfaces", "update elasticnetworkinterfaces", "delete elasticnetworkinterfaces", "create enipools", "update enipools",
	}[rng.IntN(5)]
	wait := aWhile(rng)
	w.lock(what, wait)
	w.disturbed(wait)
	return fmt.Sprintf("for %s others refuse to %s", wait.Round(time.Second), what)
}

// statuses are restores and edits of what only the operator should write.
func statuses() []adversary {
	return []adversary{
		{"statuses", "a status is wiped", 4, wipeStatus},
		{"statuses", "all statuses of a node are wiped", 2, wipeNode},
		{"statuses", "an older status is restored", 4, restoreStatus},
		{"statuses", "a status of another cluster is restored", 2, copyStatus},
	}
}

// subjects are the objects whose status can be tampered with.
func (w *world) subjects() []client.Object {
	var all []client.Object
	claims, pools, enis := w.claims(), w.pools(), w.enis()
	for i := range claims {
		all = append(all, &claims[i])
	}
	for i := range pools {
		all = append(all, &pools[i])
	}
	for i := range enis {
		all = append(all, &enis[i])
	}
	return all
}

func resourceOf(object client.Object) string {
	switch object.(type) {
	case *v1alpha1.ENIClaim:
		return "eniclaims"
	case *v1alpha1.ENIPool:
		return "enipools"
	default:
		return "elasticnetworkinterfaces"
	}
}

func named(object client.Object) string {
	return strings.Trim(resourceOf(object)+" "+strings.Trim(object.GetNamespace()+"/"+object.GetName(), "/"), " ")
}

// tamper replaces an object's status.
func (w *world) tamper(object client.Object, status map[string]any) error {
	patch := map[string]any{"status": nil}
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if err := w.Status().Patch(w.ctx, object, client.RawPatch("application/merge-patch+json", raw)); err != nil || status == nil {
		return err
	}
	if raw, err = json.Marshal(map[string]any{"status": status}); err != nil {
		return err
	}
	return w.Status().Patch(w.ctx, object, client.RawPatch("application/merge-patch+json", raw))
}

func wipeStatus(w *world, rng *rand.Rand) string {
	object, ok := choose(rng, w.subjects())
	if !ok {
		return ""
	}
	w.ignore(w.tamper(object, nil))
	return "the status of " + named(object) + " is wiped"
}

func wipeNode(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	claimsToo := rng.IntN(2) == 0
	for _, object := range w.subjects() {
		switch o := object.(type) {
		case *v1alpha1.ENIClaim:
			if claimsToo && o.Spec.NodeName == name {
				w.ignore(w.tamper(o, nil))
			}
		case *v1alpha1.ENIPool:
			if o.Name == name {
				w.ignore(w.tamper(o, nil))
			}
		case *v1alpha1.ElasticNetworkInterface:
			if o.Spec.NodeName == name && rng.IntN(2) == 0 {
				w.ignore(w.tamper(o, nil))
			}
		}
	}
	return fmt.Sprintf("the statuses of the pool and some ENIs of %s are wiped (of its claims too: %t)", name, claimsToo)
}

func restoreStatus(w *world, rng *rand.Rand) string {
	object, ok := choose(rng, w.subjects())
	if !ok {
		return ""
	}
	w.mu.Lock()
	past := slices.Clone(w.past[resourceOf(object)+"/"+object.GetNamespace()+"/"+object.GetName()])
	w.mu.Unlock()
	raw, ok := choose(rng, past)
	if !ok {
		return ""
	}
	var old struct {
		Status map[string]any `json:"status"`
	}
	w.ignore(json.Unmarshal(raw, &old))
	w.ignore(w.tamper(object, old.Status))
	return "an older status of " + named(object) + " is restored"
}

// copyStatus has a resource name an ENI that is not its own.
func copyStatus(w *world, rng *rand.Rand) string {
	enis := w.enis()
	if len(enis) == 0 {
		return ""
	}
	victim := enis[rng.IntN(len(enis))]
	id, err := w.newForeign(w.cloud.subnets["more-a"], "SecondaryPrivateIpAddressCount", "2",
		"TagSpecification.1.ResourceType", "network-interface", "TagSpecification.1.Tag.1.Key", "networking.eni-operator.dev/cluster-uid",
		"TagSpecification.1.Tag.1.Value", "another-cluster")
	if err != nil {
		return ""
	}
	status := map[string]any{}
	raw, err := json.Marshal(victim.Status)
	w.ignore(err)
	w.ignore(json.Unmarshal(raw, &status))
	status["networkInterfaceID"] = id
	w.ignore(w.tamper(&victim, status))
	return fmt.Sprintf("the status of %s names %s, which is another cluster's", named(&victim), id)
}

// policies are what platform teams do.
func policies() []adversary {
	return []adversary{
		{"policies", "a policy changes its bounds", 4, changeBounds},
		{"policies", "a policy goes and returns", 2, flapPolicy},
		{"policies", "a policy changes its groups", 2, changePolicyGroups},
		{"policies", "a policy retains its ENIs", 1, retainENIs},
		{"policies", "a policy excludes a namespace", 1, excludeNamespace},
		{"policies", "an object is paused", 2, pauseObject},
		{"policies", "an ENI resource is deleted", 2, deleteResource},
		{"policies", "a pool is deleted", 1, deletePool},
	}
}

// startupTaint keeps pods from a new node until it has addresses.
const startupTaint = "eni-operator.dev/no-addresses-yet"

// basePolicies are those that a story begins and ends with.
func basePolicies(rng *rand.Rand) []*v1alpha1.ENIPolicy {
	terms := []v1alpha1.SubnetSelectorTerm{{Tags: map[string]v1alpha1.TagValue{"role": "pods"}}}
	reserved := &metav1.Duration{Duration: 5 * time.Minute} // As by default.
	general := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "general"}}
	general.Spec.NodeSelector = metav1.LabelSelector{MatchLabels: map[string]string{"pool": "general"}}
	general.Spec.SubnetSelectorTerms = terms
	general.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: 2 + rng.Int32N(4), WarmIPs: rng.Int32N(3), MaximumIPs: 14, ReserveAfterRelease: reserved}
	general.Spec.Exclusive = &v1alpha1.ExclusiveBounds{Minimum: rng.Int32N(2), Maximum: 2}
	if rng.IntN(2) == 0 {
		general.Spec.StartupTaint = startupTaint
	}
	gold := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
	gold.Spec.NodeSelector = metav1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}
	gold.Spec.Priority = 10
	gold.Spec.SubnetSelectorTerms = terms
	gold.Spec.Shared = &v1alpha1.SharedBounds{MinimumIPs: 3, WarmIPs: 1, MaximumIPs: 10, ReserveAfterRelease: reserved}
	if rng.IntN(4) == 0 {
		gold.Spec.Shared.MaximumIPs, gold.Spec.Shared.AddressType = 32, v1alpha1.AddressTypeIPv4Prefix
	}
	gold.Spec.Exclusive = &v1alpha1.ExclusiveBounds{Minimum: 0, Maximum: 1}
	return []*v1alpha1.ENIPolicy{general, gold}
}

func (w *world) policy(rng *rand.Rand) *v1alpha1.ENIPolicy {
	return &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: []string{"general", "general", "gold"}[rng.IntN(3)]}}
}

// edit changes a policy's spec.
func (w *world) edit(policy *v1alpha1.ENIPolicy, spec map[string]any) {
	w.ignore(client.IgnoreNotFound(w.patch(policy, map[string]any{"spec": spec})))
}

func changeBounds(w *world, rng *rand.Rand) string {
	policy, least := w.policy(rng), rng.IntN(10)
	shared := map[string]any{"minimumIPs": least, "warmIPs": rng.IntN(4), "maximumIPs": least + 1 + rng.IntN(10)}
	exclusive := map[string]any{"minimum": rng.IntN(2), "maximum": 1 + rng.IntN(2)}
	if shared["maximumPerNamespace"] = nil; rng.IntN(2) == 0 {
		shared["maximumPerNamespace"] = 1 + rng.IntN(4)
	}
	if exclusive["maximumPerNamespace"] = nil; rng.IntN(3) == 0 {
		exclusive["maximumPerNamespace"] = 1
	}
	w.edit(policy, map[string]any{"shared": shared, "exclusive": exclusive})
	return fmt.Sprintf("policy %s: shared %v, exclusive %v", policy.Name, shared, exclusive)
}

func flapPolicy(w *world, rng *rand.Rand) string {
	policy, wait := w.policy(rng), aWhile(rng)
	w.deleteInUse(policy)
	w.later(wait, w.restorePolicies)
	return fmt.Sprintf("policy %s is deleted for %s", policy.Name, wait.Round(time.Second))
}

// restorePolicies makes the policies that are not there.
func (w *world) restorePolicies() {
	for _, policy := range w.policies {
		w.insist(func() error { return w.Create(w.ctx, policy.DeepCopy()) })
	}
}

func changePolicyGroups(w *world, rng *rand.Rand) string {
	policy := w.policy(rng)
	var terms []any
	for _, id := range w.cloud.groups[:1+rng.IntN(len(w.cloud.groups))] {
		terms = append(terms, map[string]any{"id": id})
	}
	w.edit(policy, map[string]any{"securityGroupSelectorTerms": terms})
	return fmt.Sprintf("policy %s asks for %d groups", policy.Name, len(terms))
}

func retainENIs(w *world, rng *rand.Rand) string {
	policy, wait := w.policy(rng), aWhile(rng)
	w.edit(policy, map[string]any{"deletionPolicy": "Retain"})
	w.later(wait, func() { w.edit(policy, map[string]any{"deletionPolicy": "Delete"}) })
	return fmt.Sprintf("policy %s retains its ENIs for %s", policy.Name, wait.Round(time.Second))
}

func excludeNamespace(w *world, rng *rand.Rand) string {
	policy, wait := w.policy(rng), aWhile(rng)
	w.edit(policy, map[string]any{"claimNamespaceSelector": map[string]any{"matchLabels": map[string]any{"name": namespaces[0]}}})
	w.later(wait, func() { w.edit(policy, map[string]any{"claimNamespaceSelector": nil}) })
	return fmt.Sprintf("policy %s serves namespace %s alone for %s", policy.Name, namespaces[0], wait.Round(time.Second))
}

func (w *world) annotate(object client.Object, key string, value any) {
	w.ignore(client.IgnoreNotFound(w.patch(object, map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}})))
}

func pauseObject(w *world, rng *rand.Rand) string {
	subjects := slices.DeleteFunc(w.subjects(), func(o client.Object) bool { return resourceOf(o) == "eniclaims" })
	object, ok := choose(rng, subjects)
	if !ok {
		return ""
	}
	wait := aWhile(rng)
	w.disturbed(wait)
	w.annotate(object, v1alpha1.PausedAnnotation, "true")
	w.later(wait, func() { w.annotate(object, v1alpha1.PausedAnnotation, nil) })
	return fmt.Sprintf("%s is paused for %s", named(object), wait.Round(time.Second))
}

func deleteResource(w *world, rng *rand.Rand) string {
	eni, ok := choose(rng, w.enis())
	if !ok {
		return ""
	}
	w.deleteInUse(&eni)
	return fmt.Sprintf("a person deletes the resource %s", eni.Name)
}

func deletePool(w *world, rng *rand.Rand) string {
	pool, ok := choose(rng, w.pools())
	if !ok {
		return ""
	}
	w.deleteInUse(&pool)
	return fmt.Sprintf("a person deletes the pool %s", pool.Name)
}
