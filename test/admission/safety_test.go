/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/shipped"
)

// TestWhatIsMatched holds the configuration to what the package webhooks promises: no
// status, no claim that exists, and nothing of the operator's own when it is made or
// changed; what may carry our finalizer is not held up while nobody answers.
func TestWhatIsMatched(t *testing.T) {
	list := &admissionregistrationv1.ValidatingWebhookConfigurationList{}
	assert.NilError(t, shared.List(t.Context(), list))
	assert.Equal(t, len(list.Items), 1)
	var got []string
	for _, hook := range list.Items[0].Webhooks {
		assert.Assert(t, hook.ObjectSelector == nil || len(hook.ObjectSelector.MatchExpressions)+len(hook.ObjectSelector.MatchLabels) == 0, "anybody can write a label")
		who := "anybody"
		for _, condition := range hook.MatchConditions {
			who = condition.Expression
		}
		for _, rule := range hook.Rules {
			got = append(got, fmt.Sprintf("%v %v by %s: %s", rule.Resources, rule.Operations, who, *hook.FailurePolicy))
		}
		assert.Equal(t, *hook.SideEffects, admissionregistrationv1.SideEffectClassNone)
		assert.Equal(t, *hook.MatchPolicy, admissionregistrationv1.Equivalent)
		assert.Assert(t, *hook.TimeoutSeconds <= 5)
	}
	const others = "request.userInfo.username != 'system:serviceaccount:' + '" + shipped.Namespace + "' + ':' + '" + shipped.Account + "'"
	assert.DeepEqual(t, got, []string{
		"[elasticnetworkinterfaces] [DELETE] by anybody: Ignore",
		"[elasticnetworkinterfaces] [CREATE] by " + others + ": Fail",
		"[eniclaims] [CREATE] by anybody: Fail",
		"[enipolicies] [CREATE UPDATE DELETE] by anybody: Fail",
		"[enipools] [DELETE] by anybody: Ignore",
		"[elasticnetworkinterfaces] [UPDATE] by " + others + ": Ignore",
	})
}

// TestAppliedTogether: a policy and what it allows come in one apply, and the replica
// that is asked about the second has not seen the first yet.
func TestAppliedTogether(t *testing.T) {
	for round := range 20 {
		name := fmt.Sprintf("together-%d", round)
		assert.NilError(t, shared.Create(t.Context(), &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": name}},
		}))
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"networking": "allowed"}}}
		policy := policySelecting(name, name)
		policy.Spec.ClaimNamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"networking": "allowed"}}
		claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "a"}, Spec: v1alpha1.ENIClaimSpec{NodeName: name}}
		for _, object := range []client.Object{namespace, policy, claim} {
			assert.NilError(t, shared.Create(t.Context(), object), "%T in round %d", object, round)
		}
		for _, object := range []client.Object{claim, policy, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}} {
			assert.NilError(t, shared.Delete(t.Context(), object), "%T in round %d", object, round)
		}
	}
}

// TestEditsAreBlamedForWhatTheyChange: two policies meet on a Node because it was
// relabelled; that is warned of from then on, and every edit that makes it no worse is
// taken.
func TestEditsAreBlamedForWhatTheyChange(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "relabelled", Labels: map[string]string{"left": "yes"}}}
	assert.NilError(t, shared.Create(t.Context(), node))
	t.Cleanup(func() { assert.NilError(t, shared.Delete(context.Background(), node)) })
	for _, side := range []string{"left", "right"} {
		policy := policySelecting(side, "")
		policy.Spec.Priority = 50
		policy.Spec.NodeSelector.MatchLabels = map[string]string{side: "yes"}
		assert.NilError(t, shared.Create(t.Context(), policy))
		t.Cleanup(func() { assert.NilError(t, shared.Delete(context.Background(), policy)) })
	}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"right":"yes"}}}`))
	assert.NilError(t, shared.Patch(t.Context(), node, patch))
	const met = "spec.priority: policy left has the same priority and selects Node relabelled too, so the older of the two governs: " +
		"give one of the two another priority, or change nodeSelector so that no Node fits both"
	if err := await("the webhook knows the label", func() error {
		warned, refused, err := shared.try(t.Context(), update("ENIPolicy", "right", `{spec: {shared: {maximumIPs: 8}}}`))
		if warned != met {
			return errors.Join(err, refused, fmt.Errorf("warned of %q", warned))
		}
		return errors.Join(err, refused)
	}); err != nil {
		t.Fatal(err)
	}
	for _, harmless := range []string{`{spec: {priority: 51}}`, `{spec: {nodeSelector: {matchLabels: {never: "yes"}}, priority: 52}}`, `{metadata: {labels: {a: b}}}`} {
		warned, refused, err := shared.try(t.Context(), update("ENIPolicy", "right", harmless))
		assert.NilError(t, err)
		assert.NilError(t, refused)
		assert.Equal(t, warned, "", harmless)
	}
	_, refused, err := shared.try(t.Context(), update("ENIPolicy", "right", `{spec: {priority: 0, nodeSelector: {matchLabels: {pool: general, right: null}}}}`))
	assert.NilError(t, err)
	assert.ErrorContains(t, refused, "policy general has the same priority and selects Node alpha too")
}

// TestTheOperatorIsNeverRefused: its pools shrink and go, with all that they have, while
// admission guards them.
func TestTheOperatorIsNeverRefused(t *testing.T) {
	policy := policySelecting("passing", "passing")
	policy.Spec.Shared.MinimumIPs, policy.Spec.Shared.MaximumIPs = 12, 12 // two ENIs of an m5.large
	assert.NilError(t, shared.node("passing", "m5.large", "pool", "passing"))
	assert.NilError(t, shared.Create(t.Context(), policy))
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "passing"}}
	awaiting(t, "the pool is filled", func() error { return shared.ready(pool) })
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "passing"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "passing"}}
	assert.NilError(t, shared.Create(t.Context(), claim))
	awaiting(t, "the claim is bound", func() error { return shared.ready(claim) })

	assert.ErrorContains(t, shared.Delete(t.Context(), pool), "is forbidden: 1 claims hold addresses or ENIs of this pool (shop/passing)")
	t.Log("the instance ends: the operator deletes pool and ENIs although a claim is bound")
	shared.terminate(t, "passing")
	awaiting(t, "the pool is gone", func() error { return gone(shared.Get(t.Context(), client.ObjectKeyFromObject(pool), pool)) })
	awaiting(t, "its ENIs are gone", func() error {
		list := &v1alpha1.ElasticNetworkInterfaceList{}
		if err := shared.List(t.Context(), list); err != nil {
			return err
		}
		for i := range list.Items {
			if list.Items[i].Spec.PoolName == "passing" {
				return fmt.Errorf("%s is there", list.Items[i].Name)
			}
		}
		return nil
	})
	assert.NilError(t, shared.Delete(t.Context(), claim))
	assert.NilError(t, shared.Delete(t.Context(), policy))
	noOwnWriteRefused(t)
}

// TestDeleteInUse: who says so may delete what is in use; nothing is taken from claims.
func TestDeleteInUse(t *testing.T) {
	policy := policySelecting("leaving", "leaving")
	assert.NilError(t, shared.node("leaving", "m5.large", "pool", "leaving"))
	assert.NilError(t, shared.Create(t.Context(), policy))
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "leaving"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "leaving"}}
	assert.NilError(t, shared.Create(t.Context(), claim))
	awaiting(t, "the claim is bound", func() error { return shared.ready(claim) })

	assert.ErrorContains(t, shared.Delete(t.Context(), policy), "1 claims are bound by this policy (shop/leaving) on Node leaving")
	annotation := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+v1alpha1.DeleteInUseAnnotation+`":"true"}}}`))
	assert.NilError(t, shared.Patch(t.Context(), policy, annotation))
	assert.NilError(t, shared.Delete(t.Context(), policy))
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "leaving"}}
	awaiting(t, "the pool drains", func() error {
		if err := shared.Get(t.Context(), client.ObjectKeyFromObject(pool), pool); err != nil || pool.Spec.PolicyName != "" {
			return fmt.Errorf("policy %q: %w", pool.Spec.PolicyName, err)
		}
		return nil
	})
	assert.NilError(t, shared.ready(claim), "the claim keeps what it has")
	assert.NilError(t, shared.Delete(t.Context(), claim))
	awaiting(t, "the pool is gone", func() error { return gone(shared.Get(t.Context(), client.ObjectKeyFromObject(pool), pool)) })
	assert.NilError(t, shared.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "leaving"}}))
	noOwnWriteRefused(t)
}

// TestNothingIsHeldUpWithoutReplicas: while nobody answers for the webhooks, a namespace
// and a Node can be deleted, our finalizers removed, statuses written, and whatever has
// our finalizer deleted. Only what is new has to wait.
func TestNothingIsHeldUpWithoutReplicas(t *testing.T) {
	ctx := t.Context()
	doomed := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed", Labels: map[string]string{"networking": "allowed"}}}
	assert.NilError(t, shared.Create(ctx, doomed))
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "doomed", Name: "web"}, Spec: v1alpha1.ENIClaimSpec{NodeName: "beta"}}
	assert.NilError(t, shared.Create(ctx, claim))
	awaiting(t, "the claim is bound", func() error { return shared.ready(claim) })
	growing := policySelecting("growing", "growing")
	assert.NilError(t, shared.Create(ctx, growing))
	plug, err := shared.unplug()
	assert.NilError(t, err)
	plugged := sync.OnceValue(plug)
	t.Cleanup(func() { assert.NilError(t, plugged()) })

	noFinalizers := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	for _, list := range []client.ObjectList{&v1alpha1.ENIClaimList{}, &v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIPoolList{}} {
		assert.NilError(t, shared.List(ctx, list))
		objects := objectsOf(list)
		assert.Assert(t, len(objects) > 0)
		for _, object := range objects {
			assert.NilError(t, shared.Patch(ctx, copyOf(object), noFinalizers, client.DryRunAll), "finalizers of %T %s", object, object.GetName())
			assert.NilError(t, shared.Status().Update(ctx, copyOf(object), client.DryRunAll), "status of %T %s", object, object.GetName())
			assert.NilError(t, shared.Delete(ctx, copyOf(object), client.DryRunAll), "%T %s", object, object.GetName())
		}
	}
	for _, node := range []string{"alpha", "gamma"} {
		assert.NilError(t, shared.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, client.DryRunAll))
	}

	assert.NilError(t, shared.Delete(ctx, doomed))
	awaiting(t, "the namespace's claim is deleted", func() error {
		err := shared.Get(ctx, client.ObjectKeyFromObject(claim), claim)
		if err == nil && claim.DeletionTimestamp.IsZero() {
			err = errors.New("it is not")
		}
		return client.IgnoreNotFound(err)
	})
	awaiting(t, "the namespace is gone", func() error { return gone(shared.Get(ctx, client.ObjectKeyFromObject(doomed), doomed)) })

	t.Log("the operator itself goes on: a Node joins, gets its pool, and leaves")
	assert.NilError(t, shared.node("growing", "m5.large", "pool", "growing"))
	pool := &v1alpha1.ENIPool{ObjectMeta: metav1.ObjectMeta{Name: "growing"}}
	awaiting(t, "the pool is filled", func() error { return shared.ready(pool) })
	shared.terminate(t, "growing")
	awaiting(t, "the pool is gone", func() error { return gone(shared.Get(ctx, client.ObjectKeyFromObject(pool), pool)) })
	noOwnWriteRefused(t)
	assert.NilError(t, plugged())
	assert.NilError(t, shared.Delete(ctx, growing))
}

// terminate ends an instance and deletes its Node.
func (w *world) terminate(t *testing.T, name string) {
	t.Helper()
	ctx := context.Background() // Tests end with it, too.
	node := &corev1.Node{}
	assert.NilError(t, w.Get(ctx, client.ObjectKey{Name: name}, node))
	assert.NilError(t, w.Delete(ctx, node))
	instance, _ := ec2.ParseProviderID(node.Spec.ProviderID)
	_, err := w.cloud.TerminateInstances(ctx, &awsec2.TerminateInstancesInput{InstanceIds: []string{instance}})
	assert.NilError(t, err)
}

// noOwnWriteRefused looks through the operator's log for refusals of its own writes.
func noOwnWriteRefused(t *testing.T) {
	t.Helper()
	for _, line := range shared.logged(t, "denied the request", "failed calling webhook") {
		t.Errorf("the operator was refused: %s", line)
	}
}

func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return errors.Join(errors.New("it is there"), err)
}
