/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/pprof/profile"
)

// profileStep is how long one profile of the processor is; the last is lost when the
// row ends.
const profileStep = 5 * time.Second

// joinProfiled has the fleet join, and keeps what the operator's processor time went
// into if that is asked for.
func (b *bench) joinProfiled(ctx context.Context, row string) (joinTimes, error) {
	if !b.profiled {
		return b.joinFleet(ctx)
	}
	running := startProfiler(ctx, b.operator.profiles)
	times, err := b.joinFleet(ctx)
	cpu, failed := running.stop()
	b.cpu = cpu
	if err := errors.Join(err, failed); err != nil || b.settings.profiles == "" {
		return times, err
	}
	heap, err := fetchProfile(ctx, b.operator.profiles, "heap")
	if err != nil {
		return times, err
	}
	name := filepath.Join(b.settings.profiles, fmt.Sprintf("%s-%d", row, b.settings.nodes))
	return times, errors.Join(os.MkdirAll(b.settings.profiles, 0o755), save(cpu, name+".cpu.pprof"), save(heap, name+".heap.pprof"))
}

// profiler adds up what an operator does with its processor time.
type profiler struct {
	cancel context.CancelFunc
	ended  chan struct{}
	// Of the goroutine, until it has ended.
	steps []*profile.Profile
	err   error
}

func startProfiler(ctx context.Context, address string) *profiler {
	ctx, cancel := context.WithCancel(ctx)
	p := &profiler{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		for ctx.Err() == nil {
			step, err := fetchProfile(ctx, address, fmt.Sprintf("profile?seconds=%d", int(profileStep.Seconds())))
			if err != nil {
				p.err = err
				return
			}
			p.steps = append(p.steps, step)
		}
	}()
	return p
}

// stop returns the profile since the start.
func (p *profiler) stop() (*profile.Profile, error) {
	p.cancel()
	<-p.ended
	if len(p.steps) == 0 {
		return nil, fmt.Errorf("the operator was not profiled: %w", p.err)
	}
	return profile.Merge(p.steps)
}

func save(p *profile.Profile, path string) error {
	var content bytes.Buffer
	if err := p.Write(&content); err != nil {
		return err
	}
	return os.WriteFile(path, content.Bytes(), 0o644)
}

// fetchProfile asks for one of the profiles of net/http/pprof.
func fetchProfile(ctx context.Context, address, which string) (*profile.Profile, error) {
	body, err := fetch(ctx, "http://"+address+"/debug/pprof/"+which)
	if err != nil {
		return nil, err
	}
	return profile.Parse(bytes.NewReader(body))
}
