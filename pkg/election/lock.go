/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package election

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
)

// Settings of a lease.
type Settings struct {
	Namespace string
	Name      string
	// RenewDeadline bounds, by its half, how long one request may take, so that a
	// single one that hangs does not cost the lease.
	RenewDeadline time.Duration
	// Recorder receives an event when this process becomes the leader or ends to be.
	Recorder func() record.EventRecorder
}

// NewLock returns the lease as client-go's elector wants it. What the elector learns
// about the lease opens and shuts the fence.
func NewLock(config *rest.Config, fence *Fence, settings Settings) (resourcelock.Interface, error) {
	// A copy: the timeout bounds watches, too, and lists of many claims take longer.
	config = rest.AddUserAgent(rest.CopyConfig(config), "leader-election")
	config.Timeout = max(settings.RenewDeadline/2, time.Second)
	client, err := coordinationv1client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kubernetes for the leader lease: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("reading the host's name, which tells people who leads: %w", err)
	}
	return &fencedLock{fence: fence, Interface: &resourcelock.LeaseLock{
		LeaseMeta: metav1.ObjectMeta{Namespace: settings.Namespace, Name: settings.Name},
		Client:    client,
		LockConfig: resourcelock.ResourceLockConfig{
			Identity: host + "_" + string(uuid.NewUUID()), EventRecorder: lateRecorder(settings.Recorder),
		},
	}}, nil
}

// lateRecorder finds the recorder when there is an event: the manager, which has it,
// is made after the lock.
type lateRecorder func() record.EventRecorder

// Eventf records an event.
func (r lateRecorder) Eventf(object runtime.Object, eventType, reason, message string, arguments ...any) {
	if r != nil {
		r().Eventf(object, eventType, reason, message, arguments...)
	}
}

// fencedLock tells a fence what becomes of a lease.
type fencedLock struct {
	resourcelock.Interface
	fence *Fence
	// Only the elector's goroutine uses these: holder is who held the lease when it was
	// last seen, led says that it was ours at some time, and over that it was another's
	// after that.
	holder    string
	led, over bool
}

// Get reads the lease.
func (l *fencedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	seen, raw, err := l.Interface.Get(ctx)
	switch {
	case err == nil:
		l.see(seen.HolderIdentity)
	case apierrors.IsNotFound(err):
		l.see("")
	}
	return seen, raw, err
}

// Create makes the lease, which then is ours.
func (l *fencedLock) Create(ctx context.Context, wanted resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, wanted, l.Interface.Create)
}

// errOver refuses to lead once more after another has led. What this process knows of
// EC2 and Kubernetes is of its own time; its successor begins anew, and so must it. The
// elector gives up when the renew deadline has passed, and the process ends.
var errOver = errors.New("the leader lease was another's meanwhile: this process must end before it can lead again")

// errNotOurs refuses to give back a lease that another holds.
var errNotOurs = errors.New("the leader lease is held by another replica: it is not ours to give back")

// Update renews the lease, takes it over, or gives it back.
func (l *fencedLock) Update(ctx context.Context, wanted resourcelock.LeaderElectionRecord) error {
	if wanted.HolderIdentity == l.Identity() {
		return l.write(ctx, wanted, l.Interface.Update)
	}
	// Nothing is sent to EC2 while the lease may be free already.
	l.fence.lost()
	// The elector reads the lease before it gives it back, but does not look whose it
	// is by then; clearing another's would let a third replica lead beside it.
	if l.holder != l.Identity() {
		return errNotOurs
	}
	return l.Interface.Update(ctx, wanted)
}

// write makes the lease ours, and opens the fence if that worked.
func (l *fencedLock) write(ctx context.Context, wanted resourcelock.LeaderElectionRecord,
	send func(context.Context, resourcelock.LeaderElectionRecord) error,
) error {
	if l.over {
		return errOver
	}
	asked := l.fence.clock.Now()
	if err := send(ctx, wanted); err != nil {
		return err
	}
	l.holder, l.led = wanted.HolderIdentity, true
	l.fence.held(asked)
	return nil
}

// see notes whose the lease is.
func (l *fencedLock) see(holder string) {
	l.holder = holder
	if holder != l.Identity() {
		l.fence.lost()
		l.over = l.led
	}
}
