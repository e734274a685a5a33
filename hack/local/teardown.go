package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// loseNode takes the last node, the one with the most claims.
func (s *story) loseNode(ctx context.Context) error {
	node := s.nodes[len(s.nodes)-1]
	before, err := s.cluster.look(ctx)
	if err != nil {
		return err
	}
	mine := before.on(node)
	instance := s.cloud.instances[len(s.cloud.instances)-1]
	s.screen.line("Terminating %s and deleting the Node %s\n", aws.ToString(instance.InstanceId), node)
	if err := s.cloud.terminate(ctx, aws.ToString(instance.InstanceId)); err != nil {
		return err
	}
	if err := s.cluster.deleteNode(ctx, node); err != nil {
		return err
	}
	if _, err := s.until(ctx, func(p picture) []string { return notGone(p, node) }); err != nil {
		return err
	}
	seen, err := s.cloud.look(ctx)
	if err != nil {
		return err
	}
	if left := stillThere(mine.enis, seen); left != nil {
		return unfulfilled("ENIs without a resource are still in EC2", left)
	}
	s.screen.done("Its claims are Lost, its pool is gone, and EC2 no longer knows its %d ENIs", len(mine.enis))
	return nil
}

// withdraw deletes what apply made. All that was made for it has to go, and by
// calls of the operator.
func (s *story) withdraw(ctx context.Context) error {
	before, err := s.cluster.look(ctx)
	if err != nil {
		return err
	}
	s.screen.line("Deleting %d claims and the policy; a released address rests for %s first\n",
		len(before.claims), s.policy.Spec.Shared.Cooldown.Duration)
	if err := s.cluster.withdraw(ctx, s.policy); err != nil {
		return err
	}
	if _, err := s.until(ctx, remaining); err != nil {
		return err
	}
	seen, err := s.cloud.look(ctx)
	if err != nil {
		return err
	}
	if left := slices.Concat(stillThere(before.enis, seen), notPristine(seen, s.cluster.uid)); left != nil {
		return unfulfilled("EC2 is not as it was before the policy", left)
	}
	s.screen.done("EC2 has no ENI of the operator any more; the instances have their primary ENIs")
	calls := byOperator(s.cloud.emulator.Calls())
	if missing := notReturned(before.enis, calls); missing != nil {
		return unfulfilled("the emulator's log lacks calls of the operator", missing)
	}
	s.screen.done("The emulator's log shows the operator's Detach and Delete for each of the %d ENIs", len(before.enis))
	return nil
}

// stillThere names those of the resources' ENIs that EC2 shows.
func stillThere(enis []v1alpha1.ElasticNetworkInterface, seen evidence) []string {
	var left []string
	for i := range enis {
		id := enis[i].Status.NetworkInterfaceID
		for _, eni := range seen.enis {
			if aws.ToString(eni.NetworkInterfaceId) == id {
				left = append(left, fmt.Sprintf("%s (%s) is %s", id, enis[i].Name, eni.Status))
			}
		}
	}
	return left
}

// notPristine wants a single ENI on each instance, at device index 0, and none
// of ours.
func notPristine(seen evidence, clusterUID string) []string {
	var left []string
	for _, eni := range seen.ours(clusterUID) {
		left = append(left, fmt.Sprintf("%s carries the operator's tags", aws.ToString(eni.NetworkInterfaceId)))
	}
	for id, instance := range seen.instances {
		if enis := instance.NetworkInterfaces; len(enis) != 1 || aws.ToInt32(enis[0].Attachment.DeviceIndex) != 0 {
			left = append(left, fmt.Sprintf("%s has %d ENIs", id, len(enis)))
		}
	}
	slices.Sort(left)
	return left
}
