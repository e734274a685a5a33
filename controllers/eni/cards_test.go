/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestARefusedCardGivesWayToTheNext: its other places are not tried one after the other.
func TestARefusedCardGivesWayToTheNext(t *testing.T) {
	w := newWorld(t, newEndpoint(t), emulator.Options{})
	instance := first(t, w.ec2("RunInstances", "ImageId", "ami-0123456789abcdef0", "InstanceType", "p4d.24xlarge",
		"SubnetId", w.subnets[0], "MinCount", "1", "MaxCount", "1"), "instanceId")
	w.clock.Step(time.Minute)
	w.server.AddFault(emulator.Fault{Action: "AttachNetworkInterface", Code: codeAttachmentLimit, Params: map[string]string{"NetworkCardIndex": "0"}})
	w.create(v1alpha1.ElasticNetworkInterfaceSpec{NodeName: w.join(instance), InstanceID: instance})

	w.tolerantly(time.Minute)
	assert.Equal(t, condition(w.eni(), v1alpha1.ConditionReady), "True Ready")
	assert.Equal(t, w.eni().Status.Attachment.NetworkCardIndex, int32(1))
	assert.Equal(t, w.calls("AttachNetworkInterface"), 2)
}
