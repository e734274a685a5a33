/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package failover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/audit"
	"github.com/eni-operator/eni-operator/test/cluster"
)

const (
	// glance is the pause between two looks.
	glance = 20 * time.Millisecond
	// patience is how long anything is waited for, to tell what is slow from what
	// stands still.
	patience = 4 * time.Minute
	// moment is within what time after a leader's write it is lost.
	moment = time.Second
	// oversleep is how much longer than its successor needs a stopped leader may stay
	// so.
	oversleep = 2 * time.Second
	// calm is how long nothing must be written in the end.
	calm = 2*auditInterval + time.Second
)

// stage is where leaders are lost.
type stage struct {
	options Options
	kube    kubernetes
	cloud   *cloud
	lease   *leaseWatch
	referee *audit.Referee
	load    *load
	rng     *rand.Rand

	// active are those that could lead, replicas all that ever ran.
	active, replicas []*replica
	started          int
	// deposed are those that have lost the lead, with when they had to be silent from.
	deposed []deposed
	result  Result
}

// deposed is a replica that is to write nothing from a time on.
type deposed struct {
	*replica
	since time.Time
	why   string
	// mute says that it is to read nothing either.
	mute bool
}

func newStage(ctx context.Context, options Options) (s *stage, err error) {
	s = &stage{options: options, rng: rand.New(rand.NewPCG(options.Seed, 0))} //nolint:gosec // to be repeated, not secret
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := os.MkdirAll(options.Folder, 0o750); err != nil {
		return s, err
	}
	if s.kube.Cluster, err = cluster.Start(ctx); err != nil {
		return s, err
	}
	if s.cloud, err = newCloud(ctx, options.Seed); err != nil {
		return s, err
	}
	if s.lease, err = s.kube.watchLease(ctx); err != nil {
		return s, err
	}
	if s.referee, err = audit.NewReferee(ctx, s.kube); err != nil {
		return s, err
	}
	if err := s.kube.createPolicies(ctx); err != nil {
		return s, err
	}
	s.load = &load{kube: s.kube, cloud: s.cloud, rng: rand.New(rand.NewPCG(options.Seed, 1))} //nolint:gosec // to be repeated, not secret
	for range options.Nodes {
		if err := s.load.join(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

// close ends all that runs.
func (s *stage) close() error {
	for _, r := range s.replicas {
		r.end()
	}
	if s.referee != nil {
		s.referee.End()
	}
	if s.lease != nil {
		s.lease.stop()
	}
	if s.cloud != nil {
		s.cloud.server.Close()
	}
	if s.kube.Cluster != nil {
		return s.kube.Stop()
	}
	return nil
}

// until looks until something is so.
func until(ctx context.Context, what string, is func() (bool, error)) error {
	for deadline := time.Now().Add(patience); ; {
		ok, err := is()
		if err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for %s took longer than %s", what, patience)
		}
		if !pause(ctx, glance) {
			return ctx.Err()
		}
	}
}

// errCastLost says that a round is to be played again: a leader was lost before it
// was struck, or its successor was.
var errCastLost = errors.New("a replica lost the lead by itself")

// cast waits until one replica leads and writes, and another is warm.
func (s *stage) cast(ctx context.Context) (leader, standby *replica, err error) {
	err = until(ctx, "a leader and a standby", func() (bool, error) {
		s.active = slices.DeleteFunc(s.active, func(r *replica) bool {
			if r.ended() {
				s.result.Lost++
			}
			return r.ended()
		})
		for len(s.active) < 2 {
			r, err := s.startReplica()
			if err != nil {
				return false, err
			}
			s.active = append(s.active, r)
		}
		leader, standby = s.active[0], s.active[1]
		if standby.leads() {
			leader, standby = standby, leader
		}
		return leader.leads() && !standby.leads() && standby.warm(), nil
	})
	return leader, standby, err
}

// round takes the lead from whoever has it.
func (s *stage) round(ctx context.Context, kind Kind) (Round, error) {
	leader, standby, err := s.cast(ctx)
	if err != nil {
		return Round{}, err
	}
	if _, err := s.firstWrite(ctx, leader, time.Now()); err != nil {
		return Round{}, err
	}
	pause(ctx, time.Duration(s.rng.Int64N(int64(moment))))
	if leader.ended() || standby.leads() {
		return Round{}, errCastLost
	}
	struck := time.Now()
	if err := leader.process.Signal(signals[kind]); err != nil {
		return Round{}, err
	}
	s.active = slices.DeleteFunc(s.active, func(r *replica) bool { return r == leader })
	first, err := s.firstWrite(ctx, standby, struck)
	if err != nil {
		return Round{}, err
	}
	round := Round{Kind: kind, Took: first.at.Sub(struck)}
	if kind != Stopped { // Which is silent until it is woken.
		s.depose(deposed{replica: leader, since: first.at, why: "after its successor's first write"})
	}
	err = s.follow(ctx, leader, struck, &round)
	return round, err
}

var signals = map[Kind]os.Signal{Stopped: syscall.SIGSTOP, Killed: syscall.SIGKILL, Terminated: syscall.SIGTERM}

// follow sees to the end of a leader that was struck.
func (s *stage) follow(ctx context.Context, leader *replica, struck time.Time, round *Round) error {
	switch round.Kind {
	case Killed:
		<-leader.process.Done()
	case Terminated:
		seen, stamp, ok := s.lease.freedAfter(struck)
		if !ok {
			s.foul("%s got SIGTERM and has not released the lease", leader.key)
			return nil
		}
		round.Released = stamp.Sub(struck)
		s.depose(deposed{replica: leader, since: seen, why: "after it released the lease", mute: true})
		if err := until(ctx, "the end of a leader that got SIGTERM", func() (bool, error) { return leader.ended(), nil }); err != nil {
			return err
		}
		if err := leader.process.Wait(); err != nil {
			s.foul("%s got SIGTERM and ended with an error: %v", leader.key, err)
		}
	case Stopped:
		pause(ctx, time.Duration(s.rng.Int64N(int64(oversleep))))
		woken := time.Now()
		if err := leader.process.Signal(syscall.SIGCONT); err != nil {
			return err
		}
		s.depose(deposed{replica: leader, since: woken, why: "after it was woken"})
	}
	return nil
}

func (s *stage) depose(d deposed) { s.deposed = append(s.deposed, d) }

func (s *stage) foul(format string, arguments ...any) {
	s.result.Fouls = append(s.result.Fouls, fmt.Sprintf(format, arguments...))
}

// firstWrite waits for a replica's first write after a time.
func (s *stage) firstWrite(ctx context.Context, r *replica, after time.Time) (first request, err error) {
	err = until(ctx, "a write of "+r.key, func() (bool, error) {
		if r.ended() {
			s.result.Lost++
			return false, errCastLost
		}
		writes := s.cloud.tap.writes(r.key, after)
		if len(writes) == 0 {
			return false, nil
		}
		first = writes[0]
		return true, nil
	})
	return first, err
}

// conclude waits for what was deposed to end and for the fleet to settle, and notes
// all that is not as it should be.
func (s *stage) conclude(ctx context.Context) error {
	for _, d := range s.deposed {
		if err := until(ctx, "the end of "+d.key+", which lost the lead", func() (bool, error) { return d.ended(), nil }); err != nil {
			return err
		}
	}
	if _, _, err := s.cast(ctx); err != nil {
		return err
	}
	left, err := s.settle(ctx)
	if err != nil {
		return err
	}
	leaked, err := s.collectedLeaks()
	if err != nil {
		return err
	}
	s.result.Fouls = slices.Concat(s.result.Fouls, s.lateWrites(), left, leaked, s.referee.Fouls())
	for _, r := range s.cloud.tap.all() {
		if r.caller != ownKey {
			s.result.Calls++
			if r.write() {
				s.result.Writes++
			}
		}
	}
	return nil
}

// lateWrites are those that replicas made after they had lost the lead.
func (s *stage) lateWrites() []string {
	var late []string
	for _, d := range s.deposed {
		calls := s.cloud.tap.writes(d.key, d.since)
		if d.mute {
			calls = s.cloud.tap.of(d.key, d.since)
		}
		for _, call := range calls {
			late = append(late, fmt.Sprintf("%s called %s %s %s", d.key, call.action, call.at.Sub(d.since).Round(time.Microsecond), d.why))
		}
	}
	return late
}

// settle waits until everything is as it should be and nothing is written any more,
// or patience is over, and returns what is otherwise.
func (s *stage) settle(ctx context.Context) (left []string, err error) {
	since := time.Now()
	err = until(ctx, "the fleet to settle", func() (bool, error) {
		now := time.Now()
		if left, err = s.look(ctx); err != nil {
			return false, err
		}
		if len(left) > 0 || s.wrote(since) {
			since = now
		}
		return now.Sub(since) >= calm, nil
	})
	if len(left) > 0 {
		return left, nil
	}
	return nil, err
}

// wrote says whether anybody wrote to EC2 since.
func (s *stage) wrote(since time.Time) bool {
	return slices.ContainsFunc(s.cloud.tap.all(), func(r request) bool { return r.write() && r.at.After(since) })
}

// look tells what is not as it should be in the end.
func (s *stage) look(ctx context.Context) ([]string, error) {
	resources, pools, claims := &v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIPoolList{}, &v1alpha1.ENIClaimList{}
	if err := errors.Join(s.kube.List(ctx, resources), s.kube.List(ctx, pools), s.kube.List(ctx, claims)); err != nil {
		return nil, err
	}
	ours, err := s.cloud.ours(ctx, s.kube.UID)
	if err != nil {
		return nil, err
	}
	seen := audit.View{Ours: ours, Resources: resources.Items, Pools: pools.Items, Claims: claims.Items}
	s.result.ENIs, s.result.Claims = len(ours), len(claims.Items)
	left := slices.Concat(audit.Leaks(seen), audit.Unpaired(seen), audit.HeldTwice(seen), twice(ours))
	if len(ours) != len(resources.Items) {
		left = append(left, fmt.Sprintf("EC2 has %d ENIs for %d resources", len(ours), len(resources.Items)))
	}
	if len(pools.Items) != len(s.load.machines) {
		left = append(left, fmt.Sprintf("there are %d pools for %d machines", len(pools.Items), len(s.load.machines)))
	}
	for i := range pools.Items {
		if !meta.IsStatusConditionTrue(pools.Items[i].Status.Conditions, v1alpha1.ConditionReady) {
			left = append(left, fmt.Sprintf("pool %s is not ready", pools.Items[i].Name))
		}
	}
	for i := range claims.Items {
		if claims.Items[i].Status.Phase != v1alpha1.ClaimBound {
			left = append(left, fmt.Sprintf("claim %s is %s", claims.Items[i].Name, claims.Items[i].Status.Phase))
		}
	}
	return left, nil
}
