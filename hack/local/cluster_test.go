package main

import (
	"testing"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestNodeOfNamesItsInstance(t *testing.T) {
	node := nodeOf(testEC2Instance())
	if node.Name != testNode || node.Spec.ProviderID != "aws:///us-east-1a/"+testInstance {
		t.Errorf("got %s %s", node.Name, node.Spec.ProviderID)
	}
}

// The policy has to select the Nodes of the demo and to offer what the claims
// ask for.
func TestPolicyFitsClaimsAndNodes(t *testing.T) {
	policy, err := readPolicy()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range policy.Spec.NodeSelector.MatchLabels {
		if nodeOf(testEC2Instance()).Labels[key] != value {
			t.Errorf("the Nodes have no label %s=%s", key, value)
		}
	}
	asked := map[v1alpha1.Mode]map[string]int32{v1alpha1.ModeShared: {}, v1alpha1.ModeExclusive: {}}
	for _, claim := range claimsFor([]string{"a", "b", "c"}) {
		asked[claim.Spec.Mode][claim.Spec.NodeName]++
	}
	for node, n := range asked[v1alpha1.ModeShared] {
		if n > policy.Spec.Shared.MaximumIPs {
			t.Errorf("%s: %d shared claims", node, n)
		}
	}
	for node, n := range asked[v1alpha1.ModeExclusive] {
		if n > policy.Spec.Exclusive.Maximum {
			t.Errorf("%s: %d exclusive claims", node, n)
		}
	}
}

func TestParseOptions(t *testing.T) {
	got, err := parseOptions([]string{"--stay", "--operator", "/bin/x", "--timeout", "5s"})
	if want := (options{stay: true, operator: "/bin/x", timeout: 5 * time.Second}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = parseOptions(nil); err != nil || got.timeout != 3*time.Minute {
		t.Errorf("got %+v, %v", got, err)
	}
}
