/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package failover

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/cluster"
)

const (
	namespace = metav1.NamespaceDefault
	// modeLabel says which policy governs a Node.
	modeLabel = "failover.test/mode"
	// leaseName is the leader lease's.
	leaseName = "eni-operator.networking.eni-operator.dev"
)

// kubernetes is the cluster in which leaders are lost.
type kubernetes struct{ *cluster.Cluster }

// createPolicies makes a policy for each mode. What is released rests shortly, and
// surplus goes soon, so that claims that come and go have much written to EC2.
func (k kubernetes) createPolicies(ctx context.Context) error {
	second := &metav1.Duration{Duration: time.Second}
	for mode, template := range map[v1alpha1.Mode]v1alpha1.ENITemplate{
		v1alpha1.ModeShared:    {Shared: &v1alpha1.SharedBounds{MinimumIPs: 3, WarmIPs: 1, MaximumIPs: 20, Cooldown: second, IdleReleaseAfter: second}},
		v1alpha1.ModeExclusive: {Exclusive: &v1alpha1.ExclusiveBounds{Minimum: 1, Maximum: 3}},
	} {
		policy := &v1alpha1.ENIPolicy{ObjectMeta: metav1.ObjectMeta{GenerateName: "policy-"}}
		policy.Spec.NodeSelector = metav1.LabelSelector{MatchLabels: map[string]string{modeLabel: string(mode)}}
		policy.Spec.ENITemplate = template
		if err := k.Create(ctx, policy); err != nil {
			return fmt.Errorf("creating the policy for %s: %w", mode, err)
		}
	}
	return nil
}

func (k kubernetes) register(ctx context.Context, m machine) error {
	return k.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.name, Labels: map[string]string{modeLabel: string(m.mode)}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///" + zone + "/" + m.instance},
	})
}

func (k kubernetes) unregister(ctx context.Context, m machine) error {
	return k.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: m.name}})
}

func (k kubernetes) createClaim(ctx context.Context, m machine, name string) error {
	return k.Create(ctx, &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ENIClaimSpec{NodeName: m.name, Mode: m.mode},
	})
}

func (k kubernetes) deleteClaim(ctx context.Context, name string) error {
	return client.IgnoreNotFound(k.Delete(ctx, &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}))
}

// leaseWatch sees the lease change hands.
type leaseWatch struct {
	stop func()

	mu     sync.Mutex
	holder string
	// freed is when the lease was last seen without a holder, and stamp the time that
	// the one who freed it wrote into it.
	freed, stamp time.Time
}

func (k kubernetes) watchLease(ctx context.Context) (*leaseWatch, error) {
	watcher, err := k.Watch(ctx, &coordinationv1.LeaseList{}, client.InNamespace(namespace), client.MatchingFields{"metadata.name": leaseName})
	if err != nil {
		return nil, err
	}
	w := &leaseWatch{stop: watcher.Stop}
	go func() {
		for event := range watcher.ResultChan() {
			if lease, ok := event.Object.(*coordinationv1.Lease); ok {
				w.see(lease, time.Now())
			}
		}
	}()
	return w, nil
}

func (w *leaseWatch) see(lease *coordinationv1.Lease, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holder = ptr.Deref(lease.Spec.HolderIdentity, "")
	if w.holder == "" {
		w.freed, w.stamp = now, ptr.Deref(lease.Spec.RenewTime, metav1.MicroTime{}).Time
	}
}

// freedAfter tells when the lease was seen without a holder, if that was after a time,
// and when it was given back by the clock of who did.
func (w *leaseWatch) freedAfter(begun time.Time) (seen, stamp time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.freed, w.stamp, w.freed.After(begun)
}
