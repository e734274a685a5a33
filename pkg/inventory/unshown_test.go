/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"context"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// TestAnInstanceThatFiltersDoNotShowIsNotGone, however often and for however long they
// do not: EC2 still knows it by its id.
func TestAnInstanceThatFiltersDoNotShowIsNotGone(t *testing.T) {
	w, instances, _ := populated(t, 2)
	w.client = &unfiltered{Client: w.api, id: instances[0]}
	for range 5 {
		w.sweep()
		w.clk.Step(time.Minute)
		for range 2 {
			_, presence, err := w.RefreshInstance(w.ctx, instances[0])
			assert.Assert(t, err == nil && presence != Gone && presence != Absent, "%v %v", presence, err)
		}
	}
}

// unfiltered is an EC2 that shows one instance only to those who ask for its id.
type unfiltered struct {
	ec2.Client
	id string
}

func (u *unfiltered) DescribeInstances(ctx context.Context, filters ...ec2.Filter) ([]ec2.Instance, error) {
	instances, err := u.Client.DescribeInstances(ctx, filters...)
	if len(filters) > 0 && filters[0].Name == ec2.ByID().Name {
		return instances, err
	}
	for n := range instances {
		if instances[n].ID == u.id {
			return append(instances[:n:n], instances[n+1:]...), err
		}
	}
	return instances, err
}
