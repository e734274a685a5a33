/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// clouds are what goes wrong between the replicas and EC2.
func clouds() []adversary {
	return []adversary{
		{"cloud", "EC2 calls fail", 3, failCalls},
		{"cloud", "answers of EC2 are lost", 3, loseAnswers},
		{"cloud", "EC2 shows what was", 3, staleReads},
		{"cloud", "EC2 shows nothing", 2, emptyAnswers},
		{"cloud", "the operator starts in another account", 2, strayAccount},
		{"cloud", "an action is not allowed", 2, denyAction},
		{"cloud", "an instance takes no more ENIs", 2, refuseAttach},
		{"cloud", "an instance lets go slowly", 1, sickInstance},
		{"cloud", "EC2 is slow", 1, slowCalls},
	}
}

var writes = []string{
	"CreateNetworkInterface", "AttachNetworkInterface", "DetachNetworkInterface", "DeleteNetworkInterface", "AssignPrivateIpAddresses",
	"UnassignPrivateIpAddresses", "CreateTags", "ModifyNetworkInterfaceAttribute",
}

var reads = []string{"DescribeNetworkInterfaces", "DescribeInstances", "DescribeSubnets"}

// fault has something go wrong in EC2 for a while. People's calls are not concerned:
// every fault names the operator's processes as callers where it could hurt them.
func (w *world) fault(wait time.Duration, fault emulator.Fault) {
	w.disturbed(wait + 2*time.Minute)
	w.later(wait, w.cloud.AddFault(fault))
}

func failCalls(w *world, rng *rand.Rand) string {
	codes := []string{"InternalError", "Unavailable", "RequestLimitExceeded", "ServiceUnavailable"}
	code, wait, part := codes[rng.IntN(len(codes))], aWhile(rng), 0.1+0.9*rng.Float64()
	actions, what := slices.Concat(reads, writes), "all calls"
	if rng.IntN(2) == 0 {
		what = actions[rng.IntN(len(actions))]
		actions = []string{what}
	}
	for _, action := range actions {
		w.fault(wait, emulator.Fault{Action: action, Code: code, Status: 503, Message: "please try again", Probability: part})
	}
	return fmt.Sprintf("for %s %.0f %% of %s to EC2 fail with %s", wait.Round(time.Second), 100*part, what, code)
}

func loseAnswers(w *world, rng *rand.Rand) string {
	action, wait, part := writes[rng.IntN(len(writes))], aWhile(rng), 0.2+0.8*rng.Float64()
	discard := rng.IntN(3) == 0
	w.fault(wait, emulator.Fault{Action: action, LoseAnswer: !discard, Discard: discard, Probability: part})
	return fmt.Sprintf("for %s the answers of %.0f %% of %s are lost (executed: %t)", wait.Round(time.Second), 100*part, action, !discard)
}

func staleReads(w *world, rng *rand.Rand) string {
	action, wait, part := reads[rng.IntN(2)], aWhile(rng), 0.3+0.7*rng.Float64()
	old := time.Second + time.Duration(rng.Int64N(int64(14*time.Second)))
	w.fault(wait, emulator.Fault{Action: action, Stale: old, Probability: part})
	return fmt.Sprintf("for %s %.0f %% of %s show what was %s ago", wait.Round(time.Second), 100*part, action, old.Round(time.Second))
}

// emptyAnswers has some actions, or all reads, show an account that has nothing.
func emptyAnswers(w *world, rng *rand.Rand) string {
	wait, some := aWhile(rng), reads[:1+rng.IntN(len(reads))]
	if rng.IntN(3) == 0 {
		some = []string{reads[rng.IntN(len(reads))]}
	}
	w.disturbed(wait + 2*time.Minute)
	empty := map[string]bool{}
	for _, action := range some {
		empty[action] = true
	}
	w.blind(func(b *blindness) { b.empty = empty })
	w.later(wait, func() { w.blind(func(b *blindness) { b.empty = nil }) })
	return fmt.Sprintf("for %s %s of EC2 show nothing", wait.Round(time.Second), strings.Join(some, ", "))
}

// strayAccount restarts the operator with another account or Region, and corrects it.
func strayAccount(w *world, rng *rand.Rand) string {
	wait := aWhile(rng)
	w.disturbed(wait + 3*time.Minute)
	restart := func(to *account) {
		for _, r := range w.replicas {
			r.mu.Lock()
			r.astray = to
			r.mu.Unlock()
			if p := r.current(); p != nil {
				p.cancel()
			}
		}
	}
	restart(w.elsewhere)
	w.later(wait, func() { restart(nil) })
	return fmt.Sprintf("for %s the operator runs with another account", wait.Round(time.Second))
}

func denyAction(w *world, rng *rand.Rand) string {
	action, wait := writes[rng.IntN(len(writes))], aWhile(rng)
	w.disturbed(wait + 2*time.Minute)
	var remove func()
	// Each refusal has an encoded message of its own, as EC2's have.
	again := func() {
		if remove != nil {
			remove()
		}
		remove = w.cloud.AddFault(emulator.Fault{
			Action: action, Code: "UnauthorizedOperation", Status: 403,
			Message: "You are not authorized to perform this operation. Encoded authorization failure message: " + letters(rng, 1200),
		})
	}
	again()
	end := time.Now().Add(wait)
	go func() {
		for time.Now().Before(end) && w.ctx.Err() == nil {
			time.Sleep(20 * time.Second)
			again()
		}
		remove()
	}()
	return fmt.Sprintf("for %s %s is not allowed", wait.Round(time.Second), action)
}

func letters(rng *rand.Rand, n int) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = byte('a' + rng.IntN(26))
	}
	return string(text)
}

func refuseAttach(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	wait := aWhile(rng)
	w.fault(wait, emulator.Fault{
		Action: "AttachNetworkInterface", Params: map[string]string{"InstanceId": w.nodes[name].instance},
		Code: "AttachmentLimitExceeded", Message: "Interface count exceeds the limit for the instance",
	})
	return fmt.Sprintf("for %s the instance of %s takes no more ENIs", wait.Round(time.Second), name)
}

func sickInstance(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	wait, id := aWhile(rng), w.nodes[name].instance
	w.disturbed(wait)
	w.cloud.SetSick(region, id, true)
	w.later(wait, func() { w.cloud.SetSick(region, id, false) })
	return fmt.Sprintf("for %s the instance of %s lets go of ENIs slowly", wait.Round(time.Second), name)
}

func slowCalls(w *world, rng *rand.Rand) string {
	action, wait := slices.Concat(reads, writes)[rng.IntN(len(reads)+len(writes))], aWhile(rng)
	delay := time.Second + time.Duration(rng.Int64N(int64(60*time.Second)))
	w.fault(wait, emulator.Fault{Action: action, Delay: delay, Probability: 0.5})
	return fmt.Sprintf("for %s half of %s take %s", wait.Round(time.Second), action, delay.Round(time.Second))
}

// subnets are what happens to the room for addresses.
func subnets() []adversary {
	return []adversary{
		{"subnets", "others fill a subnet", 4, fillSubnet},
		{"subnets", "others fragment a subnet", 1, fragmentSubnet},
		{"subnets", "a subnet is taken out of the selection", 1, unselectSubnet},
	}
}

var podSubnets = []string{"pods-a", "pods-b", "more-a"}

// fillSubnet leaves a few free addresses, or none.
func fillSubnet(w *world, rng *rand.Rand) string {
	name, leave := podSubnets[rng.IntN(len(podSubnets))], rng.IntN(4)
	return w.fill(name, leave, aWhile(rng))
}

// fill has others take all but a few addresses of a subnet for some time.
func (w *world) fill(name string, leave int, wait time.Duration) string {
	var made []string
	for range 8 {
		free := w.freeIn(name) - leave
		if free <= 0 {
			break
		}
		id, err := w.newForeign(w.cloud.subnets[name], "SecondaryPrivateIpAddressCount", strconv.Itoa(min(free-1, 40)))
		if err != nil {
			break
		}
		made = append(made, id)
	}
	w.later(wait, func() { w.free(made) })
	return fmt.Sprintf("for %s others take all but %d addresses of %s", wait.Round(time.Second), leave, name)
}

func (w *world) freeIn(name string) int {
	for _, subnet := range w.cloud.Look(region).Subnets {
		if subnet.ID == w.cloud.subnets[name] {
			return subnet.Free
		}
	}
	return 0
}

// free deletes ENIs of others.
func (w *world) free(ids []string) {
	for _, id := range ids {
		_, _ = w.cloud.call("DeleteNetworkInterface", "NetworkInterfaceId", id)
	}
}

func fragmentSubnet(w *world, rng *rand.Rand) string {
	name := podSubnets[rng.IntN(len(podSubnets))]
	var made []string
	for block := range 4 {
		third := map[string]int{"pods-a": 16, "pods-b": 17, "more-a": 18}[name]
		address := fmt.Sprintf("10.0.%d.%d", third, block*16+7)
		if id, err := w.newForeign(w.cloud.subnets[name], "PrivateIpAddress", address); err == nil {
			made = append(made, id)
		}
	}
	wait := aWhile(rng)
	w.later(wait, func() { w.free(made) })
	return fmt.Sprintf("for %s others have an address in each /28 of %s", wait.Round(time.Second), name)
}

// shortages are demand that comes at once, and subnets that others keep full.
func shortages() []adversary {
	return []adversary{
		{"shortages", "a deployment scales up", 2, scaleUp},
		{"shortages", "a subnet is full for hours", 1, fillForHours},
	}
}

// scaleUp has many claims wait on one node.
func scaleUp(w *world, rng *rand.Rand) string {
	node, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	return w.scaleUpOn(node, rng)
}

func (w *world) scaleUpOn(node string, rng *rand.Rand) string {
	count := 4 + rng.IntN(7)
	for range count {
		w.ignore(w.Create(w.ctx, &v1alpha1.ENIClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[rng.IntN(len(namespaces))], Name: fmt.Sprintf("d%04x", rng.Uint32()&0xffff)},
			Spec:       v1alpha1.ENIClaimSpec{NodeName: node, Mode: v1alpha1.ModeShared},
		}))
	}
	return fmt.Sprintf("a deployment scales up: %d claims on %s", count, node)
}

// fillForHours keeps the subnet full that our ENIs use most, while demand goes on: each
// node gets more claims within half of the time.
func fillForHours(w *world, rng *rand.Rand) string {
	wait := time.Hour + time.Duration(rng.Int64N(int64(2*time.Hour)))
	text := w.fill(w.busiestSubnet(), rng.IntN(4), wait)
	for _, node := range w.nodeNames() {
		when := time.Duration(rng.Int64N(int64(wait / 2)))
		its := rand.New(rand.NewPCG(rng.Uint64(), 0)) //nolint:gosec // repeatable, not secret
		w.later(when, func() {
			if !w.calming.Load() {
				w.tell("%s", w.scaleUpOn(node, its))
			}
		})
	}
	return text
}

// busiestSubnet is the one for pods that most of our ENIs are in.
func (w *world) busiestSubnet() string {
	counts := map[string]int{}
	for _, eni := range w.ours() {
		counts[eni.SubnetID]++
	}
	return slices.MaxFunc(podSubnets, func(a, b string) int { return counts[w.cloud.subnets[a]] - counts[w.cloud.subnets[b]] })
}

// reservations keep parts of a subnet for other uses.
func reservations() []adversary {
	return []adversary{
		{"reservations", "a part of a subnet is reserved", 1, reserveCIDR},
	}
}

// reserveCIDR reserves a part of a subnet of the pods, for named addresses or for
// prefixes. What is assigned from it stays assigned.
func reserveCIDR(w *world, rng *rand.Rand) string {
	name, bits := podSubnets[rng.IntN(len(podSubnets))], 28+rng.IntN(2)
	kind := []string{"explicit", "prefix"}[rng.IntN(2)]
	if kind == "prefix" {
		bits = 28
	}
	third := map[string]int{"pods-a": 16, "pods-b": 17, "more-a": 18}[name]
	size := 1 << (32 - bits)
	cidr := fmt.Sprintf("10.0.%d.%d/%d", third, size*rng.IntN(64/size), bits)
	body, err := w.cloud.call("CreateSubnetCidrReservation", "SubnetId", w.cloud.subnets[name], "Cidr", cidr, "ReservationType", kind)
	if err != nil {
		return ""
	}
	id, wait := element(body, "subnetCidrReservationId"), aWhile(rng)
	w.reserved = append(w.reserved, id)
	w.later(wait, func() { _, _ = w.cloud.call("DeleteSubnetCidrReservation", "SubnetCidrReservationId", id) })
	return fmt.Sprintf("for %s %s of %s is reserved (%s)", wait.Round(time.Second), cidr, name, kind)
}

func unselectSubnet(w *world, rng *rand.Rand) string {
	name, wait := podSubnets[rng.IntN(len(podSubnets))], aWhile(rng)
	role := func(value string) {
		_, _ = w.cloud.call("CreateTags", "ResourceId.1", w.cloud.subnets[name], "Tag.1.Key", "role", "Tag.1.Value", value)
	}
	role("none")
	w.later(wait, func() { role("pods") })
	return fmt.Sprintf("for %s subnet %s is not selected", wait.Round(time.Second), name)
}
