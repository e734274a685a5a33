/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/test/audit"
	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	// glance is the pause between two looks.
	glance = 200 * time.Millisecond
	// calm is how long a state must stay at the end of a phase, and in the end:
	// several audits long.
	calm     = 3 * time.Second
	lastCalm = 4*auditInterval + time.Second
)

// patience is how long a phase may take, to tell a slow run from one that stands
// still.
func patience(nodes int) time.Duration { return 3*time.Minute + time.Duration(nodes)*3*time.Second }

// stage is where the scenario is played once.
type stage struct {
	kube     kubernetes
	cloud    *cloud
	operator *operator
	referee  *audit.Referee
	machines []machine
	// kills says that the operator is killed once in each phase.
	kills bool
	tell  func(format string, arguments ...any)
}

// Play is what became of playing the scenario once.
type Play struct {
	// Leaks are the ENIs of ours that no resource stood for in the end, and those
	// that the collector deleted.
	Leaks []string
	// Differences are what is otherwise than the scenario asks for, and the
	// promises that were broken.
	Differences []string
	// Injected counts the disturbed calls by class and action, Calls all of the
	// operator's.
	Injected map[Class]map[string]int
	Calls    int
	// Refused counts the calls that EC2 refused on its own account, by action and
	// error code.
	Refused map[string]int
	// Took is from the operator's start to the last judgement.
	Took time.Duration
}

// play plays the scenario, with the operator's calls disturbed by a probability.
// The operator's log is named after the play.
func (w *World) play(ctx context.Context, name string, probability float64) (played Play, err error) {
	s := &stage{kube: w.kube, machines: fleet(w.options.Nodes), kills: w.options.Kills && probability > 0, tell: w.options.tell}
	if s.referee, err = audit.NewReferee(ctx, s.kube); err != nil {
		return played, err
	}
	defer s.referee.End()
	if s.cloud, err = newCloud(ctx, w.options.Seed, s.machines, s.kube.UID); err != nil {
		return played, err
	}
	defer s.cloud.close()
	haze := hazeFor(w.options.Nodes)
	for _, fault := range disturbances(operatorKey, probability, haze) {
		s.cloud.emulator.AddFault(fault)
	}
	begun := time.Now()
	log := filepath.Join(w.options.Folder, name+".log")
	if s.operator, err = startOperator(w.options.Operator, log, emulator.Environment(s.cloud.server.URL, region, operatorKey),
		"--kubeconfig="+s.kube.Plane.KubeconfigPath, "--visibility-window="+haze.window.String()); err != nil {
		return played, err
	}
	played, err = s.through(ctx)
	err = errors.Join(err, s.operator.process.Stop())
	played.Took = time.Since(begun)
	if len(played.Leaks)+len(played.Differences) > 0 {
		err = errors.Join(err, os.WriteFile(filepath.Join(w.options.Folder, name+".calls.json"), []byte(callLines(s.cloud.emulator.Calls())), 0o600))
	}
	return played, errors.Join(err, s.kube.Clear(ctx))
}

// through plays all phases, or those until one does not end as it should.
func (s *stage) through(ctx context.Context) (Play, error) {
	var played Play
	for p := joining; p <= lowering; p++ {
		begun := time.Now()
		if err := s.act(ctx, p); err != nil {
			return played, fmt.Errorf("%s: %w", p, err)
		}
		still := calm
		if p == lowering {
			still = lastCalm
		}
		if err := s.crash(ctx, wanted(s.machines, p)); err != nil {
			return played, fmt.Errorf("%s: %w", p, err)
		}
		found, err := s.settle(ctx, wanted(s.machines, p), still)
		if err != nil {
			return played, fmt.Errorf("%s: %w", p, err)
		}
		s.tell("  %-9s %s", p, time.Since(begun).Round(time.Second))
		played.Leaks, played.Differences = found.leaks, found.differences
		if found.count() > 0 {
			played.Differences = append(played.Differences, fmt.Sprintf("%s did not end as it should within %s", p, time.Since(begun).Round(time.Second)))
			break
		}
	}
	collections, err := audit.Collections(s.operator.logFile)
	calls := s.cloud.calls()
	played.Leaks = append(played.Leaks, audit.Collected(collections, calls)...)
	played.Differences = append(played.Differences, s.foreignNamed(calls)...)
	played.Injected, played.Refused, played.Calls = injected(calls), refused(calls), len(calls)
	return played, err
}

// crash kills the operator in the middle of a phase, if that is wanted, and starts
// it again: when half of what is to change has changed.
func (s *stage) crash(ctx context.Context, want state) error {
	if !s.kills {
		return nil
	}
	most := 0
	for deadline := time.Now().Add(patience(len(s.machines))); time.Now().Before(deadline); {
		found, err := s.judge(ctx, want)
		if err != nil {
			return err
		}
		most = max(most, found.count())
		if found.count() <= most/2 {
			break
		}
		if !pause(ctx, glance) {
			return ctx.Err()
		}
	}
	return s.operator.crash()
}

// act sets a phase going.
func (s *stage) act(ctx context.Context, p phase) error {
	addresses, enis := p.minima()
	switch p {
	case joining:
		if err := s.kube.createPolicies(ctx); err != nil {
			return err
		}
	case raising, lowering:
		return s.kube.setMinima(ctx, addresses, enis)
	case churning:
	}
	for i := range s.machines {
		if err := s.move(ctx, &s.machines[i], p); err != nil {
			return err
		}
	}
	return nil
}

// move lets a machine join, or end, or its claims change.
func (s *stage) move(ctx context.Context, m *machine, p phase) error {
	if p == churning && m.doomed {
		return errors.Join(s.cloud.terminate(ctx, m.name), s.kube.unregister(ctx, m))
	}
	var before []string
	switch {
	case m.late == (p == churning):
		if err := s.kube.register(ctx, m, s.cloud.instances[m.name]); err != nil {
			return err
		}
	case p == churning:
		before = m.claimNames(joining)
	}
	return s.changeClaims(ctx, m, before, m.claimNames(p))
}

// changeClaims releases the claims that are no longer wanted, and makes those that
// are not there yet.
func (s *stage) changeClaims(ctx context.Context, m *machine, before, now []string) error {
	for _, name := range before {
		if !slices.Contains(now, name) {
			if err := s.kube.deleteClaim(ctx, name); err != nil {
				return err
			}
		}
	}
	for _, name := range now {
		if !slices.Contains(before, name) {
			if err := s.kube.createClaim(ctx, m, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// finding is what is not as it should be.
type finding struct{ leaks, differences []string }

func (f finding) count() int { return len(f.leaks) + len(f.differences) }

// first is one of the things found, or "".
func (f finding) first() string {
	for _, line := range slices.Concat(f.leaks, f.differences) {
		return line
	}
	return ""
}

// orRestless says why a state that is as it should be does not count.
func (f finding) orRestless() finding {
	if f.count() == 0 {
		f.differences = []string{"all is as it should be, but the operator does not stop writing to EC2"}
	}
	return f
}

// tellEvery is how often a long wait is told about.
const tellEvery = 15 * time.Second

// settle waits until a state is reached and stays, or patience is over; then it
// returns what is otherwise.
func (s *stage) settle(ctx context.Context, want state, still time.Duration) (finding, error) {
	deadline := time.Now().Add(patience(len(s.machines)))
	writes, since, told := -1, time.Now(), time.Now()
	for {
		found, err := s.judge(ctx, want)
		if err != nil {
			return finding{}, err
		}
		now := s.writes()
		if now != writes || found.count() > 0 {
			writes, since = now, time.Now()
		}
		if time.Since(since) >= still {
			return finding{}, nil
		}
		if time.Now().After(deadline) {
			return found.orRestless(), nil
		}
		if time.Since(told) > tellEvery {
			s.tell("    %d otherwise than they should be; %d EC2 writes so far; the first: %s", found.count(), writes, found.first())
			told = time.Now()
		}
		if !pause(ctx, glance) {
			return finding{}, ctx.Err()
		}
	}
}

// judge looks once. It is an error if there is no operator any more.
func (s *stage) judge(ctx context.Context, want state) (finding, error) {
	seen, err := s.look(ctx)
	if err := errors.Join(err, s.operator.alive()); err != nil {
		return finding{}, err
	}
	return finding{leaks: audit.Leaks(seen.View), differences: append(differences(s.state(seen), want), s.unsound(seen)...)}, nil
}

// writes is the number of calls so far that could change something in EC2.
func (s *stage) writes() int {
	count := 0
	for action, counted := range s.cloud.emulator.Counts() {
		if !strings.HasPrefix(action, "Describe") {
			count += counted.Calls
		}
	}
	return count
}
