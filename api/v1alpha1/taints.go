/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"fmt"
	"strings"
)

// kubernetesDomains are the domains of taints that Kubernetes itself, and its cloud providers,
// put on Nodes: https://kubernetes.io/docs/reference/labels-annotations-taints/.
var kubernetesDomains = []string{"kubernetes.io", "k8s.io"}

// WhyKeepTaint returns why the operator does not remove taints of a key from Nodes, or nothing
// if it does. Otherwise an editor of policies could have the operator remove any taint from any Node.
// The administrator sets the prefix; an empty one stands for any key but those of Kubernetes.
func WhyKeepTaint(key, prefix string) string {
	domain, _, _ := strings.Cut(key, "/")
	for _, reserved := range kubernetesDomains {
		if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
			return "taints of " + reserved + " are Kubernetes' own, and never a startup taint"
		}
	}
	if !strings.HasPrefix(key, prefix) {
		return fmt.Sprintf("the operator removes only taints whose key begins with %s; its administrator changes that by --startup-taint-prefix", prefix)
	}
	return ""
}
