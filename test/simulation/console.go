/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/promises"
)

// consoles are people with the console, or their scripts, in EC2.
func consoles() []adversary {
	return []adversary{
		{"console", "an ENI is detached", 3, onENI(detachENI)},
		{"console", "an ENI is deleted", 3, onENI(deleteENI)},
		{"console", "an address is unassigned", 3, onENI(unassignAddress)},
		{"console", "an address is assigned", 2, onENI(assignAddress)},
		{"console", "an address moves to another ENI", 1, onENI(moveAddress)},
		{"console", "tags are changed", 2, onENI(retag)},
		{"console", "an ENI is given to another cluster", 1, onENI(giveAway)},
		{"console", "groups are changed", 2, onENI(changeGroups)},
		{"console", "an ENI is to stay when its instance goes", 1, onENI(keepENI)},
		{"console", "an ENI of others is attached", 2, attachForeign},
		{"console", "an instance is terminated", 1, terminateInstance},
		{"console", "an instance is stopped and started", 2, stopInstance},
	}
}

// moves are ENIs that people take to another instance.
func moves() []adversary {
	return []adversary{
		{"moves", "an ENI is attached to another instance", 1, onENI(moveENI)},
	}
}

// onENI plays on an ENI of ours.
func onENI(play func(*world, *rand.Rand, emulator.ENIState) (string, error)) func(*world, *rand.Rand) string {
	return func(w *world, rng *rand.Rand) string {
		eni, ok := choose(rng, w.ours())
		if !ok {
			return ""
		}
		what, err := play(w, rng, eni)
		w.referee.Look()
		if err != nil {
			what += fmt.Sprintf(" (%v)", err)
		}
		return what
	}
}

func (w *world) where(eni emulator.ENIState) string {
	for name, m := range w.nodes {
		if m.instance == eni.InstanceID {
			return eni.ID + " of " + name
		}
	}
	return eni.ID
}

func detachENI(w *world, rng *rand.Rand, eni emulator.ENIState) (string, error) {
	if eni.AttachmentID == "" {
		return "", nil
	}
	_, err := w.cloud.call("DetachNetworkInterface", "AttachmentId", eni.AttachmentID, "Force", strconv.FormatBool(rng.IntN(2) == 0))
	return "a person detaches " + w.where(eni), err
}

// moveENI detaches an ENI and attaches it to another instance of its zone.
func moveENI(w *world, rng *rand.Rand, eni emulator.ENIState) (string, error) {
	var others []string
	for _, name := range w.nodeNames() {
		if w.nodes[name].zone == eni.Zone && w.nodes[name].instance != eni.InstanceID {
			others = append(others, name)
		}
	}
	other, ok := choose(rng, others)
	if !ok {
		return "", nil
	}
	what := "a person moves " + w.where(eni) + " to the instance of " + other
	if eni.AttachmentID != "" {
		if _, err := w.cloud.call("DetachNetworkInterface", "AttachmentId", eni.AttachmentID, "Force", "true"); err != nil {
			return what, err
		}
	}
	for range 20 {
		time.Sleep(time.Second)
		for index := 1; index < 4; index++ {
			_, err := w.cloud.call("AttachNetworkInterface", "NetworkInterfaceId", eni.ID,
				"InstanceId", w.nodes[other].instance, "DeviceIndex", strconv.Itoa(index))
			if err == nil {
				w.referee.Moved(eni.ID)
				return what, nil
			}
		}
	}
	return what, fmt.Errorf("it found no place there")
}

func deleteENI(w *world, _ *rand.Rand, eni emulator.ENIState) (string, error) {
	what := "a person deletes " + w.where(eni)
	if eni.AttachmentID == "" {
		_, err := w.cloud.call("DeleteNetworkInterface", "NetworkInterfaceId", eni.ID)
		return what, err
	}
	_, err := w.cloud.call("DetachNetworkInterface", "AttachmentId", eni.AttachmentID, "Force", "true")
	for range 8 {
		if err != nil {
			return what, err
		}
		time.Sleep(time.Second)
		if _, failed := w.cloud.call("DeleteNetworkInterface", "NetworkInterfaceId", eni.ID); failed == nil {
			return what, nil
		}
	}
	return what, fmt.Errorf("it was not detached in time")
}

func unassignAddress(w *world, rng *rand.Rand, eni emulator.ENIState) (string, error) {
	address, ok := choose(rng, eni.Addresses)
	if !ok {
		return "", nil
	}
	_, err := w.cloud.call("UnassignPrivateIpAddresses", "NetworkInterfaceId", eni.ID, "PrivateIpAddress.1", address)
	return fmt.Sprintf("a person unassigns %s from %s", address, w.where(eni)), err
}

func assignAddress(w *world, rng *rand.Rand, eni emulator.ENIState) (string, error) {
	_, err := w.cloud.call("AssignPrivateIpAddresses", "NetworkInterfaceId", eni.ID, "SecondaryPrivateIpAddressCount", strconv.Itoa(1+rng.IntN(2)))
	return "a person assigns addresses to " + w.where(eni), err
}

// moveAddress takes an address for an ENI of the person's own.
func moveAddress(w *world, rng *rand.Rand, eni emulator.ENIState) (string, error) {
	address, ok := choose(rng, eni.Addresses)
	if !ok {
		return "", nil
	}
	own, err := w.newForeign(eni.SubnetID)
	if err != nil {
		return "a person wants an address", err
	}
	_, err = w.cloud.call("AssignPrivateIpAddresses", "NetworkInterfaceId", own, "PrivateIpAddress.1", address, "AllowReassignment", "true")
	return fmt.Sprintf("a person moves %s from %s to an ENI of their own, %s", address, w.where(eni), own), err
}

// newForeign makes an ENI that is not ours.
func (w *world) newForeign(subnet string, parameters ...string) (string, error) {
	body, err := w.cloud.call("CreateNetworkInterface", append([]string{"SubnetId", subnet, "SecurityGroupId.1", w.cloud.group}, parameters...)...)
	if err != nil {
		return "", err
	}
	id := element(body, "networkInterfaceId")
	w.referee.Foreign(id)
	return id, nil
}

func retag(w *world, rng *rand.Rand, eni emulator.ENIState) (string, error) {
	keys := []string{promises.TagClusterUID, promises.TagUID, "networking.eni-operator.dev/name", "networking.eni-operator.dev/node", "team"}
	key := keys[rng.IntN(len(keys))]
	if rng.IntN(2) == 0 {
		_, err := w.cloud.call("DeleteTags", "ResourceId.1", eni.ID, "Tag.1.Key", key)
		return fmt.Sprintf("a person removes the tag %s of %s", key, w.where(eni)), err
	}
	if key == promises.TagClusterUID || key == promises.TagUID {
		key = "owner"
	}
	_, err := w.cloud.call("CreateTags", "ResourceId.1", eni.ID, "Tag.1.Key", key, "Tag.1.Value", fmt.Sprintf("v%d", rng.IntN(9)))
	return fmt.Sprintf("a person changes the tag %s of %s", key, w.where(eni)), err
}

func giveAway(w *world, _ *rand.Rand, eni emulator.ENIState) (string, error) {
	_, err := w.cloud.call("CreateTags", "ResourceId.1", eni.ID, "Tag.1.Key", promises.TagClusterUID, "Tag.1.Value", "another-cluster",
		"Tag.2.Key", promises.TagUID, "Tag.2.Value", "another-uid")
	return "a person gives " + w.where(eni) + " to another cluster by its tags", err
}

func changeGroups(w *world, rng *rand.Rand, eni emulator.ENIState) (string, error) {
	_, err := w.cloud.call("ModifyNetworkInterfaceAttribute", "NetworkInterfaceId", eni.ID, "SecurityGroupId.1", w.cloud.groups[rng.IntN(len(w.cloud.groups))])
	return "a person changes the groups of " + w.where(eni), err
}

func keepENI(w *world, _ *rand.Rand, eni emulator.ENIState) (string, error) {
	if eni.AttachmentID == "" {
		return "", nil
	}
	_, err := w.cloud.call("ModifyNetworkInterfaceAttribute", "NetworkInterfaceId", eni.ID,
		"Attachment.AttachmentId", eni.AttachmentID, "Attachment.DeleteOnTermination", "false")
	return "a person has " + w.where(eni) + " stay when its instance goes", err
}

// attachForeign takes a place on an instance, where our next ENI would go.
func attachForeign(w *world, rng *rand.Rand) string {
	node, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	m := w.nodes[node]
	subnet := w.cloud.subnets["nodes-a"]
	if m.zone == zoneB {
		subnet = w.cloud.subnets["nodes-b"]
	}
	id, err := w.newForeign(subnet)
	if err != nil {
		return ""
	}
	for index := 1; index < 4; index++ {
		_, err = w.cloud.call("AttachNetworkInterface", "NetworkInterfaceId", id, "InstanceId", m.instance, "DeviceIndex", strconv.Itoa(index))
		if err == nil {
			w.referee.Look()
			return fmt.Sprintf("a person attaches an ENI of their own, %s, to %s at index %d", id, node, index)
		}
	}
	return fmt.Sprintf("a person finds no place for an ENI of their own on %s", node)
}

func terminateInstance(w *world, rng *rand.Rand) string {
	node, ok := choose(rng, w.nodeNames())
	if !ok || len(w.nodes) < 2 {
		return ""
	}
	_, err := w.cloud.call("TerminateInstances", "InstanceId.1", w.nodes[node].instance)
	w.referee.Look()
	delete(w.nodes, node)
	wait := time.Duration(rng.Int64N(int64(10 * time.Minute)))
	w.later(wait, func() { w.deleteNode(node) })
	return fmt.Sprintf("the instance of %s is terminated, and its Node deleted %s later %v", node, wait.Round(time.Second), errorText(err))
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return "(" + err.Error() + ")"
}

// stopInstance stops an instance, perhaps changes its type, and starts it.
func stopInstance(w *world, rng *rand.Rand) string {
	node, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	m := w.nodes[node]
	_, err := w.cloud.call("StopInstances", "InstanceId.1", m.instance)
	wait := time.Minute + time.Duration(rng.Int64N(int64(15*time.Minute)))
	kind := ""
	if rng.IntN(2) == 0 {
		kind = []string{"m5.large", "m5.xlarge", "t3.large"}[rng.IntN(3)]
	}
	w.later(wait, func() {
		if kind != "" {
			if _, err := w.cloud.call("ModifyInstanceAttribute", "InstanceId", m.instance, "InstanceType.Value", kind); err == nil {
				m.kind = kind
			}
		}
		w.startInstance(m)
	})
	return fmt.Sprintf("the instance of %s is stopped for %s and becomes %q %s", node, wait.Round(time.Second), kind, errorText(err))
}

// startInstance starts an instance once it is stopped.
func (w *world) startInstance(m *member) {
	for range 60 {
		state := w.cloud.Look(region).Instances
		i := slices.IndexFunc(state, func(i emulator.InstanceState) bool { return i.ID == m.instance })
		if i < 0 || state[i].State == "running" || state[i].State == "pending" || state[i].State == "terminated" || state[i].State == "shutting-down" {
			return
		}
		_, _ = w.cloud.call("StartInstances", "InstanceId.1", m.instance)
		time.Sleep(time.Second)
	}
}
