/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/uninstall"
	"github.com/eni-operator/eni-operator/test/audit"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestUninstall holds the scenarios that take the CRDs away. They share a control
// plane that nobody else uses, come one after the other, and each begins with an
// install.
func TestUninstall(t *testing.T) {
	t.Parallel()
	plane, err := controlplane.Start(t.Context(), controlplane.Options{WithoutControllerManager: true})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, plane.Stop()) })
	for _, scenario := range []struct {
		name string
		tell func(t *testing.T, s *scenario, node string)
	}{
		{"crds-first", crdsDeletedUnderALiveOperator},
		{"delete", uninstallDeletes},
		{"abandon", uninstallAbandons},
	} {
		passed := t.Run(scenario.name, func(t *testing.T) {
			install(t, plane)
			c := newCloud(emulator.Timings{})
			t.Cleanup(c.stop)
			t.Cleanup(func() { assert.DeepEqual(t, c.touched(), []string(nil)) })
			w, err := newWorld(plane, c)
			assert.NilError(t, err)
			t.Cleanup(w.stop)
			s := w.tell(t, "uninstall-"+scenario.name)
			node, _ := s.machine("m5.large")
			scenario.tell(t, s, node)
		})
		if !passed {
			return // The CRDs may be stuck.
		}
	}
}

// install is what `make install` does.
func install(t *testing.T, plane *controlplane.ControlPlane) {
	t.Helper()
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	_, err = envtest.InstallCRDs(plane.Config, envtest.CRDInstallOptions{Paths: []string{filepath.Join(root, "config", "crd", "bases")}, MaxTime: patience})
	assert.NilError(t, err)
}

// electing are the flags of an operator that is elected, as it is for users, and
// that collects leaked ENIs as soon as it may.
func electing(more ...string) []string {
	return append([]string{
		"--leader-elect", "--leader-elect-namespace=default", "--leader-elect-retry-period=200ms", "--gc-interval=1s", "--gc-grace=0s",
	}, more...)
}

// populate fills the node's pool, has a claim of each mode bound, and makes an ENI
// of a person beside them.
func (s *scenario) populate(node string) {
	s.t.Helper()
	s.create(s.policy(sharing(3, 9), exclusive(1, 1), func(spec *v1alpha1.ENIPolicySpec) {
		spec.Shared.IdleReleaseAfter = &metav1.Duration{Duration: 100 * time.Millisecond} // what is free goes back, if it may
	}))
	s.awaitReady(node)
	s.bind(node, v1alpha1.ModeShared, "web")
	s.bind(node, v1alpha1.ModeExclusive, "router")
	other, _ := s.machine("m5.xlarge")
	own := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: s.name + "-own"}, Spec: v1alpha1.ElasticNetworkInterfaceSpec{NodeName: other, AddressCount: 1},
	}
	s.create(own)
	s.awaitReady(other)
	s.awaitENI(own, "is ready", func() error {
		return conditionIs(own.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	})
	eventually(s.t, "everything agrees", func() error { return s.consistent(s.t.Context()) })
	for _, foul := range s.referee.report() {
		s.t.Error(foul)
	}
	s.stop()       // The referee's watch ends with the CRD.
	s.ended = true // What is left at the end is told by each scenario itself.
}

// places are our ENIs in EC2, with where they are attached and what they carry.
func (s *scenario) places() map[string]string {
	s.t.Helper()
	places := map[string]string{}
	for _, eni := range s.ours(s.t.Context()) {
		attached := "detached"
		if at := eni.Attachment; at != nil {
			attached = fmt.Sprintf("%s of %s at %d, %s", aws.ToString(at.AttachmentId), aws.ToString(at.InstanceId), aws.ToInt32(at.DeviceIndex), at.Status)
		}
		places[aws.ToString(eni.NetworkInterfaceId)] = fmt.Sprintf("%s with %v, %s", attached, audit.Secondaries(eni), aws.ToString(eni.MacAddress))
	}
	return places
}

// deleteCRDs is what `make uninstall` does, without waiting.
func (s *scenario) deleteCRDs() {
	s.t.Helper()
	for _, name := range uninstall.Definitions {
		s.remove(s.t.Context(), definition(name))
	}
}

func definition(name string) *unstructured.Unstructured {
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(uninstall.DefinitionKind)
	crd.SetName(name)
	return crd
}

// awaitNoCRDs waits until all CRDs are gone, which only happens when no resource
// of theirs has a finalizer any more.
func (s *scenario) awaitNoCRDs() {
	s.t.Helper()
	for _, name := range uninstall.Definitions {
		s.awaitNoCRD(name)
	}
}

func (s *scenario) awaitNoCRD(name string) {
	s.t.Helper()
	eventually(s.t, "CRD "+name+" is gone", func() error {
		err := s.Get(s.t.Context(), client.ObjectKey{Name: name}, definition(name))
		if apierrors.IsNotFound(err) {
			return nil
		}
		return first(err, errors.New("it is there"))
	})
}

// finalizers are the resources of ours that still have one.
func (s *scenario) finalizers(ctx context.Context) []string {
	s.t.Helper()
	var held []string
	for _, list := range []client.ObjectList{
		&v1alpha1.ENIPolicyList{}, &v1alpha1.ENIPoolList{}, &v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIClaimList{},
	} {
		assert.NilError(s.t, s.List(ctx, list))
		objects, err := meta.ExtractList(list)
		assert.NilError(s.t, err)
		for _, object := range objects {
			if o, ok := object.(client.Object); ok && len(o.GetFinalizers()) > 0 {
				held = append(held, identity(o))
			}
		}
	}
	return held
}

// taken are the operator's calls that take something from an instance or from EC2.
func (s *scenario) taken() []string {
	var calls []string
	for _, action := range []string{"DetachNetworkInterface", "DeleteNetworkInterface", "UnassignPrivateIpAddresses"} {
		for _, call := range s.operatorCalls(action, "") {
			calls = append(calls, fmt.Sprintf("%s %v", call.Action, call.ResourceIDs))
		}
	}
	return calls
}

// awaitSweeps waits until the operator has read all our ENIs so many times more.
func (s *scenario) awaitSweeps(more int) {
	s.t.Helper()
	target := len(s.operatorCalls("DescribeNetworkInterfaces", "")) + more
	eventually(s.t, "EC2 is swept", func() error {
		return differ("enough", len(s.operatorCalls("DescribeNetworkInterfaces", "")) >= target, true)
	})
}

// exit waits until an operator ends by itself, and returns its exit code.
func (o *operator) exit() int {
	o.t.Helper()
	select {
	case <-o.process.Done():
	case <-time.After(patience):
		o.t.Fatalf("the operator has not ended: %s", o.log())
	}
	var failed *exec.ExitError
	if err := o.process.Wait(); errors.As(err, &failed) {
		return failed.ExitCode()
	}
	return 0
}

// stop ends the operator as Kubernetes does.
func (o *operator) stop() {
	o.t.Helper()
	assert.NilError(o.t, o.process.Stop())
}

func crdsDeletedUnderALiveOperator(t *testing.T, s *scenario, node string) {
	o := startOperator(t, s.world, s.http.URL, electing()...)
	s.populate(node)
	places, mutations := s.places(), s.mutations()
	assert.Equal(t, len(places), 5)

	s.deleteCRDs()
	for _, eni := range s.resources(t.Context()) {
		s.awaitENI(&eni, "says what blocks it", func() error {
			return first(conditionIs(eni.Status.Conditions, v1alpha1.ConditionUninstallBlocked, metav1.ConditionTrue, v1alpha1.ReasonUninstallBlocked),
				conditionIs(eni.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUninstallBlocked))
		})
		assert.Assert(t, !eni.DeletionTimestamp.IsZero())
		s.says(messageOf(eni.Status.Conditions, v1alpha1.ConditionReady), "left alone in EC2", "stop the operator", "--uninstall=abandon")
	}
	s.awaitSweeps(4) // The collector has looked, too.
	assert.DeepEqual(t, s.places(), places)
	assert.DeepEqual(t, s.mutations(), mutations)

	t.Log("A restart does not change that: policies and claims had nothing to wait for, so their kinds are gone, and the operator says so")
	s.awaitNoCRD("enipolicies.networking.eni-operator.dev")
	s.awaitNoCRD("eniclaims.networking.eni-operator.dev")
	o.stop()
	o = startOperator(t, s.world, s.http.URL, electing("--leader-elect=false")...)
	assert.Equal(t, o.exit(), 1)
	s.says(o.log(), "kind ENIPolicy of networking.eni-operator.dev/v1alpha1 is not served", "docs/uninstall.md")
	assert.DeepEqual(t, s.places(), places)
	assert.DeepEqual(t, s.mutations(), mutations)

	t.Log("Letting go of the ENIs is the way out")
	uninstaller := startOperator(t, s.world, s.http.URL, electing("--uninstall=abandon")...)
	assert.Equal(t, uninstaller.exit(), 0, uninstaller.log())
	s.awaitNoCRDs()
	s.abandoned(places)
}

// abandoned checks that our ENIs are where they were, marked, and that nothing was
// taken from anybody.
func (s *scenario) abandoned(places map[string]string) {
	s.t.Helper()
	assert.DeepEqual(s.t, s.places(), places)
	for _, eni := range s.ours(s.t.Context()) {
		assert.Equal(s.t, audit.Tags(eni)["networking.eni-operator.dev/deletion-policy"], "Retain")
		assert.Equal(s.t, eni.Status, ec2types.NetworkInterfaceStatusInUse)
	}
	assert.DeepEqual(s.t, s.taken(), []string(nil))
	assert.NilError(s.t, s.foreignUntouched(s.t.Context()))
}

func uninstallDeletes(t *testing.T, s *scenario, node string) {
	o := startOperator(t, s.world, s.http.URL, electing()...)
	s.populate(node)
	places := s.places()

	t.Log("Without the operator it waits, says for what, and gives up")
	o.stop()
	early := startOperator(t, s.world, s.http.URL, electing("--uninstall=delete", "--uninstall-timeout=2s")...)
	assert.Equal(t, early.exit(), 1)
	s.says(early.log(), "pools, ENIs and claims are left; is the operator running? See kubectl get enipool,eni,eniclaim -A")
	assert.DeepEqual(t, s.places(), places)

	t.Log("With it everything goes")
	o = startOperator(t, s.world, s.http.URL, electing()...)
	uninstaller := startOperator(t, s.world, s.http.URL, electing("--uninstall=delete")...)
	assert.Equal(t, uninstaller.exit(), 0, uninstaller.log())
	assert.DeepEqual(t, s.places(), map[string]string{})
	assert.DeepEqual(t, s.finalizers(t.Context()), []string(nil))
	assert.NilError(t, s.foreignUntouched(t.Context()))
	for id := range places {
		assert.Equal(t, succeeded(s.operatorCalls("DeleteNetworkInterface", id)), 1, id)
	}
	assert.Equal(t, succeeded(s.operatorCalls("DetachNetworkInterface", "")), len(places))

	o.stop()
	s.deleteCRDs()
	s.awaitNoCRDs()
}

func uninstallAbandons(t *testing.T, s *scenario, node string) {
	o := startOperator(t, s.world, s.http.URL, electing()...)
	s.populate(node)
	places, mutations := s.places(), s.mutations()

	t.Log("It waits for the operator to stop")
	// It tells so after the time for which a lease holds.
	uninstaller := startOperator(t, s.world, s.http.URL,
		electing("--uninstall=abandon", "--leader-elect-lease-duration=5s", "--leader-elect-renew-deadline=4s")...)
	eventually(t, "it says what it waits for", func() error {
		return differ("said", strings.Contains(uninstaller.log(), "stop the operator first (scale its Deployment to 0)"), true)
	})
	assert.DeepEqual(t, s.mutations(), mutations)
	assert.Assert(t, len(s.finalizers(t.Context())) > 0)

	o.stop()
	assert.Equal(t, uninstaller.exit(), 0, uninstaller.log())
	assert.DeepEqual(t, s.finalizers(t.Context()), []string(nil))
	s.abandoned(places)
	s.deleteCRDs()
	s.awaitNoCRDs()

	t.Log("An operator that is installed again leaves them alone")
	install(t, s.Plane)
	startOperator(t, s.world, s.http.URL, electing()...)
	waiting := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "waiting"}, Spec: v1alpha1.ElasticNetworkInterfaceSpec{NodeName: "no-such-node"},
	}
	s.create(waiting) // Without any resource the collector would not act in any case.
	s.awaitSweeps(4)
	s.abandoned(places)
	s.remove(t.Context(), waiting)
	s.awaitGone(t.Context(), waiting)
}
