/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// hosts are what happens to Nodes.
func hosts() []adversary {
	return []adversary{
		{"nodes", "a Node vanishes and returns", 4, vanishNode},
		{"nodes", "a Node returns with another instance", 3, replaceNode},
		{"nodes", "a Node loses its providerID", 3, loseProvider},
		{"nodes", "a Node loses its label", 2, loseLabel},
		{"nodes", "a Node gets another policy", 2, goldenLabel},
		{"nodes", "a node joins", 1, joinNode},
	}
}

// machines are what happens to the instances of Nodes.
func machines() []adversary {
	return []adversary{
		{"machines", "a Node outlives its instance", 2, outliveInstance},
		{"machines", "an instance changes its type quickly", 3, changeType},
		{"machines", "a node of several network cards joins", 2, joinCards},
	}
}

func node(name string) *corev1.Node { return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }

func (w *world) deleteNode(name string) { w.ignore(client.IgnoreNotFound(w.Delete(w.ctx, node(name)))) }

// aWhile is seconds, or minutes, or longer than anybody waits.
func aWhile(rng *rand.Rand) time.Duration {
	most := []time.Duration{30 * time.Second, 6 * time.Minute, 25 * time.Minute}[rng.IntN(3)]
	return time.Second + time.Duration(rng.Int64N(int64(most)))
}

func vanishNode(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	wait := aWhile(rng)
	w.deleteNode(name)
	w.later(wait, func() {
		if w.nodes[name] != nil {
			w.addNode(name)
		}
	})
	return fmt.Sprintf("Node %s vanishes for %s", name, wait.Round(time.Second))
}

func replaceNode(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	m := w.nodes[name]
	old, terminate := m.instance, rng.IntN(3) > 0
	wait := aWhile(rng)
	w.deleteNode(name)
	m.instance = w.cloud.launch(m.kind, m.zone)
	if terminate {
		w.later(time.Duration(rng.Int64N(int64(5*time.Minute))), func() {
			_, _ = w.cloud.call("TerminateInstances", "InstanceId.1", old)
			w.referee.Look()
		})
	}
	w.later(wait, func() {
		if w.nodes[name] != nil {
			w.addNode(name)
		}
	})
	return fmt.Sprintf("Node %s returns after %s with another instance (the old one, %s, ends: %t)", name, wait.Round(time.Second), old, terminate)
}

func loseProvider(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	// The field is immutable: the kubelet registers anew, and the cloud controller is late.
	wait := aWhile(rng)
	w.deleteNode(name)
	w.ignore(w.Create(w.ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": "general"}}}))
	m := w.nodes[name]
	w.later(wait, func() {
		w.ignore(client.IgnoreNotFound(w.patch(node(name), map[string]any{"spec": map[string]any{"providerID": "aws:///" + m.zone + "/" + m.instance}})))
	})
	return fmt.Sprintf("Node %s registers anew, without a providerID for %s", name, wait.Round(time.Second))
}

func (w *world) label(name, key string, value any) {
	w.ignore(client.IgnoreNotFound(w.patch(node(name), map[string]any{"metadata": map[string]any{"labels": map[string]any{key: value}}})))
}

func loseLabel(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	wait := aWhile(rng)
	w.label(name, "pool", nil)
	w.later(wait, func() { w.label(name, "pool", "general") })
	return fmt.Sprintf("Node %s loses its label for %s", name, wait.Round(time.Second))
}

func goldenLabel(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	wait := aWhile(rng)
	w.label(name, "tier", "gold")
	w.later(wait, func() { w.label(name, "tier", nil) })
	return fmt.Sprintf("Node %s is governed by policy gold for %s", name, wait.Round(time.Second))
}

func joinNode(w *world, rng *rand.Rand) string {
	const most = 6
	if len(w.nodes) >= most {
		return ""
	}
	kind := []string{"t3.medium", "m5.large", "m5.xlarge"}[rng.IntN(3)]
	return fmt.Sprintf("a node joins: %s (%s)", w.join(kind, zoneA), kind)
}

// joinCards adds a node whose ENIs are spread over several network cards.
func joinCards(w *world, rng *rand.Rand) string {
	const most = 6
	if len(w.nodes) >= most {
		return ""
	}
	const kind = "hpc7a.12xlarge" // two cards of two ENIs
	zone := []string{zoneA, zoneB}[rng.IntN(2)]
	return fmt.Sprintf("a node of several network cards joins: %s (%s)", w.join(kind, zone), kind)
}

// outliveInstance terminates an instance whose Node nobody deletes for long, as where no
// cloud controller runs.
func outliveInstance(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok || len(w.nodes) < 2 {
		return ""
	}
	_, err := w.cloud.call("TerminateInstances", "InstanceId.1", w.nodes[name].instance)
	w.referee.Look()
	delete(w.nodes, name)
	w.outlived[name] = true
	wait := time.Minute + time.Duration(rng.Int64N(int64(39*time.Minute)))
	w.later(wait, func() {
		w.deleteNode(name)
		delete(w.outlived, name)
	})
	return fmt.Sprintf("the instance of %s is terminated, and its Node stays for %s %v", name, wait.Round(time.Second), errorText(err))
}

// changeType changes the type of an instance and starts it as soon as it can.
func changeType(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	kinds := []string{"t3.medium", "m5.large", "m5.xlarge", "m5.4xlarge"}
	m, kind := w.nodes[name], kinds[rng.IntN(len(kinds))]
	_, err := w.cloud.call("StopInstances", "InstanceId.1", m.instance, "Force", "true")
	for range 30 {
		if _, err = w.cloud.call("ModifyInstanceAttribute", "InstanceId", m.instance, "InstanceType.Value", kind); err == nil {
			m.kind = kind
			break
		}
		time.Sleep(time.Second)
	}
	w.startInstance(m)
	return fmt.Sprintf("the instance of %s is stopped, becomes %s, and is started again at once %s", name, kind, errorText(err))
}

// addMissing makes the Node of a member that has none.
func (w *world) addMissing(name string) {
	if err := w.Get(w.ctx, client.ObjectKey{Name: name}, &corev1.Node{}); err != nil {
		w.addNode(name)
	}
}
