/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestTheJoinFloorIsWhatTheBucketsLackPlusOneENI(t *testing.T) {
	for nodes, floor := range map[int]time.Duration{
		1:     1200 * time.Millisecond,
		50:    1200 * time.Millisecond,
		51:    1400 * time.Millisecond,
		200:   31*time.Second + 200*time.Millisecond,
		1000:  191*time.Second + 200*time.Millisecond,
		10000: 1991*time.Second + 200*time.Millisecond,
	} {
		assert.Equal(t, joinFloor(nodes), floor, "%d nodes", nodes)
	}
}

func TestTheShrinkFloorIsWhatTheBucketOfDetachmentsLacks(t *testing.T) {
	for nodes, floor := range map[int]time.Duration{
		50:   400 * time.Millisecond,
		200:  30*time.Second + 400*time.Millisecond,
		1000: 190*time.Second + 400*time.Millisecond,
	} {
		assert.Equal(t, shrinkFloor(nodes), floor, "%d nodes", nodes)
	}
}

func TestAFifthOfTheFleetIsReplacedEachMinuteButNoMoreThanEC2Attaches(t *testing.T) {
	for _, test := range []struct {
		nodes, count int
		every        time.Duration
	}{
		{1, 1, time.Minute},
		{50, 20, 6 * time.Second},
		{200, 80, 1500 * time.Millisecond},
		{5000, 480, 250 * time.Millisecond},
	} {
		count, every := churnOf(test.nodes)
		assert.Equal(t, count, test.count, "%d nodes", test.nodes)
		assert.Equal(t, every, test.every, "%d nodes", test.nodes)
	}
}

func TestTheFailoverBoundFollowsTheDefaults(t *testing.T) {
	bound, err := failoverBound()
	assert.NilError(t, err)
	assert.Equal(t, bound, 15*time.Second+4400*time.Millisecond+time.Second)
}

func TestPercentilesAreMeasuredValues(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for _, test := range []struct {
		name    string
		sorted  []time.Duration
		percent int
		want    time.Duration
	}{
		{"nothing", nil, 50, 0},
		{"one value", []time.Duration{7}, 99, 7},
		{"p0", hundred, 0, 1},
		{"p50 of an even number", hundred, 50, 50},
		{"p50 of an odd number", []time.Duration{1, 2, 3}, 50, 2},
		{"p99", hundred, 99, 99},
		{"p99 of a few is the largest", []time.Duration{1, 2, 3}, 99, 3},
		{"p100", hundred, 100, 100},
	} {
		assert.Equal(t, percentile(test.sorted, test.percent), test.want, test.name)
	}
}

func TestMergingReplacesOnlyTheRowsThatWereMeasured(t *testing.T) {
	entry := func(row string, nodes int, metric string, value float64) result {
		return result{Row: row, Nodes: nodes, Metric: metric, Value: value}
	}
	before := []result{entry("join", 50, "time", 1), entry("join", 50, "gone", 1), entry("join", 200, "time", 2), entry("churn", 50, "leaks", 0)}
	merged := merge(before, []result{entry("join", 50, "time", 3)})
	assert.DeepEqual(t, merged, []result{entry("join", 200, "time", 2), entry("churn", 50, "leaks", 0), entry("join", 50, "time", 3)})
}

func TestTheReportIsMergedOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "build", "bench.json")
	first, second := sheet{row: "join", nodes: 50}, sheet{row: "rest", nodes: 50}
	first.timed("time", 2*time.Second, time.Second, nil)
	second.goal("calls", 3, "calls", 2)
	assert.NilError(t, mergeReport(path, first.results))
	assert.NilError(t, mergeReport(path, second.results))
	assert.NilError(t, mergeReport(path, nil))
	content, err := os.ReadFile(path)
	assert.NilError(t, err)
	assert.Equal(t, string(content), `[
  {
    "row": "join",
    "nodes": 50,
    "metric": "time",
    "value": 2,
    "unit": "s",
    "floor": 1,
    "ratio": 2,
    "goal": null,
    "met": null
  },
  {
    "row": "rest",
    "nodes": 50,
    "metric": "calls",
    "value": 3,
    "unit": "calls",
    "floor": null,
    "ratio": null,
    "goal": 2,
    "met": false
  }
]
`)
	assert.NilError(t, os.WriteFile(path, []byte("mine"), 0o600))
	assert.ErrorContains(t, mergeReport(path, first.results), "is not a report")
}

func TestAGoalIsForTheRatioOfATime(t *testing.T) {
	s := sheet{row: "join", nodes: 200}
	most := 1.15
	s.timed("fast", 11*time.Second, 10*time.Second, &most)
	s.timed("slow", 12*time.Second, 10*time.Second, &most)
	assert.Assert(t, *s.results[0].Met)
	assert.Assert(t, !*s.results[1].Met)
	var table strings.Builder
	writeTable(&table, s.results)
	assert.Equal(t, table.String(), ""+
		"ROW   NODES  METRIC  VALUE  UNIT  FLOOR  RATIO  GOAL          MET\n"+
		"join  200    fast    11     s     10     1.1    ratio ≤ 1.15  yes\n"+
		"join  200    slow    12     s     10     1.2    ratio ≤ 1.15  NO\n")
}

func TestAGoalMayBeTheLeast(t *testing.T) {
	s := sheet{row: "burst", nodes: 200}
	s.atLeast("rate", 0.5, "", 0.5)
	s.atLeast("rate", 0.49, "", 0.5)
	assert.Assert(t, *s.results[0].Met)
	assert.Assert(t, !*s.results[1].Met)
	var table strings.Builder
	writeTable(&table, s.results)
	assert.Assert(t, strings.Contains(table.String(), "≥ 0.5"), table.String())
}

const roundLines = `{"stage":"ResponseComplete","verb":"update","user":{"username":"op"},"objectRef":{"resource":"enipools","name":"a"}}
{"stage":"ResponseComplete","verb":"patch","user":{"username":"op"},"objectRef":{"resource":"eniclaims","namespace":"n","name":"1"}}
{"stage":"ResponseComplete","verb":"patch","user":{"username":"op"},"objectRef":{"resource":"eniclaims","namespace":"n","name":"2"}}
{"stage":"ResponseComplete","verb":"update","user":{"username":"op"},"objectRef":{"resource":"enipools","name":"a"}}
{"stage":"ResponseComplete","verb":"update","user":{"username":"op"},"objectRef":{"resource":"eniclaims","subresource":"status","namespace":"n","name":"1"}}
{"stage":"ResponseComplete","verb":"patch","user":{"username":"op"},"objectRef":{"resource":"eniclaims","namespace":"n","name":"3"}}
{"stage":"ResponseComplete","verb":"update","user":{"username":"op"},"objectRef":{"resource":"enipools","name":"a"}}
`

func TestAPoolWriteServesNewClaims(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	assert.NilError(t, os.WriteFile(path, []byte(roundLines), 0o600))
	log := auditLog{path: path, user: "op"}
	served, err := log.rounds(0, map[string]string{"n/1": "a", "n/2": "a", "n/3": "b"})
	assert.NilError(t, err)
	// Before the first there was no claim, and the third is of another node.
	assert.Equal(t, served, rounds{writes: 3, idle: 2})
}

const auditLines = `{"stage":"ResponseComplete","verb":"update","user":{"username":"op"},"objectRef":{"resource":"enipools","subresource":"status"},"responseStatus":{"code":200}}
{"stage":"ResponseComplete","verb":"update","user":{"username":"op"},"objectRef":{"resource":"enipools","subresource":"status"},"responseStatus":{"code":409}}
{"stage":"ResponseComplete","verb":"create","user":{"username":"op"},"objectRef":{"resource":"enipools"},"responseStatus":{"code":201}}
{"stage":"ResponseComplete","verb":"create","user":{"username":"other"},"objectRef":{"resource":"nodes"},"responseStatus":{"code":201}}
{"stage":"ResponseComplete","verb":"get","user":{"username":"op"},"objectRef":{"resource":"nodes"},"responseStatus":{"code":200}}
{"stage":"ResponseStarted","verb":"watch","user":{"username":"op"},"objectRef":{"resource":"nodes"},"responseStatus":{"code":200}}
{"stage":"ResponseComplete","verb":"update","user":{"username":"op"},"objectRef":{"resource":"leases"},"responseStatus":{"code":200}}
{"stage":"ResponseComplete","verb":"create","user":{"username":"op"},"objectRef":{"resource":"events"},"responseStatus":{"code":201}}
{"stage":"ResponseComplete","verb":"get","user":{"username":"op"}}
`

func TestTheAuditLogIsFollowedLineByLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	half := len(auditLines)/2 + 10 // within a line
	log := auditLog{path: path, user: "op", counts: writes{}}
	assert.NilError(t, os.WriteFile(path, []byte(auditLines[:half]), 0o600))
	before, err := log.read()
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(path, []byte(auditLines), 0o600))
	after, err := log.read()
	assert.NilError(t, err)

	assert.DeepEqual(t, before, writes{"update enipools/status": 2, "create enipools": 1, conflicts: 1})
	assert.DeepEqual(t, after, writes{"update enipools/status": 2, "create enipools": 1, conflicts: 1, leaseWrites: 1, eventWrites: 1})
	assert.Equal(t, after.total(), 3)
	assert.DeepEqual(t, after.kinds(), []string{"create enipools", "update enipools/status"})
	assert.DeepEqual(t, after.since(before), writes{leaseWrites: 1, eventWrites: 1})
	assert.Equal(t, after.of("enipools"), 3)
	assert.Equal(t, after.of("eniclaims"), 0)
}

func TestCallsAreCountedSinceALook(t *testing.T) {
	before := calls{"DescribeSubnets": emulator.ActionCount{Calls: 2}, "CreateTags": emulator.ActionCount{Calls: 1}}
	after := calls{
		"DescribeSubnets": emulator.ActionCount{Calls: 5, Throttled: 1}, "CreateTags": emulator.ActionCount{Calls: 1},
		"AttachNetworkInterface": emulator.ActionCount{Calls: 4},
	}
	made := after.since(before)
	assert.Equal(t, made.total(), 7)
	assert.Equal(t, made.reads(), 3)
	assert.Equal(t, made.writes(), 4)
	assert.Equal(t, made.throttled(), 1)
	assert.Equal(t, len(made), 2)
}

func TestTimesAreFromEachNodeAndFromTheFirst(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	times := timesOf(map[string]time.Time{"a": at(10), "b": at(12)}, map[string]time.Time{"a": at(19), "b": at(13)})
	assert.Equal(t, times.total, 9*time.Second)
	assert.DeepEqual(t, times.perNode, []time.Duration{time.Second, 9 * time.Second})
}

func TestRoundsAreScaledAndTheRestIsNot(t *testing.T) {
	assert.Equal(t, scaled(1, 9, 0.25), 3.0)
	assert.Equal(t, scaled(2, 1, 0.25), 2.0) // a calmer window takes nothing away
	flags, scale := shortIntervals()
	assert.Assert(t, len(flags) > 0)
	assert.Assert(t, scale > 0 && scale < 1)
}

func TestZonesAreBalanced(t *testing.T) {
	for nodes, want := range map[int][3]int{1: {1, 0, 0}, 2: {1, 1, 0}, 3: {1, 1, 1}, 50: {17, 17, 16}, 1000: {334, 333, 333}} {
		assert.DeepEqual(t, [3]int{share(nodes, 0), share(nodes, 1), share(nodes, 2)}, want)
	}
	for fleet := range 8 {
		assert.Equal(t, len(mixed(make([]types.Instance, fleet))), fleet)
	}
}

func TestProcIsRead(t *testing.T) {
	cpu, err := parseCPUTime("77 (eni operator) S 1 77 77 0 -1 4194560 9000 0 0 0 150 50 0 0 20 0 9 0 100 0 0")
	assert.NilError(t, err)
	assert.Equal(t, cpu, 2*time.Second)
	_, err = parseCPUTime("77 (x) S")
	assert.ErrorContains(t, err, "too short")
	memory, err := parsePeakMemory("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n")
	assert.NilError(t, err)
	assert.Equal(t, memory, 2.0)
	_, err = parsePeakMemory("Name:\tx\n")
	assert.ErrorContains(t, err, "no VmHWM")
	memory, err = parseHeap("heap profile: 1: 2\n# Alloc = 9\n# HeapAlloc = 3145728\n# HeapSys = 7\n")
	assert.NilError(t, err)
	assert.Equal(t, memory, 3.0)
	_, err = parseHeap("heap profile: 1: 2\n")
	assert.ErrorContains(t, err, "no HeapAlloc")
	assert.Equal(t, machine{busy: 30, all: 200}.busySince(machine{busy: 10, all: 100}), 20.0)
}

func TestTheCommandLineIsChecked(t *testing.T) {
	s, err := parse([]string{"--nodes=200", "--rows=join,rest"})
	assert.NilError(t, err)
	assert.Equal(t, s.nodes, 200)
	assert.DeepEqual(t, s.rows, []string{"join", "rest"})
	for argument, message := range map[string]string{
		"--nodes=0": "--nodes", "--nodes=7000": "must be 1 to", "--rows=jion": `no row "jion"`, "more": "unknown argument",
	} {
		_, err := parse([]string{argument})
		assert.ErrorContains(t, err, message)
	}
}

func TestLeaksAreFoundBothWays(t *testing.T) {
	assert.DeepEqual(t, missingFrom([]string{"eni-1"}, []string{"eni-1", "eni-2"}), []string{"eni-2"})
	assert.Equal(t, len(missingFrom([]string{"eni-1"}, []string{"eni-1"})), 0)
}

func TestAQuantileIsInterpolatedWithinItsBucket(t *testing.T) {
	const text = `# TYPE apiserver_admission_webhook_admission_duration_seconds histogram
apiserver_admission_webhook_admission_duration_seconds_bucket{name="eniclaims.networking.eni-operator.dev",le="0.005"} 90
apiserver_admission_webhook_admission_duration_seconds_bucket{name="eniclaims.networking.eni-operator.dev",le="0.025"} 100
apiserver_admission_webhook_admission_duration_seconds_bucket{name="eniclaims.networking.eni-operator.dev",le="+Inf"} 100
apiserver_admission_webhook_admission_duration_seconds_bucket{name="enipolicies.networking.eni-operator.dev",le="0.005"} 90
apiserver_admission_webhook_admission_duration_seconds_bucket{name="enipolicies.networking.eni-operator.dev",le="0.025"} 100
apiserver_admission_webhook_admission_duration_seconds_bucket{name="enipolicies.networking.eni-operator.dev",le="+Inf"} 100
apiserver_admission_webhook_admission_duration_seconds_bucket{name="another.example.com",le="+Inf"} 7
`
	found, err := readHistogram(text, webhookMetric, "networking.eni-operator.dev")
	assert.NilError(t, err)
	assert.DeepEqual(t, found, histogram{0.005: 180, 0.025: 200, math.Inf(1): 200})
	assert.Equal(t, round(found.quantile(0.5)), round(0.005*100/180))
	assert.Equal(t, round(found.quantile(0.99)), round(0.005+0.020*18/20))
	made := found.since(histogram{0.005: 180, 0.025: 190, math.Inf(1): 190})
	assert.Equal(t, round(made.quantile(0.99)), round(0.005+0.020*9.9/10))
	assert.Equal(t, histogram{0.005: 0, math.Inf(1): 3}.quantile(0.5), 0.005, "beyond the last bound nothing is known")
	assert.Assert(t, math.IsNaN(found.since(found).quantile(0.99)))
	_, err = readHistogram(webhookMetric+`{le="1"} many`, webhookMetric, "")
	assert.ErrorContains(t, err, "many")
}
