/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/snapshot"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// beginsWith waits until the operator says how many ENIs its snapshot held, and
// is ready.
func (s *scenario) beginsWith(o *operator, enis int) {
	s.t.Helper()
	o.awaitReady()
	s.says(o.log(), "Beginning with the snapshot", fmt.Sprintf(`"enis": %d}`, enis))
}

// saved reads the snapshot that a stopped operator left: the ids of its ENIs.
func (s *scenario) saved(path string) []string {
	s.t.Helper()
	store, err := snapshot.OpenFile(path, s.UID, logr.Discard())
	assert.NilError(s.t, err)
	records, err := store.All()
	assert.NilError(s.t, err)
	assert.NilError(s.t, store.Close())
	ids := []string{}
	for _, record := range records {
		ids = append(ids, record.ENI.ID)
	}
	return sorted(ids...)
}

// aside are the contents of the files that were set aside.
func aside(t *testing.T, path string) []string {
	t.Helper()
	files, err := filepath.Glob(path + ".set-aside-*")
	assert.NilError(t, err)
	contents := []string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		assert.NilError(t, err)
		contents = append(contents, string(content))
	}
	return contents
}

func aRestartBeginsWithTheSnapshot(t *testing.T) {
	w := newWorldApart(t, emulator.Timings{})
	path := filepath.Join(t.TempDir(), "state", "snapshot.db")
	start := func() *operator { return startOperator(t, w, w.http.URL, "--snapshot-path="+path) }
	o := start()
	s := w.tell(t, "snapshot")
	s.beginsWith(o, 0)
	node, _ := s.machine("m5.large")
	s.create(s.policy(sharing(3, 9), exclusive(1, 1)))
	s.awaitReady(node)
	claim := s.bind(node, v1alpha1.ModeShared, "web")[0]
	eventually(t, "everything agrees", func() error { return s.consistent(t.Context()) })
	s.awaitSweeps(2) // so that one began after all that
	mutations := s.mutations()
	ids := []string{}
	for _, eni := range s.interfaces(t.Context(), "tag:networking.eni-operator.dev/cluster-uid", s.UID) {
		ids = append(ids, aws.ToString(eni.NetworkInterfaceId)) // the retained one, too
	}
	assert.Equal(t, len(ids), 3)
	o.stop()
	assert.DeepEqual(t, s.saved(path), sorted(ids...))

	t.Log("A good file: it begins with what was, and changes nothing")
	o = start()
	s.beginsWith(o, len(ids))
	s.awaitSweeps(2)
	o.stop()
	assert.DeepEqual(t, s.mutations(), mutations)
	good, err := os.ReadFile(path)
	assert.NilError(t, err)
	assert.DeepEqual(t, aside(t, path), []string{})

	t.Log("A damaged file and one of another cluster are set aside, and nothing of them is believed")
	damaged := append(make([]byte, 2*os.Getpagesize()), good[2*os.Getpagesize():]...) // Where the database begins is lost.
	assert.NilError(t, os.WriteFile(path, damaged, 0o600))
	o = start()
	s.beginsWith(o, 0)
	s.says(o.log(), "Setting the snapshot aside: it cannot be used, and is not needed", path+".set-aside-")
	s.awaitSweeps(2)
	o.stop()
	assert.DeepEqual(t, s.saved(path), sorted(ids...))
	assert.DeepEqual(t, aside(t, path), []string{string(damaged)})

	assert.NilError(t, os.Remove(path))
	foreign := s.anotherClusters(path)
	o = start()
	s.beginsWith(o, 0)
	s.says(o.log(), "the file is not a snapshot of this cluster and version")
	assert.Assert(t, contains(aside(t, path), foreign))
	s.awaitSweeps(2)

	assert.DeepEqual(t, s.mutations(), mutations)
	was := claim.Status
	s.awaitBound(claim)
	assert.DeepEqual(t, claim.Status, was)

	t.Log("What went away meanwhile was there once, so that it is known to be gone")
	eni := s.resourcesOf(node, v1alpha1.ModeExclusive)[0]
	o.stop()
	s.letGo(eni.Status.NetworkInterfaceID)
	s.beginsWith(start(), len(ids))
	eventually(t, "its pool replaces it", func() error {
		now := s.resourcesOf(node, v1alpha1.ModeExclusive)
		if len(now) != 1 {
			return fmt.Errorf("there are %d exclusive ENIs", len(now))
		}
		return differ("the same", now[0].UID == eni.UID, false)
	})
	s.awaitReady(node)
	s.end()
}

// anotherClusters makes a snapshot of another cluster, and returns the file.
func (s *scenario) anotherClusters(path string) string {
	s.t.Helper()
	store, err := snapshot.OpenFile(path, "another-cluster", logr.Discard())
	assert.NilError(s.t, err)
	assert.NilError(s.t, store.Save(snapshot.Record{ENI: ec2.NetworkInterface{
		ID: "eni-0fffffffffffffff7", MACAddress: "02:00:00:00:00:07", Tags: map[string]string{ec2.TagClusterUID: s.UID},
	}}))
	assert.NilError(s.t, store.Close())
	content, err := os.ReadFile(path)
	assert.NilError(s.t, err)
	return string(content)
}
