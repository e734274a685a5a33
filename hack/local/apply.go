package main

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// auditTimeout bounds how far a status may be behind EC2 when all is ready.
	auditTimeout = 15 * time.Second
	// auditInterval is long, because each look at EC2 takes tokens from the
	// buckets that the operator shares.
	auditInterval = time.Second
)

// apply declares what is wanted, and watches the operator fulfil it.
func (s *story) apply(ctx context.Context) error {
	s.screen.line("hack/local/policy.yaml says:\n\n%s", policyYAML)
	s.screen.line("")
	claims := claimsFor(s.nodes)
	s.watch.start()
	if err := s.cluster.apply(ctx, s.policy, claims); err != nil {
		return err
	}
	seen, err := s.until(ctx, func(p picture) []string { return notReady(p, s.nodes, len(claims)) })
	if err != nil {
		return err
	}
	s.watch.stop()
	s.screen.done("Ready after %s: %d pools, %d ENIs, %d claims bound",
		seconds(s.watch.total), len(seen.pools), len(seen.enis), len(seen.claims))
	return nil
}

// prove compares every status with EC2.
func (s *story) prove(ctx context.Context) error {
	var last *audit
	err := wait.PollUntilContextTimeout(ctx, auditInterval, auditTimeout, true, func(ctx context.Context) (bool, error) {
		kubernetes, err := s.cluster.look(ctx)
		if err != nil {
			return false, err
		}
		ec2, err := s.cloud.look(ctx)
		if err != nil {
			return false, err
		}
		last = compare(kubernetes, ec2, s.cluster.uid)
		return len(last.differences) == 0, nil
	})
	if wait.Interrupted(err) && last != nil {
		return unfulfilled("a status is not what EC2 shows", last.differences)
	}
	if err != nil {
		return err
	}
	s.screen.done("%d ENIs, %d pools, %d claims: %d comparisons with EC2, no difference",
		len(last.kubernetes.enis), len(last.kubernetes.pools), len(last.kubernetes.claims), last.comparisons)
	s.screen.done("Every ENI in EC2 with the operator's tags has its resource")
	s.screen.done("No address and no exclusive ENI is held twice")
	return nil
}
