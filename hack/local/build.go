package main

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eni-operator/eni-operator/test/emulator"
)

func (s *story) buildCloud(ctx context.Context) (err error) {
	if s.cloud, err = startCloud(emulator.DefaultTimings()); err != nil {
		return err
	}
	s.screen.line("Emulated, with EC2's durations and throttling: %s", s.cloud.endpoint)
	if err := s.cloud.build(ctx); err != nil {
		return err
	}
	for _, instance := range s.cloud.instances {
		s.screen.done("%s  %s  %-11s  %s", aws.ToString(instance.InstanceId),
			aws.ToString(instance.Placement.AvailabilityZone), instance.InstanceType, aws.ToString(instance.PrivateDnsName))
	}
	return nil
}

func (s *story) buildCluster(ctx context.Context) (err error) {
	if s.cluster, err = startCluster(ctx, s.folder); err != nil {
		return err
	}
	s.screen.done("etcd, kube-apiserver and kube-controller-manager run; CRDs and webhooks are installed")
	if err := s.cloud.waitUntilRunning(ctx); err != nil {
		return err
	}
	for _, instance := range s.cloud.instances {
		if err := s.cluster.join(ctx, instance); err != nil {
			return err
		}
		s.nodes = append(s.nodes, aws.ToString(instance.PrivateDnsName))
	}
	s.screen.done("The instances are booted and their Nodes have joined: %s", strings.Join(s.nodes, ", "))
	return nil
}

func (s *story) startOperator(ctx context.Context) (err error) {
	if s.operator, err = startOperator(s.options.operator, s.cluster, s.cloud.endpoint, s.operatorLog()); err != nil {
		return err
	}
	s.screen.line("Its log: %s", s.operatorLog())
	if err := s.operator.waitUntilReady(ctx); err != nil {
		return err
	}
	s.screen.done("It is ready, and answers the API server's webhook calls")
	return nil
}
