/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// The most that may vanish at once before EC2 is not believed.
const (
	// minVanished may vanish however few there are.
	minVanished = 10
	// vanishedPercent of those that are expected may vanish if that is more.
	vanishedPercent = 5
)

// tally counts instances or ENIs that the cluster has, as far as EC2 was asked about
// them. What EC2 said is terminated, or was proved to be gone, is not among them.
type tally struct {
	shown    int
	vanished int
}

func (t tally) expected() int { return t.shown + t.vanished }

// tooMany reports whether more vanished than chance explains.
func (t tally) tooMany() bool {
	return t.vanished > max(minVanished, t.expected()*vanishedPercent/100)
}

// sighting is all that the decision about EC2's trustworthiness depends on.
type sighting struct {
	// region is that of the client; "" if it is unknown.
	region string
	// zones are those in which the cluster's nodes, pools and ENIs are.
	zones     []string
	instances tally
	enis      tally
	// subnets are counted only where nothing else is expected.
	subnets tally
}

// unwitnessed reports whether nothing proves that EC2 shows the right account, and
// nothing the contrary: as while no Node names an instance.
func (s sighting) unwitnessed() bool { return s.instances.expected()+s.enis.expected() == 0 }

const remedy = " Nothing is created, changed or released in EC2 before it agrees again. Check AWS_REGION, AWS_ENDPOINT_URL_EC2 and the " +
	"operator's IAM identity; if all of them are truly gone, start the operator with --ec2-brake=false until it has cleaned up."

// judge decides whether EC2 may be believed.
func judge(s sighting) Trust {
	switch {
	case s.region != "" && len(s.zones) > 0 && !slices.ContainsFunc(s.zones, func(zone string) bool { return inRegion(zone, s.region) }):
		return Trust{Broken: true, Reason: v1alpha1.ReasonOtherRegion, Message: fmt.Sprintf(
			"The operator reads Region %s, and this cluster's nodes and ENIs are in zone %s.", s.region, s.zones[0]) + remedy}
	case s.instances.shown+s.enis.shown == 0 && s.instances.vanished+s.enis.vanished > 0:
		return Trust{Broken: true, Reason: v1alpha1.ReasonNothingKnown, Message: fmt.Sprintf(
			"EC2 shows none of %d instances and %d ENIs that this cluster has, as another account or Region would.",
			s.instances.vanished, s.enis.vanished) + remedy}
	case s.subnets.shown == 0 && s.subnets.vanished > 0:
		return Trust{Broken: true, Reason: v1alpha1.ReasonNothingKnown, Message: fmt.Sprintf(
			"EC2 shows none of the %d subnets in which this cluster has ENIs, as another account or Region would.", s.subnets.vanished) + remedy}
	case s.instances.tooMany():
		return tooMany("instances", s.instances)
	case s.enis.tooMany():
		return tooMany("ENIs", s.enis)
	default:
		return Trust{Reason: v1alpha1.ReasonEC2Agrees, Message: "EC2 shows what this cluster has there."}
	}
}

func tooMany(what string, t tally) Trust {
	return Trust{Broken: true, Reason: v1alpha1.ReasonTooManyVanished, Message: fmt.Sprintf(
		"EC2 does not show %d of %d %s that this cluster has: too many at once to be believed.", t.vanished, t.expected(), what) + remedy}
}

// inRegion reports whether a zone, such as us-east-1a or the local zone
// us-east-1-bos-1a, belongs to a Region.
func inRegion(zone, region string) bool {
	rest, ok := strings.CutPrefix(zone, region)
	return ok && (rest == "" || rest[0] == '-' || (rest[0] >= 'a' && rest[0] <= 'z'))
}
