/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package admission

import (
	"context"
	"fmt"
	"path"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/shipped"
)

// attempt is a request that is tried without being stored.
type attempt struct {
	// verb is create, update or delete.
	verb string
	kind string
	name string
	// content is the object's content besides kind and name; of an update, what it
	// changes. YAML in one line.
	content string
	// byOperator: the operator's own account asks, and not an administrator.
	byOperator bool
}

func create(kind, name, content string) attempt {
	return attempt{verb: "create", kind: kind, name: name, content: content}
}

func update(kind, name, content string) attempt {
	return attempt{verb: "update", kind: kind, name: name, content: content}
}

func deleting(kind, name string) attempt {
	return attempt{verb: "delete", kind: kind, name: name}
}

func byOperator(a attempt) attempt {
	a.byOperator = true
	return a
}

func (a attempt) String() string {
	switch a.verb {
	case "delete":
		return fmt.Sprintf("delete %s %s", a.kind, a.name)
	case "update":
		return fmt.Sprintf("change %s %s: %#q", a.kind, a.name, a.content)
	default:
		return fmt.Sprintf("%s %#q", a.kind, a.content)
	}
}

// object is what an attempt is about.
func (a attempt) object() (*unstructured.Unstructured, error) {
	content := map[string]any{}
	if a.verb == "create" {
		if err := yaml.Unmarshal([]byte(a.content), &content); err != nil {
			return nil, fmt.Errorf("%s: %w", a.content, err)
		}
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(a.kind))
	object.SetName(a.name)
	if a.kind == "ENIClaim" && object.GetNamespace() == "" {
		object.SetNamespace("shop")
	}
	return object, nil
}

// try makes an attempt, and returns what it was warned of and why it was refused.
func (w *world) try(ctx context.Context, a attempt) (warned string, refused, err error) {
	somebody := w.plane.Config
	if a.byOperator {
		somebody = shipped.AsOperator(somebody)
	}
	caller, heard, err := w.hearing(somebody)
	if err != nil {
		return "", nil, err
	}
	object, err := a.object()
	if err != nil {
		return "", nil, err
	}
	switch a.verb {
	case "create":
		refused = caller.Create(ctx, object, client.DryRunAll)
	case "update":
		content, broken := yaml.YAMLToJSON([]byte(a.content))
		if broken != nil {
			return "", nil, broken
		}
		refused = caller.Patch(ctx, object, client.RawPatch("application/merge-patch+json", content), client.DryRunAll)
	case "delete":
		refused = caller.Delete(ctx, object, client.DryRunAll)
	}
	return heard.said(), refused, nil
}

// hookRule is a rule of the webhooks: an attempt that it has nothing against, and one
// that it refuses, or warns of.
type hookRule struct {
	// rule says what must be, in words for the documentation.
	rule string
	// field that the rule is about; empty for the object as a whole.
	field string
	kind  string
	fine  attempt
	wrong attempt
	// message is all that is said of the wrong attempt, after the name of the webhook.
	message string
	// warns: the wrong attempt is accepted, with the message as a warning.
	warns bool
}

// hookRules are tried on what furnish makes. HELD is the address that claim web holds,
// OWN the own address of the ENI that carries it, and CARRIER its name.
var hookRules = []hookRule{
	{
		rule: "Policies of one priority select different Nodes", field: "spec.priority", kind: "ENIPolicy",
		fine:  create("ENIPolicy", "rival", `{spec: {nodeSelector: {matchLabels: {pool: general}}, priority: 1, shared: {}}}`),
		wrong: create("ENIPolicy", "rival", `{spec: {nodeSelector: {matchLabels: {pool: general}}, priority: 0, shared: {}}}`),
		message: `ENIPolicy.networking.eni-operator.dev "rival" is invalid: spec.priority: Invalid value: 0: policy general has the same priority and ` +
			`selects Node alpha too: give one of the two another priority, or change nodeSelector so that no Node fits both`,
	}, {
		rule: "An edit brings no policies of one priority together on a Node", field: "spec.priority", kind: "ENIPolicy",
		fine:  update("ENIPolicy", "shared-only", `{spec: {priority: 7, nodeSelector: {matchLabels: {pool: general}}}}`),
		wrong: update("ENIPolicy", "shared-only", `{spec: {nodeSelector: {matchLabels: {pool: general}}}}`),
		message: `ENIPolicy.networking.eni-operator.dev "shared-only" is invalid: spec.priority: Invalid value: 0: policy general has the same priority and ` +
			`selects Node alpha too: give one of the two another priority, or change nodeSelector so that no Node fits both`,
	}, {
		rule: "Policies of one priority could not select the same Node", field: "spec.priority", kind: "ENIPolicy", warns: true,
		fine:  create("ENIPolicy", "rival", `{spec: {nodeSelector: {matchExpressions: [{key: pool, operator: NotIn, values: [general, shared]}, {key: pool, operator: Exists}]}, shared: {}}}`),
		wrong: create("ENIPolicy", "rival", `{spec: {nodeSelector: {matchLabels: {pool: general, team: a}}, shared: {}}}`),
		message: `spec.priority: policy general has the same priority, and a Node could fit both: ` +
			`give one of the two another priority, or change nodeSelector so that no Node fits both`,
	}, {
		rule: "nodeSelector's operators are those of label selectors", field: "spec.nodeSelector", kind: "ENIPolicy",
		fine:  create("ENIPolicy", "new", `{spec: {nodeSelector: {matchExpressions: [{key: team, operator: Exists}]}, priority: 9, shared: {}}}`),
		wrong: create("ENIPolicy", "new", `{spec: {nodeSelector: {matchExpressions: [{key: team, operator: Equals, values: [a]}]}, priority: 9, shared: {}}}`),
		message: `ENIPolicy.networking.eni-operator.dev "new" is invalid: spec.nodeSelector.matchExpressions[0].operator: Invalid value: "Equals": ` +
			`not a valid selector operator: use In, NotIn, Exists or DoesNotExist`,
	}, {
		rule: "nodeSelector's In and NotIn have values", field: "spec.nodeSelector", kind: "ENIPolicy",
		fine:  create("ENIPolicy", "new", `{spec: {nodeSelector: {matchExpressions: [{key: team, operator: In, values: [a]}]}, priority: 9, shared: {}}}`),
		wrong: create("ENIPolicy", "new", `{spec: {nodeSelector: {matchExpressions: [{key: team, operator: In}]}, priority: 9, shared: {}}}`),
		message: `ENIPolicy.networking.eni-operator.dev "new" is invalid: spec.nodeSelector.matchExpressions[0].values: Required value: ` +
			"must be specified when `operator` is 'In' or 'NotIn'",
	}, {
		rule: "nodeSelector's labels are ones that a Node can have", field: "spec.nodeSelector", kind: "ENIPolicy",
		fine:  create("ENIPolicy", "new", `{spec: {nodeSelector: {matchLabels: {example.com/team: a-1}}, priority: 9, shared: {}}}`),
		wrong: create("ENIPolicy", "new", `{spec: {nodeSelector: {matchLabels: {team: "a b"}}, priority: 9, shared: {}}}`),
		message: `ENIPolicy.networking.eni-operator.dev "new" is invalid: spec.nodeSelector.matchLabels: Invalid value: "a b": a valid label must be an empty string ` +
			`or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character ` +
			`(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
	}, {
		rule: "claimNamespaceSelector is a label selector", field: "spec.claimNamespaceSelector", kind: "ENIPolicy",
		fine:  update("ENIPolicy", "shared-only", `{spec: {claimNamespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}}`),
		wrong: update("ENIPolicy", "shared-only", `{spec: {claimNamespaceSelector: {matchExpressions: [{key: team, operator: Exists, values: [a]}]}}}`),
		message: `ENIPolicy.networking.eni-operator.dev "shared-only" is invalid: spec.claimNamespaceSelector.matchExpressions[0].values: Forbidden: ` +
			"may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
	}, {
		rule: "startupTaint is a key that a taint can have", field: "spec.startupTaint", kind: "ENIPolicy",
		fine:  update("ENIPolicy", "shared-only", `{spec: {startupTaint: eni-operator.dev/not-ready}}`),
		wrong: update("ENIPolicy", "shared-only", `{spec: {startupTaint: eni-operator..dev/not-ready}}`),
		message: `ENIPolicy.networking.eni-operator.dev "shared-only" is invalid: spec.startupTaint: Invalid value: "eni-operator..dev/not-ready": ` +
			`prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an ` +
			`alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
	}, {
		rule: "startupTaint is a taint of the operator's own (--startup-taint-prefix)", field: "spec.startupTaint", kind: "ENIPolicy",
		fine:  update("ENIPolicy", "shared-only", `{spec: {startupTaint: eni-operator.dev/no-addresses}}`),
		wrong: update("ENIPolicy", "shared-only", `{spec: {startupTaint: dedicated}}`),
		message: `ENIPolicy.networking.eni-operator.dev "shared-only" is invalid: spec.startupTaint: Invalid value: "dedicated": the operator removes only taints ` +
			`whose key begins with eni-operator.dev/; its administrator changes that by --startup-taint-prefix`,
	}, {
		rule: "startupTaint is none of Kubernetes' own taints", field: "spec.startupTaint", kind: "ENIPolicy",
		fine:  update("ENIPolicy", "shared-only", `{spec: {startupTaint: eni-operator.dev/no-addresses}}`),
		wrong: update("ENIPolicy", "shared-only", `{spec: {startupTaint: node-role.kubernetes.io/control-plane}}`),
		message: `ENIPolicy.networking.eni-operator.dev "shared-only" is invalid: spec.startupTaint: Invalid value: "node-role.kubernetes.io/control-plane": ` +
			`taints of kubernetes.io are Kubernetes' own, and never a startup taint`,
	}, {
		rule: "A maximum is not lowered below what claims hold", field: "spec.exclusive.maximum", kind: "ENIPolicy", warns: true,
		fine:    update("ENIPolicy", "general", `{spec: {exclusive: {maximum: 2}}}`),
		wrong:   update("ENIPolicy", "general", `{spec: {exclusive: null}}`),
		message: `spec.exclusive.maximum: 0 ENIs are fewer than claims hold on Node alpha (1): nothing is taken from them; only what is free goes, and the rest as claims are released`,
	}, {
		rule: "A maximum of addresses is not lowered below what claims hold", field: "spec.shared.maximumIPs", kind: "ENIPolicy", warns: true,
		fine:    update("ENIPolicy", "general", `{spec: {shared: {minimumIPs: 0, maximumIPs: 1}}}`),
		wrong:   update("ENIPolicy", "general", `{spec: {shared: null}}`),
		message: `spec.shared.maximumIPs: 0 addresses are fewer than claims hold on Node alpha (1): nothing is taken from them; only what is free goes, and the rest as claims are released`,
	}, {
		rule: "The Nodes' instance types hold the minimum of addresses", field: "spec.shared.minimumIPs", kind: "ENIPolicy", warns: true,
		fine:  update("ENIPolicy", "shared-only", `{spec: {shared: {minimumIPs: 18, maximumIPs: 18}}}`),
		wrong: update("ENIPolicy", "shared-only", `{spec: {shared: {minimumIPs: 19, maximumIPs: 40}}}`),
		message: `spec.shared.minimumIPs: Node beta (m5.large) has room for 18 addresses beside 0 exclusive ENIs, fewer than 19: ` +
			`lower the minimum, or select larger instances`,
	}, {
		rule: "The Nodes' instance types hold the minimum of ENIs", field: "spec.exclusive.minimum", kind: "ENIPolicy", warns: true,
		fine:  update("ENIPolicy", "shared-only", `{spec: {exclusive: {minimum: 1}}}`),
		wrong: update("ENIPolicy", "shared-only", `{spec: {exclusive: {minimum: 3}}}`),
		message: `spec.exclusive.minimum: Node beta (m5.large) has room for 2 ENIs beside the primary one, fewer than 3: ` +
			`lower the minimum, or select larger instances`,
	}, {
		rule: "A policy is not deleted while claims are bound by it", kind: "ENIPolicy",
		fine:  deleting("ENIPolicy", "shared-only"),
		wrong: deleting("ENIPolicy", "general"),
		message: `enipolicies.networking.eni-operator.dev "general" is forbidden: 2 claims are bound by this policy (shop/router, shop/web) on Node alpha. ` +
			`Delete the claims first, or let it go when the last of them is released: annotate it with networking.eni-operator.dev/delete-in-use=true and delete it again.`,
	}, {
		rule: "A pool is not deleted while claims hold something of it on a live Node", kind: "ENIPool",
		fine:  deleting("ENIPool", "beta"),
		wrong: deleting("ENIPool", "alpha"),
		message: `enipools.networking.eni-operator.dev "alpha" is forbidden: 2 claims hold addresses or ENIs of this pool (shop/router, shop/web), and its Node is there. ` +
			`Delete the claims first, or let it go when the last of them is released: annotate it with networking.eni-operator.dev/delete-in-use=true and delete it again.`,
	}, {
		rule: "An ENI is not deleted while claims use it on a live Node", kind: "ElasticNetworkInterface",
		fine:  deleting("ElasticNetworkInterface", "firewall"),
		wrong: deleting("ElasticNetworkInterface", "CARRIER"),
		message: `elasticnetworkinterfaces.networking.eni-operator.dev "CARRIER" is forbidden: 1 claims use this ENI (shop/web), and its Node is there. ` +
			`Delete the claims first, or let it go when the last of them is released: annotate it with networking.eni-operator.dev/delete-in-use=true and delete it again.`,
	}, {
		rule: "A device index is free on the Node", field: "spec.deviceIndex", kind: "ElasticNetworkInterface",
		fine:  create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, deviceIndex: 1}}`),
		wrong: create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, deviceIndex: 2}}`),
		message: `ElasticNetworkInterface.networking.eni-operator.dev "second" is invalid: spec.deviceIndex: Invalid value: 2: on network card 0 of Node gamma ` +
			`this device index is that of ElasticNetworkInterface firewall: choose another, or leave it unset and a free one is taken`,
	}, {
		rule: "A device index is free on the Node that an ENI moves to", field: "spec.deviceIndex", kind: "ElasticNetworkInterface",
		fine:  update("ElasticNetworkInterface", "firewall", `{spec: {nodeName: alpha, deviceIndex: null}}`),
		wrong: update("ElasticNetworkInterface", "firewall", `{spec: {nodeName: alpha}}`),
		message: `ElasticNetworkInterface.networking.eni-operator.dev "firewall" is invalid: spec.deviceIndex: Invalid value: 2: on network card 0 of Node alpha ` +
			`this device index is that of ElasticNetworkInterface SECOND: choose another, or leave it unset and a free one is taken`,
	}, {
		rule: "The operator alone makes ENIs of pools", field: "spec.poolName", kind: "ElasticNetworkInterface",
		fine:  byOperator(create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, poolName: gamma}}`)),
		wrong: create("ElasticNetworkInterface", "second", `{metadata: {labels: {app.kubernetes.io/managed-by: eni-operator}}, spec: {nodeName: gamma, poolName: gamma}}`),
		message: `ElasticNetworkInterface.networking.eni-operator.dev "second" is invalid: spec.poolName: Forbidden: ` +
			`is for the ENIs that the operator makes for its pools: leave it unset`,
	}, {
		rule: "An ENI's instance is that of its Node", field: "spec.instanceID", kind: "ElasticNetworkInterface",
		fine:  create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, instanceID: GAMMA}}`),
		wrong: create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, instanceID: i-01234567}}`),
		message: `ElasticNetworkInterface.networking.eni-operator.dev "second" is invalid: spec.instanceID: Invalid value: "i-01234567": ` +
			`Node gamma does not stand for this instance, and the operator attaches ENIs only to instances of Nodes: leave it unset`,
	}, {
		rule: "An ENI does not move to an instance that is none of its Node", field: "spec.instanceID", kind: "ElasticNetworkInterface",
		fine:  update("ElasticNetworkInterface", "firewall", `{spec: {description: pinned}}`),
		wrong: update("ElasticNetworkInterface", "firewall", `{spec: {instanceID: i-01234567}}`),
		message: `ElasticNetworkInterface.networking.eni-operator.dev "firewall" is invalid: spec.instanceID: Invalid value: "i-01234567": ` +
			`Node gamma does not stand for this instance, and the operator attaches ENIs only to instances of Nodes: leave it unset`,
	}, {
		rule: "An ENI's Node is an EC2 instance", field: "spec.nodeName", kind: "ElasticNetworkInterface",
		fine:  create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma}}`),
		wrong: create("ElasticNetworkInterface", "second", `{spec: {nodeName: fargate}}`),
		message: `ElasticNetworkInterface.networking.eni-operator.dev "second" is invalid: spec.nodeName: Invalid value: "fargate": this Node is no EC2 instance ` +
			`(its spec.providerID is aws:///us-east-1a/0123/fargate-ip-10-0-1-2.ec2.internal), so it can have no ENIs: name a Node that is one`,
	}, {
		rule: "An ENI's Node is there", field: "spec.nodeName", kind: "ElasticNetworkInterface", warns: true,
		fine:    create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma}}`),
		wrong:   create("ElasticNetworkInterface", "second", `{spec: {nodeName: gama}}`),
		message: `spec.nodeName: there is no Node gama: nothing happens until there is one`,
	}, {
		rule: "The Node's instance type holds the addresses", field: "spec.addressCount", kind: "ElasticNetworkInterface", warns: true,
		fine:  create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, addressCount: 9}}`),
		wrong: create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, addressCount: 10}}`),
		message: `spec.addressCount: an ENI of m5.large carries 9 addresses at most besides its primary one: ` +
			`lower the count, or use a larger instance`,
	}, {
		rule: "The Node's instance type holds the prefixes", field: "spec.prefixCount", kind: "ElasticNetworkInterface", warns: true,
		fine:  create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, prefixCount: 9}}`),
		wrong: create("ElasticNetworkInterface", "second", `{spec: {nodeName: gamma, prefixCount: 10}}`),
		message: `spec.prefixCount: an ENI of m5.large carries 9 prefixes at most besides its primary address: ` +
			`lower the count, or use a larger instance`,
	}, {
		rule: "The Node's instance type has the device index", field: "spec.deviceIndex", kind: "ElasticNetworkInterface", warns: true,
		fine:    create("ElasticNetworkInterface", "second", `{spec: {nodeName: beta, deviceIndex: 2}}`),
		wrong:   create("ElasticNetworkInterface", "second", `{spec: {nodeName: beta, deviceIndex: 3}}`),
		message: `spec.deviceIndex: the last device index of network card 0 of m5.large is 2: choose that or a lower one, or leave it unset`,
	}, {
		rule: "The Node's instance type has the network card", field: "spec.networkCardIndex", kind: "ElasticNetworkInterface", warns: true,
		fine:    create("ElasticNetworkInterface", "second", `{spec: {nodeName: beta, networkCardIndex: 0}}`),
		wrong:   create("ElasticNetworkInterface", "second", `{spec: {nodeName: beta, networkCardIndex: 1}}`),
		message: `spec.networkCardIndex: m5.large has 1 network cards: choose one below 1, or leave it unset`,
	}, {
		rule: "A claim's Node is there", field: "spec.nodeName", kind: "ENIClaim", warns: true,
		fine:    create("ENIClaim", "new", `{spec: {nodeName: alpha}}`),
		wrong:   create("ENIClaim", "new", `{spec: {nodeName: alfa}}`),
		message: `spec.nodeName: there is no Node alfa: nothing happens until there is one`,
	}, {
		rule: "A claim's Node is an EC2 instance", field: "spec.nodeName", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{spec: {nodeName: alpha}}`),
		wrong: create("ENIClaim", "new", `{spec: {nodeName: fargate}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: spec.nodeName: Invalid value: "fargate": this Node is no EC2 instance ` +
			`(its spec.providerID is aws:///us-east-1a/0123/fargate-ip-10-0-1-2.ec2.internal), so it can have no ENIs: name a Node that is one`,
	}, {
		rule: "A policy selects a claim's Node", field: "spec.nodeName", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{spec: {nodeName: beta}}`),
		wrong: create("ENIClaim", "new", `{spec: {nodeName: gamma}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: spec.nodeName: Invalid value: "gamma": no ENIPolicy selects this Node: ` +
			`name a Node that one selects, or have one select this Node`,
	}, {
		rule: "The Node's policy offers a claim's mode", field: "spec.mode", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{spec: {nodeName: alpha, mode: Exclusive}}`),
		wrong: create("ENIClaim", "new", `{spec: {nodeName: beta, mode: Exclusive}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: spec.mode: Invalid value: "Exclusive": policy shared-only, which governs Node beta, ` +
			`does not offer this mode: choose the other, name another Node, or add exclusive to the policy`,
	}, {
		rule: "The Node's policy serves a claim's namespace", field: "metadata.namespace", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{metadata: {namespace: elsewhere}, spec: {nodeName: beta}}`),
		wrong: create("ENIClaim", "new", `{metadata: {namespace: elsewhere}, spec: {nodeName: alpha}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: metadata.namespace: Invalid value: "elsewhere": policy general, which governs Node alpha, ` +
			`does not serve this namespace: name another Node, or have the policy's owner admit the namespace`,
	}, {
		rule: "An address lies in the Node's subnets", field: "spec.address", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{spec: {nodeName: alpha, address: 10.0.9.9}}`),
		wrong: create("ENIClaim", "new", `{spec: {nodeName: alpha, address: 10.1.9.9}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: spec.address: Invalid value: "10.1.9.9": lies in none of the subnets of the Node's ENIs (10.0.0.0/20): ` +
			`choose an address that one of them carries, or leave address unset`,
	}, {
		rule: "An address is held by no other claim", field: "spec.address", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{spec: {nodeName: alpha, address: FREE}}`),
		wrong: create("ENIClaim", "new", `{spec: {nodeName: alpha, address: HELD}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: spec.address: Invalid value: "HELD": is held by claim web: ` +
			`choose another, delete that claim, or leave address unset`,
	}, {
		rule: "An address is held by no claim of another namespace", field: "spec.address", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{metadata: {namespace: market}, spec: {nodeName: alpha, address: FREE}}`),
		wrong: create("ENIClaim", "new", `{metadata: {namespace: market}, spec: {nodeName: alpha, address: HELD}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: spec.address: Invalid value: "HELD": is held by a claim of another namespace: ` +
			`choose another, or leave address unset`,
	}, {
		rule: "Some policy serves the namespace of a claim whose Node is not there", field: "metadata.namespace", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{metadata: {namespace: elsewhere}, spec: {nodeName: beta}}`),
		wrong: create("ENIClaim", "new", `{metadata: {namespace: elsewhere}, spec: {nodeName: alfa, mode: Exclusive}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: metadata.namespace: Invalid value: "elsewhere": there is no Node alfa, ` +
			`and no policy serves Exclusive claims of this namespace on any: have a policy admit the namespace`,
	}, {
		rule: "A claim is no larger than 16 KiB", field: "metadata", kind: "ENIClaim",
		fine:    create("ENIClaim", "new", `{metadata: {annotations: {note: LONG}}, spec: {nodeName: alpha}}`),
		wrong:   create("ENIClaim", "new", `{metadata: {annotations: {note: LONGLONG}}, spec: {nodeName: alpha}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: metadata: Forbidden: the claim has more than 16384 bytes as JSON: keep its labels and annotations short`,
	}, {
		rule: "A claim has eight finalizers at most", field: "metadata.finalizers", kind: "ENIClaim",
		fine:    create("ENIClaim", "new", `{metadata: {finalizers: [a.b/1, a.b/2, a.b/3, a.b/4, a.b/5, a.b/6, a.b/7, a.b/8]}, spec: {nodeName: alpha}}`),
		wrong:   create("ENIClaim", "new", `{metadata: {finalizers: [a.b/1, a.b/2, a.b/3, a.b/4, a.b/5, a.b/6, a.b/7, a.b/8, a.b/9]}, spec: {nodeName: alpha}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: metadata.finalizers: Too many: 9: must have at most 8 items`,
	}, {
		rule: "An address is no ENI's own", field: "spec.address", kind: "ENIClaim",
		fine:  create("ENIClaim", "new", `{spec: {nodeName: alpha, address: FREE}}`),
		wrong: create("ENIClaim", "new", `{spec: {nodeName: alpha, address: OWN}}`),
		message: `ENIClaim.networking.eni-operator.dev "new" is invalid: spec.address: Invalid value: "OWN": is ENI CARRIER's own, which no claim can have: ` +
			`choose one of its secondary addresses, or leave address unset`,
	},
}

// hookNames are the webhooks that answer, by kind and verb.
func hookName(a attempt) string {
	resource := map[string]string{
		"ENIPolicy": "enipolicies", "ENIPool": "enipools", "ElasticNetworkInterface": "elasticnetworkinterfaces", "ENIClaim": "eniclaims",
	}[a.kind]
	if a.kind == "ElasticNetworkInterface" && a.verb != "create" {
		resource = a.verb + "." + resource
	}
	return resource + "." + v1alpha1.GroupVersion.Group
}

func TestWebhookRules(t *testing.T) {
	fill := shared.filler(t)
	for _, rule := range hookRules {
		t.Run(strings.ToLower(rule.kind)+" "+rule.rule, func(t *testing.T) {
			t.Parallel()
			warned, refused, err := shared.try(t.Context(), rule.fine.filled(fill))
			assert.NilError(t, err)
			assert.NilError(t, refused, "accepted: %s", rule.fine)
			assert.Equal(t, warned, "", "accepted: %s", rule.fine)

			wrong := rule.wrong.filled(fill)
			warned, refused, err = shared.try(t.Context(), wrong)
			assert.NilError(t, err)
			if rule.warns {
				assert.NilError(t, refused)
				assert.Equal(t, warned, fill.Replace(rule.message))
				return
			}
			assert.Error(t, refused, fmt.Sprintf("admission webhook %q denied the request: %s", hookName(wrong), fill.Replace(rule.message)))
		})
	}
}

// filler replaces the names that stand for what only the running system knows.
func (w *world) filler(t *testing.T) *strings.Replacer {
	t.Helper()
	web := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	assert.NilError(t, w.ready(web))
	router := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "router"}}
	assert.NilError(t, w.ready(router))
	carrier := &v1alpha1.ElasticNetworkInterface{}
	assert.NilError(t, w.Get(t.Context(), client.ObjectKey{Name: web.Status.ENIName}, carrier))
	second := carrier.Name
	if *router.Status.DeviceIndex == 2 {
		second = router.Status.ENIName
	}
	var free string
	for _, address := range carrier.Status.Addresses {
		if string(address) != web.Status.Address {
			free = string(address)
		}
	}
	gamma := &corev1.Node{}
	assert.NilError(t, w.Get(t.Context(), client.ObjectKey{Name: "gamma"}, gamma))
	return strings.NewReplacer("GAMMA", path.Base(gamma.Spec.ProviderID), "HELD", web.Status.Address, "OWN", carrier.Status.PrimaryAddress, "CARRIER", carrier.Name, "FREE", free, "SECOND", second,
		"LONG", strings.Repeat("x", 9_000))
}

func (a attempt) filled(with *strings.Replacer) attempt {
	a.name, a.content = with.Replace(a.name), with.Replace(a.content)
	return a
}
