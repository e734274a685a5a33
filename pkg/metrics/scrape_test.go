/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

func storeOf(t testing.TB, objects ...any) toolscache.Store {
	t.Helper()
	store := toolscache.NewStore(toolscache.MetaNamespaceKeyFunc)
	for _, object := range objects {
		assert.NilError(t, store.Add(object))
	}
	return store
}

func ready(is bool) []metav1.Condition {
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	return []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: status, Reason: v1alpha1.ReasonPoolAtMaximum}}
}

func at(ago time.Duration) metav1.Time { return metav1.NewTime(start.Add(-ago)) }

func eni(name string, change func(*v1alpha1.ElasticNetworkInterface)) *v1alpha1.ElasticNetworkInterface {
	eni := &v1alpha1.ElasticNetworkInterface{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: at(time.Minute)}, Spec: v1alpha1.ElasticNetworkInterfaceSpec{Mode: v1alpha1.ModeShared},
	}
	change(eni)
	return eni
}

func pool(node, zone string, capacity int32) *v1alpha1.ENIPool {
	return &v1alpha1.ENIPool{
		ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: v1alpha1.ENIPoolSpec{NodeName: node, PolicyName: "general"},
		Status: v1alpha1.ENIPoolStatus{
			AvailabilityZone: zone, ENICount: 2, Conditions: ready(true),
			Shared:    &v1alpha1.SharedStatus{Capacity: capacity, Allocated: 3, Free: capacity - 4, Cooling: 1, Desired: capacity + 1},
			Exclusive: &v1alpha1.ExclusiveStatus{Capacity: 1, Free: 0, Desired: 1},
			ENIs:      []v1alpha1.PoolENI{{Name: "a", CoolingSince: &metav1.Time{Time: start}}},
		},
	}
}

func claim(name, node string, mode v1alpha1.Mode, phase v1alpha1.ClaimPhase, ago time.Duration) *v1alpha1.ENIClaim {
	return &v1alpha1.ENIClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: at(ago)}, Spec: v1alpha1.ENIClaimSpec{NodeName: node, Mode: mode},
		Status: v1alpha1.ENIClaimStatus{Phase: phase, Conditions: ready(phase == v1alpha1.ClaimBound)},
	}
}

// sources are those of a small cluster.
func sources(t *testing.T) Sources {
	t.Helper()
	deleted := at(20 * time.Second)
	fresh := claim("fresh", "n1", v1alpha1.ModeShared, "", time.Second)
	fresh.Status.Conditions = nil
	return Sources{
		Clock: clocktesting.NewFakePassiveClock(start),
		ENIs: storeOf(t,
			eni("a", func(e *v1alpha1.ElasticNetworkInterface) {
				e.Status.State, e.Status.Conditions, e.Status.Attachment = v1alpha1.ENIAttached, ready(true), &v1alpha1.Attachment{}
				e.Status.Doubtful = []v1alpha1.AddressOrPrefix{"10.0.0.5", "10.0.0.6"}
			}),
			eni("b", func(e *v1alpha1.ElasticNetworkInterface) {
				e.Spec.Mode, e.Status.State = v1alpha1.ModeExclusive, v1alpha1.ENICreating
				e.Status.Refusal = &v1alpha1.GrowthRefusal{Reason: v1alpha1.ReasonSubnetExhausted}
			}),
			eni("c", func(*v1alpha1.ElasticNetworkInterface) {}),
			eni("d", func(e *v1alpha1.ElasticNetworkInterface) {
				e.Status.State, e.DeletionTimestamp = v1alpha1.ENIDeleting, &deleted
			})),
		Pools: storeOf(t, pool("n1", "a", 10), pool("n2", "a", 20), pool("n3", "b", 30)),
		Claims: storeOf(t, fresh,
			claim("bound", "n1", v1alpha1.ModeShared, v1alpha1.ClaimBound, time.Hour),
			claim("waits", "n2", v1alpha1.ModeShared, v1alpha1.ClaimPending, 90*time.Second),
			claim("whole", "n3", v1alpha1.ModeExclusive, v1alpha1.ClaimPending, time.Second)),
	}
}

func TestScrapeOfTheCluster(t *testing.T) {
	Scrape(sources(t))
	defer current.Store(nil)
	for name, want := range map[string]string{
		"eni_interfaces": "ready=false,state=Creating,type=exclusive 1\nready=false,state=Deleting,type=shared 1\n" +
			"ready=false,state=Pending,type=shared 1\nready=true,state=Attached,type=shared 1",
		"eni_waiting_oldest_seconds":        "phase=creating 60\nphase=deleting 20",
		"eni_doubtful_addresses":            " 2",
		"eni_growth_refused":                "reason=SubnetExhausted 1",
		"ip_pools":                          "policy=general,ready=true,zone=a 2\npolicy=general,ready=true,zone=b 1",
		"ip_pool_enis":                      "policy=general,zone=a 4\npolicy=general,zone=b 2",
		"ip_pool_capacity":                  byMode("1", "30", "1", "30", 2),
		"ip_pool_allocated":                 byMode("0", "6", "0", "3", 1),
		"ip_pool_free":                      byMode("0", "22", "0", "26", 1),
		"ip_pool_cooling":                   byMode("2", "2", "1", "1", 1),
		"ip_pool_desired":                   byMode("2", "32", "1", "31", 1),
		"ip_pool_pending":                   byMode("0", "2", "1", "0", 1),
		"ip_pool_node_capacity":             "",
		"eni_claims":                        "mode=exclusive,phase=Pending 1\nmode=shared,phase=Bound 1\nmode=shared,phase=Pending 2",
		"eni_claims_waiting":                "mode=exclusive,reason=PoolAtMaximum 1\nmode=shared,reason=PoolAtMaximum 1\nmode=shared,reason=Unseen 1",
		"eni_claims_waiting_oldest_seconds": "mode=exclusive 1\nmode=shared 90",
		"eni_operator_leader":               "",
	} {
		assert.Equal(t, shown(t, name), want, name)
	}
}

// byMode are the samples of a gauge of pools: of zone a, where times exclusive
// pools are, and of zone b.
func byMode(exclusiveA, sharedA, exclusiveB, sharedB string, times int) string {
	if times == 2 {
		exclusiveA = "2"
	}
	return fmt.Sprintf("mode=exclusive,policy=general,zone=a %s\nmode=exclusive,policy=general,zone=b %s\n"+
		"mode=shared,policy=general,zone=a %s\nmode=shared,policy=general,zone=b %s", exclusiveA, exclusiveB, sharedA, sharedB)
}

func TestPerNodeMetrics(t *testing.T) {
	s := sources(t)
	s.PerNode = true
	Scrape(s)
	defer current.Store(nil)
	assert.Equal(t, shown(t, "ip_pool_node_capacity"), "mode=exclusive,node=n1 1\nmode=exclusive,node=n2 1\nmode=exclusive,node=n3 1\n"+
		"mode=shared,node=n1 10\nmode=shared,node=n2 20\nmode=shared,node=n3 30")
	assert.Equal(t, shown(t, "ip_pool_node_pending"), "mode=exclusive,node=n1 0\nmode=exclusive,node=n2 0\nmode=exclusive,node=n3 1\n"+
		"mode=shared,node=n1 1\nmode=shared,node=n2 1\nmode=shared,node=n3 0")
}

// subnetEC2 has one subnet, and no ENIs.
type subnetEC2 struct{ ec2.Client }

func (subnetEC2) DescribeNetworkInterfaces(context.Context, ...ec2.Filter) ([]ec2.NetworkInterface, error) {
	return nil, nil
}

func (subnetEC2) DescribeSubnets(context.Context, ...ec2.Filter) ([]ec2.Subnet, error) {
	return []ec2.Subnet{{ID: "subnet-1", AvailabilityZone: "a", FreeAddresses: 250}}, nil
}

// meter is a client with one queue.
type meter struct{}

func (meter) Queues() []ec2.QueueState {
	return []ec2.QueueState{{Action: "AttachNetworkInterface", PerSecond: 3.5, Waiting: 12}}
}

func TestScrapeOfTheOperator(t *testing.T) {
	clk := clocktesting.NewFakePassiveClock(start)
	inv := inventory.New(subnetEC2{}, inventory.Options{Clock: clk})
	bus := events.NewBus(clock.RealClock{}, logr.Discard())
	subscription := bus.Subscribe("stream", 1, events.Filter{})
	bus.Publish(events.Event{}, events.Event{})
	elected := make(chan struct{})
	Scrape(Sources{
		Clock: clk, Inventory: inv, Bus: bus, EC2: meter{}, Elected: elected,
		SnapshotSize: func() (int64, bool) { return 4096, true },
	})
	defer current.Store(nil)
	assert.Equal(t, shown(t, "eni_operator_inventory_age_seconds"), "", "there was no sweep yet")
	assert.Equal(t, shown(t, "eni_operator_leader"), " 0")

	assert.NilError(t, inv.Sweep(t.Context()))
	_, _, err := inv.Subnet(t.Context(), "subnet-1")
	assert.NilError(t, err)
	_, err = subscription.Next(t.Context())
	assert.NilError(t, err)
	close(elected)
	clk.SetTime(start.Add(time.Minute))
	for name, want := range map[string]string{
		"eni_operator_leader":                  " 1",
		"eni_operator_ec2_rate_limit":          "action=AttachNetworkInterface 3.5",
		"eni_operator_ec2_queue_length":        "action=AttachNetworkInterface 12",
		"eni_operator_inventory_size":          "kind=enis 0\nkind=instance_types 0\nkind=instances 0\nkind=subnets 1",
		"eni_operator_inventory_age_seconds":   " 60",
		"eni_operator_ec2_trusted":             " 1",
		"eni_operator_audits_total":            "outcome=error 0\noutcome=ok 1",
		"eni_operator_audit_differences_total": " 0",
		"eni_subnet_free_addresses":            "subnet=subnet-1,zone=a 250",
		"eni_operator_snapshot_size_bytes":     " 4096",
		"eni_operator_events_queue_length":     "subscriber=stream 0",
		"eni_operator_events_queue_capacity":   "subscriber=stream 1",
		"eni_operator_events_delivered_total":  "subscriber=stream 1",
		"eni_operator_events_dropped_total":    "subscriber=stream 1",
	} {
		assert.Equal(t, shown(t, name), want, name)
	}
}

// TestGatheredIsListed: what a scrape shows, the catalog has, with its type.
func TestGatheredIsListed(t *testing.T) {
	Scrape(sources(t))
	defer current.Store(nil)
	listed := map[string]string{}
	for _, m := range Catalog() {
		listed[m.Name] = m.Type
	}
	families, err := metrics.Registry.Gather()
	assert.NilError(t, err)
	checked := 0
	for _, family := range families {
		if sectionOf(family.GetName()) != "" {
			checked++
			assert.Equal(t, strings.ToLower(family.GetType().String()), listed[family.GetName()], family.GetName())
		}
	}
	assert.Assert(t, checked > 15, "only %d of ours were gathered", checked)
}

// BenchmarkScrape is a scrape of a cluster with 2,000 nodes and 60,000 claims.
func BenchmarkScrape(b *testing.B) {
	s := Sources{Clock: clock.RealClock{}, ENIs: storeOf(b), Pools: storeOf(b), Claims: storeOf(b)}
	for n := range 2000 {
		node := fmt.Sprint("node-", n)
		assert.NilError(b, s.Pools.Add(pool(node, "a", 40)))
		for i := range 4 {
			assert.NilError(b, s.ENIs.Add(eni(fmt.Sprint(node, "-", i), func(e *v1alpha1.ElasticNetworkInterface) {
				e.Status.State, e.Status.Conditions = v1alpha1.ENIAttached, ready(true)
			})))
		}
		for i := range 30 {
			assert.NilError(b, s.Claims.Add(claim(fmt.Sprint(node, "-", i), node, v1alpha1.ModeShared, v1alpha1.ClaimBound, time.Hour)))
		}
	}
	Scrape(s)
	defer current.Store(nil)
	for b.Loop() {
		if _, err := metrics.Registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
