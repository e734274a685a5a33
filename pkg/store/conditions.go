/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package store

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// mostConditions is how many the schemas take.
const mostConditions = 16

// ownConditions are the types that the operator sets, on any kind.
var ownConditions = []string{
	v1alpha1.ConditionReady, v1alpha1.ConditionOverlapping, v1alpha1.ConditionNodesUsable, v1alpha1.ConditionEC2Trusted, v1alpha1.ConditionInstanceFound,
	v1alpha1.ConditionNetworkResolved, v1alpha1.ConditionCapacityAvailable, v1alpha1.ConditionCreated, v1alpha1.ConditionAttached,
	v1alpha1.ConditionAddressLost, v1alpha1.ConditionUninstallBlocked, v1alpha1.ConditionAddressesAssigned,
}

// makeRoom drops the conditions that others have set, if with them there are more than
// the schema takes: else nothing could be stored of the object any more, and whoever waits
// for it would wait for ever.
func makeRoom(object client.Object) {
	conditions := conditionsOf(object)
	if conditions == nil || len(*conditions) <= mostConditions {
		return
	}
	*conditions = slices.DeleteFunc(*conditions, func(c metav1.Condition) bool { return !slices.Contains(ownConditions, c.Type) })
}

func conditionsOf(object client.Object) *[]metav1.Condition {
	switch object := object.(type) {
	case *v1alpha1.ENIPolicy:
		return &object.Status.Conditions
	case *v1alpha1.ENIPool:
		return &object.Status.Conditions
	case *v1alpha1.ElasticNetworkInterface:
		return &object.Status.Conditions
	case *v1alpha1.ENIClaim:
		return &object.Status.Conditions
	default:
		return nil
	}
}
