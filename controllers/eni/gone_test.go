/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// between is on the way between the operator and EC2. It may answer a call itself.
type between struct {
	mu     sync.Mutex
	next   http.Handler
	answer func(action string, ask func() []byte) ([]byte, bool)
}

// intercept has a function answer the operator's calls where it wants to.
func (w *world) intercept(answer func(action string, ask func() []byte) ([]byte, bool)) {
	w.wire.mu.Lock()
	defer w.wire.mu.Unlock()
	w.wire.next = &between{next: w.server, answer: answer}
}

func (b *between) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, _ := io.ReadAll(request.Body)
	form, _ := url.ParseQuery(string(body))
	again := func() *http.Request {
		copied := request.Clone(request.Context())
		copied.Body = io.NopCloser(bytes.NewReader(body))
		return copied
	}
	ask := func() []byte {
		recorder := httptest.NewRecorder()
		b.next.ServeHTTP(recorder, again())
		return recorder.Body.Bytes()
	}
	if answer, answered := b.answer(form.Get("Action"), ask); answered {
		_, _ = response.Write(answer)
		return
	}
	b.next.ServeHTTP(response, again())
}

// TestWhatIsGoneTakesAllAlong: EC2 gives the addresses of an ENI that somebody deleted
// to the next ENI that asks.
func TestWhatIsGoneTakesAllAlong(t *testing.T) {
	for _, mode := range []v1alpha1.Mode{v1alpha1.ModeShared, v1alpha1.ModeExclusive} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, newEndpoint(t), emulator.Options{})
			w.create(v1alpha1.ElasticNetworkInterfaceSpec{PoolName: nodeName, InstanceID: w.instance, Mode: mode, AddressCount: 3})
			w.mustSettle()
			before := w.eni().Status
			w.deleteOutside()
			w.clock.Step(10 * time.Minute)
			assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
			w.drain()
			w.mustSettle()

			after := w.eni().Status
			assert.Equal(t, after.State, v1alpha1.ENILost)
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionCreated), "False NotFound")
			assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NotFound")
			assert.Assert(t, after.Attachment == nil && len(after.Addresses)+len(after.Missing) == 0)
			assert.Equal(t, after.PrimaryAddress, "")
			assert.Equal(t, after.AddressCount, int32(0))
			for _, name := range append(stringsOf(before.Addresses), before.PrimaryAddress) {
				assert.Assert(t, slices.Contains(after.Lost, v1alpha1.AddressOrPrefix(name)), "%s is not lost: %v", name, after.Lost)
			}
			assert.Equal(t, len(w.drain()), 1, "one notice, not one for each address")

			version := w.eni().ResourceVersion
			w.mustSettle()
			assert.Equal(t, w.eni().ResourceVersion, version, "nothing is written at rest")
			w.delete()
			w.mustSettle()
			assert.Assert(t, !w.exists(), "neither drained nor there")
		})
	}
}

// TestADeletedENIThatEC2StillShowsIsDeletedOnce: its reads lag.
func TestADeletedENIThatEC2StillShowsIsDeletedOnce(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	w.delete()
	var shown []byte
	var until time.Time
	w.intercept(func(action string, ask func() []byte) ([]byte, bool) {
		switch {
		case action == "DeleteNetworkInterface" && until.IsZero():
			until = w.clock.Now().Add(10 * time.Second)
		case action != "DescribeNetworkInterfaces":
		case w.clock.Now().Before(until):
			return shown, true
		default:
			shown = ask()
			return shown, true
		}
		return nil, false
	})
	w.mustSettle()
	assert.Assert(t, !w.exists())
	assert.Equal(t, w.calls("DeleteNetworkInterface"), 1)
	assert.Assert(t, w.calls("DescribeNetworkInterfaces") < 20)
}

// TestALookIsNotRepeatedAtOnce: what it found is what the next step goes by.
func TestALookIsNotRepeatedAtOnce(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{Timings: emulator.Timings{Detach: emulator.Span{Min: 20 * time.Second, Max: 20 * time.Second}}})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	w.delete()
	_, err := w.once() // It is detaching.
	assert.NilError(t, err)
	looks := 0
	empty := []byte(`<DescribeNetworkInterfacesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><networkInterfaceSet></networkInterfaceSet></DescribeNetworkInterfacesResponse>`)
	w.intercept(func(action string, _ func() []byte) ([]byte, bool) {
		if action == "DescribeNetworkInterfaces" {
			looks++
			return empty, true
		}
		return nil, false
	})
	_, err = w.once()
	assert.NilError(t, err)
	assert.Equal(t, looks, 1)
}

// TestStuckDetachIsForcedWhateverTheClockWas: an earlier process stored a time that
// lies ahead.
func TestStuckDetachIsForcedWhateverTheClockWas(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{Timings: emulator.Timings{SickDetach: emulator.Span{Min: time.Hour, Max: time.Hour}}})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	w.server.SetSick(region, w.instance, true)
	w.delete()
	_, err := w.once()
	assert.NilError(t, err)
	eni := w.eni()
	last := len(eni.Status.Transitions) - 1
	assert.Equal(t, eni.Status.Transitions[last].State, v1alpha1.ENIDetaching)
	eni.Status.Transitions[last].At = metav1.NewTime(w.clock.Now().Add(24 * time.Hour))
	assert.NilError(t, w.kube.Status().Update(t.Context(), eni))
	began := w.clock.Now()
	for w.exists() {
		assert.Assert(t, w.clock.Since(began) < 10*time.Minute, "never forced")
		result, _ := w.once()
		w.clock.Step(max(result.RequeueAfter, time.Second))
	}
	assert.Equal(t, len(w.owned()), 0)
}

// TestWhatAGoneInstanceKeepsIsForced: the ENI still looks attached, and EC2 does not delete it
// with its instance as it should.
func TestWhatAGoneInstanceKeepsIsForced(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{Timings: emulator.Timings{TerminateInstance: emulator.Span{Min: time.Hour, Max: time.Hour}}})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.mustSettle()
	w.ec2("TerminateInstances", "InstanceId.1", w.instance)
	assert.NilError(t, w.reconciler.inventory.Sweep(t.Context()))
	w.delete()
	began := w.clock.Now()
	for w.exists() {
		assert.Assert(t, w.clock.Since(began) < 10*time.Minute, "never forced")
		result, _ := w.once()
		w.clock.Step(max(result.RequeueAfter, time.Second))
	}
	assert.Assert(t, w.clock.Since(began) >= 3*time.Minute, "forced after %s", w.clock.Since(began))
	assert.Equal(t, len(w.owned()), 0)
}

// TestAnAttachThatHangsIsReported, and looked at ever less often.
func TestAnAttachThatHangsIsReported(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{Timings: emulator.Timings{Attach: emulator.Span{Min: 2 * time.Hour, Max: 2 * time.Hour}}})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	began := w.clock.Now()
	for w.clock.Since(began) < 10*time.Minute {
		result, err := w.once()
		assert.NilError(t, err)
		w.clock.Step(result.RequeueAfter)
	}
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False AttachmentStuck")
	assert.Assert(t, strings.Contains(message(w.eni()), w.instance), message(w.eni()))
	looks := w.calls("DescribeNetworkInterfaces")
	assert.Assert(t, looks < 50, "%d looks within ten minutes", looks)
}

// TestARepeatedCreateIsLookedAt: EC2 answers it with the tags of the request, and the
// ENI was handed over to another cluster in between.
func TestARepeatedCreateIsLookedAt(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{})
	w.server.AddFault(emulator.Fault{Action: "CreateNetworkInterface", LoseAnswer: true, Count: 1})
	_, err := w.once()
	assert.Assert(t, ec2.Unclear(err))
	made := w.only()
	w.ec2("CreateTags", "ResourceId.1", made.ID, "Tag.1.Key", ec2.TagClusterUID, "Tag.1.Value", "another-cluster")
	w.restart()
	var answer []byte
	w.intercept(func(action string, ask func() []byte) ([]byte, bool) {
		if action != "CreateNetworkInterface" {
			return nil, false
		}
		answer = bytes.ReplaceAll(ask(), []byte("another-cluster"), []byte(clusterUID))
		return answer, true
	})
	w.server.ResetCalls()
	for range 3 {
		_, _ = w.once()
	}
	assert.DeepEqual(t, w.story(), []string{"CreateNetworkInterface"})
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "False NotOwned")
}
