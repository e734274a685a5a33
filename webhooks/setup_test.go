/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"testing"

	"gotest.tools/v3/assert"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// TestOnlyTheOperatorMakesENIsOfPools: who asks decides, and not what the ENI's label says.
func TestOnlyTheOperatorMakesENIsOfPools(t *testing.T) {
	const operator = "system:serviceaccount:eni-operator-system:eni-operator-controller-manager"
	for _, row := range []struct {
		name     string
		operator string
		asks     string
		refused  bool
	}{
		{name: "the operator", operator: operator, asks: operator},
		{name: "an editor of ENIs", operator: operator, asks: "eddy", refused: true},
		{name: "another account of the namespace", operator: operator, asks: "system:serviceaccount:eni-operator-system:default", refused: true},
		{name: "nobody that is known", operator: "", asks: "", refused: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			eni := &v1alpha1.ElasticNetworkInterface{ObjectMeta: metav1.ObjectMeta{
				Name: "eni", Labels: map[string]string{v1alpha1.ManagedByLabel: v1alpha1.ManagedByOperator},
			}}
			eni.Spec.NodeName, eni.Spec.PoolName = "node", "node"
			mine := eni.DeepCopy()
			mine.Spec.PoolName = ""
			validator := &eniValidator{world: worldOf(t, nodeOn(onEC2)), operator: row.operator}
			ctx := admission.NewContextWithRequest(context.Background(), admission.Request{
				AdmissionRequest: admissionv1.AdmissionRequest{UserInfo: authenticationv1.UserInfo{Username: row.asks}},
			})

			_, made := validator.ValidateCreate(ctx, eni)
			_, adopted := validator.ValidateUpdate(ctx, mine, eni)
			assert.Equal(t, apierrors.IsInvalid(made), row.refused, "%v", made)
			assert.Equal(t, apierrors.IsInvalid(adopted), row.refused, "%v", adopted)
		})
	}
}
