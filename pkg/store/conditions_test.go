/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package store

import (
	"fmt"
	"testing"

	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestOthersConditionsGiveWay: but only where there is no room for ours.
func TestOthersConditionsGiveWay(t *testing.T) {
	for _, object := range []client.Object{&v1alpha1.ENIPolicy{}, &v1alpha1.ENIPool{}, &v1alpha1.ElasticNetworkInterface{}, &v1alpha1.ENIClaim{}} {
		conditions := conditionsOf(object)
		for i := range mostConditions - 1 {
			*conditions = append(*conditions, metav1.Condition{Type: fmt.Sprintf("others.example/%d", i)})
		}
		meta.SetStatusCondition(conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue})
		makeRoom(object)
		assert.Equal(t, len(*conditions), mostConditions)

		meta.SetStatusCondition(conditions, metav1.Condition{Type: v1alpha1.ConditionCreated, Status: metav1.ConditionTrue})
		makeRoom(object)
		assert.Equal(t, len(*conditions), 2)
		assert.Assert(t, meta.IsStatusConditionTrue(*conditions, v1alpha1.ConditionReady) && meta.IsStatusConditionTrue(*conditions, v1alpha1.ConditionCreated))
	}
}
