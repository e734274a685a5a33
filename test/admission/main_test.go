/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// shared is the world of all tests.
var shared *world

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	folder, err := os.MkdirTemp("", "eni-operator-admission-")
	if err != nil {
		return refuse(err)
	}
	shared, err = startWorld(folder)
	defer shared.end()
	if err == nil {
		err = shared.furnish()
	}
	if err != nil {
		return refuse(err)
	}
	code := m.Run()
	if code == 0 {
		_ = os.RemoveAll(folder)
	} else {
		fmt.Fprintln(os.Stderr, "The operator's log is in", folder)
	}
	return code
}

func refuse(err error) int {
	fmt.Fprintln(os.Stderr, "test/admission:", err)
	return 1
}

// furnish makes what the rules are tried on: Node alpha, governed by the policy
// general, whose namespace shop holds an address and an ENI of it; Node beta, governed
// by shared-only; Node gamma, which no policy selects and on which a person has an ENI;
// and one that is no instance. What of it is there already stays.
func (w *world) furnish() error {
	ctx := context.Background()
	for _, namespace := range []*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"networking": "allowed"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "market", Labels: map[string]string{"networking": "allowed"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"}},
	} {
		if err := client.IgnoreAlreadyExists(w.Create(ctx, namespace)); err != nil {
			return err
		}
	}
	for name, pool := range map[string]string{"alpha": "general", "beta": "shared", "gamma": "none"} {
		if err := client.IgnoreAlreadyExists(w.node(name, "m5.large", "pool", pool)); err != nil {
			return err
		}
	}
	fargate := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "fargate"}}
	fargate.Spec.ProviderID = "aws:///us-east-1a/0123/fargate-ip-10-0-1-2.ec2.internal"
	shop := func(name string, mode v1alpha1.Mode) *v1alpha1.ENIClaim {
		return &v1alpha1.ENIClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: v1alpha1.ENIClaimSpec{NodeName: "alpha", Mode: mode},
		}
	}
	web, router := shop("web", v1alpha1.ModeShared), shop("router", v1alpha1.ModeExclusive)
	firewall := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{Name: "firewall"}}
	firewall.Spec = v1alpha1.ElasticNetworkInterfaceSpec{NodeName: "gamma", DeviceIndex: new(int32)}
	*firewall.Spec.DeviceIndex = 2
	general, sharedOnly := policySelecting("general", "general"), policySelecting("shared-only", "shared")
	general.Spec.Exclusive = &v1alpha1.ExclusiveBounds{Minimum: 1, Maximum: 1}
	general.Spec.ClaimNamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"networking": "allowed"}}
	for _, object := range []client.Object{fargate, firewall, general, sharedOnly, web, router} {
		if err := client.IgnoreAlreadyExists(w.Create(ctx, object)); err != nil {
			return fmt.Errorf("%s: %w", object.GetName(), err)
		}
	}
	for _, object := range []client.Object{general, sharedOnly, web, router, firewall, &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "alpha"}}} {
		if err := await("ready", func() error { return w.ready(object) }); err != nil {
			return err
		}
	}
	return nil
}

// policySelecting is a policy of priority 0 with a shared mode.
func policySelecting(name, pool string) *v1alpha1.ENIPolicy {
	policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	policy.Spec.NodeSelector.MatchLabels = map[string]string{"pool": pool}
	policy.Spec.Shared = &v1alpha1.SharedBounds{
		MinimumIPs: 3, MaximumIPs: 9, Cooldown: &metav1.Duration{Duration: 200 * time.Millisecond}, IdleReleaseAfter: &metav1.Duration{Duration: time.Hour},
	}
	return policy
}
