/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// costGoal is the share of CPU samples that telling what happens may take, in
// percent.
const costGoal = 5

// cost measures which share of a joining fleet's CPU goes into events and metrics,
// with a reader of the live stream that is stuck.
func (b *bench) cost(ctx context.Context, s *sheet) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.afterStart = func() error { return stuckReader(ctx, address) }
	b.profiled = true
	_, err = b.measureJoin(ctx, s, goalsFor(s.nodes).joinRatio, "--metrics-bind-address="+address, "--metrics-secure=false")
	if err != nil {
		return err
	}
	total, ours := shareOf(b.cpu)
	s.add("CPU profiled", float64(total)/float64(time.Second), "s")
	s.goal("CPU under pkg/metrics and pkg/events", 100*float64(ours)/float64(total), "%", costGoal)
	return nil
}

// stuck measures the join again with an operator whose every subscriber takes one
// event and never comes back.
func (b *bench) stuck(ctx context.Context, s *sheet) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	b.settings.operator = b.settings.stuck
	if err := b.keepOperator(); err != nil {
		return err
	}
	_, err = b.measureJoin(ctx, s, goalsFor(s.nodes).joinRatio, "--metrics-bind-address="+address, "--metrics-secure=false")
	if err != nil {
		return err
	}
	dropped, err := droppedBy(ctx, address)
	if err != nil {
		return err
	}
	for _, subscriber := range sortedKeys(dropped) {
		s.add("events that "+subscriber+" lost", dropped[subscriber], "events")
		if dropped[subscriber] == 0 && s.nodes >= manyNodes {
			err = errors.Join(err, fmt.Errorf("subscriber %s was stuck and lost nothing", subscriber))
		}
	}
	return err
}

// manyNodes is a fleet whose events no queue holds.
const manyNodes = 200

// stuckReader opens the live stream and never reads it.
func stuckReader(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/debug/events", http.NoBody)
	if err != nil {
		return err
	}
	// Its connection ends with ctx.
	response, err := http.DefaultClient.Do(request) //nolint:bodyclose // it is never read, and ends with the context
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("/debug/events: %s", response.Status)
	}
	return err
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return body, err
}

// shareOf adds up the samples of a CPU profile, and those with a function of
// pkg/metrics or pkg/events on the stack.
func shareOf(p *profile.Profile) (total, ours int64) {
	for _, sample := range p.Sample {
		spent := sample.Value[len(sample.Value)-1] // samples, then nanoseconds
		total += spent
		if tells(sample) {
			ours += spent
		}
	}
	return total, ours
}

func tells(sample *profile.Sample) bool {
	for _, location := range sample.Location {
		for _, line := range location.Line {
			if name := line.Function.Name; strings.Contains(name, "eni-operator/pkg/metrics.") || strings.Contains(name, "eni-operator/pkg/events.") {
				return true
			}
		}
	}
	return false
}

// droppedBy are the events that each subscriber lost.
func droppedBy(ctx context.Context, address string) (map[string]float64, error) {
	body, err := fetch(ctx, "http://"+address+"/metrics")
	if err != nil {
		return nil, err
	}
	dropped := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		rest, found := strings.CutPrefix(lines.Text(), `eni_operator_events_dropped_total{subscriber="`)
		subscriber, value, ok := strings.Cut(rest, `"} `)
		if !found || !ok {
			continue
		}
		if dropped[subscriber], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, err
		}
	}
	if len(dropped) == 0 {
		return nil, errors.New("the operator has no subscribers")
	}
	return dropped, nil
}
