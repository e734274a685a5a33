/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/cluster"
)

const (
	namespace    = metav1.NamespaceDefault
	policyLabel  = "fault.test/policy"
	startupTaint = "eni-operator.dev/not-ready"
)

// kubernetes is the cluster in which the scenario is played.
type kubernetes struct{ *cluster.Cluster }

// createPolicies makes the two policies. Released things rest shortly, and surplus
// goes soon.
func (k kubernetes) createPolicies(ctx context.Context) error {
	for _, name := range []string{sharedPolicy, exclusivePolicy} {
		policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		policy.Spec.NodeSelector = metav1.LabelSelector{MatchLabels: map[string]string{policyLabel: name}}
		policy.Spec.StartupTaint = startupTaint
		policy.Spec.Tags = map[string]v1alpha1.TagValue{"team": v1alpha1.TagValue(name)}
		if name == sharedPolicy {
			policy.Spec.SecurityGroupSelectorTerms = []v1alpha1.SecurityGroupSelectorTerm{{Name: groupOf[name]}}
			policy.Spec.Shared = &v1alpha1.SharedBounds{
				MinimumIPs: minimumIPs, WarmIPs: warmIPs, MaximumIPs: maximumIPs,
				Cooldown: &metav1.Duration{Duration: cooldown}, IdleReleaseAfter: &metav1.Duration{Duration: idleReleaseAfter},
			}
		} else {
			policy.Spec.Exclusive = &v1alpha1.ExclusiveBounds{Minimum: minimumENIs, Maximum: maximumENIs}
		}
		if err := k.Create(ctx, policy); err != nil {
			return err
		}
	}
	return nil
}

// setMinima changes what the policies ask for.
func (k kubernetes) setMinima(ctx context.Context, addresses, enis int) error {
	for name, spec := range map[string]string{
		sharedPolicy:    fmt.Sprintf(`{"shared":{"minimumIPs":%d}}`, addresses),
		exclusivePolicy: fmt.Sprintf(`{"exclusive":{"minimum":%d}}`, enis),
	} {
		policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := k.Patch(ctx, policy, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":%s}`, spec))); err != nil {
			return err
		}
	}
	return nil
}

// register makes a machine's Node, as its kubelet would.
func (k kubernetes) register(ctx context.Context, m *machine, instanceID string) error {
	return k.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.name, Labels: map[string]string{policyLabel: m.policy}},
		Spec: corev1.NodeSpec{
			ProviderID: "aws:///" + zones[m.zone] + "/" + instanceID,
			Taints:     []corev1.Taint{{Key: startupTaint, Effect: corev1.TaintEffectNoSchedule}},
		},
	})
}

// unregister removes a machine's Node, as the cloud controller would.
func (k kubernetes) unregister(ctx context.Context, m *machine) error {
	return k.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: m.name}})
}

func (k kubernetes) createClaim(ctx context.Context, m *machine, name string) error {
	return k.Create(ctx, &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: m.name, Mode: m.mode()},
	})
}

func (k kubernetes) deleteClaim(ctx context.Context, name string) error {
	return k.Delete(ctx, &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
}

// pause waits, and says whether it was not interrupted.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
