/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// story follows plan, and does what it decides in an EC2 that always answers.
type story struct {
	o    observation
	text strings.Builder
	// answers, if set, takes the place of the effect; it returns whether it did.
	answers func(s *story, d decision) bool
	ended   bool
}

// tell goes on until there is nothing left to do.
func (s *story) tell(title string) {
	fmt.Fprintf(&s.text, "%s\n", title)
	for range 40 {
		d := plan(s.o)
		fmt.Fprintf(&s.text, "  %-60s %s: %s\n", line(d), d.reason, d.message)
		if d.action == actNothing || d.action == actLetGo {
			s.ended = d.action == actLetGo
			return
		}
		s.o.looked = d.action == actLook || d.action == actFind
		if s.answers == nil || !s.answers(s, d) {
			s.effect(d)
		}
	}
	s.text.WriteString("  … and so on for ever\n")
}

func (s *story) effect(d decision) {
	status, actual := &s.o.eni.Status, &s.o.actual
	switch d.action {
	case actRecord:
		status.Creation = &d.record
	case actCreate:
		status.NetworkInterfaceID, s.o.presence = "eni-1", present
		s.take(status.Creation.AddressCount)
		actual.securityGroups, actual.tags = stringsOf(status.Creation.SecurityGroupIDs), map[string]string{}
		for key, value := range status.Creation.Tags {
			actual.tags[key] = string(value)
		}
	case actAttach:
		actual.attachment = &attachment{id: "eni-attach-1", instanceID: s.o.instanceID, changing: true}
	case actDetach:
		actual.attachment.changing = true
	case actWait:
		s.o.now = s.o.now.Add(d.wait)
		s.pass()
	case actAssign:
		s.take(d.count)
	case actUnassign:
		actual.addresses = slices.DeleteFunc(actual.addresses, func(name string) bool { return slices.Contains(d.names, name) })
	case actDelete:
		s.o.presence, s.o.actual = gone, (observation{}).actual
	case actFind:
		if status.Creation.MissedAt == nil {
			missed := metav1.NewTime(s.o.now)
			status.Creation.MissedAt = &missed
		}
	case actSetSecurityGroups, actSetTags, actSetTermination:
		s.amend(d)
	case actNothing, actLook, actLetGo:
	}
}

// pass is what a wait brings about.
func (s *story) pass() {
	if at := s.o.actual.attachment; at != nil && at.changing {
		if s.o.eni.DeletionTimestamp.IsZero() && at.instanceID == s.o.instanceID {
			at.changing = false
		} else {
			s.o.actual.attachment = nil
		}
	}
}

func (s *story) take(n int32) {
	for range n {
		s.o.actual.addresses = append(s.o.actual.addresses, fmt.Sprintf("10.0.0.%d", len(s.o.actual.addresses)+5))
	}
}

func (s *story) amend(d decision) {
	switch d.action {
	case actSetSecurityGroups:
		s.o.actual.securityGroups = s.o.desired.securityGroups
	case actSetTermination:
		s.o.actual.attachment.deleteOnTermination = !s.o.actual.attachment.deleteOnTermination
	default:
		for key, value := range d.tags {
			s.o.actual.tags[key] = value
		}
		for _, key := range d.untag {
			delete(s.o.actual.tags, key)
		}
	}
}

func TestStories(t *testing.T) {
	begin := func() *story {
		o := unborn()
		return &story{o: o}
	}
	t.Run("life", func(t *testing.T) {
		s := begin()
		s.tell("The resource is made.")
		s.o.desired.addressCount, s.o.desired.securityGroups = 4, []string{"sg-1", "sg-2"}
		s.o.desired.tags = map[string]string{"networking.eni-operator.dev/uid": "u", "team": "b"}
		s.tell("The pool grows, and the policy changes groups and tags.")
		s.o.desired.addressCount, s.o.eni.Spec.Release = 3, []v1alpha1.AddressOrPrefix{"10.0.0.6"}
		s.tell("The pool shrinks.")
		s.o.instanceID = instanceB
		s.tell("The ENI moves.")
		s.o.eni.DeletionTimestamp = ago(0)
		s.tell("The resource is deleted.")
		assert.Assert(t, s.ended)
		golden.Assert(t, s.text.String(), "life.golden")
	})
	t.Run("full subnets", func(t *testing.T) {
		s := begin()
		s.answers = func(s *story, d decision) bool {
			full := d.action == actCreate && s.o.eni.Status.Creation.Attempt < 4
			if full {
				s.o.eni.Status.Creation.Refused, s.o.eni.Status.Creation.SubnetFull = "InsufficientFreeAddressesInSubnet", true
			}
			return full
		}
		s.tell("Both subnets are full; then the second has room.")
		golden.Assert(t, s.text.String(), "full-subnets.golden")
	})
	t.Run("unclear creation", func(t *testing.T) {
		s := begin()
		calls := 0
		s.answers = func(s *story, d decision) bool {
			if d.action != actCreate || s.o.eni.Status.Creation.Attempt > 1 {
				return false
			}
			calls++
			if calls == 2 {
				s.o.eni.Status.Creation.Refused, s.o.eni.Status.Creation.Unclear = "UnauthorizedOperation", true
			}
			return true
		}
		s.tell("The first answer is lost, the second is a refusal; nothing was made.")
		golden.Assert(t, s.text.String(), "unclear-creation.golden")
	})
	t.Run("deletion in doubt", func(t *testing.T) {
		s := begin()
		s.answers = func(_ *story, d decision) bool { return d.action == actCreate }
		open := plan(s.o).record
		s.o.eni.Status.Creation = &open
		s.o.eni.DeletionTimestamp = ago(0)
		s.tell("The resource is deleted while its creation is open.")
		assert.Assert(t, s.ended)
		golden.Assert(t, s.text.String(), "deletion-in-doubt.golden")
	})
	t.Run("stuck detach", func(t *testing.T) {
		s := &story{o: dying()}
		s.answers = func(s *story, d decision) bool {
			s.o.stuck = s.o.now.Sub(start) >= 3*time.Second
			s.o.forced = s.o.forced || d.force
			if d.action == actWait && !s.o.forced {
				s.o.now = s.o.now.Add(d.wait) // and nothing happens
				return true
			}
			return false
		}
		s.tell("The instance is sick.")
		assert.Assert(t, s.ended)
		golden.Assert(t, s.text.String(), "stuck-detach.golden")
	})
	t.Run("retained", func(t *testing.T) {
		s := &story{o: dying()}
		retain(&s.o)
		s.tell("The resource is deleted, and the ENI is to stay.")
		assert.Assert(t, s.ended)
		golden.Assert(t, s.text.String(), "retained.golden")
	})
}
