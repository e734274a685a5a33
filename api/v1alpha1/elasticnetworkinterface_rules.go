/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

// SameInstance says whether two resources on the same Node may be on the same
// instance: they are, unless both name theirs and the names differ.
func (e *ElasticNetworkInterface) SameInstance(other *ElasticNetworkInterface) bool {
	return e.Spec.NodeName == other.Spec.NodeName &&
		(e.Spec.InstanceID == "" || other.Spec.InstanceID == "" || e.Spec.InstanceID == other.Spec.InstanceID)
}

// SlotOn is where on an instance the ENI is attached or, until then, where its spec
// wants it. It is unknown while the operator is free to choose.
func (e *ElasticNetworkInterface) SlotOn(instanceID string) (slot Slot, known bool) {
	if index := e.Spec.DeviceIndex; index != nil {
		slot.DeviceIndex = *index
		if card := e.Spec.NetworkCardIndex; card != nil {
			slot.NetworkCardIndex = *card
		}
		return slot, true
	}
	if at := e.Status.Attachment; at != nil && at.InstanceID == instanceID {
		return Slot{NetworkCardIndex: at.NetworkCardIndex, DeviceIndex: at.DeviceIndex}, true
	}
	return slot, false
}

// Slot is a place for an ENI on an instance.
//
// +kubebuilder:object:generate=false
type Slot struct {
	NetworkCardIndex int32 `json:"networkCardIndex"`
	DeviceIndex      int32 `json:"deviceIndex"`
}
