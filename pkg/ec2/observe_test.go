/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// heard is an observer that writes down what it hears.
type heard struct{ lines []string }

func (h *heard) Waited(action string, priority Priority, waited time.Duration) {
	h.lines = append(h.lines, fmt.Sprintf("%s %s waited %t", action, priority, waited >= time.Millisecond))
}

func (h *heard) Answered(action string, took time.Duration, err error) {
	h.lines = append(h.lines, fmt.Sprintf("%s answered %t %q", action, took > 0, Code(err)))
}

func TestObserver(t *testing.T) {
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	client := connect(t, server, Limits{Default: Limit{Bucket: 1 + reserve, PerSecond: 20}})
	observer := &heard{}
	WithObserver(observer)(client)
	remove := func(priority Priority) {
		_ = client.DeleteNetworkInterface(WithPriority(t.Context(), priority, "node"), "eni-0123456789abcdef0")
	}
	remove(PriorityUrgent)
	remove(PriorityBackground) // The bucket is empty by now.
	done := server.AddFault(emulator.Fault{Action: "DescribeSubnets", Code: "RequestLimitExceeded", Status: 503})
	_, err := client.DescribeSubnets(t.Context())
	assert.Equal(t, Classify(err), ClassThrottled)
	done()
	assert.DeepEqual(t, observer.lines, []string{
		"DeleteNetworkInterface urgent waited false",
		`DeleteNetworkInterface answered true "InvalidNetworkInterfaceID.NotFound"`,
		"DeleteNetworkInterface background waited true",
		`DeleteNetworkInterface answered true "InvalidNetworkInterfaceID.NotFound"`,
		"DescribeSubnets normal waited false",
		`DescribeSubnets answered true "RequestLimitExceeded"`,
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
