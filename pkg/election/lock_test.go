/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package election

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/client-go/rest"
)

// TestTheLeasesTimeoutIsItsOwn: the manager makes its clients from the same
// configuration. Were they to get the timeout of a renewal, every watch would end after
// it, and no list that takes longer would ever arrive.
func TestTheLeasesTimeoutIsItsOwn(t *testing.T) {
	config := &rest.Config{Host: "https://kubernetes.invalid", UserAgent: "eni-operator"}
	_, err := NewLock(config, nil, Settings{Namespace: "eni-system", Name: "lease", RenewDeadline: 10 * time.Second})
	assert.NilError(t, err)
	assert.DeepEqual(t, config, &rest.Config{Host: "https://kubernetes.invalid", UserAgent: "eni-operator"})
}
