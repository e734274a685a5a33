/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The layout of the file. A change of Record that old readers cannot take gets a
// new version; files of another version are set aside.
var (
	metaBucket    = []byte("meta")
	recordsBucket = []byte("enis")
	clusterKey    = []byte("cluster-uid")
	versionKey    = []byte("version")
	version       = []byte("1")
)

const (
	// lockTimeout is how long another process may hold the file.
	lockTimeout = 5 * time.Second
	fileMode    = 0o600
	dirMode     = 0o700
)

// errNew says that a file has nothing in it yet.
var errNew = errors.New("the file is new")

// errForeign says that a file is not this cluster's snapshot.
var errForeign = errors.New("the file is not a snapshot of this cluster and version")

type file struct {
	db *bolt.DB
}

// OpenFile opens the snapshot of a cluster at a path, or begins a new one. A file
// that is corrupt, or another cluster's, is renamed, never trusted and never
// deleted. It fails if the folder cannot be written or another process holds the
// file.
func OpenFile(path, clusterUID string, log logr.Logger) (Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	store, err := open(path, clusterUID)
	if err == nil || errors.Is(err, bolterrors.ErrTimeout) || errors.Is(err, os.ErrPermission) {
		return store, explain(path, err)
	}
	aside := fmt.Sprintf("%s.set-aside-%d", path, time.Now().UnixNano())
	log.Info("Setting the snapshot aside: it cannot be used, and is not needed", "path", path, "renamedTo", aside, "cause", err.Error())
	if err := os.Rename(path, aside); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	store, err = open(path, clusterUID)
	return store, explain(path, err)
}

func explain(path string, err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("snapshot: another process holds %s: give each replica a --snapshot-path of its own", path)
	}
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

func open(path, clusterUID string) (store Store, err error) {
	// bbolt panics on some kinds of damage, and reads beyond the end of a file that
	// is cut off, which is a fault of the memory that the file is mapped to.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if damage := recover(); damage != nil {
			store, err = nil, fmt.Errorf("the file is damaged: %v", damage)
		}
	}()
	db, err := bolt.Open(path, fileMode, &bolt.Options{Timeout: lockTimeout})
	if err != nil {
		return nil, err
	}
	err = db.View(func(tx *bolt.Tx) error { return check(tx, clusterUID) })
	if errors.Is(err, errNew) {
		err = db.Update(func(tx *bolt.Tx) error { return begin(tx, clusterUID) })
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	opened := &file{db: db}
	if _, err := opened.All(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return opened, nil
}

// check makes sure that a file is this cluster's, and writes nothing to it.
func check(tx *bolt.Tx, clusterUID string) error {
	if first, _ := tx.Cursor().First(); first == nil {
		return errNew
	}
	meta := tx.Bucket(metaBucket)
	if meta == nil || tx.Bucket(recordsBucket) == nil ||
		string(meta.Get(clusterKey)) != clusterUID || !bytes.Equal(meta.Get(versionKey), version) {
		return errForeign
	}
	return nil
}

// begin marks a new file as this cluster's.
func begin(tx *bolt.Tx, clusterUID string) error {
	meta, err := tx.CreateBucket(metaBucket)
	if err != nil {
		return err
	}
	_, err = tx.CreateBucket(recordsBucket)
	return errors.Join(err, meta.Put(clusterKey, []byte(clusterUID)), meta.Put(versionKey, version))
}

func (f *file) Save(records ...Record) error {
	return f.db.Update(func(tx *bolt.Tx) error {
		bucket := tx.Bucket(recordsBucket)
		for _, record := range records {
			value, err := json.Marshal(record)
			if err != nil {
				return err
			}
			if err := bucket.Put([]byte(record.ENI.MACAddress), value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *file) Get(mac string) (record Record, found bool, err error) {
	err = f.db.View(func(tx *bolt.Tx) error {
		value := tx.Bucket(recordsBucket).Get([]byte(mac))
		if found = value != nil; !found {
			return nil
		}
		return json.Unmarshal(value, &record)
	})
	return record, found, err
}

func (f *file) All() ([]Record, error) {
	var all []Record
	err := f.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(recordsBucket).ForEach(func(_, value []byte) error {
			var record Record
			if err := json.Unmarshal(value, &record); err != nil {
				return err
			}
			all = append(all, record)
			return nil
		})
	})
	return all, err
}

func (f *file) GC(keep func(Record) bool) (int, error) {
	all, err := f.All()
	if err != nil {
		return 0, err
	}
	removed := 0
	err = f.db.Update(func(tx *bolt.Tx) error {
		for _, record := range all {
			if keep(record) {
				continue
			}
			if err := tx.Bucket(recordsBucket).Delete([]byte(record.ENI.MACAddress)); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	return removed, err
}

func (f *file) Close() error { return f.db.Close() }
