/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/promises"
	"github.com/eni-operator/eni-operator/test/simulation/apiserver"
)

// ending is how the operator is uninstalled once a story has settled: by which mode of
// --uninstall, or not at all where it is empty.
type ending struct {
	Mode string
	Seed uint64
}

// endings are the modes of all endings.
var endings = []string{"", options.UninstallDelete, options.UninstallAbandon}

// endingOf draws the ending of a seed's story.
func endingOf(seed uint64) ending {
	rng := rand.New(rand.NewPCG(seed, 8)) //nolint:gosec // repeatable, not secret
	return ending{Mode: endings[rng.IntN(len(endings))], Seed: rng.Uint64()}
}

// uninstaller is the connection of the Job that uninstalls.
const uninstaller = "uninstaller"

const (
	// uninstallMost is how long people ask for an uninstallation again.
	uninstallMost = 90 * time.Minute
	// readying is how long an ENI that a person makes has to be there.
	readying = 5 * time.Minute
	// detaching is how long EC2 may still be busy with what the operator asked for last.
	detaching = time.Minute
	// returning is how long an operator that still runs has for what it should not do.
	returning = 15 * time.Minute
)

// uninstall ends the operator's work, as the story says.
func (p *player) uninstall() {
	mode := p.story.End.Mode
	if mode == "" {
		return
	}
	p.played[endingName(mode)] = true
	rng := rand.New(rand.NewPCG(p.story.End.Seed, 9)) //nolint:gosec // repeatable, not secret
	p.inTurn(func() { p.makeOwn(rng) })
	time.Sleep(readying)
	job := p.newReplica(uninstaller, rng.Uint64())
	job.trouble = apiserver.Trouble{Latency: usualLatency, AnyLag: 50 * time.Millisecond}
	if mode == options.UninstallDelete {
		p.deleteAll(job, rng)
		return
	}
	p.abandonAll(job, rng)
}

// endingName is what an ending is called in the table of what was played.
func endingName(mode string) string { return "the operator is uninstalled: " + mode }

// makeOwn has a person make an ENI without a pool, or have addresses on a primary ENI.
func (w *world) makeOwn(rng *rand.Rand) {
	node, ok := choose(rng, w.nodeNames())
	if !ok {
		return
	}
	own := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: "own-" + node},
		Spec:       v1alpha1.ElasticNetworkInterfaceSpec{NodeName: node, AddressCount: 1},
	}
	what := "an ENI"
	switch rng.IntN(3) {
	case 0:
		own.Spec.DeviceIndex = ptr.To[int32](0)
		what = "an address on the primary ENI"
	case 1:
		own.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain
		what = "an ENI that is to stay"
	}
	w.tell("a person makes %s: %s on %s", what, own.Name, node)
	w.insist(func() error { return w.Create(w.ctx, own.DeepCopy()) })
}

// deleteAll uninstalls by --uninstall=delete, while the operator runs.
func (p *player) deleteAll(job *replica, rng *rand.Rand) {
	if rng.IntN(2) == 0 { // Or the Job does.
		p.tell("people delete all claims")
		for _, claim := range p.claims() {
			p.insist(func() error { return client.IgnoreNotFound(p.Delete(p.ctx, &claim)) })
		}
	}
	p.referee.Uninstalling()
	p.hamper(rng, append(slices.Clone(p.replicas), job))
	if !p.runJob(job) {
		return
	}
	p.referee.Deleted()
	time.Sleep(returning) // Nothing returns before people remove the operator.
	p.referee.Deleted()
}

// abandonAll uninstalls by --uninstall=abandon, after the operator was stopped.
func (p *player) abandonAll(job *replica, rng *rand.Rand) {
	p.tell("all replicas are stopped")
	for _, r := range p.replicas {
		r.stop()
	}
	time.Sleep(detaching)
	p.referee.Uninstalling()
	p.hamper(rng, []*replica{job})
	if !p.runJob(job) {
		return
	}
	p.referee.Abandoned()
	p.tell("a person terminates all instances")
	p.terminateAll()
	p.referee.Outlived()
}

// terminateAll ends all instances, and waits until they are gone.
func (p *player) terminateAll() {
	for _, instance := range p.cloud.Look(region).Instances {
		for range 30 { // EC2 may throttle.
			if _, err := p.cloud.call("TerminateInstances", "InstanceId.1", instance.ID); err == nil {
				break
			}
			time.Sleep(time.Second)
		}
	}
	for range 10 {
		time.Sleep(time.Minute)
		left := slices.ContainsFunc(p.cloud.Look(region).Instances, func(i emulator.InstanceState) bool { return i.State != "terminated" })
		if !left {
			return
		}
	}
	panic("an instance does not end")
}

// hamper has something go wrong during the uninstallation, or nothing.
func (p *player) hamper(rng *rand.Rand, replicas []*replica) {
	ways := []func(*rand.Rand, *replica) string{
		func(rng *rand.Rand, _ *replica) string { return failCalls(p.world, rng) },
		func(rng *rand.Rand, _ *replica) string { return loseAnswers(p.world, rng) },
		p.lagWatchesOf, p.breakWatchesOf, p.troubleRequestsOf,
	}
	for range rng.IntN(4) {
		way := ways[rng.IntN(len(ways))]
		r := replicas[rng.IntN(len(replicas))]
		p.inTurn(func() { p.tell("%s", way(rng, r)) })
	}
}

// runJob runs the Job that uninstalls, again and again until it succeeds, and reports
// whether it did.
func (p *player) runJob(job *replica) bool {
	mode := p.story.End.Mode
	p.tell("the operator is uninstalled: --uninstall=%s", mode)
	failed := ""
	for end := time.Now().Add(uninstallMost); time.Now().Before(end); {
		err := job.uninstall(mode)
		if err == nil {
			p.tell("the uninstallation succeeds")
			return true
		}
		if p.broken() {
			return false
		}
		if text := err.Error(); text != failed {
			failed = text
			p.tell("the uninstallation fails, and is asked for again: %s", text)
		}
		time.Sleep(time.Minute)
	}
	p.referee.Foul(promises.EverythingEnd, fmt.Sprintf("--uninstall=%s does not succeed within %s: %s", mode, uninstallMost, failed))
	return false
}

// uninstall runs a process that uninstalls instead of operating.
func (r *replica) uninstall(mode string) error {
	ctx, cancel := context.WithCancel(r.w.ctx)
	process := r.start(cancel)
	defer process.end()
	o := operatorOptions("", false)
	o.Uninstall = mode
	api, fence, err := process.connect(ctx, o)
	if err != nil {
		return err
	}
	if o.Uninstall == options.UninstallDelete {
		return setup.UninstallDelete(ctx, process.connection.Config(), o)
	}
	return setup.UninstallAbandon(ctx, process.connection.Config(), api, fence, o)
}
