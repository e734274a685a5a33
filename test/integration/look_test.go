/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// interfaces are the ENIs in the scenario's VPC that pass a filter.
func (s *scenario) interfaces(ctx context.Context, filter string, values ...string) []ec2types.NetworkInterface {
	s.t.Helper()
	answer, err := s.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{
		{Name: aws.String("vpc-id"), Values: []string{s.vpc}}, {Name: &filter, Values: values},
	}})
	assert.NilError(s.t, err)
	return answer.NetworkInterfaces
}

// eni is an ENI as EC2 has it; nil if it has none.
func (s *scenario) eni(ctx context.Context, id string) *ec2types.NetworkInterface {
	s.t.Helper()
	for _, eni := range s.interfaces(ctx, "network-interface-id", id) {
		return &eni
	}
	return nil
}

// ours are the ENIs in the scenario's VPC with this cluster's tags, but for those
// that were let go of.
func (s *scenario) ours(ctx context.Context) []ec2types.NetworkInterface {
	s.t.Helper()
	return slices.DeleteFunc(s.interfaces(ctx, "tag:networking.eni-operator.dev/cluster-uid", s.UID), func(eni ec2types.NetworkInterface) bool {
		_, foreign := s.foreign[aws.ToString(eni.NetworkInterfaceId)]
		return foreign
	})
}

// freeAddresses is how many addresses a subnet has left.
func (s *scenario) freeAddresses(ctx context.Context, id string) int32 {
	s.t.Helper()
	answer, err := s.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{id}})
	assert.NilError(s.t, err)
	return aws.ToInt32(answer.Subnets[0].AvailableIpAddressCount)
}

// terminate ends an instance.
func (s *scenario) terminate(ctx context.Context, id string) {
	s.t.Helper()
	_, err := s.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
	assert.NilError(s.t, err)
}

// pool reads the pool of a node.
func (s *scenario) pool(node string) (*v1alpha1.ENIPool, error) {
	pool := &v1alpha1.ENIPool{}
	return pool, s.Get(s.t.Context(), types.NamespacedName{Name: node}, pool)
}

// resources are the ElasticNetworkInterfaces of the scenario's Nodes, by name.
func (s *scenario) resources(ctx context.Context) []v1alpha1.ElasticNetworkInterface {
	s.t.Helper()
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	assert.NilError(s.t, s.List(ctx, list))
	return slices.DeleteFunc(list.Items, func(eni v1alpha1.ElasticNetworkInterface) bool {
		return !slices.Contains(s.nodes, eni.Spec.NodeName)
	})
}

// resourcesOf are the ElasticNetworkInterfaces of one node and mode.
func (s *scenario) resourcesOf(node string, mode v1alpha1.Mode) []v1alpha1.ElasticNetworkInterface {
	s.t.Helper()
	return slices.DeleteFunc(s.resources(s.t.Context()), func(eni v1alpha1.ElasticNetworkInterface) bool {
		return eni.Spec.NodeName != node || eni.Spec.Mode != mode
	})
}

// claims are the scenario's claims.
func (s *scenario) claims(ctx context.Context) []v1alpha1.ENIClaim {
	s.t.Helper()
	list := &v1alpha1.ENIClaimList{}
	assert.NilError(s.t, s.List(ctx, list))
	return slices.DeleteFunc(list.Items, func(claim v1alpha1.ENIClaim) bool { return !slices.Contains(s.nodes, claim.Spec.NodeName) })
}

// awaitPool waits until a node's pool passes a check.
func (s *scenario) awaitPool(node, what string, check func(*v1alpha1.ENIPool) error) *v1alpha1.ENIPool {
	s.t.Helper()
	var pool *v1alpha1.ENIPool
	eventually(s.t, "pool "+node+" "+what, func() (err error) {
		if pool, err = s.pool(node); err != nil {
			return err
		}
		return check(pool)
	})
	return pool
}

// awaitReady waits until a node's pool holds what its latest spec asks for.
func (s *scenario) awaitReady(node string) *v1alpha1.ENIPool {
	s.t.Helper()
	return s.awaitPool(node, "is ready", func(pool *v1alpha1.ENIPool) error {
		return first(
			differ("observedGeneration", pool.Status.ObservedGeneration, pool.Generation),
			conditionIs(pool.Status.Conditions, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady),
		)
	})
}

// awaitCondition waits until a pool has a condition, and returns its message.
func (s *scenario) awaitCondition(node, kind string, status metav1.ConditionStatus, reason string) string {
	s.t.Helper()
	pool := s.awaitPool(node, "says "+reason, func(pool *v1alpha1.ENIPool) error {
		return conditionIs(pool.Status.Conditions, kind, status, reason)
	})
	return messageOf(pool.Status.Conditions, kind)
}

// awaitBound waits until a claim is bound, and reads it.
func (s *scenario) awaitBound(claim *v1alpha1.ENIClaim) {
	s.t.Helper()
	s.awaitClaim(claim, v1alpha1.ClaimBound, metav1.ConditionTrue, v1alpha1.ReasonBound)
}

// awaitPending waits until a claim says what it waits for.
func (s *scenario) awaitPending(claim *v1alpha1.ENIClaim, reason string) {
	s.t.Helper()
	s.awaitClaim(claim, v1alpha1.ClaimPending, metav1.ConditionFalse, reason)
}

func (s *scenario) awaitClaim(claim *v1alpha1.ENIClaim, phase v1alpha1.ClaimPhase, ready metav1.ConditionStatus, reason string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("claim %s is %s, %s", claim.Name, phase, reason), func() error {
		if err := s.Get(s.t.Context(), client.ObjectKeyFromObject(claim), claim); err != nil {
			return err
		}
		return first(differ("phase", claim.Status.Phase, phase),
			conditionIs(claim.Status.Conditions, v1alpha1.ConditionReady, ready, reason))
	})
}

// awaitENI waits until an ENI's resource passes a check, and reads it.
func (s *scenario) awaitENI(eni *v1alpha1.ElasticNetworkInterface, what string, check func() error) {
	s.t.Helper()
	eventually(s.t, "ENI "+eni.Name+" "+what, func() error {
		if err := s.Get(s.t.Context(), client.ObjectKeyFromObject(eni), eni); err != nil {
			return err
		}
		return check()
	})
}

// awaitGone waits until an object is gone from Kubernetes.
func (s *scenario) awaitGone(ctx context.Context, object client.Object) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%T %s is gone", object, object.GetName()), func() error {
		err := s.Get(ctx, client.ObjectKeyFromObject(object), object)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return first(err, fmt.Errorf("it is there, with the finalizers %v: %s", object.GetFinalizers(), statusOf(object)))
	})
}

// statusOf is what an object says of itself, for failures.
func statusOf(object client.Object) string {
	switch o := object.(type) {
	case *v1alpha1.ENIPool:
		return fmt.Sprintf("%+v", o.Status)
	case *v1alpha1.ElasticNetworkInterface:
		return fmt.Sprintf("%+v", o.Status.Conditions)
	case *v1alpha1.ENIClaim:
		return fmt.Sprintf("%+v", o.Status)
	default:
		return ""
	}
}

func messageOf(conditions []metav1.Condition, kind string) string {
	at := slices.IndexFunc(conditions, func(c metav1.Condition) bool { return c.Type == kind })
	if at < 0 {
		return ""
	}
	return conditions[at].Message
}

// events are the notes of the events about an object for a reason.
func (s *scenario) events(object, reason string) []string {
	s.t.Helper()
	list := &eventsv1.EventList{}
	assert.NilError(s.t, s.List(s.t.Context(), list))
	var notes []string
	for i := range list.Items {
		if event := &list.Items[i]; event.Regarding.Name == object && event.Reason == reason {
			notes = append(notes, event.Note)
		}
	}
	return notes
}

// awaitEvent waits for an event about an object whose note has these words.
func (s *scenario) awaitEvent(object, reason string, words ...string) {
	s.t.Helper()
	eventually(s.t, "an event "+reason+" tells about "+object, func() error {
		notes := s.events(object, reason)
		if slices.ContainsFunc(notes, func(note string) bool { return lacking(note, words) == "" }) {
			return nil
		}
		return fmt.Errorf("there are only %q", notes)
	})
}

// lacking is the first of some words that a text has not.
func lacking(text string, words []string) string {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return word
		}
	}
	return ""
}

// says fails unless a text has all these words.
func (s *scenario) says(text string, words ...string) {
	s.t.Helper()
	if word := lacking(text, words); word != "" {
		s.t.Errorf("%q lacks %q", text, word)
	}
}

// operatorCalls are the operator's calls of an action that name a resource, by
// id or as any parameter's value; an empty action or resource means any.
func (s *scenario) operatorCalls(action, resource string) []emulator.Call {
	return slices.DeleteFunc(s.server.Calls(), func(call emulator.Call) bool {
		return call.Caller != operatorKey || (action != "" && call.Action != action) || (resource != "" && !names(call, resource))
	})
}

// succeeded counts the calls without an error.
func succeeded(calls []emulator.Call) int {
	count := 0
	for _, call := range calls {
		if call.ErrorCode == "" {
			count++
		}
	}
	return count
}

// names says whether a call is about a resource.
func names(call emulator.Call, resource string) bool {
	if slices.Contains(call.ResourceIDs, resource) {
		return true
	}
	for _, values := range call.Params {
		if slices.Contains(values, resource) {
			return true
		}
	}
	return false
}
