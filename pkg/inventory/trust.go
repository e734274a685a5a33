/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Trust reports whether EC2 may be believed: whether it shows what this cluster has
// there. While it may not, nothing that cannot be undone follows from its answers,
// and no call changes anything.
type Trust struct {
	// Broken is true while EC2 is not believed.
	Broken bool
	// Reason of the condition EC2Trusted, and a message that says what was seen and
	// what to do.
	Reason  string
	Message string
}

// Expected is what a cluster has in EC2 according to Kubernetes.
type Expected struct {
	// Zones in which its nodes, pools and ENIs are.
	Zones []string
	// Instances whose Node is there, and which EC2 has shown at some time.
	Instances []string
	// ENIs that have been created and are not being deleted.
	ENIs []ExpectedENI
	// Subnets in which its ENIs are. They are looked for where EC2 shows nothing else
	// that proves that it is the right account.
	Subnets []string
}

// ExpectedENI is an ENI, and the instance that it belongs to, if any. With a gone
// instance it is not expected any more.
type ExpectedENI struct {
	ID         string
	InstanceID string
}

// trust is what is known of EC2's trustworthiness; the inventory's lock holds for it.
type trust struct {
	now Trust
	// at is when the reads began that showed it.
	at          time.Time
	subscribers []func(Trust)
}

// Trust returns what is known of EC2's trustworthiness.
func (i *Inventory) Trust() Trust {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.trust.now
}

// SubscribeTrust calls notify each time that Trust changes. It must not block.
func (i *Inventory) SubscribeTrust(notify func(Trust)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.trust.subscribers = append(i.trust.subscribers, notify)
}

// Distrusted reports whether a write was refused because EC2 is not believed.
func Distrusted(err error) bool {
	return refusedFor(err, v1alpha1.ReasonEC2NotReached, v1alpha1.ReasonOtherRegion, v1alpha1.ReasonNothingKnown, v1alpha1.ReasonTooManyVanished)
}

// refuseDistrusted returns an error while EC2 is not believed; i.mu is held.
func (i *Inventory) refuseDistrusted() error {
	if now := i.trust.now; now.Broken {
		return &refusedError{reason: now.Reason, text: now.Message}
	}
	return nil
}

// setTrust takes a judgement about reads that began at a time, unless a later one is
// known, and notifies the subscribers if it is another.
func (i *Inventory) setTrust(judged Trust, asked time.Time) {
	i.mu.Lock()
	if asked.Before(i.trust.at) {
		i.mu.Unlock()
		return
	}
	changed := judged.Broken != i.trust.now.Broken || (judged.Broken && judged != i.trust.now)
	subscribers := slices.Clone(i.trust.subscribers)
	i.trust.now = judged
	i.trust.at = asked
	i.mu.Unlock()

	if changed {
		for _, notify := range subscribers {
			notify(judged)
		}
	}
}

// notReached distrusts EC2 while the first read that may be acted upon fails, unless
// something else is known to be wrong. While it fails for the same reason, the first
// message stands: it may name what differs each time, such as a port.
func (i *Inventory) notReached(err error, asked time.Time) {
	reason, message := ec2.Explain(err)
	prefix := fmt.Sprintf("EC2 was not read yet (%s): ", reason)
	now := i.Trust()
	switch {
	case now.Broken && now.Reason != v1alpha1.ReasonEC2NotReached, now.Broken && strings.HasPrefix(now.Message, prefix):
		return
	}
	i.setTrust(Trust{Broken: true, Reason: v1alpha1.ReasonEC2NotReached, Message: prefix + message + notReachedRemedy}, asked)
}

const notReachedRemedy = " Nothing is done in EC2, and no claim is served, before our ENIs are known. Check AWS_REGION, AWS_ENDPOINT_URL_EC2, " +
	"the network path and the operator's IAM identity."

// expect asks what the cluster has. Without a brake nothing is expected.
func (i *Inventory) expect(ctx context.Context) (Expected, error) {
	if i.options.Expected == nil {
		return Expected{}, nil
	}
	expected, err := i.options.Expected(ctx)
	if err != nil {
		return Expected{}, fmt.Errorf("listing what the cluster has in EC2: %w", err)
	}
	return expected, nil
}

// reviewRegion distrusts EC2 before it is asked, if it is another Region's. It reports
// whether the Region may be right.
func (i *Inventory) reviewRegion(expected Expected, asked time.Time) bool {
	if len(expected.Zones) == 0 {
		return true
	}
	judged := judge(sighting{region: i.client.Region(), zones: expected.Zones})
	if judged.Broken {
		i.setTrust(judged, asked)
	}
	return !judged.Broken
}

// review compares what the cluster has with what a sweep showed. What seems to have
// vanished in large numbers is looked at by its id before EC2 is distrusted: its tags
// may have been removed, or its instance may have been terminated.
func (i *Inventory) review(ctx context.Context, expected Expected, shown map[string]bool, asked time.Time) error {
	if !i.reviewRegion(expected, asked) {
		return nil
	}
	seen, vanished := i.compare(expected, shown)
	if judge(seen).Broken && len(vanished) > 0 {
		found, err := i.lookAgain(ctx, vanished)
		if err != nil {
			return err
		}
		for id := range found {
			shown[id] = true
		}
		seen, _ = i.compare(expected, shown)
	}
	if seen.unwitnessed() && len(expected.Subnets) > 0 {
		found, err := i.fetchSubnets(ctx, expected.Subnets[:min(len(expected.Subnets), ec2.MaxBatch)])
		if err != nil {
			return err
		}
		seen.subnets = tally{shown: len(found), vanished: len(expected.Subnets) - len(found)}
	}
	i.setTrust(judge(seen), asked)
	return nil
}

// compare counts what is shown and what has vanished, and lists the vanished ENIs.
func (i *Inventory) compare(expected Expected, enis map[string]bool) (seen sighting, vanished []ExpectedENI) {
	i.mu.Lock()
	defer i.mu.Unlock()
	alive := make(map[string]bool, len(expected.Instances))
	for _, id := range expected.Instances {
		_, shown := i.instances[id]
		_, missing := i.missingInstances[id]
		switch {
		case i.ended(id):
			continue
		case missing:
			seen.instances.vanished++
		case shown:
			seen.instances.shown++
		}
		alive[id] = true
	}
	vanished = i.compareENIs(expected.ENIs, alive, enis, &seen.enis)
	return seen, vanished
}

// compareENIs counts the ENIs that should be there, on instances that are alive, and
// lists those that have vanished; i.mu is held.
func (i *Inventory) compareENIs(expected []ExpectedENI, alive, shown map[string]bool, seen *tally) (vanished []ExpectedENI) {
	for _, eni := range expected {
		switch {
		case shown[eni.ID]:
			seen.shown++
		case eni.InstanceID != "" && !alive[eni.InstanceID], i.excused(eni.ID):
		default:
			seen.vanished++
			vanished = append(vanished, eni)
		}
	}
	return vanished
}

// excused reports whether there is a reason why EC2 does not show an ENI: it is too
// young, this process deleted it, or it was proved to be gone; i.mu is held.
func (i *Inventory) excused(eniID string) bool {
	if !i.missing[eniID].goneAt.IsZero() {
		return true
	}
	known, ok := i.enis[eniID]
	return ok && (!known.deletedAt.IsZero() || i.young(known, i.clock.Now()))
}

// lookAgain reads ENIs, and the instances that they belong to, by id, and returns the
// ENIs that are there after all.
func (i *Inventory) lookAgain(ctx context.Context, vanished []ExpectedENI) (map[string]bool, error) {
	instances := map[string]bool{}
	ids := make([]string, 0, len(vanished))
	for _, eni := range vanished {
		ids = append(ids, eni.ID)
		if eni.InstanceID != "" {
			instances[eni.InstanceID] = true
		}
	}
	found := map[string]bool{}
	for chunk := range slices.Chunk(ids, ec2.MaxBatch) {
		read, err := i.fetchENIs(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for id := range read {
			found[id] = true
		}
	}
	for chunk := range slices.Chunk(sortedKeys(instances), ec2.MaxBatch) {
		if _, err := i.fetchInstances(ctx, chunk); err != nil {
			return nil, err
		}
	}
	return found, nil
}
