package main

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestNotReady(t *testing.T) {
	tests := []struct {
		name   string
		change func(*picture)
		want   string // empty: ready
	}{
		{"all there", func(*picture) {}, ""},
		{"an operator that does nothing", func(p *picture) {
			*p = picture{nodes: p.nodes, claims: p.claims}
			p.claims[0].Status, p.claims[1].Status = v1alpha1.ENIClaimStatus{}, v1alpha1.ENIClaimStatus{}
		}, "pool " + testNode + " (not made yet); claim router-0 (no status yet); claim web-0 (no status yet)"},
		{"nothing applied", func(p *picture) { *p = picture{} }, "pool " + testNode + " (not made yet); 0 of 2 claims"},
		{"a pool that grows", func(p *picture) { p.pools[0].Status.Shared.Desired = 8 }, "pool " + testNode + " (shared addresses)"},
		{"a pool without its exclusive ENIs", func(p *picture) { p.pools[0].Status.Exclusive = nil }, "pool " + testNode + " (exclusive ENIs)"},
		{"a status of an older spec", func(p *picture) { p.enis[0].Generation = 2 }, "ENI " + testShared + " (status is of an older spec)"},
		{"a claim that waits", func(p *picture) {
			p.claims[1].Status.Conditions = []metav1.Condition{{
				Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "PoolGrowing", Message: "wait",
			}}
		}, "claim web-0 (PoolGrowing: wait)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, _ := testWorld()
			test.change(&p)
			if got := strings.Join(notReady(p, []string{testNode}, 2), "; "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestNotGone(t *testing.T) {
	p, _ := testWorld()
	p.claims[1].Status.Phase = v1alpha1.ClaimLost
	got := strings.Join(notGone(p, testNode), "; ")
	want := "pool " + testNode + "; ENI " + testShared + "; ENI " + testExclusive + "; claim router-0 (Bound, not Lost)"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if other := notGone(p, "another"); other != nil {
		t.Errorf("another node lacks %v", other)
	}
}

func TestRemaining(t *testing.T) {
	p, _ := testWorld()
	if got := remaining(p); len(got) != 6 || got[0] != "policy general" {
		t.Errorf("got %q", got)
	}
	if got := remaining(picture{nodes: p.nodes}); got != nil {
		t.Errorf("a Node is not ours to remove: %q", got)
	}
}

func TestNotReadyNamesADeletedObject(t *testing.T) {
	p, _ := testWorld()
	now := metav1.NewTime(time.Unix(0, 0))
	p.enis[0].DeletionTimestamp = &now
	if got := strings.Join(notReady(p, []string{testNode}, 2), "; "); !strings.Contains(got, "being deleted") {
		t.Errorf("got %q", got)
	}
}
