/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of times in /proc (USER_HZ, 100 on every Linux that
// Go runs on).
const ticksPerSecond = 100

// cpuTime is the processor time that a process has used.
func cpuTime(pid int) (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseCPUTime(string(content))
}

// parseCPUTime reads utime and stime, fields 14 and 15 of proc(5)'s stat. The
// second field, the name in parentheses, may hold spaces.
func parseCPUTime(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("too short: %q", stat)
	}
	var ticks int64
	for _, field := range []string{fields[utime], fields[stime]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// peakMemory is the most memory, in MiB, that a process has had resident.
func peakMemory(pid int) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parsePeakMemory(string(content))
}

func parsePeakMemory(status string) (float64, error) {
	for line := range strings.Lines(status) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, err := strconv.ParseFloat(fields[1], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in %q", status)
}

// machine is the processor time of the whole machine, in ticks.
type machine struct{ busy, all float64 }

// machineNow reads the first line of /proc/stat; it is zero where that is missing.
func machineNow() machine {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{}
	}
	line, _, _ := strings.Cut(string(content), "\n")
	var m machine
	for i, field := range strings.Fields(line) {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil || i > 8 { // the name; and guests, who are counted as users already
			continue
		}
		m.all += ticks
		if idle, iowait := 4, 5; i != idle && i != iowait {
			m.busy += ticks
		}
	}
	return m
}

// busySince is the share of the machine's processors in use since an earlier
// moment, in percent.
func (m machine) busySince(before machine) float64 {
	if m.all == before.all {
		return 0
	}
	return 100 * (m.busy - before.busy) / (m.all - before.all)
}

// machineLoad tells people what else goes on.
func machineLoad() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "load unknown"
	}
	fields := strings.Fields(string(content))
	return "load " + strings.Join(fields[:min(3, len(fields))], " ")
}
