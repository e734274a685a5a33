/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/promises"
	"github.com/eni-operator/eni-operator/test/simulation/apiserver"
)

// inWorld runs a test in a world whose replicas run.
func inWorld(t *testing.T, test func(t *testing.T, p *player)) {
	t.Helper()
	folder := t.TempDir()
	defer func() {
		if cause := recover(); cause != nil && !strings.Contains(fmt.Sprint(cause), "blocked goroutines remain") {
			panic(cause)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w, err := newWorld(ctx, 1, folder)
		assert.NilError(t, err)
		for _, r := range w.replicas {
			r.trouble = apiserver.Trouble{Latency: usualLatency}
			go r.run()
		}
		defer func() {
			for _, r := range w.replicas {
				r.stop()
			}
		}()
		go w.api.Run(ctx)
		p := &player{world: w, played: map[string]bool{}}
		go p.tick(ctx)
		time.Sleep(5 * time.Minute)
		test(t, p)
	})
}

// refusedClaim is a claim of a Node that no policy selects.
func (w *world) refusedClaim(name string) *v1alpha1.ENIClaim {
	return &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[0], Name: name}, Spec: v1alpha1.ENIClaimSpec{NodeName: w.nodeNames()[0], Mode: v1alpha1.ModeShared},
	}
}

func TestOperatorsRefusalReachesPeople(t *testing.T) {
	inWorld(t, func(t *testing.T, p *player) {
		p.label(p.nodeNames()[0], "pool", nil)
		time.Sleep(time.Minute)
		err := p.Create(p.ctx, p.refusedClaim("a"))
		assert.Assert(t, denied(err), "%v", err)
		assert.ErrorContains(t, err, "no ENIPolicy selects this Node")

		p.replicas[0].stop()
		assert.Assert(t, denied(p.Create(p.ctx, p.refusedClaim("b"))), "the other replica answers")
		p.replicas[1].disturb(func(trouble *apiserver.Trouble) { trouble.Cut = true })
		began := time.Now()
		err = p.Create(p.ctx, p.refusedClaim("c"))
		assert.Assert(t, apierrors.IsInternalError(err), "%v", err)
		assert.Equal(t, time.Since(began), 5*time.Second, "the configured timeout")
		p.replicas[1].stop()
		err = p.Create(p.ctx, p.refusedClaim("d"))
		assert.ErrorContains(t, err, "no endpoints available")
		time.Sleep(time.Minute)
		assert.Equal(t, len(p.referee.Violations()), 0, "%v: what people are refused is no broken promise", p.referee.Violations())
	})
}

func TestBrokenWebhookBreaksAPromise(t *testing.T) {
	inWorld(t, func(t *testing.T, p *player) {
		for _, r := range p.replicas {
			r.current().hooks.mux = http.NewServeMux() // It knows no path.
		}
		assert.Assert(t, apierrors.IsInternalError(p.Create(p.ctx, p.refusedClaim("a"))))
		time.Sleep(time.Minute)
		violations := p.referee.Violations()
		assert.Equal(t, len(violations), 1)
		assert.Equal(t, violations[0].Promise, promises.WritesAccept)
		assert.Assert(t, strings.Contains(violations[0].What, "is broken: it answers with status 404"), violations[0].What)
	})
}
