/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package flow

import (
	"maps"
	"os"
	"path/filepath"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/controlplane"
	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/iam"
)

// IAMPolicy is the policy that users give the operator, for this EC2.
func (w *World) IAMPolicy() iam.Policy {
	w.t.Helper()
	policy, err := ShippedIAMPolicy(map[string]string{"VPC_ID": w.vpc, "CLUSTER_NAME": ClusterName})
	assert.NilError(w.t, err)
	return policy
}

// ShippedIAMPolicy is docs/iam-policy.json with its variables filled in: those given, and the
// emulator's Region and account.
func ShippedIAMPolicy(variables map[string]string) (iam.Policy, error) {
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return iam.Policy{}, err
	}
	document, err := os.ReadFile(filepath.Join(root, "docs", "iam-policy.json"))
	if err != nil {
		return iam.Policy{}, err
	}
	all := map[string]string{"PARTITION": "aws", "REGION": region, "ACCOUNT": emulator.DefaultAccount}
	maps.Copy(all, variables)
	return iam.Parse([]byte(os.Expand(string(document), func(name string) string { return all[name] })))
}
