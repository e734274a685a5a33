/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestAnENIThatStaysAway is looked for soon, and then less and less often: EC2 may show no
// ENI of a whole fleet for long.
func TestAnENIThatStaysAway(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, PoolName: poolName, InstanceID: w.instance})
	w.mustSettle()
	w.api = &withoutENIs{Client: w.api}
	w.restart()
	var waits []time.Duration
	for end := w.clock.Now().Add(10 * time.Minute); w.clock.Now().Before(end); {
		result, err := w.once()
		assert.NilError(t, err)
		assert.Assert(t, result.RequeueAfter > 0)
		waits = append(waits, result.RequeueAfter)
		w.clock.Step(result.RequeueAfter)
	}
	assert.Equal(t, waits[0], absencePoll)
	assert.Equal(t, waits[len(waits)-1], longestPoll)
	assert.Assert(t, len(waits) < 40, "%v", waits)
}

// withoutENIs is an EC2 that shows no ENI.
type withoutENIs struct{ ec2.Client }

func (w *withoutENIs) DescribeNetworkInterfaces(context.Context, ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	return nil, nil
}

// TestAWipedStatusLetsNothingGo: a resource that is deleted after its status was wiped has its
// ENI looked for, by an EC2 that shows ENIs, twice.
func TestAWipedStatusLetsNothingGo(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, InstanceID: w.instance})
	w.mustSettle()
	w.clock.Step(time.Hour)
	whole := w.api
	w.api = &withoutENIs{Client: whole}
	w.restart()
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.CreationTimestamp = metav1.NewTime(w.clock.Now().Add(-time.Hour))
		eni.Spec.Drained = true
	})
	wiped := w.eni()
	wiped.Status = v1alpha1.ElasticNetworkInterfaceStatus{}
	assert.NilError(t, w.kube.Status().Update(t.Context(), wiped))
	w.delete()
	for range 20 {
		result, _ := w.once()
		w.clock.Step(max(result.RequeueAfter, time.Second))
	}
	assert.Assert(t, w.exists(), "on the word of an EC2 that shows nothing")

	w.api = whole
	assert.Equal(t, len(w.owned()), 1)
	w.restart()
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.Equal(t, len(w.owned()), 0)
}

// TestAResourceThatNeverHadAnENIGoes, once EC2 was asked twice whether it has one.
func TestAResourceThatNeverHadAnENIGoes(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3, InstanceID: w.instance})
	w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
		eni.CreationTimestamp = metav1.NewTime(w.clock.Now().Add(-time.Hour))
		eni.Finalizers = []string{v1alpha1.Finalizer}
	})
	w.delete()
	result, err := w.once()
	assert.NilError(t, err)
	assert.Equal(t, result.RequeueAfter, 30*time.Second)
	assert.Assert(t, w.exists())
	w.clock.Step(result.RequeueAfter)
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.Equal(t, w.calls("CreateNetworkInterface"), 0)
}

// TestTheAgeOfADeletedResource is by the API server's stamps, whatever this process's clock shows.
func TestTheAgeOfADeletedResource(t *testing.T) {
	created := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, clock := range []time.Duration{-11 * time.Hour, 0, 24 * time.Hour} {
		o := observation{eni: &v1alpha1.ElasticNetworkInterface{}, now: created.Add(clock), visibility: 30 * time.Second}
		o.eni.CreationTimestamp = metav1.NewTime(created)
		assert.Assert(t, !o.unnamed(), "not deleted")
		o.eni.DeletionTimestamp = &metav1.Time{Time: created.Add(time.Second)}
		assert.Assert(t, !o.unnamed(), "new")
		o.eni.DeletionTimestamp = &metav1.Time{Time: created.Add(2 * time.Hour)}
		assert.Assert(t, o.unnamed())
		o.eni.Status.Creation = &v1alpha1.CreationRecord{}
		assert.Assert(t, !o.unnamed(), "an attempt is recorded")
	}
}
