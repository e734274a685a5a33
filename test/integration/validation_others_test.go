/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"context"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// inENI is an ENI's spec with these fields besides a node.
func inENI(fields ...string) []string { return besides("nodeName: nowhere", fields) }

// inClaim is a claim's spec with these fields besides a node.
func inClaim(fields ...string) []string { return besides("nodeName: nowhere", fields) }

// inPool is a pool's spec with these fields besides a mode.
func inPool(fields ...string) []string { return besides("shared: {}", fields) }

func besides(always string, fields []string) []string {
	specs := make([]string, 0, len(fields))
	for _, field := range fields {
		specs = append(specs, "{"+always+", "+field+"}")
	}
	return specs
}

func TestENIRules(t *testing.T) {
	t.Parallel()
	checkRules(t, "ElasticNetworkInterface", "rules", []rule{
		{
			name: "a node", accept: []string{`{nodeName: node}`}, refuse: []string{`{mode: Shared}`},
			field: "spec.nodeName", words: "Required value",
		}, {
			name: "a node has a name", accept: []string{`{nodeName: node}`}, refuse: []string{`{nodeName: ''}`},
			field: "spec.nodeName", words: "should be at least 1 chars long",
		}, {
			name: "addresses or prefixes", accept: inENI("addressCount: 3", "prefixCount: 1", "addressCount: 0, prefixCount: 1"),
			refuse: inENI("addressCount: 3, prefixCount: 1"),
			field:  "spec.prefixCount", words: "set addressCount or prefixCount, not both",
		}, {
			name: "addressCount", accept: inENI("addressCount: 1024"), refuse: inENI("addressCount: 1025"),
			field: "spec.addressCount", words: "less than or equal to 1024",
		}, {
			name: "prefixCount", accept: inENI("prefixCount: 64"), refuse: inENI("prefixCount: 65"),
			field: "spec.prefixCount", words: "less than or equal to 64",
		}, {
			name: "instanceID", accept: inENI("instanceID: i-0123456789abcdef0", "instanceID: i-01234567"), refuse: inENI("instanceID: i-xyz", "instanceID: mi-01234567"),
			field: "spec.instanceID", words: "should match",
		}, {
			name: "mode", accept: inENI("mode: Exclusive"), refuse: inENI("mode: Trunk"),
			field: "spec.mode", words: `supported values: "Shared", "Exclusive"`,
		}, {
			name: "minDeviceIndex", accept: inENI("minDeviceIndex: 0"), refuse: inENI("minDeviceIndex: -1"),
			field: "spec.minDeviceIndex", words: "greater than or equal to 0",
		}, {
			name: "of the primary ENI only addresses are managed", accept: inENI("deviceIndex: 0", "deviceIndex: 0, addressCount: 3", "deviceIndex: 1, mode: Exclusive"),
			refuse: inENI("deviceIndex: 0, mode: Exclusive", "deviceIndex: 0, tags: {team: a}", "deviceIndex: 0, subnetIDs: [subnet-01234567]",
				"deviceIndex: 0, securityGroupIDs: [sg-01234567]", "deviceIndex: 0, networkCardIndex: 1"),
			field: "spec.deviceIndex", words: "0 is the instance's primary ENI, of which only addresses are managed",
		}, {
			name: "networkCardIndex", accept: inENI("networkCardIndex: 0"), refuse: inENI("networkCardIndex: 32"),
			field: "spec.networkCardIndex", words: "less than or equal to 31",
		}, {
			name: "subnetIDs", accept: inENI("subnetIDs: [subnet-0123456789abcdef0]"), refuse: inENI("subnetIDs: [subnet-01234567, vpc-01234567]"),
			field: "spec.subnetIDs[1]", words: "should match",
		}, {
			name: "securityGroupIDs", accept: inENI("securityGroupIDs: [sg-0123456789abcdef0]"), refuse: inENI("securityGroupIDs: [default]"),
			field: "spec.securityGroupIDs[0]", words: "should match",
		}, {
			name: "securityGroupIDs are distinct", accept: inENI("securityGroupIDs: [sg-01234567, sg-01234568]"),
			refuse: inENI("securityGroupIDs: [sg-01234567, sg-01234567]"),
			field:  "spec.securityGroupIDs[1]", words: "Duplicate value",
		}, {
			name: "release names addresses and prefixes", accept: inENI("release: [10.0.0.9, 10.0.0.16/28]"),
			refuse: inENI("release: [10.0.0.999]", "release: ['fd00::1']", "release: [10.0.0.16/33]"),
			field:  "spec.release[0]", words: "must be an IPv4 address or an IPv4 CIDR",
		}, {
			name: "description", accept: inENI("description: " + strings.Repeat("x", 255)), refuse: inENI("description: " + strings.Repeat("x", 256)),
			field: "spec.description", words: "may not be more than 255",
		}, {
			name: "deletionPolicy", accept: inENI("deletionPolicy: Retain"), refuse: inENI("deletionPolicy: keep"),
			field: "spec.deletionPolicy", words: "Unsupported value",
		},
	})
	checkChanges(t, "ElasticNetworkInterface", []change{
		{name: "mode", before: `{nodeName: nowhere}`, after: `{mode: Exclusive}`, field: "spec.mode", words: "mode is immutable"},
		{name: "pool", before: `{nodeName: nowhere, poolName: nowhere}`, after: `{poolName: elsewhere}`, field: "spec.poolName", words: "poolName is immutable"},
		{name: "count", before: `{nodeName: nowhere}`, after: `{addressCount: 3}`},
	})
}

func TestClaimRules(t *testing.T) {
	t.Parallel()
	checkRules(t, "ENIClaim", "rules", []rule{
		{
			name: "a node", accept: []string{`{nodeName: node}`}, refuse: []string{`{}`},
			field: "spec.nodeName", words: "Required value",
		}, {
			name: "mode", accept: inClaim("mode: Shared", "mode: Exclusive"), refuse: inClaim("mode: Both"),
			field: "spec.mode", words: `supported values: "Shared", "Exclusive"`,
		}, {
			name: "address", accept: inClaim("address: 10.0.3.9"),
			refuse: inClaim("address: 10.0.3", "address: 10.0.3.256", "address: '::1'", "address: 10.0.3.9/24"),
			field:  "spec.address", words: "must be an IPv4 address, as in 10.0.3.9",
		}, {
			name: "an address is of a shared ENI", accept: inClaim("mode: Shared, address: 10.0.3.9"), refuse: inClaim("mode: Exclusive, address: 10.0.3.9"),
			field: "spec.address", words: "address can be chosen in mode Shared only",
		}, {
			name: "a lease's duration", accept: inClaim("lease: {duration: 60s}", "lease: {duration: 1h30m}"), refuse: inClaim("lease: {duration: forever}"),
			field: "spec.lease.duration", words: "should match",
		}, {
			name: "a lease's duration has bounds", accept: inClaim("lease: {duration: 1s}", "lease: {duration: 720h}"),
			refuse: inClaim("lease: {duration: 999ms}", "lease: {duration: 720h1s}"),
			field:  "spec.lease.duration", words: "must be at least 1s and at most 720h",
		}, {
			name: "a lease's renewal", accept: inClaim("lease: {duration: 60s, renewTime: '2026-01-01T00:00:00Z'}", "lease: {duration: 60s, renewTime: '2026-01-01T00:00:00.123456Z'}"),
			refuse: inClaim("lease: {duration: 60s, renewTime: '0001-01-01T00:00:00Z'}"),
			field:  "spec.lease.renewTime", words: "must be a time after 1970",
		}, {
			name: "a lease has a duration", accept: inClaim("mode: Shared"), refuse: inClaim("lease: {}"),
			field: "spec.lease.duration", words: "Required value",
		},
	})
	checkChanges(t, "ENIClaim", []change{
		{name: "node", before: `{nodeName: nowhere}`, after: `{nodeName: elsewhere}`, field: "spec.nodeName", words: "nodeName is immutable; delete the claim"},
		{name: "mode", before: `{nodeName: nowhere}`, after: `{mode: Exclusive}`, field: "spec.mode", words: "mode is immutable; delete the claim"},
		{name: "address", before: `{nodeName: nowhere, address: 10.0.3.9}`, after: `{address: 10.0.3.10}`, field: "spec.address", words: "address is immutable; delete the claim"},
		{name: "address added", before: `{nodeName: nowhere}`, after: `{address: 10.0.3.10}`, field: "spec.address", words: "address is immutable; delete the claim"},
		{name: "address removed", before: `{nodeName: nowhere, address: 10.0.3.9}`, after: `{address: null}`, field: "spec.address", words: "address is immutable; delete the claim"},
		{name: "duration", before: `{nodeName: nowhere, lease: {duration: 60s}}`, after: `{lease: {duration: 5m}}`},
		{name: "lease added", before: `{nodeName: nowhere}`, after: `{lease: {duration: 5m}}`},
		{name: "lease removed", before: `{nodeName: nowhere, lease: {duration: 60s}}`, after: `{lease: null}`},
		{name: "nothing", before: `{nodeName: nowhere, address: 10.0.3.9}`, after: `{nodeName: nowhere}`},
	})
}

func TestPoolRules(t *testing.T) {
	t.Parallel()
	checkRules(t, "ENIPool", "nowhere", []rule{
		{
			name: "an instance", accept: inPool("nodeName: nowhere, instanceID: i-0123456789abcdef0"), refuse: inPool("nodeName: nowhere"),
			field: "spec.instanceID", words: "Required value",
		}, {
			name: "an instance's id", accept: inPool("nodeName: nowhere, instanceID: i-01234567"), refuse: inPool("nodeName: nowhere, instanceID: i-0"),
			field: "spec.instanceID", words: "should match",
		}, {
			name: "a node", accept: inPool("nodeName: nowhere, instanceID: i-01234567"), refuse: inPool("instanceID: i-01234567"),
			field: "spec.nodeName", words: "Required value",
		}, {
			name:   "bounds are those of a policy",
			accept: []string{`{nodeName: nowhere, instanceID: i-01234567, shared: {minimumIPs: 1, maximumIPs: 2}}`},
			refuse: []string{`{nodeName: nowhere, instanceID: i-01234567, shared: {minimumIPs: 3, maximumIPs: 2}}`},
			field:  "spec.shared.minimumIPs", words: "minimumIPs must not be above maximumIPs",
		},
	})
	err := dryRun(t, object(t, "ENIPool", "somewhere", `{nodeName: nowhere, instanceID: i-01234567, shared: {}}`))
	if err == nil || !strings.Contains(err.Error(), "a pool has the name of its Node") {
		t.Errorf("a pool with a name of its own: %v", err)
	}
	const before = `{nodeName: immutable-enipool-%s, instanceID: i-01234567, shared: {}}`
	named := func(name string) string { return strings.ReplaceAll(before, "%s", name) }
	checkChanges(t, "ENIPool", []change{
		{name: "node", before: named("node"), after: `{nodeName: elsewhere}`, field: "spec.nodeName", words: "nodeName is immutable"},
		{name: "instance", before: named("instance"), after: `{instanceID: i-01234568}`, field: "spec.instanceID", words: "instanceID is immutable"},
		{name: "bounds", before: named("bounds"), after: `{shared: {maximumIPs: 5}}`},
	})
}

// deleteForGood deletes an object that nothing in EC2 stands behind.
func deleteForGood(object client.Object) error {
	ctx := context.Background()
	if err := client.IgnoreNotFound(shared.Delete(ctx, object)); err != nil {
		return err
	}
	none := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
	return client.IgnoreNotFound(shared.Patch(ctx, object, none))
}
