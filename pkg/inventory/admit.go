/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Admit takes a token for one call of an EC2 action, or returns how long to stay away
// until it is the call's turn; see ec2.Client.
func (i *Inventory) Admit(ctx context.Context, action, key string) (*ec2.Admission, time.Duration) {
	return i.client.Admit(ctx, action, key)
}
