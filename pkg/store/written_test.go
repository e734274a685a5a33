/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/events"
)

// TestForeignStatusesPass, and no others, whenever the cache shows them.
func TestForeignStatusesPass(t *testing.T) {
	c, eni, _ := counting(t)
	statuses := &Written{}
	passes := func(before, after *v1alpha1.ElasticNetworkInterface) bool {
		return statuses.ByOthers().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
	}
	var versions []*v1alpha1.ElasticNetworkInterface
	store := func(c client.Client, id string) error {
		before := get(t, c)
		after := before.DeepCopy()
		after.Status.NetworkInterfaceID = id
		_, err := statuses.UpdateStatus(t.Context(), c, events.Discard, before, after)
		versions = append(versions, get(t, c))
		return err
	}
	for n := range 3 {
		assert.NilError(t, store(c, fmt.Sprintf("eni-%d", n)))
	}
	assert.NilError(t, store(c, "eni-2"), "which is no change")
	assert.Assert(t, !passes(eni, versions[0]))
	assert.Assert(t, !passes(versions[0], versions[2]), "the cache left one out")
	assert.Assert(t, passes(versions[2], versions[1]), "an older status was restored")
	assert.Assert(t, passes(versions[1], eni), "it was wiped")
	assert.Assert(t, !passes(versions[2], versions[2]), "something else changed")

	answer := func(err error, stored bool) client.Client {
		return interceptor.NewClient(c.(client.WithWatch), interceptor.Funcs{
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
				if stored {
					assert.NilError(t, c.SubResource(sub).Update(ctx, o, options...))
				}
				return err
			},
		})
	}
	assert.Assert(t, store(answer(errors.New("the answer was lost"), true), "eni-3") != nil)
	assert.Assert(t, !passes(versions[2], versions[len(versions)-1]))
	conflict := apierrors.NewConflict(schema.GroupResource{}, "a", errors.New("changed"))
	assert.Assert(t, apierrors.IsConflict(store(answer(conflict, false), "eni-4")))
	theirs := get(t, c)
	theirs.Status.NetworkInterfaceID = "eni-4"
	assert.Assert(t, passes(get(t, c), theirs), "the conflict kept this process's own from being stored")
	assert.Equal(t, len(statuses.sums), 0)

	assert.NilError(t, store(c, "eni-5"))
	assert.Assert(t, !statuses.ByOthers().Delete(event.DeleteEvent{Object: theirs}))
	assert.Equal(t, len(statuses.sums), 0)
	assert.Assert(t, !statuses.ByOthers().Create(event.CreateEvent{Object: theirs}))
}

// TestALostFinalizerPasses: a later deletion of the object must not leave its ENI behind.
func TestALostFinalizerPasses(t *testing.T) {
	statuses := &Written{}
	before := &v1alpha1.ElasticNetworkInterface{}
	before.Finalizers = []string{v1alpha1.Finalizer, "of.others/finalizer"}
	after := before.DeepCopy()
	after.Finalizers = after.Finalizers[1:]
	passes := func(before, after *v1alpha1.ElasticNetworkInterface) bool {
		return statuses.ByOthers().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
	}
	assert.Assert(t, passes(before, after))
	assert.Assert(t, !passes(after, before), "it got the finalizer back")
	assert.Assert(t, !passes(after, after), "it had none before")

	now := metav1.Now()
	after.DeletionTimestamp = &now
	assert.Assert(t, !passes(before, after), "it is being deleted, and was let go")
}
