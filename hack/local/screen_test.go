package main

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func plain(_ row, padded string) string { return padded }

func TestTable(t *testing.T) {
	p, _ := testWorld()
	p.claims[0].Status = v1alpha1.ENIClaimStatus{}
	got := strings.Join(layout(rowsOf(p), plain), "\n")
	want := `
NODE, ENI, CLAIM          KIND             STATE       DETAILS
ip-10-0-1-4.ec2.internal  node, m5.large   Pool ready  us-east-1a, 1 of 2 IPs held, 1 of 1 exclusive held
  i-0123456789abcdef0-1   shared ENI       Attached    eni-of-i-0123456789abcdef0-1 10.0.1.10 + 2 IPs, index 1
  i-0123456789abcdef0-2   exclusive ENI    Attached    eni-of-i-0123456789abcdef0-2 10.0.1.20 + 0 IPs, index 2
  shop/router-0           exclusive claim  Pending     ` + `
  shop/web-0              shared claim     Bound       10.0.1.11 on i-0123456789abcdef0-1`
	if "\n"+got != want {
		t.Errorf("got:\n%s", got)
	}
}

// What belongs to a Node that is gone is shown until it is gone too.
func TestTableOfALostNode(t *testing.T) {
	p, _ := testWorld()
	p.nodes = nil
	rows := rowsOf(p)
	if len(rows) != 5 || rows[0].state != "Node gone" || rows[0].ready {
		t.Errorf("got %+v", rows)
	}
	if rows := rowsOf(picture{nodes: []corev1.Node{*nodeOf(testEC2Instance())}}); rows[0].state != "No pool" {
		t.Errorf("got %+v", rows)
	}
}

func TestPlainScreenTellsChangesOnly(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out, started: time.Now(), lines: map[string]string{}}
	p, _ := testWorld()
	s.show(rowsOf(p), nil)
	if n := strings.Count(out.String(), "\n"); n != 5 {
		t.Errorf("%d lines for 5 rows:\n%s", n, out.String())
	}

	out.Reset()
	s.show(rowsOf(p), nil)
	if out.Len() > 0 {
		t.Errorf("nothing changed, but:\n%s", out.String())
	}

	p.enis[0].Status.State = v1alpha1.ENIDetaching
	p.claims = p.claims[1:]
	s.show(rowsOf(p), nil)
	for _, want := range []string{"Detaching", "shop/router-0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines for 2 changes:\n%s", n, out.String())
	}
}

func TestFit(t *testing.T) {
	tests := []struct{ line, want string }{
		{"short", "short"},
		{"1234567890", "123456789" + reset},
		{green + "123" + reset + "4567890", green + "123" + reset + "456789" + reset},
		{green + "✓" + reset + " fits", green + "✓" + reset + " fits"},
	}
	for _, test := range tests {
		if got := fit(test.line, 10); got != test.want {
			t.Errorf("fit(%q) = %q, want %q", test.line, got, test.want)
		}
	}
}

func TestStopwatch(t *testing.T) {
	var w stopwatch
	w.start()
	p, _ := testWorld()
	w.observe(rowsOf(p))
	w.stop()
	w.observe([]row{{name: "late", kind: "shared ENI", ready: true}})
	got := strings.Join(w.summary(), "\n")
	for _, want := range []string{testNode, "(m5.large)", "shared ENIs", "exclusive claims", "everything"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if len(w.ready) != 5 {
		t.Errorf("got %v", w.ready)
	}
}
