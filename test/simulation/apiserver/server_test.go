/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package apiserver

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// bubble runs a test with a server, a client and a namespace on virtual time.
func bubble(t *testing.T, test func(t *testing.T, s *Server, c client.WithWatch, connection *Connection)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(1)
		assert.NilError(t, err)
		scheme := runtime.NewScheme()
		assert.NilError(t, clientgoscheme.AddToScheme(scheme))
		assert.NilError(t, v1alpha1.AddToScheme(scheme))
		connection := s.Connect("me", 1)
		c, err := client.NewWithWatch(connection.Config(), client.Options{Scheme: scheme})
		assert.NilError(t, err)
		assert.NilError(t, c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}))
		test(t, s, c, connection)
	})
}

func aClaim(name string) *v1alpha1.ENIClaim {
	return &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Finalizers: []string{v1alpha1.Finalizer}},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: "node"},
	}
}

func TestLifeOfAnObject(t *testing.T) {
	bubble(t, func(t *testing.T, _ *Server, c client.WithWatch, _ *Connection) {
		ctx, claim := t.Context(), aClaim("a")
		claim.Status.Phase = v1alpha1.ClaimBound
		assert.NilError(t, c.Create(ctx, claim))
		assert.Equal(t, claim.Spec.Mode, v1alpha1.ModeShared, "the schema's default")
		assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimPhase(""), "a status is not created")
		assert.Equal(t, claim.Generation, int64(1))
		assert.Assert(t, apierrors.IsAlreadyExists(c.Create(ctx, aClaim("a"))))

		old := claim.DeepCopy()
		claim.Status.Phase = v1alpha1.ClaimPending
		assert.NilError(t, c.Status().Update(ctx, claim))
		assert.Equal(t, claim.Generation, int64(1))
		assert.Assert(t, apierrors.IsConflict(c.Status().Update(ctx, old)))
		version := claim.ResourceVersion
		assert.NilError(t, c.Status().Update(ctx, claim))
		assert.Equal(t, claim.ResourceVersion, version, "nothing changed")

		claim.Spec.Lease = &v1alpha1.ClaimLease{Duration: metav1.Duration{Duration: time.Minute}}
		claim.Status.Phase = v1alpha1.ClaimBound
		assert.NilError(t, c.Update(ctx, claim))
		assert.Equal(t, claim.Generation, int64(2))
		assert.Equal(t, claim.Status.Phase, v1alpha1.ClaimPending, "the status is a subresource")

		wrong := client.Preconditions{UID: ptr.To(old.UID + "x")}
		assert.Assert(t, apierrors.IsConflict(c.Delete(ctx, claim, wrong)))
		assert.NilError(t, c.Delete(ctx, claim))
		assert.NilError(t, c.Get(ctx, client.ObjectKeyFromObject(claim), claim))
		assert.Assert(t, claim.DeletionTimestamp != nil)
		before := claim.DeepCopy()
		claim.Finalizers = append(claim.Finalizers, "example.com/more")
		assert.Assert(t, apierrors.IsInvalid(c.Patch(ctx, claim, client.MergeFrom(before))))
		claim = before.DeepCopy()
		claim.Finalizers = nil
		assert.NilError(t, c.Patch(ctx, claim, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
		assert.Equal(t, claim.ResourceVersion, before.ResourceVersion, "the answer does not have the deletion's version")
		assert.Assert(t, apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(claim), claim)))
	})
}

func TestSchemasRefuse(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, c client.WithWatch, _ *Connection) {
		ctx, claim := t.Context(), aClaim("a")
		claim.Spec.NodeName = "No Node"
		assert.Assert(t, apierrors.IsInvalid(c.Create(ctx, claim)), "a pattern")
		claim = aClaim("a")
		assert.NilError(t, c.Create(ctx, claim))
		claim.Spec.NodeName = "other"
		assert.ErrorContains(t, c.Update(ctx, claim), "nodeName is immutable")
		event := &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "e"}, Reason: "r", Action: "a", Note: strings.Repeat("x", 1025)}
		assert.Assert(t, apierrors.IsInvalid(c.Create(ctx, event)), "a note has at most 1,024 characters")
		assert.Equal(t, len(s.Refusals()), 3)
		event.Note = "short"
		assert.NilError(t, c.Create(ctx, event))
	})
}

func TestWatchesLagAndExpire(t *testing.T) {
	bubble(t, func(t *testing.T, _ *Server, c client.WithWatch, connection *Connection) {
		connection.Set(func(trouble *Trouble) { trouble.Lag = map[string]time.Duration{"eniclaims": 10 * time.Second} })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		assert.NilError(t, c.Create(ctx, aClaim("a")))
		list := &v1alpha1.ENIClaimList{}
		assert.NilError(t, c.List(ctx, list))
		begin := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}}
		watcher, err := c.Watch(ctx, &v1alpha1.ENIClaimList{}, begin)
		assert.NilError(t, err)
		began := time.Now()
		assert.NilError(t, c.Create(ctx, aClaim("b")))
		event := <-watcher.ResultChan()
		assert.Equal(t, event.Type, watch.Added)
		assert.Equal(t, time.Since(began), 10*time.Second)

		assert.NilError(t, c.Create(ctx, aClaim("c")))
		connection.BreakWatches("eniclaims", true)
		for range watcher.ResultChan() {
			t.Log("what was due before the break")
		}
		_, err = c.Watch(ctx, &v1alpha1.ENIClaimList{}, begin)
		assert.Assert(t, apierrors.IsResourceExpired(err), "%v", err)
	})
}

func TestClustersOwnControllers(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, c client.WithWatch, _ *Connection) {
		ctx, owner := t.Context(), aClaim("owner")
		owner.Finalizers = nil
		assert.NilError(t, c.Create(ctx, owner))
		owned := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "owned", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ENIClaim", Name: owner.Name, UID: owner.UID},
		}}}
		assert.NilError(t, c.Create(ctx, owned))
		s.Sweep()
		assert.NilError(t, c.Get(ctx, client.ObjectKeyFromObject(owned), owned))
		assert.NilError(t, c.Delete(ctx, owner))
		s.Sweep()
		assert.Assert(t, apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(owned), owned)))

		kept := aClaim("kept")
		assert.NilError(t, c.Create(ctx, kept))
		space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
		assert.NilError(t, c.Delete(ctx, space))
		s.Sweep()
		assert.Assert(t, apierrors.IsForbidden(c.Create(ctx, aClaim("late"))))
		assert.NilError(t, c.Get(ctx, client.ObjectKeyFromObject(kept), kept))
		assert.Assert(t, kept.DeletionTimestamp != nil)
		kept.Finalizers = nil
		assert.NilError(t, c.Update(ctx, kept))
		s.Sweep()
		assert.Assert(t, apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(space), space)))
	})
}

func TestTroubleOfOneConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, c client.WithWatch, connection *Connection) {
		ctx := t.Context()
		connection.Set(func(trouble *Trouble) { trouble.Lost = 1 })
		assert.Assert(t, c.Create(ctx, aClaim("a")) != nil, "the answer is lost")
		connection.Set(func(trouble *Trouble) { *trouble = Trouble{} })
		assert.NilError(t, c.Get(ctx, client.ObjectKeyFromObject(aClaim("a")), &v1alpha1.ENIClaim{}), "and the claim is there")
		s.Admit = func(r Request) error {
			if r.Verb == "create" && r.Namespace == "shop" {
				return Forbidden(r.Resource, r.Name, "frozen")
			}
			return nil
		}
		assert.Assert(t, apierrors.IsForbidden(c.Create(ctx, aClaim("b"))))
		connection.End()
		assert.Assert(t, c.Get(ctx, client.ObjectKeyFromObject(aClaim("a")), &v1alpha1.ENIClaim{}) != nil)
	})
}
