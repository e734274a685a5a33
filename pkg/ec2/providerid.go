/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"regexp"
	"strings"
)

// ProviderIDKind says what a Node's spec.providerID stands for.
type ProviderIDKind int

const (
	// ProviderIDUnusable names no instance although it should: it is empty or
	// malformed.
	ProviderIDUnusable ProviderIDKind = iota
	// ProviderIDInstance names an EC2 instance.
	ProviderIDInstance
	// ProviderIDOther stands for something that has no ENIs of ours: Fargate,
	// a hybrid node, another cloud.
	ProviderIDOther
)

var instanceIDPattern = regexp.MustCompile(`^i-([0-9a-f]{8}|[0-9a-f]{17})$`)

// ParseProviderID returns the instance id in a Node's spec.providerID, which the
// AWS cloud provider writes as aws:///<zone>/<instance-id>.
// https://github.com/kubernetes/cloud-provider-aws/blob/master/pkg/providers/v1/instances.go
func ParseProviderID(providerID string) (string, ProviderIDKind) {
	if providerID == "" {
		return "", ProviderIDUnusable
	}
	path, ok := strings.CutPrefix(providerID, "aws://")
	if !ok {
		return "", ProviderIDOther
	}
	last := path[strings.LastIndex(path, "/")+1:]
	switch {
	case instanceIDPattern.MatchString(last):
		return last, ProviderIDInstance
	case strings.HasPrefix(last, "fargate-"):
		return "", ProviderIDOther
	default:
		return "", ProviderIDUnusable
	}
}
