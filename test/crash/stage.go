/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	// patience is how long a state is waited for. It is much longer than any run
	// takes, since the machine may be busy.
	patience = 90 * time.Second
	// glance is the pause between two looks.
	glance = 50 * time.Millisecond
	// calm is how long the operator must have been silent for a state to be its
	// last: longer than its pauses between two steps.
	calm = 700 * time.Millisecond
)

// stage is where one run of a path takes place: an EC2, a Node for each of its
// instances, the gate, and the operator behind it.
type stage struct {
	*World
	cloud    *cloud
	gate     *gate
	operator *operator
	ec2      *httptest.Server
	kubeAPI  *httptest.Server
	// nodes are the names of the Nodes, in the order of the instances.
	nodes []string
}

// newStage prepares everything for a run of a path and starts no operator. Close
// it in the end.
func (w *World) newStage(ctx context.Context, p path, name string) (*stage, error) {
	w.runs++
	folder := filepath.Join(w.options.Folder, fmt.Sprintf("%s_%d", name, w.runs))
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return nil, err
	}
	var timings emulator.Timings
	if p.slow || w.options.SlowEC2 {
		timings = slow
	}
	cloud, err := newCloud(ctx, w.kube.UID, timings)
	if err != nil {
		return nil, err
	}
	s := &stage{World: w, cloud: cloud, operator: &operator{binary: w.options.Operator, logFile: filepath.Join(folder, "operator.log")}}
	if w.options.Snapshot {
		s.operator.flags = []string{"--snapshot-path=" + filepath.Join(folder, "snapshot.db")}
	}
	if p.slow || w.options.SlowEC2 {
		cloud.beStale()
	}
	s.gate = newGate(cloud.beStale, s.operator.kill)
	s.ec2 = httptest.NewServer(s.gate.guard(ec2Call, cloud.emulator))
	s.kubeAPI = httptest.NewServer(s.gate.guard(kubernetesCall, w.apiServer))
	s.operator.endpoint = s.ec2.URL
	if s.operator.kubeconfig, err = writeKubeconfig(folder, s.kubeAPI.URL); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	if err := s.register(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// register makes a Node for each instance. The first carries the startup taint,
// and is the one that policies select.
func (s *stage) register(ctx context.Context) error {
	for i, instance := range s.cloud.instances {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("run-%d-node-%d.ec2.internal", s.runs, i)},
			Spec:       corev1.NodeSpec{ProviderID: "aws:///" + zone + "/" + instance},
		}
		if i == 0 {
			node.Labels = map[string]string{poolLabel: "true"}
			node.Spec.Taints = []corev1.Taint{{Key: startupTaint, Effect: corev1.TaintEffectNoSchedule}}
		}
		s.nodes = append(s.nodes, node.Name)
		if err := s.kube.Create(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until a state is reached and the operator silent.
func (s *stage) settle(ctx context.Context, want state) error {
	_, err := s.await(ctx, want, nil)
	return err
}

// await waits until a state is reached and the operator silent, or until done is
// closed, and says whether it was.
func (s *stage) await(ctx context.Context, want state, done <-chan struct{}) (closed bool, err error) {
	deadline := time.Now().Add(patience)
	calls, since := -1, time.Now()
	for {
		if seen := len(s.gate.seen()); seen != calls {
			calls, since = seen, time.Now()
		}
		missing := s.check(ctx, want)
		select {
		case <-done:
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(glance):
		}
		switch ended := s.operator.ended(); {
		case ended != nil:
			return false, ended
		case missing == nil && time.Since(since) >= calm:
			return false, nil
		case time.Now().After(deadline):
			return false, fmt.Errorf("after %s: %w", patience, errors.Join(missing, s.restless(since)))
		}
	}
}

// restless is an error if the operator has made a call lately.
func (s *stage) restless(since time.Time) error {
	if time.Since(since) >= calm {
		return nil
	}
	calls := s.gate.seen()
	return fmt.Errorf("the operator does not come to rest; its last calls: %v", calls[max(0, len(calls)-6):])
}

// close ends the operator and removes what the run made.
func (s *stage) close(ctx context.Context) error {
	s.operator.kill()
	s.kubeAPI.Close()
	s.ec2.Close()
	s.cloud.close()
	return s.kube.Clear(ctx)
}

// update changes an object, anew while others write it too.
func (s *stage) update(ctx context.Context, object client.Object, change func()) error {
	for {
		if err := s.kube.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change()
		if err := s.kube.Update(ctx, object); !apierrors.IsConflict(err) {
			return err
		}
	}
}
