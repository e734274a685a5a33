/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package privileges runs the operator with exactly what it is shipped with: the
// roles of config/rbac in Kubernetes, and the IAM policy of docs/iam-policy.json in
// EC2. Both must suffice, and nothing of them be unused.
package privileges
