/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"maps"
	"slices"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// deleteAll uninstalls the operator where there are a primary ENI with an address of the
// operator's, an ENI of another cluster and a retained one beside that of the stage. All that
// should go goes; then something may happen that should not.
func (s *stage) deleteAll(then func()) {
	first := emulator.ENIState{ID: "eni-0", InstanceID: instance, AttachmentID: "eni-attach-0", PrimaryAddress: "10.0.0.7"}
	foreign := emulator.ENIState{ID: "eni-2", Tags: map[string]string{TagClusterUID: "them"}}
	retained := emulator.ENIState{ID: "eni-3", InstanceID: instance, DeviceIndex: 2, Tags: map[string]string{TagClusterUID: "us", TagUID: "u-kept"}}
	s.cloud.ENIs = append([]emulator.ENIState{first, foreign, retained}, s.cloud.ENIs...)
	s.assigned["eni-0|10.0.0.8"] = true
	kept := theENI()
	kept.Name = "kept"
	kept.UID = "u-kept"
	kept.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain
	kept.Status.NetworkInterfaceID = "eni-3"
	s.write(operator, "elasticnetworkinterfaces", nil, kept)
	s.Uninstalling()
	s.cloud.ENIs = slices.Clone(s.cloud.ENIs[:3])
	s.cloud.ENIs[2].Tags = map[string]string{TagClusterUID: "us", TagUID: "u-kept", TagDeletionPolicy: "Retain"}
	s.write(operator, "elasticnetworkinterfaces", kept, nil)
	s.write(operator, "elasticnetworkinterfaces", theENI(), nil)
	if then != nil {
		then()
	}
	s.Deleted()
}

// abandon uninstalls the operator and leaves its ENI; then something may happen to it
// that should not.
func (s *stage) abandon(then func(*emulator.ENIState)) {
	s.Uninstalling()
	s.cloud.ENIs = slices.Clone(s.cloud.ENIs)
	eni := &s.cloud.ENIs[0]
	eni.Tags = maps.Clone(eni.Tags)
	eni.Tags[TagDeletionPolicy] = "Retain"
	if then != nil {
		then(eni)
	}
	s.Abandoned()
	s.Outlived()
}
