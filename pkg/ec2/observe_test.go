/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// heard is an observer that writes down what it hears.
type heard struct{ lines []string }

func (h *heard) Waited(action string, priority Priority, waited time.Duration) {
	h.lines = append(h.lines, fmt.Sprintf("%s %s waited %s", action, priority, waited))
}

func (h *heard) Answered(action string, took time.Duration, err error) {
	h.lines = append(h.lines, fmt.Sprintf("%s answered after %s %q", action, took, Code(err)))
}

// steppedClock moves when it is told to. What it calls may ask it for the time.
type steppedClock struct{ *clocktesting.FakeClock }

func (c steppedClock) AfterFunc(d time.Duration, do func()) clock.Timer {
	return c.FakeClock.AfterFunc(d, func() { go do() })
}

func TestObserver(t *testing.T) {
	const answer, refill = 10 * time.Millisecond, 50 * time.Millisecond
	clk := steppedClock{clocktesting.NewFakeClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))}
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clk.Step(answer)
		server.ServeHTTP(w, r)
	})
	client := connect(t, slow, Limits{Default: Limit{Bucket: 1 + reserve, PerSecond: float64(time.Second / refill)}})
	client.limiter.clock = clk
	observer := &heard{}
	WithObserver(observer)(client)
	remove := func(priority Priority) {
		_ = client.DeleteNetworkInterface(WithPriority(t.Context(), priority, "node"), "eni-0123456789abcdef0")
	}
	remove(PriorityUrgent)
	ended := make(chan struct{})
	go func() { defer close(ended); remove(PriorityBackground) }() // The bucket is empty by now.
	for waiting(client) == 0 {
		runtime.Gosched()
	}
	clk.Step(refill)
	<-ended
	done := server.AddFault(emulator.Fault{Action: "DescribeSubnets", Code: "RequestLimitExceeded", Status: 503})
	_, err := client.DescribeSubnets(t.Context())
	assert.Equal(t, Classify(err), ClassThrottled)
	done()
	assert.DeepEqual(t, observer.lines, []string{
		"DeleteNetworkInterface urgent waited 0s",
		`DeleteNetworkInterface answered after 10ms "InvalidNetworkInterfaceID.NotFound"`,
		"DeleteNetworkInterface background waited 50ms",
		`DeleteNetworkInterface answered after 10ms "InvalidNetworkInterfaceID.NotFound"`,
		"DescribeSubnets normal waited 0s",
		`DescribeSubnets answered after 10ms "RequestLimitExceeded"`,
	})
	queues := client.Queues()
	assert.Equal(t, len(queues), 2)
	assert.Equal(t, queues[0].Action, "DeleteNetworkInterface")
	assert.Equal(t, queues[0].PerSecond, 20.0)
	assert.Equal(t, queues[1].Action, "DescribeSubnets")
	assert.Assert(t, queues[1].PerSecond < 20, "%g a second, right after a throttle", queues[1].PerSecond)
}

func TestKnown(t *testing.T) {
	assert.Assert(t, Known("InvalidNetworkInterfaceID.NotFound") && !Known("Invented") && !Known(""))
}
