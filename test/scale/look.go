/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import "time"

// look is all that can be seen of the operator from outside at one moment.
type look struct {
	at      time.Time
	calls   calls
	writes  writes
	cpu     time.Duration
	memory  float64 // MiB, the peak
	machine machine
}

func (b *bench) look() (look, error) {
	seen := look{at: time.Now(), calls: b.cloud.calls(), machine: machineNow()}
	var err error
	if seen.writes, err = b.audit.read(); err != nil {
		return seen, err
	}
	pid := b.operator.process.Pid()
	if seen.cpu, err = cpuTime(pid); err != nil {
		return seen, err
	}
	seen.memory, err = peakMemory(pid)
	return seen, err
}
