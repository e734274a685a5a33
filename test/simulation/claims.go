/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// claimants are those who need addresses.
func claimants() []adversary {
	return []adversary{
		{"claims", "claims are made", 6, makeClaims},
		{"claims", "claims are deleted", 4, deleteClaims},
		{"claims", "claims are deleted and made again", 1, remakeClaims},
		{"claims", "an address is claimed by name", 1, claimByName},
		{"claims", "a holder falls silent", 1, silenceHolder},
		{"claims", "a namespace is deleted", 1, deleteNamespace},
		{"claims", "a finalizer is taken away", 1, stripFinalizer},
	}
}

func makeClaims(w *world, rng *rand.Rand) string {
	var made []string
	for range 1 + rng.IntN(6) {
		node, ok := choose(rng, w.nodeNames())
		if !ok {
			return ""
		}
		claim := &v1alpha1.ENIClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[rng.IntN(len(namespaces))], Name: fmt.Sprintf("c%04x", rng.Uint32()&0xffff)},
			Spec:       v1alpha1.ENIClaimSpec{NodeName: node, Mode: v1alpha1.ModeShared},
		}
		switch rng.IntN(8) {
		case 0, 1:
			claim.Spec.Mode = v1alpha1.ModeExclusive
		case 2:
			claim.Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: 10 * time.Minute}}
		}
		w.ignore(w.Create(w.ctx, claim))
		made = append(made, fmt.Sprintf("%s/%s (%s on %s)", claim.Namespace, claim.Name, claim.Spec.Mode, node))
	}
	return fmt.Sprintf("claims are made: %v", made)
}

func deleteClaims(w *world, rng *rand.Rand) string {
	var gone []string
	for range 1 + rng.IntN(4) {
		if claim, ok := choose(rng, w.claims()); ok {
			w.ignore(client.IgnoreNotFound(w.Delete(w.ctx, &claim)))
			gone = append(gone, claim.Namespace+"/"+claim.Name)
		}
	}
	if len(gone) == 0 {
		return ""
	}
	return fmt.Sprintf("claims are deleted: %v", gone)
}

func remakeClaims(w *world, rng *rand.Rand) string {
	claim, ok := choose(rng, w.claims())
	if !ok {
		return ""
	}
	w.ignore(client.IgnoreNotFound(w.Delete(w.ctx, &claim)))
	fresh := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: claim.Name}, Spec: claim.Spec}
	w.later(time.Duration(rng.Int64N(int64(20*time.Second))), func() { w.ignore(w.Create(w.ctx, fresh)) })
	return fmt.Sprintf("claim %s/%s is deleted and soon made again", claim.Namespace, claim.Name)
}

func claimByName(w *world, rng *rand.Rand) string {
	eni, ok := choose(rng, w.ours())
	if !ok || len(eni.Addresses) == 0 {
		return ""
	}
	for name, m := range w.nodes {
		if m.instance != eni.InstanceID {
			continue
		}
		address := v1alpha1.Address(eni.Addresses[rng.IntN(len(eni.Addresses))])
		claim := &v1alpha1.ENIClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[rng.IntN(len(namespaces))], Name: fmt.Sprintf("n%04x", rng.Uint32()&0xffff)},
			Spec:       v1alpha1.ENIClaimSpec{NodeName: name, Mode: v1alpha1.ModeShared, Address: &address},
		}
		w.ignore(w.Create(w.ctx, claim))
		return fmt.Sprintf("claim %s/%s asks for %s on %s", claim.Namespace, claim.Name, address, name)
	}
	return ""
}

func silenceHolder(w *world, rng *rand.Rand) string {
	leased := slices.DeleteFunc(w.claims(), func(c v1alpha1.ENIClaim) bool { return c.Spec.Lease == nil })
	claim, ok := choose(rng, leased)
	if !ok {
		return ""
	}
	w.mu.Lock()
	w.silent[claim.Namespace+"/"+claim.Name] = true
	w.mu.Unlock()
	return fmt.Sprintf("the holder of %s/%s falls silent", claim.Namespace, claim.Name)
}

// renew is what holders do. A renewal that others' admission refuses is tried again in a
// while.
func (w *world) renew() {
	for _, claim := range w.claims() {
		w.mu.Lock()
		silent := w.silent[claim.Namespace+"/"+claim.Name]
		w.mu.Unlock()
		if claim.Spec.Lease == nil || silent {
			continue
		}
		patch := fmt.Appendf(nil, `{"spec":{"lease":{"renewTime":%q}}}`, time.Now().UTC().Format(time.RFC3339))
		_ = w.Patch(w.ctx, &claim, client.RawPatch(types.MergePatchType, patch))
	}
}

func deleteNamespace(w *world, rng *rand.Rand) string {
	name := namespaces[rng.IntN(len(namespaces))]
	w.ignore(client.IgnoreNotFound(w.Delete(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})))
	w.later(time.Minute+time.Duration(rng.Int64N(int64(10*time.Minute))), w.restoreNamespaces)
	return "namespace " + name + " is deleted, and made again later"
}

// restoreNamespaces makes the namespaces that are not there.
func (w *world) restoreNamespaces() {
	for _, name := range namespaces {
		err := w.Create(w.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}})
		w.ignore(client.IgnoreAlreadyExists(err))
	}
}

func stripFinalizer(w *world, rng *rand.Rand) string {
	claim, ok := choose(rng, w.claims())
	if !ok {
		return ""
	}
	w.ignore(client.IgnoreNotFound(w.Delete(w.ctx, &claim)))
	w.ignore(client.IgnoreNotFound(w.patch(&claim, map[string]any{"metadata": map[string]any{"finalizers": nil}})))
	return fmt.Sprintf("claim %s/%s is deleted, and its finalizer taken away", claim.Namespace, claim.Name)
}
