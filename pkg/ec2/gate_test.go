/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"gotest.tools/v3/assert"
	"k8s.io/utils/clock"

	"github.com/eni-operator/eni-operator/test/emulator"
)

var errShut = errors.New("the lease is too old")

// gate is shut from a number of questions on; it counts them.
type gate struct {
	open  atomic.Int32
	asked atomic.Int32
}

func (g *gate) check() error {
	if g.asked.Add(1) > g.open.Load() {
		return errShut
	}
	return nil
}

// everyWrite makes each call that changes something.
func everyWrite(client Client) map[string]func(context.Context) error {
	const eni = "eni-0123456789abcdef0"
	return map[string]func(context.Context) error{
		"CreateNetworkInterface": func(ctx context.Context) error {
			_, err := client.CreateNetworkInterface(ctx, CreateInput{SubnetID: "subnet-0123456789abcdef0", ClientToken: "t"})
			return err
		},
		"AttachNetworkInterface": func(ctx context.Context) error {
			_, err := client.AttachNetworkInterface(ctx, eni, "i-0123456789abcdef0", Slot{DeviceIndex: 1})
			return err
		},
		"DetachNetworkInterface": func(ctx context.Context) error {
			return client.DetachNetworkInterface(ctx, "eni-attach-0123456789abcdef0", true)
		},
		"DeleteNetworkInterface": func(ctx context.Context) error { return client.DeleteNetworkInterface(ctx, eni) },
		"AssignPrivateIpAddresses": func(ctx context.Context) error {
			_, err := client.AssignPrivateAddresses(ctx, eni, AssignInput{AddressCount: 1})
			return err
		},
		"UnassignPrivateIpAddresses": func(ctx context.Context) error {
			return client.UnassignPrivateAddresses(ctx, eni, Assigned{Addresses: []string{"10.0.0.1"}})
		},
		"ModifyNetworkInterfaceAttribute, termination": func(ctx context.Context) error {
			return client.SetDeleteOnTermination(ctx, eni, "eni-attach-0123456789abcdef0", true)
		},
		"ModifyNetworkInterfaceAttribute, groups": func(ctx context.Context) error {
			return client.SetSecurityGroups(ctx, eni, []string{"sg-0123456789abcdef0"})
		},
		"CreateTags": func(ctx context.Context) error { return client.CreateTags(ctx, eni, map[string]string{"a": "b"}) },
		"DeleteTags": func(ctx context.Context) error { return client.DeleteTags(ctx, eni, []string{"a"}) },
	}
}

func TestShutGateHoldsEveryWriteBack(t *testing.T) {
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	client := connect(t, server, plenty, WithGate((&gate{}).check))
	for name, write := range everyWrite(client) {
		t.Run(name, func(t *testing.T) {
			err := write(t.Context())
			assert.ErrorIs(t, err, errShut)
			assert.Equal(t, Classify(err), ClassNotLeader)
			assert.Assert(t, NotLeader(err) && !Unclear(err), "what was not sent leaves no doubt")
		})
	}
	assert.Equal(t, len(server.Calls()), 0)
}

// TestGateIsAskedTwice: once before a connection is looked for, and once more right
// before the request goes out.
func TestGateIsAskedTwice(t *testing.T) {
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	g := &gate{}
	client := connect(t, server, plenty, WithGate(g.check))
	for name, write := range everyWrite(client) {
		t.Run(name, func(t *testing.T) {
			server.ResetCalls()
			g.asked.Store(0)
			g.open.Store(1)
			err := write(t.Context())
			assert.Assert(t, NotLeader(err) && !Unclear(err), "%v", err)
			assert.Equal(t, len(server.Calls()), 0)

			g.asked.Store(0)
			g.open.Store(2)
			err = write(t.Context())
			assert.Assert(t, err == nil || Code(err) != "", "EC2 answered: %v", err)
			assert.Equal(t, len(server.Calls()), 1, "sent once")
		})
	}
}

func TestReadsNeedNoGate(t *testing.T) {
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	g := &gate{}
	client := connect(t, server, plenty, WithGate(g.check))
	aSubnet(t, client)
	_, err := client.DescribeNetworkInterfaces(t.Context())
	assert.NilError(t, err)
	_, err = client.DescribeInstances(t.Context())
	assert.NilError(t, err)
	_, err = client.DescribeSecurityGroups(t.Context())
	assert.NilError(t, err)
	_, err = client.DescribeInstanceTypes(t.Context(), []string{"m5.large"})
	assert.NilError(t, err)
	assert.Equal(t, g.asked.Load(), int32(0))
}

// TestGateIsAskedAfterTheQueue: a write that waited for its turn is late.
func TestGateIsAskedAfterTheQueue(t *testing.T) {
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	g := &gate{}
	g.open.Store(2)
	client := connect(t, server, Limits{Default: Limit{Bucket: 1 + reserve, PerSecond: 5}}, WithGate(g.check))
	assert.Equal(t, Code(client.DeleteNetworkInterface(t.Context(), "eni-0123456789abcdef0")), "InvalidNetworkInterfaceID.NotFound")
	assert.Equal(t, g.asked.Load(), int32(2))
	ended := make(chan error)
	go func() { ended <- client.DeleteNetworkInterface(t.Context(), "eni-0123456789abcdef0") }()
	assert.Assert(t, NotLeader(<-ended))
	assert.Equal(t, g.asked.Load(), int32(3), "not while it waited")
	assert.Equal(t, len(server.Calls()), 1)
}

// TestBodyIsGatedAtItsFirstByte: later the request is on the wire, and saying that it
// was not sent would be a lie.
func TestBodyIsGatedAtItsFirstByte(t *testing.T) {
	g := &gate{}
	g.open.Store(1)
	body := &gatedBody{ReadCloser: io.NopCloser(strings.NewReader("Action=X")), gate: g.check}
	var got bytes.Buffer
	_, err := io.CopyBuffer(struct{ io.Writer }{&got}, body, make([]byte, 3))
	assert.NilError(t, err)
	assert.Equal(t, got.String(), "Action=X")
	assert.Equal(t, g.asked.Load(), int32(1))
}

// TestStoppingDropsWhatWaits: also calls that are made on nobody's behalf, such as
// batched reads, whose context does not end with the process.
func TestStoppingDropsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		q := newQueue(ctx.Done(), Limit{Bucket: 1, PerSecond: 0.001}, clock.RealClock{})
		assert.NilError(t, q.wait(t.Context()))
		ended := make(chan error, 3)
		for range cap(ended) {
			go func() { ended <- q.wait(context.WithoutCancel(t.Context())) }()
		}
		synctest.Wait()
		assert.Equal(t, q.length(), cap(ended))
		stop()
		for range cap(ended) {
			err := <-ended
			assert.ErrorIs(t, err, errStopping)
			assert.Assert(t, Cancelled(err))
		}
		assert.Equal(t, q.length(), 0)
		assert.ErrorIs(t, q.wait(t.Context()), errStopping)
	})
}
