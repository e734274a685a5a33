/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestOneAddressOnTwoENIs: the answer to our own call proves that another ENI does not
// have it any more. Nobody may trust either before that one was looked at.
func TestOneAddressOnTwoENIs(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	one, two := w.create("one", 2), w.create("two", 0)
	w.clk.Step(time.Minute)
	w.sweep()
	moved := one.Addresses[:1]
	w.ec2("UnassignPrivateIpAddresses", "NetworkInterfaceId", one.ID, "PrivateIpAddress.1", moved[0])
	w.take()
	assert.NilError(t, w.assign(two.ID, ec2.AssignInput{Addresses: moved}))
	_, trusted := w.ENI(one.ID)
	assert.Assert(t, !trusted)
	assert.DeepEqual(t, w.take(), []Change{{ENIID: one.ID, OwnerName: "name-of-one"}, {ENIID: two.ID, OwnerName: "name-of-two"}})
	assert.DeepEqual(t, w.Contested(two.ID), moved)
	assert.DeepEqual(t, w.Contested(one.ID), moved)

	looked, _ := w.look(one.ID)
	assert.Equal(t, len(looked.Addresses), 1)
	assert.Equal(t, len(w.Contested(one.ID))+len(w.Contested(two.ID)), 0, "settled")
	assert.DeepEqual(t, w.take(), []Change{{ENIID: two.ID, OwnerName: "name-of-two"}})
}

// TestAnAddressInAPrefixOfAnother is on two ENIs too.
func TestAnAddressInAPrefixOfAnother(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	stub := &stub{eni: ec2.NetworkInterface{ID: "eni-1", VPCID: "vpc-1", Tags: tags("a"), Prefixes: []string{"10.0.0.16/28"}}}
	w.client = stub
	w.look("eni-1")
	stub.eni = ec2.NetworkInterface{ID: "eni-2", VPCID: "vpc-2", Tags: tags("b"), Addresses: []string{"10.0.0.17"}}
	w.look("eni-2")
	assert.Equal(t, len(w.Contested("eni-2")), 0, "another VPC")
	stub.eni = ec2.NetworkInterface{ID: "eni-3", VPCID: "vpc-1", Tags: tags("c"), PrimaryAddress: "10.0.0.17"}
	w.look("eni-3")
	assert.DeepEqual(t, w.Contested("eni-3"), []string{"10.0.0.17"})
	assert.DeepEqual(t, w.Contested("eni-1"), []string{"10.0.0.16/28"})
	w.Inventory.mu.Lock()
	for _, id := range []string{"eni-1", "eni-2", "eni-3"} {
		w.drop(id)
	}
	w.Inventory.mu.Unlock()
	assert.Equal(t, len(w.addresses), 0)
}

// TestOnlyNewAddressesAreReturned: EC2 answers with every name that was asked for, also
// one that somebody assigned to the primary ENI a moment before.
func TestOnlyNewAddressesAreReturned(t *testing.T) {
	w := newWorld(t, emulator.Options{})
	instance, _, err := w.Instance(w.ctx, w.run("m5.large"))
	assert.NilError(t, err)
	primary := instance.Primary.ID
	w.ec2("AssignPrivateIpAddresses", "NetworkInterfaceId", primary, "PrivateIpAddress.1", "10.0.0.77")
	assigned, err := w.Assign(w.ctx, Ref{ID: primary, UID: "a"}, ec2.AssignInput{Addresses: []string{"10.0.0.77", "10.0.0.78"}})
	assert.NilError(t, err)
	assert.DeepEqual(t, assigned.Addresses, []string{"10.0.0.78"})
	assert.Equal(t, len(w.known(primary).Addresses), 2)
}
