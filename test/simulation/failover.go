/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/eni-operator/eni-operator/test/simulation/apiserver"
)

// clocks are what happens to the replicas' wall clocks.
func clocks() []adversary {
	return []adversary{
		{"clocks", "a clock steps", 3, stepClock},
		{"clocks", "the clocks differ", 2, skewClocks},
		{"clocks", "the clocks are right again", 1, func(w *world, _ *rand.Rand) string {
			for _, r := range w.replicas {
				r.clock.set(0)
			}
			return "the clocks are right again"
		}},
	}
}

func aStep(rng *rand.Rand) time.Duration {
	most := []time.Duration{10 * time.Second, 10 * time.Minute, 26 * time.Hour}[rng.IntN(3)]
	return time.Duration(rng.Int64N(2*int64(most))) - most
}

func stepClock(w *world, rng *rand.Rand) string {
	r, by := w.replicas[rng.IntN(len(w.replicas))], aStep(rng)
	w.stepClock(r, by)
	return fmt.Sprintf("the clock of %s steps by %s", r.name, by.Round(time.Second))
}

func (w *world) stepClock(r *replica, by time.Duration) {
	r.clock.step(by)
	w.referee.ClockStepped()
}

func skewClocks(w *world, rng *rand.Rand) string {
	text := "the clocks are off by"
	for _, r := range w.replicas {
		off := aStep(rng)
		r.clock.set(off)
		w.referee.ClockStepped()
		text += fmt.Sprintf(" %s (%s)", off.Round(time.Second), r.name)
	}
	return text
}

// corrections put clocks right that were wrong for a while, as a time service does a moment
// after a machine has started. What was stored in between keeps its times.
func corrections() []adversary {
	return []adversary{
		{"corrections", "a clock is wrong for a while", 1, wrongForAWhile},
	}
}

func wrongForAWhile(w *world, rng *rand.Rand) string {
	r, by, wait := w.replicas[rng.IntN(len(w.replicas))], aStep(rng), time.Duration(rng.Int64N(int64(3*time.Minute)))
	w.stepClock(r, by)
	w.later(wait, func() { w.stepClock(r, -by) })
	return fmt.Sprintf("the clock of %s is wrong by %s for %s", r.name, by.Round(time.Second), wait.Round(time.Second))
}

// failovers end processes.
func failovers() []adversary {
	return []adversary{
		{"failover", "the leader is told to end", 2, endLeader},
		{"failover", "the leader crashes", 3, crashLeader},
		{"failover", "the leader crashes at a call", 5, crashAtCall},
		{"failover", "all replicas crash", 1, crashAll},
		{"failover", "the leader is cut off from Kubernetes", 2, cutLeader},
	}
}

// leader is the replica that leads, or any.
func (w *world) leader(rng *rand.Rand) *replica {
	for _, r := range w.replicas {
		if p := r.current(); p != nil && w.referee.Leads(p.connection.Name) {
			return r
		}
	}
	return w.replicas[rng.IntN(len(w.replicas))]
}

func endLeader(w *world, rng *rand.Rand) string {
	r := w.leader(rng)
	w.disturbed(time.Minute)
	if p := r.current(); p != nil {
		p.cancel()
	}
	return r.name + " is told to end, and starts again"
}

func crashLeader(w *world, rng *rand.Rand) string {
	r, lose := w.leader(rng), rng.IntN(3) == 0
	w.disturbed(2 * time.Minute)
	r.crash(lose)
	return fmt.Sprintf("%s crashes (its snapshot is lost: %t)", r.name, lose)
}

func crashAtCall(w *world, rng *rand.Rand) string {
	r := w.leader(rng)
	w.disturbed(2 * time.Minute)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.crashIn, r.crashThen, r.crashWhat = 1+rng.IntN(12), rng.IntN(2) == 0, []string{"ec2", "kubernetes"}[rng.IntN(2)]
	when := "before"
	if r.crashThen {
		when = "after"
	}
	return fmt.Sprintf("%s will crash %s write %d to %s", r.name, when, r.crashIn, r.crashWhat)
}

func crashAll(w *world, rng *rand.Rand) string {
	w.disturbed(2 * time.Minute)
	for _, r := range w.replicas {
		r.crash(rng.IntN(2) == 0)
	}
	return "all replicas crash"
}

func cutLeader(w *world, rng *rand.Rand) string {
	r, wait := w.leader(rng), aWhile(rng)
	w.disturbed(wait + 2*time.Minute)
	r.disturb(func(t *apiserver.Trouble) { t.Cut = true })
	if p := r.current(); p != nil {
		p.connection.BreakWatches("", false)
	}
	w.later(wait, func() { r.disturb(func(t *apiserver.Trouble) { t.Cut = false }) })
	return fmt.Sprintf("%s is cut off from Kubernetes for %s", r.name, wait.Round(time.Second))
}

// networks are what goes wrong between the replicas and Kubernetes.
func networks() []adversary {
	return []adversary{
		{"network", "watches lag", 5, lagWatches},
		{"network", "watches break", 2, breakWatches},
		{"network", "requests go wrong", 3, troubleRequests},
	}
}

var watched = []string{"nodes", "enipools", "eniclaims", "elasticnetworkinterfaces", "enipolicies"}

func lagWatches(w *world, rng *rand.Rand) string {
	return w.lagWatchesOf(rng, w.replicas[rng.IntN(len(w.replicas))])
}

func (w *world) lagWatchesOf(rng *rand.Rand, r *replica) string {
	resource := watched[rng.IntN(len(watched))]
	lag, wait := time.Duration(rng.Int64N(int64(40*time.Second))), aWhile(rng)
	w.disturbed(wait)
	r.disturb(func(t *apiserver.Trouble) {
		lags := map[string]time.Duration{resource: lag}
		for name, other := range t.Lag {
			if name != resource {
				lags[name] = other
			}
		}
		t.Lag = lags
	})
	w.later(wait, func() { r.disturb(func(t *apiserver.Trouble) { t.Lag = nil }) })
	return fmt.Sprintf("%s sees %s %s late for %s", r.name, resource, lag.Round(time.Second), wait.Round(time.Second))
}

func breakWatches(w *world, rng *rand.Rand) string {
	return w.breakWatchesOf(rng, w.replicas[rng.IntN(len(w.replicas))])
}

func (*world) breakWatchesOf(rng *rand.Rand, r *replica) string {
	resource, expire := watched[rng.IntN(len(watched))], rng.IntN(2) == 0
	if p := r.current(); p != nil {
		p.connection.BreakWatches(resource, expire)
	}
	return fmt.Sprintf("the watch of %s breaks on %s (it cannot go on: %t)", resource, r.name, expire)
}

func troubleRequests(w *world, rng *rand.Rand) string {
	return w.troubleRequestsOf(rng, w.replicas[rng.IntN(len(w.replicas))])
}

func (w *world) troubleRequestsOf(rng *rand.Rand, r *replica) string {
	wait := aWhile(rng)
	w.disturbed(wait)
	refused, lost, failed := rng.Float64()*0.2, rng.Float64()*0.2, rng.Float64()*0.2
	r.disturb(func(t *apiserver.Trouble) {
		t.Refused, t.Lost, t.Failed, t.Throttled, t.Latency = refused, lost, failed, failed, 2*time.Second
	})
	w.later(wait, func() {
		r.disturb(func(t *apiserver.Trouble) {
			t.Refused, t.Lost, t.Failed, t.Throttled, t.Latency = 0, 0, 0, 0, usualLatency
		})
	})
	return fmt.Sprintf("for %s requests of %s to Kubernetes are refused (%.0f %%), lost (%.0f %%) or fail (%.0f %%)",
		wait.Round(time.Second), r.name, 100*refused, 100*lost, 100*failed)
}

// usualLatency is the longest that Kubernetes takes for an answer on a good day.
const usualLatency = 20 * time.Millisecond
