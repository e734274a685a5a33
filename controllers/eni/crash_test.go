/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// chapter is a part of an ENI's life, with what must be so at its end.
type chapter struct {
	name string
	turn func(w *world)
	end  func(w *world)
}

var life = []chapter{
	{
		name: "create",
		turn: func(w *world) { w.create(v1alpha1.ElasticNetworkInterfaceSpec{AddressCount: 3}) },
		end: func(w *world) {
			w.assertAgrees()
			assert.Equal(w.t, len(w.only().Addresses), 3)
			assert.Assert(w.t, w.only().Attachment.DeleteOnTermination)
		},
	},
	{
		name: "grow",
		turn: func(w *world) { w.edit(func(eni *v1alpha1.ElasticNetworkInterface) { eni.Spec.AddressCount = 5 }) },
		end: func(w *world) {
			w.assertAgrees()
			assert.Equal(w.t, len(w.only().Addresses), 5)
		},
	},
	{
		name: "shrink and change",
		turn: func(w *world) {
			names := w.eni().Status.Addresses[:2]
			w.edit(func(eni *v1alpha1.ElasticNetworkInterface) {
				eni.Spec.AddressCount = 3
				eni.Spec.Release = []v1alpha1.AddressOrPrefix{v1alpha1.AddressOrPrefix(names[0]), v1alpha1.AddressOrPrefix(names[1])}
				eni.Spec.Tags = map[string]v1alpha1.TagValue{"team": "payments"}
			})
		},
		end: func(w *world) {
			w.assertAgrees()
			assert.Equal(w.t, len(w.only().Addresses), 3)
			assert.Equal(w.t, w.only().Tags["team"], "payments")
		},
	},
	{
		name: "delete",
		turn: func(w *world) { w.delete() },
		end: func(w *world) {
			assert.Equal(w.t, len(w.owned()), 0, "ENIs left in EC2")
			assert.Assert(w.t, !w.exists())
		},
	},
}

// timings make attachments take their time.
func timings() emulator.Timings {
	return emulator.Timings{
		CreateENI: emulator.Span{Max: time.Second},
		Attach:    emulator.Span{Min: time.Second, Max: 3 * time.Second},
		Detach:    emulator.Span{Min: 2 * time.Second, Max: 3 * time.Second},
	}
}

// live goes through a life: its first chapters up to one, and its end. The process
// ends at each error if it is mortal.
func live(w *world, life []chapter, upTo int, cuts []func(int) cut, mortal bool) (points [][]string) {
	for i, chapter := range life {
		if i > upTo && i < len(life)-1 {
			continue
		}
		chapter.turn(w)
		w.wire.reset(cuts[i])
		for range settleSteps {
			result, err := w.once()
			if err == nil && result.RequeueAfter == 0 {
				break
			}
			w.clock.Step(max(result.RequeueAfter, time.Second))
			if err != nil && mortal {
				w.restart()
			}
		}
		points = append(points, w.wire.reset(nil))
		chapter.end(w)
	}
	return points
}

func never(int) cut { return whole }

func undisturbed() []func(int) cut { return []func(int) cut{never, never, never, never} }

// TestCrashMatrix cuts every call to EC2 and every write to Kubernetes of a life
// once, before and after its effect, with a new process after it. A process that
// goes on is another story only where EC2's answer was lost. Reads lag behind, so
// that the new process does not see at once what the old one did.
func TestCrashMatrix(t *testing.T) {
	e := newEndpoint(t)
	options := emulator.Options{Timings: timings(), Stale: emulator.StaleReads{
		NewENIs: 3 * time.Second, NewAddresses: 20 * time.Second, Detachments: 10 * time.Second,
	}}
	runs := cutEverywhere(t, life, func() *world { return newWorld(t, e, options) })
	assert.Assert(t, runs >= 60, "only %d runs", runs)
}

// cutEverywhere cuts each call of a life once, and returns how many lives it took.
func cutEverywhere(t *testing.T, life []chapter, begin func() *world) (runs int) {
	points := live(begin(), life, len(life), undisturbed(), false)
	for c := range life {
		for point, call := range points[c] {
			for _, how := range []cut{before, after} {
				for _, mortal := range []bool{false, true} {
					if !mortal && (how == before || strings.HasPrefix(call, "write")) {
						continue
					}
					runs++
					t.Run(fmt.Sprintf("%s/%d %s/%s/mortal=%t", life[c].name, point, call, how, mortal), func(t *testing.T) {
						cuts := undisturbed()
						cuts[c] = func(p int) cut {
							if p == point {
								return how
							}
							return whole
						}
						w := begin()
						w.t = t
						live(w, life, c, cuts, mortal)
					})
				}
			}
		}
	}
	return runs
}

// lives is how many lives full of trouble are tried.
const lives = 12

// TestTroubledLives cuts calls at random, many in one life.
func TestTroubledLives(t *testing.T) {
	e := newEndpoint(t)
	for seed := range uint64(lives) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // repeatable on purpose
			trouble := func(p int) cut {
				if p < 60 && dice.IntN(4) == 0 {
					return cut(1 + dice.IntN(2))
				}
				return whole
			}
			options := emulator.Options{Timings: timings(), Seed: seed}
			live(newWorld(t, e, options), life, len(life), []func(int) cut{trouble, trouble, trouble, trouble}, seed%2 == 0)
		})
	}
}

// TestStaleLife goes through a life while reads lag behind writes.
func TestStaleLife(t *testing.T) {
	e := newEndpoint(t)
	for _, stale := range []emulator.StaleReads{
		{NewENIs: 10 * time.Second},
		{NewAddresses: 10 * time.Second},
		{Detachments: 10 * time.Second},
		{NewENIs: 10 * time.Second, NewAddresses: 10 * time.Second, Detachments: 10 * time.Second},
	} {
		for _, mortal := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v mortal=%t", stale, mortal), func(t *testing.T) {
				live(newWorld(t, e, emulator.Options{Timings: timings(), Stale: stale}), life, len(life), undisturbed(), mortal)
			})
		}
	}
}
