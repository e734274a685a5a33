/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package crash

import (
	"strings"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// addressesPerPrefix is the size of a /28 (EC2 delegates no other).
const addressesPerPrefix = 16

// strangeTags are the tags that are not the operator's own.
func strangeTags(tags map[string]string) map[string]string {
	strange := map[string]string{}
	for key, value := range tags {
		if !strings.HasPrefix(key, "networking.eni-operator.dev/") && key != "node.k8s.amazonaws.com/no_manage" {
			strange[key] = value
		}
	}
	return strange
}

// userTags are the tags that a resource asks for.
func userTags(resource *v1alpha1.ElasticNetworkInterface) map[string]string {
	tags := map[string]string{}
	for key, value := range resource.Spec.Tags {
		tags[key] = string(value)
	}
	return tags
}
