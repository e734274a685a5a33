package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/controlplane"
)

const (
	// lookInterval is how often Kubernetes is looked at; each look is five lists.
	lookInterval = 250 * time.Millisecond
	// logLines are shown of the operator's log after a failure.
	logLines = 20
)

// story is what is told, and the parts that it is told with.
type story struct {
	options options
	screen  *screen
	folder  string // logs and the people's env file

	cloud    *cloud
	cluster  *cluster
	operator *operator

	policy *v1alpha1.ENIPolicy
	nodes  []string // names, in the order of their zones
	watch  stopwatch
}

func newStory(options options, screen *screen) (*story, error) {
	root, err := controlplane.RepositoryRoot() // the control plane is there too
	if err != nil {
		return nil, err
	}
	if options.operator == "" {
		options.operator = filepath.Join(root, "build", "bin", "eni-operator")
	}
	if _, err := os.Stat(options.operator); err != nil {
		return nil, fmt.Errorf("no operator binary, run `make build`: %w", err)
	}
	policy, err := readPolicy()
	return &story{options: options, screen: screen, policy: policy}, err
}

// chapter is one step of the story.
type chapter struct {
	title string
	tell  func(context.Context) error
}

func (s *story) chapters() []chapter {
	first := []chapter{
		{"EC2: a VPC, three subnets in three zones, three instances", s.buildCloud},
		{"Kubernetes: a control plane, and a Node per instance", s.buildCluster},
		{"The operator: a process of its own", s.startOperator},
		{"A policy and claims: the operator gives the nodes their ENIs", s.apply},
		{"The proof: every status against EC2", s.prove},
		{"A mistake: refused at kubectl apply", s.refuse},
	}
	if s.options.stay {
		return first
	}
	return append(first,
		chapter{"A node is lost: its instance is terminated, its Node deleted", s.loseNode},
		chapter{"Claims and policy are deleted: the operator gives everything back", s.withdraw},
		chapter{"Summary", s.summarise},
	)
}

// tell tells the story, and leaves nothing behind but the logs of a failure.
func (s *story) tell(ctx context.Context) (err error) {
	if s.folder, err = os.MkdirTemp("", "eni-operator-local-"); err != nil {
		return err
	}
	defer func() { err = s.end(ctx, err) }()

	chapters := s.chapters()
	for i, chapter := range chapters {
		s.screen.heading(i+1, len(chapters), chapter.title)
		if err := s.within(ctx, chapter.tell); err != nil {
			return err
		}
	}
	if s.options.stay {
		return s.stay(ctx)
	}
	return nil
}

func (s *story) within(ctx context.Context, tell func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.timeout)
	defer cancel()
	return tell(ctx)
}

// until draws the table until nothing is missing.
func (s *story) until(ctx context.Context, missing func(picture) []string) (picture, error) {
	var (
		seen picture
		left []string
	)
	err := wait.PollUntilContextCancel(ctx, lookInterval, true, func(ctx context.Context) (_ bool, err error) {
		if err := s.operator.alive(); err != nil {
			return false, err
		}
		if seen, err = s.cluster.look(ctx); err != nil {
			return false, err
		}
		left = missing(seen)
		rows := rowsOf(seen)
		s.watch.observe(rows)
		s.screen.show(rows, left)
		return len(left) == 0, nil
	})
	s.screen.settle()
	if err != nil && ctx.Err() != nil && len(left) > 0 {
		return seen, unfulfilled(fmt.Sprintf("not done after %s", s.options.timeout), left)
	}
	return seen, err
}

func unfulfilled(what string, details []string) error {
	return fmt.Errorf("%s:\n  %s", what, strings.Join(details, "\n  "))
}

// end stops what runs, the last first, and shows the operator's log if the story
// failed.
func (s *story) end(ctx context.Context, err error) error {
	said := tail(s.operatorLog(), logLines) // before it says goodbye
	err = s.stopAll(err)
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, os.RemoveAll(s.folder))
	}
	if s.operator != nil {
		s.screen.line("\nThe operator's last log lines (all logs are in %s):", s.folder)
		s.screen.text(said)
	}
	return err
}

func (s *story) stopAll(err error) error {
	if s.operator != nil {
		stopped := s.operator.stop()
		if err == nil { // else that one says more
			err = stopped
		}
	}
	if s.cluster != nil {
		err = errors.Join(err, s.cluster.stop())
	}
	if s.cloud != nil {
		s.cloud.stop()
	}
	return err
}

func (s *story) operatorLog() string {
	return filepath.Join(s.folder, "eni-operator.log")
}
