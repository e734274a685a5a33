/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// censusInterval is the shortest time between two sweeps that are made because
// something is missing.
const censusInterval = 5 * time.Second

// maxQuestions is how many questions by id are asked together, one after the other.
const maxQuestions = 50

// absence is since when EC2 does not show an ENI or an instance, and when that was
// proved to mean that it is gone.
type absence struct {
	since  time.Time
	goneAt time.Time
}

// young reports whether a call of ours created or attached the ENI so lately that a
// read may not show it; i.mu is held.
func (i *Inventory) young(known *record, now time.Time) bool {
	return i.settling(known.bornAt, now) || i.settling(known.joinedAt, now)
}

// missENI decides what an answer without the ENI means. It returns Gone only on a
// statement: EC2 accepted our deletion, or answers NotFound for the id while a sweep
// since then shows that EC2 is to be trusted.
func (i *Inventory) missENI(ctx context.Context, id string) (ec2.NetworkInterface, Presence, error) {
	defer i.flush()
	if eni, presence, decided := i.noteMissing(id); decided {
		return eni, presence, nil
	}
	proved, err := i.provedAbsent(ctx, i.missing, id, i.asksForENI)
	if err != nil || !proved {
		return ec2.NetworkInterface{}, Unknown, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lose(id)
	return ec2.NetworkInterface{}, Gone, nil
}

// noteMissing notes that EC2 does not show an ENI, and decides what this process can
// decide by itself.
func (i *Inventory) noteMissing(id string) (eni ec2.NetworkInterface, presence Presence, decided bool) {
	i.mu.Lock()
	defer i.mu.Unlock()

	now := i.clock.Now()
	known, ok := i.enis[id]
	deleted := ok && !known.deletedAt.IsZero()
	if ok && !deleted && i.young(known, now) {
		if known.unclear {
			return ec2.NetworkInterface{}, Unknown, true
		}
		return clone(known.eni), Present, true
	}
	missed, again := i.missing[id]
	if !again {
		missed.since = now
		i.missing[id] = missed
	}
	if deleted || !missed.goneAt.IsZero() {
		i.lose(id)
		return ec2.NetworkInterface{}, Gone, true
	}
	neverSeen := !ok || !known.seen
	return ec2.NetworkInterface{}, Unknown, neverSeen && i.settling(missed.since, now)
}

// lose drops an ENI that is gone; i.mu is held.
func (i *Inventory) lose(id string) {
	missed := i.missing[id]
	missed.goneAt = i.clock.Now()
	i.missing[id] = missed
	i.leaveInstance(id)
	i.drop(id)
}

// provedAbsent reports whether a sweep since the absence was noticed shows that EC2 is
// to be trusted, and EC2 answers NotFound when it is asked for the id.
func (i *Inventory) provedAbsent(ctx context.Context, absences map[string]absence, id string, ask func(context.Context, string) (bool, error)) (bool, error) {
	i.mu.Lock()
	missed, missing := absences[id]
	i.mu.Unlock()
	if !missing {
		return false, nil
	}
	trusted, err := i.trustedSince(ctx, missed.since)
	if err != nil || !trusted {
		return false, err
	}
	there, err := ask(ctx, id)
	if err != nil || there {
		return false, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	latest, missing := absences[id]
	return missing && latest.since.Equal(missed.since) && !i.trust.now.Broken, nil
}

// trustedSince reports whether a sweep that began at or after a time found EC2
// trustworthy. It sweeps if there was none, though not more often than each
// censusInterval: then the caller has to ask again later.
func (i *Inventory) trustedSince(ctx context.Context, since time.Time) (bool, error) {
	i.mu.Lock()
	last := i.sweeps.at
	broken := i.trust.now.Broken
	wait := i.sweeps.succeeded > 0 && i.clock.Now().Sub(last) < censusInterval
	i.mu.Unlock()

	if i.options.Expected == nil {
		return true, nil // Nothing to compare EC2 with.
	}
	if i.sweptSince(since) {
		return !broken, nil
	}
	if wait {
		return false, nil
	}
	if _, _, err := i.censuses.Get(ctx, "census"); err != nil {
		return false, err
	}
	return i.sweptSince(since) && !i.Trust().Broken, nil
}

func (i *Inventory) sweptSince(since time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.sweeps.succeeded > 0 && !i.sweeps.at.Before(since)
}

// takeCensus is a sweep that several callers wait for together.
func (i *Inventory) takeCensus(ctx context.Context, _ []string) (map[string]bool, error) {
	return nil, i.Sweep(ctx)
}

// asksForENI reports whether EC2 knows an ENI, asked by its id. Only NotFound that
// nothing contradicts is a no.
func (i *Inventory) asksForENI(ctx context.Context, id string) (bool, error) {
	answer, _, err := i.eniQuestions.Get(ctx, id)
	return answer != stated, err
}

// asksForInstance is the same for an instance.
func (i *Inventory) asksForInstance(ctx context.Context, id string) (bool, error) {
	answer, _, err := i.instanceQuestions.Get(ctx, id)
	return answer != stated, err
}

// statement is EC2's answer to a question by id.
type statement int

const (
	// unstated: EC2 knows it, or did not say that it does not.
	unstated statement = iota
	// stated: EC2 answered NotFound, and nothing else that it shows refers to the id.
	stated
)

// questionENIs asks EC2 for ENIs by id, one by one: EC2 refuses a whole list for one
// id that it does not know. An instance that shows the ENI contradicts NotFound, and so
// does an EC2 that shows no ENI of instances that it shows, which all have one.
func (i *Inventory) questionENIs(ctx context.Context, ids []string) (map[string]statement, error) {
	ask := func(id string) error {
		asked := i.clock.Now()
		enis, err := i.client.DescribeNetworkInterfaces(ctx, ec2.ByID(id))
		for _, eni := range enis {
			i.merge(eni, asked)
		}
		return err
	}
	return question(ids, ask, func(id string) (bool, error) {
		instances, err := i.client.DescribeInstances(ctx, ec2.CarriesENI(id))
		if err != nil || len(instances) > 0 {
			return true, err
		}
		shown, err := i.showsENIs(ctx)
		return !shown, err
	})
}

// mostWitnesses bounds the instances that are asked for their ENIs.
const mostWitnesses = 3

// showsENIs reports whether EC2 shows an ENI of an instance that runs. Only where the
// cluster has no such instance there is nothing to go by.
func (i *Inventory) showsENIs(ctx context.Context) (bool, error) {
	witnesses := i.witnesses()
	if len(witnesses) == 0 {
		expected, err := i.expect(ctx)
		if err != nil {
			return false, err
		}
		running := i.notEnded(expected.Instances)
		if len(running) == 0 {
			return true, nil
		}
		if _, err := i.fetchInstances(ctx, running[:min(len(running), mostWitnesses)]); err != nil {
			return false, err
		}
		witnesses = i.witnesses()
	}
	for _, id := range witnesses {
		enis, err := i.client.DescribeNetworkInterfaces(ctx, ec2.AttachedTo(id))
		if err != nil || len(enis) > 0 {
			return true, err
		}
	}
	return false, nil
}

// notEnded are those instances that have not ended as far as it is known.
func (i *Inventory) notEnded(instances []string) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(instances), i.ended)
}

// ended reports whether EC2 said that an instance is terminated, or it was proved to be
// gone; i.mu is held.
func (i *Inventory) ended(id string) bool {
	known, ok := i.instances[id]
	return (ok && known.Gone()) || !i.missingInstances[id].goneAt.IsZero()
}

// witnesses are instances that EC2 showed with their primary ENI.
func (i *Inventory) witnesses() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	var ids []string
	for id, known := range i.instances {
		if _, missing := i.missingInstances[id]; !missing && !known.Gone() && known.Primary.ID != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids[:min(len(ids), mostWitnesses)]
}

// questionInstances is the same for instances. An ENI that is attached to the instance,
// such as its primary one, contradicts NotFound.
func (i *Inventory) questionInstances(ctx context.Context, ids []string) (map[string]statement, error) {
	ask := func(id string) error {
		asked := i.clock.Now()
		instances, err := i.client.DescribeInstances(ctx, ec2.ByID(id))
		i.takeInstances(instances, nil, asked)
		return err
	}
	return question(ids, ask, func(id string) (bool, error) {
		enis, err := i.client.DescribeNetworkInterfaces(ctx, ec2.AttachedTo(id))
		return len(enis) > 0, err
	})
}

// question asks for each id, and where EC2 answers NotFound, whether another kind of
// answer contradicts that. If none does, it asks once more: the first answer may be the last
// one of an EC2 that showed nothing, and what did not contradict it may be of a later one.
func question(ids []string, ask func(id string) error, contradicted func(id string) (bool, error)) (map[string]statement, error) {
	answers := make(map[string]statement, len(ids))
	for _, id := range ids {
		err := ask(id)
		if err == nil {
			answers[id] = unstated
			continue
		}
		if !ec2.UnknownID(err) {
			return nil, err
		}
		there, err := contradicted(id)
		if err != nil {
			return nil, fmt.Errorf("asking whether anything in EC2 refers to %s, which it does not know by its id: %w", id, err)
		}
		if there {
			continue
		}
		if err := ask(id); err == nil {
			continue
		} else if !ec2.UnknownID(err) {
			return nil, err
		}
		answers[id] = stated
	}
	return answers, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
