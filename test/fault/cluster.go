/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

const (
	namespace    = metav1.NamespaceDefault
	policyLabel  = "fault.test/policy"
	startupTaint = "fault.test/not-ready"
)

// cluster is Kubernetes: a control plane on loopback, and a client without a
// cache.
type cluster struct {
	client.WithWatch
	plane *controlplane.ControlPlane
	uid   string
}

// startCluster starts etcd and kube-apiserver. kube-controller-manager is left
// out: nothing here waits for it.
func startCluster(ctx context.Context) (*cluster, error) {
	log.SetLogger(logr.Discard()) // The control plane's start is told to controller-runtime's log.
	plane, err := controlplane.Start(ctx, controlplane.Options{WithoutControllerManager: true})
	if err != nil {
		return nil, err
	}
	c := &cluster{plane: plane}
	if err := c.connect(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to the control plane: %w", err), plane.Stop())
	}
	return c, nil
}

func (c *cluster) connect(ctx context.Context) error {
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	if c.WithWatch, err = client.NewWithWatch(c.plane.Config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	system := &corev1.Namespace{}
	err = c.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, system)
	c.uid = string(system.UID)
	return err
}

// createPolicies makes the two policies. Released things rest shortly, and surplus
// goes soon.
func (c *cluster) createPolicies(ctx context.Context) error {
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
		if err := c.Create(ctx, policy); err != nil {
			return err
		}
	}
	return nil
}

// setMinima changes what the policies ask for.
func (c *cluster) setMinima(ctx context.Context, addresses, enis int) error {
	for name, spec := range map[string]string{
		sharedPolicy:    fmt.Sprintf(`{"shared":{"minimumIPs":%d}}`, addresses),
		exclusivePolicy: fmt.Sprintf(`{"exclusive":{"minimum":%d}}`, enis),
	} {
		policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := c.Patch(ctx, policy, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":%s}`, spec))); err != nil {
			return err
		}
	}
	return nil
}

// register makes a machine's Node, as its kubelet would.
func (c *cluster) register(ctx context.Context, m *machine, instanceID string) error {
	return c.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.name, Labels: map[string]string{policyLabel: m.policy}},
		Spec: corev1.NodeSpec{
			ProviderID: "aws:///" + zones[m.zone] + "/" + instanceID,
			Taints:     []corev1.Taint{{Key: startupTaint, Effect: corev1.TaintEffectNoSchedule}},
		},
	})
}

// unregister removes a machine's Node, as the cloud controller would.
func (c *cluster) unregister(ctx context.Context, m *machine) error {
	return c.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: m.name}})
}

func (c *cluster) createClaim(ctx context.Context, m *machine, name string) error {
	return c.Create(ctx, &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: m.name, Mode: m.mode()},
	})
}

func (c *cluster) deleteClaim(ctx context.Context, name string) error {
	return c.Delete(ctx, &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
}

// clear removes every object of ours and every Node. There must be no operator.
func (c *cluster) clear(ctx context.Context) error {
	lists := []client.ObjectList{
		&v1alpha1.ENIClaimList{}, &v1alpha1.ENIPolicyList{}, &v1alpha1.ElasticNetworkInterfaceList{},
		&v1alpha1.ENIPoolList{}, &corev1.NodeList{},
	}
	var failed []error
	for _, list := range lists {
		if err := c.List(ctx, list); err != nil {
			return err
		}
		failed = append(failed, meta.EachListItem(list, func(item runtime.Object) error { return c.remove(ctx, item) }))
	}
	return errors.Join(failed...)
}

func (c *cluster) remove(ctx context.Context, item runtime.Object) error {
	object, ok := item.(client.Object)
	if !ok {
		return fmt.Errorf("%T is no object", item)
	}
	if err := c.Delete(ctx, object); err != nil {
		return client.IgnoreNotFound(err)
	}
	released := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	return client.IgnoreNotFound(c.Patch(ctx, object, released))
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
