/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package lease

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kubernetes answers the reads of a pulse at once, while it can be reached.
type kubernetes struct {
	client.Reader
	reads atomic.Int32
	down  atomic.Bool
}

func (k *kubernetes) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	k.reads.Add(1)
	if k.down.Load() {
		return errOutOfReach
	}
	return nil
}

func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		k := &kubernetes{}
		p := &pulse{live: k, clock: clock.RealClock{}, grace: grace}
		assert.Assert(t, p.NeedLeaderElection())
		begun := time.Now()
		go func() { assert.Check(t, p.Start(ctx)) }()
		at := func(d time.Duration, since time.Duration, still bool) {
			t.Helper()
			time.Sleep(time.Until(begun.Add(d)))
			synctest.Wait()
			reachedSince, reached := p.reached(time.Now())
			assert.Equal(t, reachedSince.Sub(begun), since)
			assert.Equal(t, reached, still)
		}
		at(0, 0, true)
		at(time.Minute, 0, true)
		assert.Equal(t, k.reads.Load(), int32(13)) // One at once, then one each quarter of the grace.

		k.down.Store(true)
		at(time.Minute+grace, 0, true)
		k.down.Store(false)
		at(time.Minute+grace+time.Second, 0, false) // Nobody has asked again yet.
		at(2*time.Minute, 85*time.Second, true)     // The beat at 1:25 was the first to come through.

		k.down.Store(true)
		at(2*time.Minute+grace+time.Second, 85*time.Second, false)
		cancel()
		synctest.Wait()
	})
}
