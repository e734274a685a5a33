/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package snapshot

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	bolt "go.etcd.io/bbolt"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

func record(number int) Record {
	return Record{
		ENI: ec2.NetworkInterface{
			ID: fmt.Sprintf("eni-%017x", number), MACAddress: fmt.Sprintf("02:00:00:00:00:%02x", number),
			Addresses: []string{"10.0.0.9"}, Tags: map[string]string{"team": "payments"},
			Attachment: &ec2.Attachment{ID: "eni-attach-1", Slot: ec2.Slot{DeviceIndex: 1}},
		},
		SavedAt: time.Date(2026, 11, 23, 0, 0, number, 0, time.UTC),
	}
}

func TestStores(t *testing.T) {
	stores := map[string]func(t *testing.T) Store{
		"memory": func(*testing.T) Store { return NewMemory() },
		"file": func(t *testing.T) Store {
			t.Helper()
			store, err := OpenFile(filepath.Join(t.TempDir(), "folder", "snapshot.db"), "cluster-1", logr.Discard())
			assert.NilError(t, err)
			return store
		},
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			t.Cleanup(func() { assert.NilError(t, store.Close()) })
			assert.NilError(t, store.Save(record(2), record(1), record(3)))
			changed := record(3)
			changed.ENI.Addresses = nil
			assert.NilError(t, store.Save(changed))

			got, found, err := store.Get(record(1).ENI.MACAddress)
			assert.NilError(t, err)
			assert.Assert(t, found)
			assert.DeepEqual(t, got, record(1))
			_, found, err = store.Get("02:00:00:00:00:ff")
			assert.NilError(t, err)
			assert.Assert(t, !found)

			removed, err := store.GC(func(r Record) bool { return r.ENI.ID != record(2).ENI.ID })
			assert.NilError(t, err)
			assert.Equal(t, removed, 1)
			all, err := store.All()
			assert.NilError(t, err)
			assert.DeepEqual(t, all, []Record{record(1), changed})
		})
	}
}

func TestFileOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot.db")
	store, err := OpenFile(path, "cluster-1", logr.Discard())
	assert.NilError(t, err)
	assert.NilError(t, store.Save(record(1)))
	assert.NilError(t, store.Close())

	again, err := OpenFile(path, "cluster-1", logr.Discard())
	assert.NilError(t, err)
	all, err := again.All()
	assert.NilError(t, err)
	assert.DeepEqual(t, all, []Record{record(1)})
	assert.NilError(t, again.Close())
}

func TestUnusableFilesAreSetAside(t *testing.T) {
	write := func(content []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			assert.NilError(t, os.WriteFile(path, content, fileMode))
		}
	}
	cases := map[string]func(t *testing.T, path string){
		"text":      write([]byte("not a database, but long enough to be read as one\n")),
		"truncated": write([]byte{1, 2, 3}),
		"zeroes":    write(make([]byte, 64<<10)),
		"cut off": func(t *testing.T, path string) {
			t.Helper()
			store, err := OpenFile(path, "cluster-1", logr.Discard())
			assert.NilError(t, err)
			for i := range 200 {
				assert.NilError(t, store.Save(record(i)))
			}
			assert.NilError(t, store.Close())
			whole, err := os.ReadFile(path)
			assert.NilError(t, err)
			// bbolt maps a power of two, so that what is cut off is mapped, but not there.
			assert.NilError(t, os.WriteFile(path, whole[:len(whole)/2+os.Getpagesize()], fileMode))
		},
		"another cluster's": func(t *testing.T, path string) {
			t.Helper()
			store, err := OpenFile(path, "cluster-2", logr.Discard())
			assert.NilError(t, err)
			assert.NilError(t, store.Save(record(9)))
			assert.NilError(t, store.Close())
		},
		"another program's": func(t *testing.T, path string) {
			t.Helper()
			edit(t, path, func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
		},
		"damaged record": func(t *testing.T, path string) {
			t.Helper()
			store, err := OpenFile(path, "cluster-1", logr.Discard())
			assert.NilError(t, err)
			assert.NilError(t, store.Close())
			edit(t, path, func(tx *bolt.Tx) error { return tx.Bucket(recordsBucket).Put([]byte("mac"), []byte("{")) })
		},
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "snapshot.db")
			spoil(t, path)
			before, err := os.ReadFile(path)
			assert.NilError(t, err)
			var said bytes.Buffer
			log := funcr.New(func(_, arguments string) { said.WriteString(arguments) }, funcr.Options{})

			store, err := OpenFile(path, "cluster-1", log)
			assert.NilError(t, err)
			t.Cleanup(func() { assert.NilError(t, store.Close()) })
			all, err := store.All()
			assert.NilError(t, err)
			assert.Equal(t, len(all), 0)
			aside, err := filepath.Glob(path + ".set-aside-*")
			assert.NilError(t, err)
			assert.Equal(t, len(aside), 1)
			kept, err := os.ReadFile(aside[0])
			assert.NilError(t, err)
			assert.Assert(t, bytes.Equal(kept, before), "the file was changed")
			assert.Assert(t, bytes.Contains(said.Bytes(), []byte(aside[0])), "the log does not name %s: %s", aside[0], said.String())
		})
	}
}

func edit(t *testing.T, path string, change func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, fileMode, nil)
	assert.NilError(t, err)
	assert.NilError(t, db.Update(change))
	assert.NilError(t, db.Close())
}
