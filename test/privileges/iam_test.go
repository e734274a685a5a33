/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package privileges

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator/iam"
	"github.com/eni-operator/eni-operator/test/flow"
	"github.com/eni-operator/eni-operator/test/shipped"
)

// permittedActions are the EC2 actions that a policy allows.
func permittedActions(t *testing.T, policy iam.Policy) []string {
	t.Helper()
	var all []string
	for _, statement := range policy.Statement {
		for _, action := range statement.Action {
			name, ours := strings.CutPrefix(action, "ec2:")
			assert.Assert(t, ours && !strings.Contains(name, "*"), "%s: the policy names each action of EC2", action)
			if statement.Effect == "Allow" {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// usedActions are those that the operator called, and that its calls needed.
func usedActions(w *flow.World) []string {
	var all []string
	for _, call := range w.Server.Calls() {
		if call.Caller == flow.OperatorKey {
			all = append(all, call.Action)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestMissingPermissionsAreNamed takes one action from the IAM policy at a time,
// has the operator need it, and looks for what it tells about it. Once the action is
// allowed again, the operator goes on by itself. It has no webhooks, and in Kubernetes the
// roles of config/default alone.
func TestMissingPermissionsAreNamed(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.log")
	plane, err := controlplane.Start(t.Context(), controlplane.Options{WithoutControllerManager: true, AuditLog: audit})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, plane.Stop()) })
	w := flow.New(t, plane.Config)
	grantRoles(t, w, "config/default")
	kubeconfig := flow.Kubeconfig(t, plane.Config, flow.Token(t, w, namespace, account))
	// What was read before the permission went would do for a while.
	operator := w.Start(flow.Build(t), kubeconfig, "--enable-webhooks=false", "--leader-elect-namespace="+namespace, "--network-ttl=100ms")
	operator.AwaitReady()
	w.Join()
	p := &probe{World: w, t: t, operator: operator, node: w.AddNode("m5.4xlarge")}

	needs := map[string]func(){
		"DescribeInstances":               p.join("m5.large"),
		"DescribeInstanceTypes":           p.join("c5.xlarge"),
		"DescribeSubnets":                 p.join("m5.large"),
		"DescribeSecurityGroups":          p.join("m5.large"),
		"DescribeNetworkInterfaces":       func() {}, // the audit needs it
		"CreateNetworkInterface":          p.create,
		"CreateTags":                      p.create,
		"AttachNetworkInterface":          p.create,
		"ModifyNetworkInterfaceAttribute": p.create,
		"AssignPrivateIpAddresses": func() {
			p.change(func(spec *v1alpha1.ElasticNetworkInterfaceSpec) { spec.AddressCount = 2 })
		},
		"UnassignPrivateIpAddresses": func() {
			p.change(func(spec *v1alpha1.ElasticNetworkInterfaceSpec) {
				spec.AddressCount, spec.Release = 0, []v1alpha1.AddressOrPrefix{v1alpha1.AddressOrPrefix(p.eni.Status.Addresses[0])}
			})
		},
		"DeleteTags":             func() { p.change(func(spec *v1alpha1.ElasticNetworkInterfaceSpec) { spec.Tags = nil }) },
		"DetachNetworkInterface": func() { assert.NilError(t, p.Delete(t.Context(), p.eni)) },
		"DeleteNetworkInterface": func() { assert.NilError(t, p.Delete(t.Context(), p.eni)) },
	}
	policy := w.IAMPolicy()
	w.Server.SetPolicy(flow.OperatorKey, policy)
	permitted := permittedActions(t, policy)
	for _, action := range permitted {
		need := needs[action]
		assert.Assert(t, need != nil, "the policy allows %s, and no test needs it", action)
		p.prepare(action)
		w.Server.SetPermissions(flow.OperatorKey, slices.DeleteFunc(slices.Clone(permitted), func(a string) bool { return a == action })...)
		need()
		flow.Eventually(t, "the operator says that ec2:"+action+" is missing", func() error { return p.told(action) })
		w.Server.SetPermissions(flow.OperatorKey, permitted...)
		p.recover()
	}
	_, refused := uses(t, audit, shipped.User)
	assert.DeepEqual(t, refused, []string(nil))
}

// probe is an ENI of a person, on a node with room for it.
type probe struct {
	*flow.World
	t        *testing.T
	operator *flow.Operator
	node     string
	count    int
	eni      *v1alpha1.ElasticNetworkInterface
	// logged is how much of the log there was before.
	logged int
}

// prepare makes the ENI, unless making it is what needs the action.
func (p *probe) prepare(action string) {
	p.count++
	p.eni = &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("probe-%d", p.count)},
		Spec: v1alpha1.ElasticNetworkInterfaceSpec{
			NodeName: p.node, Mode: v1alpha1.ModeExclusive, AddressCount: 1, Tags: map[string]v1alpha1.TagValue{"stage": "test"},
		},
	}
	switch action {
	case "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses", "DeleteTags", "DetachNetworkInterface", "DeleteNetworkInterface":
		p.create()
		p.AwaitENI(p.eni)
	}
	p.logged = len(p.operator.Log())
}

func (p *probe) create() { assert.NilError(p.t, p.Create(p.t.Context(), p.eni)) }

func (p *probe) change(change func(*v1alpha1.ElasticNetworkInterfaceSpec)) {
	flow.Eventually(p.t, "the ENI takes an update", func() error {
		if err := p.Get(p.t.Context(), client.ObjectKeyFromObject(p.eni), p.eni); err != nil {
			return err
		}
		change(&p.eni.Spec)
		return p.Update(p.t.Context(), p.eni)
	})
}

// join has a node join that the policy selects.
func (p *probe) join(instanceType string) func() { return func() { p.AddNode(instanceType) } }

// told looks for the remedy in the conditions of all pools and ENIs, and in the log.
func (p *probe) told(action string) error {
	remedy := "Allow ec2:" + action + " for the operator's IAM identity"
	pools, enis := &v1alpha1.ENIPoolList{}, &v1alpha1.ElasticNetworkInterfaceList{}
	if err := p.List(p.t.Context(), pools); err != nil {
		return err
	}
	if err := p.List(p.t.Context(), enis); err != nil {
		return err
	}
	var conditions []metav1.Condition
	for i := range pools.Items {
		conditions = append(conditions, pools.Items[i].Status.Conditions...)
	}
	for i := range enis.Items {
		conditions = append(conditions, enis.Items[i].Status.Conditions...)
	}
	for _, condition := range conditions {
		if condition.Reason == v1alpha1.ReasonUnauthorized && strings.Contains(condition.Message, remedy) {
			p.t.Logf("condition %s: %s", condition.Type, condition.Message)
			return nil
		}
	}
	for line := range strings.Lines(p.operator.Log()[p.logged:]) {
		if strings.Contains(line, remedy) {
			p.t.Logf("log: %s", line)
			return nil
		}
	}
	return fmt.Errorf("no condition of %d pools and %d ENIs and no line of the log says it", len(pools.Items), len(enis.Items))
}

// recover waits until all is well again, and the probe gone.
func (p *probe) recover() {
	if err := p.Get(p.t.Context(), client.ObjectKeyFromObject(p.eni), p.eni); err == nil && p.eni.DeletionTimestamp.IsZero() {
		p.AwaitENI(p.eni)
		assert.NilError(p.t, p.Delete(p.t.Context(), p.eni))
	}
	p.AwaitGone(p.eni)
	p.AwaitPools()
}
