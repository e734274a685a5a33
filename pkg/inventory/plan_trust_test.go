/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package inventory

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

func TestJudge(t *testing.T) {
	at := func(zones ...string) sighting { return sighting{region: "us-east-1", zones: zones} }
	with := func(instances, enis tally) sighting { return sighting{instances: instances, enis: enis} }
	for _, test := range []struct {
		name   string
		seen   sighting
		reason string
	}{
		{"an empty cluster", sighting{}, v1alpha1.ReasonEC2Agrees},
		{"its own Region", at("us-east-1a"), v1alpha1.ReasonEC2Agrees},
		{"a local zone of its Region", at("us-east-1-bos-1a"), v1alpha1.ReasonEC2Agrees},
		{"one node elsewhere", at("eu-west-1a", "us-east-1b"), v1alpha1.ReasonEC2Agrees},
		{"another Region", at("us-west-2a", "us-west-2b"), v1alpha1.ReasonOtherRegion},
		{"a Region whose name starts alike", sighting{region: "us-gov-west-1", zones: []string{"us-gov-west-11a"}}, v1alpha1.ReasonOtherRegion},
		{"a client whose Region is unknown", sighting{zones: []string{"us-west-2a"}}, v1alpha1.ReasonEC2Agrees},
		{"all is shown", with(tally{shown: 5}, tally{shown: 9}), v1alpha1.ReasonEC2Agrees},
		{"one instance, which is not shown", with(tally{vanished: 1}, tally{}), v1alpha1.ReasonNothingKnown},
		{"ENIs alone, none of which is shown", with(tally{}, tally{vanished: 2}), v1alpha1.ReasonNothingKnown},
		{"no ENI is left, but the instance is a witness", with(tally{shown: 1}, tally{vanished: 3}), v1alpha1.ReasonEC2Agrees},
		{"no instance is left, but an ENI is a witness", with(tally{vanished: 3}, tally{shown: 1}), v1alpha1.ReasonEC2Agrees},
		{"ten of twenty", with(tally{shown: 10, vanished: 10}, tally{}), v1alpha1.ReasonEC2Agrees},
		{"eleven of twenty", with(tally{shown: 9, vanished: 11}, tally{}), v1alpha1.ReasonTooManyVanished},
		{"five of a hundred", with(tally{shown: 950, vanished: 50}, tally{}), v1alpha1.ReasonEC2Agrees},
		{"more than five of a hundred", with(tally{shown: 949, vanished: 51}, tally{}), v1alpha1.ReasonTooManyVanished},
		{"too many ENIs", with(tally{shown: 100}, tally{shown: 100, vanished: 11}), v1alpha1.ReasonTooManyVanished},
	} {
		t.Run(test.name, func(t *testing.T) {
			judged := judge(test.seen)
			assert.Equal(t, judged.Reason, test.reason)
			assert.Equal(t, judged.Broken, test.reason != v1alpha1.ReasonEC2Agrees)
			assert.Equal(t, strings.Contains(judged.Message, "--ec2-brake=false"), judged.Broken)
		})
	}
}
