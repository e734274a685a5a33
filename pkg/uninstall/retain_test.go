/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package uninstall

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// retaining is an EC2 with some ENIs that notes what is changed about them.
type retaining struct {
	ec2.Client
	enis []ec2.NetworkInterface
	did  []string
}

func (r *retaining) DescribeNetworkInterfaces(_ context.Context, filters ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	var found []ec2.NetworkInterface
	for _, eni := range r.enis {
		fits := true
		for _, filter := range filters {
			key, byTag := eni.Tags[filter.Name[min(len("tag:"), len(filter.Name)):]]
			byID := filter.Name == "network-interface-id" && filter.Values[0] == eni.ID
			fits = fits && (byID || (byTag && key == filter.Values[0]))
		}
		if fits {
			found = append(found, eni)
		}
	}
	return found, nil
}

func (r *retaining) SetDeleteOnTermination(_ context.Context, id, attachment string, value bool) error {
	if !value {
		r.did = append(r.did, "keep "+id+" "+attachment)
	}
	return nil
}

func (r *retaining) CreateTags(_ context.Context, id string, _ map[string]string) error {
	r.did = append(r.did, "tag "+id)
	return nil
}

func carrying(id, cluster, uid string, attachment *ec2.Attachment) ec2.NetworkInterface {
	return ec2.NetworkInterface{ID: id, Tags: map[string]string{ec2.TagClusterUID: cluster, ec2.TagUID: uid}, Attachment: attachment}
}

// TestAbandonedENIsOutliveTheirInstances: all that carry the resource's UID, and none
// that its status names by mistake.
func TestAbandonedENIsOutliveTheirInstances(t *testing.T) {
	attached := &ec2.Attachment{ID: "attach-1", DeleteOnTermination: true}
	api := &retaining{enis: []ec2.NetworkInterface{
		carrying("eni-second", clusterUID, "uid-of-known", nil),
		carrying("eni-theirs", "another-cluster", "uid-of-known", attached),
		carrying("eni-another", clusterUID, "uid-of-another", attached),
	}}
	u := world(t)
	id := u.addENI(t, "known", true)
	api.enis = append(api.enis, carrying(id, clusterUID, "uid-of-known", attached))
	u.EC2 = api
	assert.NilError(t, u.Abandon(t.Context()))
	assert.DeepEqual(t, api.did, []string{"tag eni-second", "keep " + id + " attach-1", "tag " + id})

	api.did = nil
	api.enis = []ec2.NetworkInterface{carrying(id, "another-cluster", "their-uid", attached)}
	assert.NilError(t, u.Abandon(t.Context()))
	assert.Equal(t, len(api.did), 0, "%v", api.did)
}

// definitions counts how often they are read, which takes a moment.
type definitions struct {
	client.Reader
	reads atomic.Int64
	fails atomic.Bool
}

func (d *definitions) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	time.Sleep(10 * time.Millisecond)
	d.reads.Add(1)
	if d.fails.Load() {
		return errors.New("the API server is away")
	}
	return nil
}

func TestManyAskForTheDefinitionsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, check := &definitions{}, &Check{}
		each := int64(len(Definitions))
		ask := func(since time.Time) {
			underWay, err := check.UnderWay(t.Context(), live, clock.RealClock{}, since)
			assert.Check(t, err == nil && !underWay)
		}
		var callers sync.WaitGroup
		began := time.Now()
		for range 100 {
			callers.Go(func() { ask(began) })
		}
		callers.Wait()
		assert.Equal(t, live.reads.Load(), each, "one read for all")
		ask(began)
		assert.Equal(t, live.reads.Load(), each, "and for those that follow")

		ask(time.Now()) // A deletion that was seen after that read.
		assert.Equal(t, live.reads.Load(), 2*each)
		time.Sleep(checkFor)
		ask(began)
		assert.Equal(t, live.reads.Load(), 3*each, "an old answer is not used")

		live.fails.Store(true)
		_, err := check.UnderWay(t.Context(), live, clock.RealClock{}, time.Now())
		assert.ErrorContains(t, err, "away")
		live.fails.Store(false)
		ask(time.Now())
	})
}
