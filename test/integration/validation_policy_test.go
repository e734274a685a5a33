/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"strings"
	"testing"
)

// inPolicy is a policy's spec with these fields besides a selector and a mode.
func inPolicy(fields ...string) []string {
	specs := make([]string, 0, len(fields))
	for _, field := range fields {
		specs = append(specs, "{nodeSelector: {}, exclusive: {}, "+field+"}")
	}
	return specs
}

// inShared is a policy's spec with these fields in shared.
func inShared(fields ...string) []string {
	specs := make([]string, 0, len(fields))
	for _, field := range fields {
		specs = append(specs, "{nodeSelector: {}, shared: {"+field+"}}")
	}
	return specs
}

// inExclusive is a policy's spec with these fields in exclusive.
func inExclusive(fields ...string) []string {
	specs := make([]string, 0, len(fields))
	for _, field := range fields {
		specs = append(specs, "{nodeSelector: {}, exclusive: {"+field+"}}")
	}
	return specs
}

func TestPolicyRules(t *testing.T) {
	t.Parallel()
	checkRules(t, "ENIPolicy", "rules", []rule{
		{
			name:   "a policy offers something",
			accept: []string{`{nodeSelector: {}, shared: {}}`, `{nodeSelector: {}, exclusive: {}}`, `{nodeSelector: {}, shared: {}, exclusive: {}}`},
			refuse: []string{`{nodeSelector: {}}`},
			field:  "spec.shared", words: "set shared, exclusive or both",
		}, {
			name:   "a policy selects nodes",
			accept: []string{`{nodeSelector: {matchLabels: {pool: general}}, shared: {}}`},
			refuse: []string{`{shared: {}}`},
			field:  "spec.nodeSelector", words: "Required value",
		}, {
			name: "priority", accept: inPolicy("priority: 1000000", "priority: -1000000"),
			refuse: inPolicy("priority: 1000001"),
			field:  "spec.priority", words: "less than or equal to 1000000",
		}, {
			name: "minimumIPs is not above maximumIPs", accept: inShared("minimumIPs: 8, maximumIPs: 8"),
			refuse: inShared("minimumIPs: 9, maximumIPs: 8"),
			field:  "spec.shared.minimumIPs", words: "minimumIPs must not be above maximumIPs",
		}, {
			name: "minimumIPs", accept: inShared("minimumIPs: 1024"), refuse: inShared("minimumIPs: -1"),
			field: "spec.shared.minimumIPs", words: "greater than or equal to 0",
		}, {
			name: "warmIPs", accept: inShared("warmIPs: 1024"), refuse: inShared("warmIPs: 1025"),
			field: "spec.shared.warmIPs", words: "less than or equal to 1024",
		}, {
			name: "maximumIPs has a ceiling", accept: inShared("maximumIPs: 1024"), refuse: inShared("maximumIPs: 1025"),
			field: "spec.shared.maximumIPs", words: "less than or equal to 1024",
		}, {
			name: "maximumIPs has a floor", accept: inShared("maximumIPs: 1"), refuse: inShared("maximumIPs: 0"),
			field: "spec.shared.maximumIPs", words: "greater than or equal to 1",
		}, {
			name: "addressType", accept: inShared("addressType: IPv4", "addressType: IPv4Prefix"), refuse: inShared("addressType: IPv6"),
			field: "spec.shared.addressType", words: `supported values: "IPv4", "IPv4Prefix"`,
		}, {
			name: "cooldown is a duration", accept: inShared("cooldown: 0s", "cooldown: 1m30s", "cooldown: 250ms", "cooldown: 1.5s"),
			refuse: inShared("cooldown: soon", "cooldown: 1d", "cooldown: -1s", "cooldown: '30'"),
			field:  "spec.shared.cooldown", words: "should match",
		}, {
			name: "cooldown has a ceiling", accept: inShared("cooldown: 24h"), refuse: inShared("cooldown: 24h1s"),
			field: "spec.shared.cooldown", words: "must be at most 24h",
		}, {
			name: "reserveAfterRelease is a duration", accept: inShared("reserveAfterRelease: 0s", "reserveAfterRelease: 1h30m"),
			refuse: inShared("reserveAfterRelease: soon"), field: "spec.shared.reserveAfterRelease", words: "should match",
		}, {
			name: "reserveAfterRelease has a ceiling", accept: inShared("reserveAfterRelease: 24h"), refuse: inShared("reserveAfterRelease: 25h"),
			field: "spec.shared.reserveAfterRelease", words: "must be at most 24h",
		}, {
			name: "idleReleaseAfter is a duration", accept: inShared("idleReleaseAfter: 10m"), refuse: inShared("idleReleaseAfter: never"),
			field: "spec.shared.idleReleaseAfter", words: "should match",
		}, {
			name: "idleReleaseAfter has a ceiling", accept: inShared("idleReleaseAfter: 720h"), refuse: inShared("idleReleaseAfter: 721h"),
			field: "spec.shared.idleReleaseAfter", words: "must be at most 720h",
		}, {
			name: "minimum is not above maximum", accept: inExclusive("minimum: 2, maximum: 2"), refuse: inExclusive("minimum: 3, maximum: 2"),
			field: "spec.exclusive.minimum", words: "minimum must not be above maximum",
		}, {
			name: "minimum", accept: inExclusive("minimum: 127"), refuse: inExclusive("minimum: -1"),
			field: "spec.exclusive.minimum", words: "greater than or equal to 0",
		}, {
			name: "warm", accept: inExclusive("warm: 1"), refuse: inExclusive("warm: 128"),
			field: "spec.exclusive.warm", words: "less than or equal to 127",
		}, {
			name: "maximum", accept: inExclusive("maximum: 1"), refuse: inExclusive("maximum: 0"),
			field: "spec.exclusive.maximum", words: "greater than or equal to 1",
		}, {
			name: "minDeviceIndex is at least 0", accept: inPolicy("minDeviceIndex: 0", "minDeviceIndex: 127"), refuse: inPolicy("minDeviceIndex: -1"),
			field: "spec.minDeviceIndex", words: "greater than or equal to 0",
		}, {
			name: "minDeviceIndex is at most 127", accept: inPolicy("minDeviceIndex: 2"), refuse: inPolicy("minDeviceIndex: 128"),
			field: "spec.minDeviceIndex", words: "less than or equal to 127",
		}, {
			name: "ipam names a plugin of this release", accept: inPolicy("ipam: shared", "ipam: aws"), refuse: inPolicy("ipam: dhcp", "ipam: ''", "ipam: AWS"),
			field: "spec.ipam", words: "unknown IPAM plugin; this release has: aws, shared",
		}, {
			name:   "ipam aws takes single addresses",
			accept: []string{`{nodeSelector: {}, ipam: aws, shared: {}}`, `{nodeSelector: {}, ipam: aws, exclusive: {}}`, `{nodeSelector: {}, ipam: shared, shared: {addressType: IPv4Prefix}}`},
			refuse: []string{`{nodeSelector: {}, ipam: aws, shared: {addressType: IPv4Prefix}}`},
			field:  "spec.ipam", words: "set shared.addressType to IPv4, or ipam to shared",
		}, {
			name: "startupTaint is a taint's key", accept: inPolicy("startupTaint: eni-operator.dev/not-ready", "startupTaint: not-ready"),
			refuse: inPolicy("startupTaint: 'not ready'", "startupTaint: a/b/c"),
			field:  "spec.startupTaint", words: "should match",
		}, {
			name: "deletionPolicy", accept: inPolicy("deletionPolicy: Delete", "deletionPolicy: Retain"), refuse: inPolicy("deletionPolicy: Keep"),
			field: "spec.deletionPolicy", words: `supported values: "Delete", "Retain"`,
		},
	})
}

func TestPolicySelectorTermRules(t *testing.T) {
	t.Parallel()
	thirtyOne := strings.TrimSuffix(strings.Repeat("{tags: {a: b}}, ", 31), ", ")
	checkRules(t, "ENIPolicy", "rules", []rule{
		{
			name:   "a subnet's id",
			accept: inPolicy("subnetSelectorTerms: [{id: subnet-0123456789abcdef0}, {id: subnet-01234567}]"),
			refuse: inPolicy("subnetSelectorTerms: [{tags: {a: b}}, {id: subnet-xyz}]", "subnetSelectorTerms: [{tags: {a: b}}, {id: sg-01234567}]"),
			field:  "spec.subnetSelectorTerms[1].id", words: "should match",
		}, {
			name:   "a subnet term says one thing",
			accept: inPolicy("subnetSelectorTerms: [{tags: {role: pods, tier: '*'}}]"),
			refuse: inPolicy("subnetSelectorTerms: [{}]", "subnetSelectorTerms: [{id: subnet-01234567, tags: {a: b}}]"),
			field:  "spec.subnetSelectorTerms[0]", words: "set exactly one of id and tags",
		}, {
			name: "a subnet term's tags", accept: inPolicy("subnetSelectorTerms: [{tags: {a: ''}}]"), refuse: inPolicy("subnetSelectorTerms: [{tags: {}}]"),
			field: "spec.subnetSelectorTerms[0].tags", words: "should have at least 1 properties",
		}, {
			name:   "a security group's id",
			accept: inPolicy("securityGroupSelectorTerms: [{id: sg-0123456789abcdef0}]"),
			refuse: inPolicy("securityGroupSelectorTerms: [{id: sg-1}]", "securityGroupSelectorTerms: [{id: subnet-01234567}]"),
			field:  "spec.securityGroupSelectorTerms[0].id", words: "should match",
		}, {
			name:   "a security group term says one thing",
			accept: inPolicy("securityGroupSelectorTerms: [{name: pods}, {tags: {role: pods}}]"),
			refuse: inPolicy("securityGroupSelectorTerms: [{}]", "securityGroupSelectorTerms: [{name: pods, tags: {a: b}}]"),
			field:  "spec.securityGroupSelectorTerms[0]", words: "set exactly one of id, name and tags",
		}, {
			name: "terms are bounded", accept: inPolicy("subnetSelectorTerms: [{tags: {a: b}}]"), refuse: inPolicy("subnetSelectorTerms: [" + thirtyOne + "]"),
			field: "spec.subnetSelectorTerms", words: "must have at most 30 items",
		},
	})
}

func TestTagRules(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	tags := func(spec func(...string) []string) []rule {
		return []rule{
			{
				name: "keys of others are reserved", accept: spec("tags: {team: payments, Name: web, 'eni-operator.dev/x': z, 'kubernetes.io.example.com/x': z}"),
				refuse: spec("tags: {'aws:cloudformation:stack-name': x}", "tags: {networking.eni-operator.dev/cluster: mine}",
					"tags: {node.k8s.amazonaws.com/no_manage: 'false'}", "tags: {kubernetes.io/cluster/another: owned}",
					"tags: {cluster.k8s.amazonaws.com/name: another}", "tags: {karpenter.sh/nodepool: general}", "tags: {elbv2.k8s.aws/cluster: another}"),
				field: "spec.tags", words: "are reserved",
			}, {
				name: "keys have a length", accept: spec("tags: {" + long(128) + ": x}"), refuse: spec("tags: {"+long(129)+": x}", "tags: {'': x}"),
				field: "spec.tags", words: "a tag key has 1 to 128 characters",
			}, {
				name: "values have a length", accept: spec("tags: {a: " + long(256) + "}"), refuse: spec("tags: {a: " + long(257) + "}"),
				field: "spec.tags.a", words: "may not be more than 256",
			},
		}
	}
	t.Run("of a policy", func(t *testing.T) { checkRules(t, "ENIPolicy", "rules", tags(inPolicy)) })
	t.Run("of an ENI", func(t *testing.T) { checkRules(t, "ElasticNetworkInterface", "rules", tags(inENI)) })
}

func TestPolicyNamesFitIntoPools(t *testing.T) {
	t.Parallel()
	checkRules(t, "ENIPolicy", strings.Repeat("n", 63), []rule{{
		name: "a good name", accept: []string{`{nodeSelector: {}, shared: {}}`}, refuse: []string{`{nodeSelector: {}}`},
		field: "spec.shared", words: "set shared",
	}})
	err := dryRun(t, object(t, "ENIPolicy", strings.Repeat("n", 64), `{nodeSelector: {}, shared: {}}`))
	if err == nil || !strings.Contains(err.Error(), "a policy's name has at most 63 characters") {
		t.Errorf("a long name: %v", err)
	}
}
