/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"testing"

	"golang.org/x/time/rate"
	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// TestRefusalsInALoopAreNotAllConfirmed: whoever is refused again and again must not have the
// API server read by that.
func TestRefusalsInALoopAreNotAllConfirmed(t *testing.T) {
	cached, live := fake.NewClientBuilder().Build(), fake.NewClientBuilder().Build()
	w := &world{cached: cached, live: live, confirmations: rate.NewLimiter(0, 3)}
	reads := 0
	for range 10 {
		found, err := confirmed(t.Context(), w, func(_ context.Context, reader client.Reader) (verdict, error) {
			if reader == client.Reader(live) {
				reads++
			}
			return verdict{refusals: field.ErrorList{field.Required(field.NewPath("spec"), "it is missing")}}, nil
		})
		assert.NilError(t, err)
		assert.Equal(t, len(found.refusals), 1)
	}
	assert.Equal(t, reads, 3)
}
