/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// forecast tells how long EC2 makes calls wait, and is told which ones come.
type forecast interface {
	Wait(actions ...string) time.Duration
	Expect(actions ...string)
}

// attachTime is what EC2 takes to make and attach an ENI beyond what it takes to
// assign addresses to one that is there.
const attachTime = time.Second

// primarySlower says whether new ENIs can be had sooner than addresses on primary
// ENIs: a fleet that joins at once is served from the buckets of both.
func primarySlower(f forecast) bool {
	return f.Wait(ec2.ActionAssign) > f.Wait(ec2.ActionCreate, ec2.ActionAttach)+attachTime
}

// expect tells which calls a decision leads to.
func (d *decision) expect(f forecast) {
	for i := range d.creates {
		if d.creates[i].primary {
			f.Expect(ec2.ActionAssign)
		} else {
			f.Expect(ec2.ActionCreate, ec2.ActionAttach)
		}
	}
}
