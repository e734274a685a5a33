/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// theirTags are those of an ENI that another cluster made.
func theirTags() map[string]string {
	return ec2.Ownership{Cluster: "theirs", ClusterUID: "another-cluster", Name: "db", UID: "their-uid"}.Tags(nil)
}

// foreignENI makes an ENI with tags, attached to another instance, and returns its id.
func (w *world) foreignENI(tags map[string]string) string {
	w.t.Helper()
	theirs := w.launch()
	w.clock.Step(time.Minute)
	foreign, err := w.api.CreateNetworkInterface(w.t.Context(), ec2.CreateInput{
		SubnetID: w.subnets[0], AddressCount: 3, ClientToken: theirs, Tags: tags,
	})
	assert.NilError(w.t, err)
	_, err = w.api.AttachNetworkInterface(w.t.Context(), foreign.ID, theirs, ec2.Slot{DeviceIndex: 1})
	assert.NilError(w.t, err)
	w.clock.Step(time.Minute)
	return foreign.ID
}

// nameENI edits the status so that it names an ENI.
func (w *world) nameENI(id string) {
	w.t.Helper()
	eni := w.eni()
	eni.Status.NetworkInterfaceID = id
	assert.NilError(w.t, w.kube.Status().Update(w.t.Context(), eni))
}

// deleteOutside detaches the resource's ENI by force and deletes it, as a person does.
func (w *world) deleteOutside() {
	w.t.Helper()
	status := w.eni().Status
	w.ec2("DetachNetworkInterface", "AttachmentId", status.Attachment.ID, "Force", "true")
	w.ec2("DeleteNetworkInterface", "NetworkInterfaceId", status.NetworkInterfaceID)
}
