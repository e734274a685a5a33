/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package privileges

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/flow"
	"github.com/eni-operator/eni-operator/test/shipped"
)

// grantedPlane is a control plane with the operator's account as config/self-managed ships it.
func grantedPlane(t *testing.T) (config *rest.Config, people client.Client) {
	t.Helper()
	plane, err := controlplane.Start(t.Context(), controlplane.Options{WithoutControllerManager: true})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, plane.Stop()) })
	people = clientOf(t, plane.Config)
	assert.NilError(t, shipped.Grant(t.Context(), people, "config/self-managed"))
	return plane.Config, people
}

func clientOf(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	scheme, err := setup.Scheme()
	assert.NilError(t, err)
	c, err := client.New(config, client.Options{Scheme: scheme})
	assert.NilError(t, err)
	return c
}

// TestAStolenTokenDoesTheOperatorsWorkOnly: where RBAC knows no narrower right than to all
// Nodes, an admission policy says what of them; the operator has none to Leases but those of
// its own namespace.
func TestAStolenTokenDoesTheOperatorsWorkOnly(t *testing.T) {
	config, people := grantedPlane(t)
	thief := clientOf(t, shipped.AsOperator(config))
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{"zone": "a"}}, Spec: corev1.NodeSpec{Taints: []corev1.Taint{
		{Key: "eni-operator.dev/not-ready", Effect: corev1.TaintEffectNoExecute}, {Key: "dedicated", Value: "payments", Effect: corev1.TaintEffectNoExecute},
	}}}
	assert.NilError(t, people.Create(t.Context(), node))
	assert.NilError(t, client.IgnoreAlreadyExists(people.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-node-lease"}})))
	lease := func(namespace, name string) *coordinationv1.Lease {
		made := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		assert.NilError(t, people.Create(t.Context(), made))
		return made
	}
	heartbeat, scheduler := lease("kube-node-lease", "node"), lease("kube-system", "kube-scheduler")

	patch := func(change func(*corev1.Node)) func() error {
		return func() error {
			after := node.DeepCopy()
			change(after)
			return thief.Patch(t.Context(), after, client.MergeFrom(node), client.DryRunAll)
		}
	}
	held := func(l *coordinationv1.Lease) func() error {
		return func() error {
			after := l.DeepCopy()
			after.Spec.HolderIdentity = ptr.To("thief")
			return thief.Update(t.Context(), after, client.DryRunAll)
		}
	}
	for what, try := range map[string]func() error{
		"a node's heartbeat is deleted": func() error { return thief.Delete(t.Context(), heartbeat, client.DryRunAll) },
		"the scheduler's lease is held": held(scheduler),
		"a lease of a controller's is made": func() error {
			made := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-controller-manager"}}
			return thief.Create(t.Context(), made, client.DryRunAll)
		},
	} {
		assert.Assert(t, apierrors.IsForbidden(try()), what)
	}
	attacks := map[string]func() error{
		"a node is emptied": patch(func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "eni-operator.dev/out", Effect: corev1.TaintEffectNoExecute})
		}),
		"a node is opened to workloads": patch(func(n *corev1.Node) { n.Spec.Taints = n.Spec.Taints[:1] }),
		"a taint is weakened":           patch(func(n *corev1.Node) { n.Spec.Taints[1].Effect = corev1.TaintEffectPreferNoSchedule }),
		"a node is cordoned":            patch(func(n *corev1.Node) { n.Spec.Unschedulable = true }),
		"a node gets a label":           patch(func(n *corev1.Node) { n.Labels["zone"] = "b" }),
		"a node gets an annotation":     patch(func(n *corev1.Node) { n.Annotations = map[string]string{"a": "b"} }),
	}
	for what, try := range attacks {
		flow.Eventually(t, what, func() error { // The API server takes a moment to know the policies.
			if err := try(); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
				return fmt.Errorf("it is not denied: %w", err)
			}
			return nil
		})
		assert.ErrorContains(t, try(), "ValidatingAdmissionPolicy 'eni-operator-", what)
	}
	assert.NilError(t, patch(func(n *corev1.Node) { n.Spec.Taints = n.Spec.Taints[1:] })(), "its own taint is removed")
	cordoned := node.DeepCopy()
	cordoned.Spec.Unschedulable = true
	assert.NilError(t, people.Patch(t.Context(), cordoned, client.MergeFrom(node), client.DryRunAll), "the policy is about the operator alone")
}

// verbs are those that an API server knows.
var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "bind", "escalate", "approve", "sign", "use"}

// TestWhatTheTokenCanDo asks the API server about each verb and resource that there is, and
// compares the answers with the list in docs/security.md.
func TestWhatTheTokenCanDo(t *testing.T) {
	config, people := grantedPlane(t)
	root, err := controlplane.RepositoryRoot()
	assert.NilError(t, err)
	page, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	assert.NilError(t, err)
	_, list, found := strings.Cut(string(page), "<!-- token -->\n")
	assert.Assert(t, found)
	list, _, _ = strings.Cut(list, "<!-- /token -->")
	said := map[string]bool{}
	for line := range strings.Lines(list) {
		if columns := strings.Split(line, "|"); len(columns) > 4 && strings.Contains(columns[1], "`") {
			for verb := range strings.SplitSeq(strings.Trim(columns[2], " "), ", ") {
				said[verb+" "+strings.Trim(columns[1], " `")+" "+strings.Trim(columns[3], " ")] = true
			}
		}
	}
	assert.DeepEqual(t, slices.Sorted(maps.Keys(rightsOf(t, config, people))), slices.Sorted(maps.Keys(said)))
}

// rightsOf is what the account may do that not every account may: in the whole cluster, and in
// its own namespace. A right to one name is asked for by that name.
func rightsOf(t *testing.T, config *rest.Config, people client.Client) map[string]bool {
	t.Helper()
	api, err := discovery.NewDiscoveryClientForConfig(config)
	assert.NilError(t, err)
	_, lists, err := api.ServerGroupsAndResources()
	assert.NilError(t, err)
	names := namesGranted(t)
	found := map[string]bool{}
	for _, list := range lists {
		group, _, _ := strings.Cut(list.GroupVersion, "/")
		if !strings.Contains(list.GroupVersion, "/") {
			group = ""
		}
		for _, resource := range list.APIResources {
			kind, sub, _ := strings.Cut(resource.Name, "/")
			for _, name := range append(names[group+"/"+resource.Name], "") {
				for _, verb := range verbs {
					asked := authorizationv1.ResourceAttributes{Group: group, Version: "*", Resource: kind, Subresource: sub, Name: name, Verb: verb}
					where := "everywhere"
					if !may(t, people, asked) {
						asked.Namespace, where = namespace, "its namespace"
						if !resource.Namespaced || !may(t, people, asked) {
							continue
						}
					}
					what := strings.TrimPrefix(group+"/"+resource.Name, "/")
					if name != "" {
						if asked.Name = ""; may(t, people, asked) {
							continue
						}
						what += " " + name
					}
					found[verb+" "+what+" "+where] = true
				}
			}
		}
	}
	return found
}

// namesGranted are the names that rules are bound to, by group and resource.
func namesGranted(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	for g := range shippedGrants(t, "config/self-managed") {
		key := g.group + "/" + g.resource
		if g.name != "" && !slices.Contains(names[key], g.name) {
			names[key] = append(names[key], g.name)
		}
	}
	return names
}

// may asks whether the operator's account has a right that an account without roles has not.
func may(t *testing.T, people client.Client, what authorizationv1.ResourceAttributes) bool {
	t.Helper()
	ask := func(user string) bool {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			ResourceAttributes: &what, User: user, Groups: []string{"system:authenticated", "system:serviceaccounts", "system:serviceaccounts:" + namespace},
		}}
		assert.NilError(t, people.Create(t.Context(), review))
		return review.Status.Allowed
	}
	return ask(shipped.User) && !ask("system:serviceaccount:"+namespace+":another")
}
