/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package simulation plays whole histories of a cluster: two replicas of the unmodified
// operator, an API server in memory and the EC2 emulator, in one process and on virtual
// time, so that hours pass in a second. README.md says how to use it.
package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/promises"
	"github.com/eni-operator/eni-operator/test/simulation/apiserver"
)

// heartbeat counts the virtual minutes of all stories.
var heartbeat atomic.Int64

// record is how a story went.
type record struct {
	Seed    uint64
	Broken  []broken
	Lines   []string
	Played  []string      // the adversaries that did something
	Virtual time.Duration // how long the story was in the end
}

// broken is a promise that was not kept.
type broken struct {
	At            time.Duration
	Promise, What string
}

func (b broken) String() string { return fmt.Sprintf("%s  %s: %s", at(b.At), b.Promise, b.What) }

// broke reports whether a story broke a promise.
func (r record) broke(promise string) bool {
	return slices.ContainsFunc(r.Broken, func(b broken) bool { return b.Promise == promise })
}

// text is the story for people.
func (r record) text() string {
	var out strings.Builder
	for _, line := range r.Lines {
		fmt.Fprintln(&out, line)
	}
	out.WriteString("broken promises:\n")
	for _, b := range r.Broken {
		fmt.Fprintln(&out, b)
	}
	return out.String()
}

// play plays a story. It ends early once a promise of this name is broken; "" plays
// to the end.
func play(t *testing.T, s story, until string) (result record) {
	folder := t.TempDir()
	defer func() {
		// Goroutines of client-go may stay behind when a manager ends; the story is over.
		if cause := recover(); cause != nil && !strings.Contains(fmt.Sprint(cause), "blocked goroutines remain") {
			panic(cause)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p := &player{story: s, until: until, played: map[string]bool{}}
		var err error
		if p.world, err = newWorld(ctx, s.Seed, folder); err != nil {
			t.Errorf("seed %d: %v", s.Seed, err)
			return
		}
		p.run(ctx)
		result = p.record()
	})
	return result
}

// player plays one story.
type player struct {
	*world
	story  story
	until  string
	played map[string]bool
}

// record writes down how the story went.
func (p *player) record() record {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := record{Seed: p.story.Seed, Lines: slices.Clone(p.lines), Played: slices.Sorted(maps.Keys(p.played)), Virtual: time.Since(p.start)}
	for _, v := range p.referee.Violations() {
		r.Broken = append(r.Broken, broken{At: v.At.Sub(p.start), Promise: v.Promise, What: v.What})
	}
	return r
}

func (p *player) run(ctx context.Context) {
	for _, r := range p.replicas {
		r.trouble = apiserver.Trouble{Latency: usualLatency, AnyLag: 50 * time.Millisecond}
		go r.run()
	}
	defer func() {
		for _, r := range p.replicas {
			r.stop()
		}
	}()
	background, end := context.WithCancel(ctx)
	defer end()
	go p.api.Run(background)
	go p.tick(background)
	for _, next := range p.story.Steps {
		if !p.sleepUntil(next.At) {
			return
		}
		p.inTurn(func() { p.step(next) })
	}
	if p.sleepUntil(p.story.Length) && p.settle() {
		p.uninstall()
	}
}

// step plays one step of the story.
func (p *player) step(next step) {
	rng := rand.New(rand.NewPCG(next.Seed, 6)) //nolint:gosec // repeatable, not secret
	if what := adversaryNamed(next.Adversary).play(p.world, rng); what != "" {
		p.played[next.Adversary] = true
		p.tell("%s", what)
	}
}

// sleepUntil lets time pass; false means that the story ends early.
func (p *player) sleepUntil(when time.Duration) bool {
	for time.Since(p.start) < when {
		time.Sleep(min(time.Minute, when-time.Since(p.start)))
		if p.broken() {
			return false
		}
	}
	return true
}

// broken reports whether a violation that was waited for is there.
func (p *player) broken() bool {
	if p.until == "" {
		return false
	}
	return slices.ContainsFunc(p.referee.Violations(), func(v promises.Violation) bool { return v.Promise == p.until })
}

// tick has the referee look every minute, and holders renew.
func (p *player) tick(ctx context.Context) {
	for minute := 1; ; minute++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Minute):
		}
		heartbeat.Add(1)
		p.referee.Minute(p.calm())
		for _, refused := range p.api.Refusals() {
			ours := strings.Contains(refused, "replica-") || strings.HasPrefix(refused, "webhook ")
			if ours && !p.nodeCameBack(refused) {
				p.referee.Foul(promises.WritesAccept, refused)
			}
		}
		if minute%3 == 0 {
			p.renew()
		}
	}
}

// nodeCameBack reports whether a write was refused since a Node is there that came back a
// moment ago, when the operator had waited for it as long as it should.
func (p *player) nodeCameBack(refused string) bool {
	if !strings.Contains(refused, "and its Node is there") {
		return false
	}
	return slices.ContainsFunc(p.nodeNames(), func(name string) bool {
		found := node(name)
		err := p.Get(p.ctx, client.ObjectKeyFromObject(found), found)
		return strings.HasPrefix(refused, "enipools of "+name+" ") && err == nil && time.Since(found.CreationTimestamp.Time) < 2*time.Minute
	})
}

// How long everything may take to settle, how long what the operator waits for by itself
// may still come, and how long nothing happens then. A lease of 10 minutes runs out
// after a failover; what its claim held rests, and is surplus for the 10 minutes of
// --idle-release-after, which start again after a clock has stepped back.
const (
	settleMost = 90 * time.Minute
	waitsMost  = 45 * time.Minute
	restTime   = 15 * time.Minute
)

// settle ends all adversaries, waits until everything is as it should be, and reports
// whether it is.
func (p *player) settle() bool {
	p.inTurn(p.repair)
	p.tell("the adversaries end")
	end := time.Now().Add(settleMost)
	var left []string
	for time.Now().Before(end) {
		time.Sleep(5 * time.Minute)
		if left = p.referee.Unsettled(); len(left) == 0 || p.broken() {
			break
		}
	}
	p.foul(left)
	if len(left) > 0 || p.broken() {
		return false
	}
	time.Sleep(waitsMost)
	p.referee.Rest()
	time.Sleep(restTime)
	p.referee.Rested()
	left = p.referee.Unsettled()
	p.foul(left)
	return len(left) == 0 && !p.broken()
}

// foul notes what has not settled, with what the pools say then.
func (p *player) foul(unsettled []string) {
	for _, problem := range unsettled {
		promise, what, _ := strings.Cut(problem, ": ")
		p.referee.Foul(promise, what)
	}
	if len(unsettled) == 0 {
		return
	}
	for _, pool := range p.pools() {
		status, err := json.Marshal(pool.Status)
		p.ignore(err)
		p.tell("  pool %s: %s", pool.Name, status)
	}
}

// repair undoes what the adversaries left behind, as the cluster's owners would.
func (p *player) repair() {
	p.repairing.Store(true)
	p.calming.Store(true)
	defer p.repairing.Store(false)
	p.cloud.ClearFaults()
	for _, r := range p.replicas {
		r.mu.Lock()
		wrong := r.astray != nil
		r.astray, r.blind, r.crashIn = nil, blindness{}, 0
		r.mu.Unlock()
		r.disturb(func(t *apiserver.Trouble) {
			*t = apiserver.Trouble{Latency: usualLatency, AnyLag: 50 * time.Millisecond}
		})
		if current := r.current(); wrong && current != nil {
			current.cancel()
		}
	}
	p.mu.Lock()
	clear(p.locked)
	p.mu.Unlock()
	p.restoreNamespaces()
	p.restoreBackups()
	p.repairPolicies()
	p.repairCloud()
	p.repairNodes()
	for _, object := range p.subjects() {
		if object.GetAnnotations() != nil {
			p.annotate(object, "networking.eni-operator.dev/paused", nil)
		}
	}
	p.disturbed(0)
}

func (p *player) repairPolicies() {
	p.restorePolicies()
	for _, wanted := range p.policies {
		p.insist(func() error {
			stored := wanted.DeepCopy()
			if err := p.Get(p.ctx, client.ObjectKeyFromObject(wanted), stored); err != nil {
				return err
			}
			stored.Spec = *wanted.Spec.DeepCopy()
			return p.Update(p.ctx, stored)
		})
	}
}

// repairCloud takes away ENIs of others and retained ones, starts stopped instances
// and puts the subnets back into the selection.
func (p *player) repairCloud() {
	for _, name := range podSubnets {
		p.cloud.must("CreateTags", "ResourceId.1", p.cloud.subnets[name], "Tag.1.Key", "role", "Tag.1.Value", "pods")
	}
	for _, id := range p.reserved {
		_, _ = p.cloud.call("DeleteSubnetCidrReservation", "SubnetCidrReservationId", id) // It may be gone.
	}
	stands := map[string]bool{}
	resources := p.enis()
	for i := range resources {
		stands[resources[i].Status.NetworkInterfaceID] = true
		p.correctTags(&resources[i])
	}
	for _, eni := range p.cloud.Look(region).ENIs {
		ours := eni.Tags[promises.TagClusterUID] == p.referee.ClusterUID()
		retained := eni.Tags[promises.TagDeletionPolicy] == "Retain" && !stands[eni.ID]
		primary := eni.InstanceID != "" && eni.DeviceIndex == 0
		if (!ours || retained) && !primary {
			p.takeAway(eni)
		}
	}
	for _, name := range p.nodeNames() {
		p.startInstance(p.nodes[name])
		p.cloud.SetSick(region, p.nodes[name].instance, false)
	}
	p.referee.Look()
}

// correctTags gives an ENI its owner's tag again, if a person has taken it away.
func (p *player) correctTags(resource *v1alpha1.ElasticNetworkInterface) {
	for _, eni := range p.cloud.Look(region).ENIs {
		ours := eni.Tags[promises.TagClusterUID] == p.referee.ClusterUID()
		if ours && eni.ID == resource.Status.NetworkInterfaceID && eni.Tags[promises.TagUID] == "" {
			p.cloud.must("CreateTags", "ResourceId.1", eni.ID, "Tag.1.Key", promises.TagUID, "Tag.1.Value", string(resource.UID))
		}
	}
}

// takeAway deletes an ENI.
func (p *player) takeAway(eni emulator.ENIState) {
	if eni.AttachmentID != "" {
		_, _ = p.cloud.call("DetachNetworkInterface", "AttachmentId", eni.AttachmentID, "Force", "true")
		time.Sleep(8 * time.Second)
	}
	_, _ = p.cloud.call("DeleteNetworkInterface", "NetworkInterfaceId", eni.ID)
}

// repairNodes makes the Nodes what they should be.
func (p *player) repairNodes() {
	for name := range p.outlived {
		p.deleteNode(name)
	}
	for _, name := range p.nodeNames() {
		found := node(name)
		err := p.Get(p.ctx, client.ObjectKeyFromObject(found), found)
		if err == nil && promises.InstanceOf(found) != p.nodes[name].instance {
			p.deleteNode(name)
		}
		p.addMissing(name)
		p.label(name, "pool", "general")
		p.label(name, "tier", nil)
	}
}
