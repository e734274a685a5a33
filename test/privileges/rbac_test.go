/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package privileges

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/flow"
	"github.com/eni-operator/eni-operator/test/shipped"
)

const (
	namespace = shipped.Namespace
	account   = shipped.Account
	// uninstaller is the account of config/uninstall.
	uninstaller = "eni-operator-uninstaller"
)

// grant is a verb on a resource, perhaps of one name.
type grant struct{ group, resource, name, verb string }

func (g grant) String() string {
	text := strings.TrimPrefix(g.group+"/"+g.resource, "/")
	if g.name != "" {
		text += "/" + g.name
	}
	return g.verb + " " + text
}

// unused are granted although this test never sees them used, and why.
var unused = map[string]string{
	"list namespaces": informer,
	"list nodes":      informer,
	"get networking.eni-operator.dev/enipools": "asked of the API server, and not of the cache, before ENIs are made or given up because their pool seems gone",
	"patch events":               "client-go counts an event of the election that repeats by a patch",
	"patch events.k8s.io/events": "client-go counts an event that repeats by a patch",
}

// informer is why there is a verb that no watch of this API server needs.
const informer = "an informer begins with a list where the API server does not stream what there is (WatchList)"

// TestShippedPermissionsSufficeAndNothingOfThemIsUnused: those of config/self-managed,
// which has all of config/default and what own certificates take. The webhooks are asked
// all the time.
func TestShippedPermissionsSufficeAndNothingOfThemIsUnused(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit.log")
	route, routed := newServiceRoute(t)
	plane, err := controlplane.Start(t.Context(), controlplane.Options{AuditLog: audit, APIServerArgs: []string{routed}})
	assert.NilError(t, err)
	t.Cleanup(func() { assert.NilError(t, plane.Stop()) })
	w := flow.New(t, plane.Config)
	policy := w.IAMPolicy()
	w.Server.SetPolicy(flow.OperatorKey, policy)
	permitted := permittedActions(t, policy)
	granted := grantRoles(t, w, "config/self-managed")
	installWebhooks(t, w)
	token := flow.Token(t, w, namespace, account)
	kubeconfig := flow.Kubeconfig(t, plane.Config, token)

	binary := flow.Build(t)
	metrics := flow.FreeAddress(t)
	start := func(flags ...string) *flow.Operator {
		return w.Start(binary, kubeconfig, append(flags, "--leader-elect-namespace="+namespace)...)
	}
	address, flags := webhookFlags(t)
	operator := start(append(flags, "--metrics-bind-address="+metrics)...)
	operator.AwaitReady()
	route.replica.Store(address)
	awaitAsked(t, w)
	w.Join()
	w.Bind()
	w.Holdings()
	w.Change()
	scrape(t, w, metrics, token)
	router := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "router"},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: w.AddNode("m5.large"), Mode: v1alpha1.ModeExclusive},
	}
	assert.NilError(t, w.Create(t.Context(), router))
	ownRights := grantRoles(t, w, "config/uninstall")
	uninstall(t, w, binary, flow.Kubeconfig(t, plane.Config, flow.Token(t, w, namespace, uninstaller)), "delete")
	w.AwaitNothingLeft()

	t.Log("Stopped, it lets go of what it has")
	assert.NilError(t, w.Create(t.Context(), flow.Policy()))
	w.AddNode("m5.large")
	w.Bind()
	standby := rotate(t, w, route, start)
	removeWebhooks(t, w)
	assert.NilError(t, standby.Stop())
	assert.NilError(t, operator.Stop())
	uninstall(t, w, binary, kubeconfig, "abandon")
	assert.NilError(t, w.Delete(t.Context(), flow.Policy()))

	used, refused := uses(t, audit, shipped.User)
	assert.DeepEqual(t, refused, []string(nil))
	assert.DeepEqual(t, neverUsed(granted, used), []string(nil))
	byUninstaller, refused := uses(t, audit, "system:serviceaccount:"+namespace+":"+uninstaller)
	assert.DeepEqual(t, refused, []string(nil))
	assert.DeepEqual(t, neverUsed(ownRights, byUninstaller), []string(nil))
	for excuse := range unused {
		assert.Assert(t, slices.ContainsFunc(slices.Collect(maps.Keys(granted)), func(g grant) bool { return g.String() == excuse }), "%s is not granted", excuse)
	}
	assert.DeepEqual(t, usedActions(w), permitted)
}

// grantRoles makes the service account and its roles as a folder ships them, and says
// what it may do.
func grantRoles(t *testing.T, w *flow.World, folder string) map[grant]bool {
	t.Helper()
	assert.NilError(t, shipped.Grant(t.Context(), w, folder))
	return shippedGrants(t, folder)
}

// shippedGrants is what the roles of a folder allow that are bound to the service account.
func shippedGrants(t *testing.T, folder string) map[grant]bool {
	t.Helper()
	granted := map[grant]bool{}
	bound := map[string]bool{}
	all := manifests(t, folder)
	for _, object := range all {
		if strings.HasSuffix(object.GetKind(), "RoleBinding") {
			name, _, err := unstructured.NestedString(object.Object, "roleRef", "name")
			assert.NilError(t, err)
			bound[name] = true
		}
	}
	for _, object := range all {
		if !bound[object.GetName()] || !strings.HasSuffix(object.GetKind(), "Role") {
			continue
		}
		role := rbacv1.ClusterRole{}
		assert.NilError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role))
		for _, rule := range role.Rules {
			spell(rule, granted)
		}
	}
	assert.Assert(t, len(granted) > 0)
	return granted
}

// manifests are what kustomize makes of a folder.
func manifests(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	all, err := shipped.Manifests(folder)
	assert.NilError(t, err)
	return all
}

// spell adds each verb that a rule grants.
func spell(rule rbacv1.PolicyRule, into map[grant]bool) {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, name := range names {
				for _, verb := range rule.Verbs {
					into[grant{group, resource, name, verb}] = true
				}
			}
		}
	}
}

// uses reads from the audit log what an account did, and what it was refused.
func uses(t *testing.T, path, user string) (used map[grant]bool, refused []string) {
	t.Helper()
	file, err := os.Open(path)
	assert.NilError(t, err)
	defer func() { _ = file.Close() }()
	used = map[grant]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb           string
			RequestURI     string
			User           struct{ Username string }
			ObjectRef      *struct{ APIGroup, Resource, Subresource, Name string }
			ResponseStatus struct{ Code int }
			Annotations    map[string]string
		}
		assert.NilError(t, json.Unmarshal(lines.Bytes(), &event))
		if event.User.Username != user {
			continue
		}
		// A webhook's refusal has the code of RBAC's, but not its decision.
		if event.Annotations["authorization.k8s.io/decision"] == "forbid" || event.ResponseStatus.Code == http.StatusUnauthorized {
			refused = append(refused, event.Verb+" "+event.RequestURI)
			continue
		}
		if ref := event.ObjectRef; ref != nil {
			resource := strings.TrimSuffix(ref.Resource+"/"+ref.Subresource, "/")
			used[grant{ref.APIGroup, resource, "", event.Verb}] = true
			used[grant{ref.APIGroup, resource, ref.Name, event.Verb}] = true
		}
	}
	assert.NilError(t, lines.Err())
	return used, refused
}

// neverUsed are the rights of which nothing was seen, without those that have an excuse.
func neverUsed(granted, used map[grant]bool) []string {
	var never []string
	for g := range granted {
		if !used[g] && unused[g.String()] == "" {
			never = append(never, g.String())
		}
	}
	return never
}

// scrape reads the metrics as Prometheus does, with a token of an account that the
// role metrics-reader is bound to; others are refused.
func scrape(t *testing.T, w *flow.World, address, operatorToken string) {
	t.Helper()
	scraper := metav1.ObjectMeta{Namespace: flow.Namespace, Name: "prometheus"}
	assert.NilError(t, w.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: scraper}))
	assert.NilError(t, w.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "eni-operator-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: scraper.Namespace, Name: scraper.Name}},
	}))
	https := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // as the ServiceMonitor has it
	ask := func(token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/metrics", http.NoBody)
		assert.NilError(t, err)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := https.Do(request)
		assert.NilError(t, err)
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		assert.NilError(t, err)
		return response.StatusCode, string(body)
	}
	status, _ := ask("")
	assert.Equal(t, status, http.StatusUnauthorized)
	status, _ = ask(operatorToken)
	assert.Equal(t, status, http.StatusForbidden)
	flow.Eventually(t, "the scraper reads metrics", func() error { // the binding takes a moment to be seen
		status, body := ask(flow.Token(t, w, scraper.Namespace, scraper.Name))
		if status != http.StatusOK || !strings.Contains(body, "controller_runtime_reconcile_total") {
			return fmt.Errorf("status %d: %.100s", status, body)
		}
		return nil
	})
}

// uninstall runs the operator's binary as the Job of config/uninstall does.
func uninstall(t *testing.T, w *flow.World, binary, kubeconfig, mode string) {
	t.Helper()
	job := w.Start(binary, kubeconfig, "--uninstall="+mode, "--leader-elect-namespace="+namespace)
	select {
	case <-job.Done():
		assert.NilError(t, job.Wait(), job.Log())
	case <-time.After(2 * time.Minute):
		t.Fatalf("--uninstall=%s does not end:\n%s", mode, job.Log())
	}
}
