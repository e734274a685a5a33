/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// machine is a node of the fleet.
type machine struct {
	name     string
	instance string
	mode     v1alpha1.Mode
	claims   []string
}

// most is how many claims a machine has.
func (m machine) most() int {
	if m.mode == v1alpha1.ModeExclusive {
		return 3
	}
	return 12
}

const (
	// beat is the pause between two changes of the fleet's load.
	beat = 50 * time.Millisecond
	// replaceEvery is after how many of them a machine is replaced.
	replaceEvery = 100
)

// load has claims and machines come and go.
type load struct {
	kube     kubernetes
	cloud    *cloud
	rng      *rand.Rand
	machines []machine
	made     int
}

// join adds a machine to the fleet.
func (l *load) join(ctx context.Context) error {
	instance, err := l.cloud.launch(ctx)
	if err != nil {
		return err
	}
	l.made++
	m := machine{name: fmt.Sprintf("node-%04d.ec2.internal", l.made), instance: instance, mode: v1alpha1.ModeShared}
	if l.made%2 == 0 {
		m.mode = v1alpha1.ModeExclusive
	}
	l.machines = append(l.machines, m)
	return l.kube.register(ctx, m)
}

// run changes something at each beat until ctx ends; an error ends it, too. What it began
// it brings to an end: half a machine is none that anybody would leave behind.
func (l *load) run(ctx context.Context) error {
	whole := context.WithoutCancel(ctx)
	for beats := 1; ; beats++ {
		var err error
		if beats%replaceEvery == 0 {
			err = l.replace(whole)
		} else {
			err = l.change(whole)
		}
		if err != nil {
			return fmt.Errorf("changing the load: %w", err)
		}
		if !pause(ctx, wait.Jitter(beat, 1)) {
			return nil
		}
	}
}

// change makes a claim or releases one: the more a machine has, the likelier the
// latter.
func (l *load) change(ctx context.Context) error {
	m := &l.machines[l.rng.IntN(len(l.machines))]
	if l.rng.IntN(m.most()) >= len(m.claims) {
		l.made++
		name := fmt.Sprintf("claim-%05d", l.made)
		m.claims = append(m.claims, name)
		return l.kube.createClaim(ctx, *m, name)
	}
	at := l.rng.IntN(len(m.claims))
	name := m.claims[at]
	m.claims = slices.Delete(m.claims, at, at+1)
	return l.kube.deleteClaim(ctx, name)
}

// replace terminates a machine, whose claims go with it, and adds another.
func (l *load) replace(ctx context.Context) error {
	at := l.rng.IntN(len(l.machines))
	m := l.machines[at]
	l.machines = slices.Delete(l.machines, at, at+1)
	if err := l.cloud.terminate(ctx, m.instance); err != nil {
		return err
	}
	if err := l.kube.unregister(ctx, m); err != nil {
		return err
	}
	for _, claim := range m.claims {
		if err := l.kube.deleteClaim(ctx, claim); err != nil {
			return err
		}
	}
	return l.join(ctx)
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
