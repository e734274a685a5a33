/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// What Kubernetes shows, read from the cache at each scrape: on every replica.
var (
	eniCount = scrapedGauge("eni_interfaces",
		"ENIs, by type (shared, exclusive, primary), state and whether they are ready.", "type", "state", "ready")
	eniWaiting = scrapedGauge("eni_waiting_oldest_seconds",
		"Age in seconds of the oldest ENI that was never attached, and of the longest deletion: how long the one that waits longest has waited. phase: creating or deleting; 0 if none is.",
		"phase")
	eniDoubtful = scrapedGauge("eni_doubtful_addresses",
		"Addresses and prefixes that EC2 showed on two ENIs, or not yet on theirs since another process was in charge; they are not handed out until that is settled.")
	eniRefused = scrapedGauge("eni_growth_refused",
		"ENIs that EC2 has not the capacity for to carry what their spec asks for, by reason: SubnetExhausted, SubnetFragmented or QuotaExceeded.", "reason")
	poolCount = scrapedGauge("ip_pools", "Pools, by policy, zone and whether they hold their minimum.", "policy", "zone", "ready")
	poolENIs  = scrapedGauge("ip_pool_enis", "ENIs of pools, ready or not, by policy and zone.", "policy", "zone")

	poolGauges = poolFamilies("ip_pool_", "by policy, zone and mode: addresses (shared) or whole ENIs (exclusive)", "policy", "zone", "mode")
	nodeGauges = poolFamilies("ip_pool_node_", "by node and mode; only with --per-node-metrics", "node", "mode")

	claimCount = scrapedGauge("eni_claims", "Claims, by phase and mode.", "phase", "mode")
	claimWaits = scrapedGauge("eni_claims_waiting",
		"Claims that hold nothing yet, by mode and by what they wait for: the reason of their condition Ready.", "mode", "reason")
	claimOldest = scrapedGauge("eni_claims_waiting_oldest_seconds",
		"Age in seconds of the oldest claim that holds nothing yet; 0 if there is none.", "mode")
)

// The operator's own state, read at each scrape.
var (
	leader = scrapedGauge("eni_operator_leader",
		"1 on the replica that leads, 0 on the others. Gauges of what Kubernetes shows are the same on all.")
	ec2Rate = scrapedGauge("eni_operator_ec2_rate_limit",
		"Calls a second that the operator's rate limiter allows now, by action; it falls when EC2 throttles, and recovers.", "action")
	ec2Queue = scrapedGauge("eni_operator_ec2_queue_length",
		"EC2 calls that wait for their turn now, by action.", "action")
	ec2Trusted = scrapedGauge("eni_operator_ec2_trusted",
		"1 while EC2 shows what this cluster has there, 0 while it does not and nothing that cannot be undone is done.")
	inventorySize = scrapedGauge("eni_operator_inventory_size",
		"What the operator knows of EC2, by kind: enis, instances, instance_types, subnets.", "kind")
	inventoryAge = scrapedGauge("eni_operator_inventory_age_seconds",
		"Seconds since the last read of all our ENIs that succeeded; missing before the first.")
	audits = scrapedCounter("eni_operator_audits_total",
		"Reads of all our ENIs, by outcome: ok or error.", "outcome")
	differences = scrapedCounter("eni_operator_audit_differences_total",
		"ENIs that an audit found other than they were known.")
	subnetFree = scrapedGauge("eni_subnet_free_addresses",
		"Free addresses of a subnet that is in use, as last read and less what the operator took since.", "subnet", "zone")
	snapshotSize = scrapedGauge("eni_operator_snapshot_size_bytes",
		"Size of the snapshot's file; missing where it is kept in memory.")
	queueLength = scrapedGauge("eni_operator_events_queue_length",
		"Events that wait for a subscriber of the event bus: kubernetes, metrics, snapshot, stream.", "subscriber")
	queueCapacity = scrapedGauge("eni_operator_events_queue_capacity",
		"Events that may wait for a subscriber; further ones are dropped.", "subscriber")
	delivered = scrapedCounter("eni_operator_events_delivered_total",
		"Events that a subscriber took from its queue.", "subscriber")
	dropped = scrapedCounter("eni_operator_events_dropped_total",
		"Events that a subscriber lost because its queue was full.", "subscriber")
)

// families are the gauges of pools.
type families struct{ capacity, allocated, free, cooling, desired, pending scraped }

func poolFamilies(prefix, by string, labels ...string) families {
	family := func(name, help string) scraped { return scrapedGauge(prefix+name, help+", "+by+".", labels...) }
	return families{
		capacity:  family("capacity", "What pools have ready"),
		allocated: family("allocated", "What claims hold of pools"),
		free:      family("free", "What a claim could have of pools now"),
		cooling:   family("cooling", "What was released and still rests in pools"),
		desired:   family("desired", "What pools aim to have"),
		pending:   family("pending", "Claims that wait for pools"),
	}
}

// Sources are what is read at each scrape; what is nil is left out.
type Sources struct {
	Clock clock.PassiveClock
	// ENIs, Pools and Claims are the stores of the cache.
	ENIs, Pools, Claims toolscache.Store
	Bus                 *events.Bus
	Inventory           *inventory.Inventory
	// EC2 tells of the rate limiter.
	EC2 ec2.Meter
	// Elected is closed on the replica that leads.
	Elected <-chan struct{}
	// SnapshotSize returns the size of the snapshot's file in bytes, if there is one.
	SnapshotSize func() (int64, bool)
	// PerNode adds gauges for each node.
	PerNode bool
}

// current are the sources of the operator in this process; in a test of one after
// the other, the last one's.
var current atomic.Pointer[Sources]

// Scrape has each scrape read these sources from now on.
func Scrape(sources Sources) { current.Store(&sources) }

func init() { metrics.Registry.MustRegister(collector{}) }

// collector reads the sources.
type collector struct{}

// Describe sends what there may be.
func (collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, s := range scrapes {
		descriptions <- s.description
	}
}

// Collect sends what there is.
func (collector) Collect(found chan<- prometheus.Metric) {
	s := current.Load()
	if s == nil {
		return
	}
	s.collectENIs(found)
	s.collectPools(found)
	s.collectClaims(found)
	s.collectEC2(found)
	s.collectInventory(found)
	s.collectOperator(found)
}

// each calls a function with every object of a store.
func each[T any](store toolscache.Store, visit func(T)) {
	if store == nil {
		return
	}
	for _, object := range store.List() {
		if typed, ok := object.(T); ok {
			visit(typed)
		}
	}
}

// yes is the label value of a truth.
func yes(is bool) string {
	if is {
		return "true"
	}
	return "false"
}

func isReady(conditions []metav1.Condition) bool {
	return meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady)
}

func (s *Sources) collectENIs(found chan<- prometheus.Metric) {
	if s.ENIs == nil {
		return
	}
	type group struct{ kind, state, ready string }
	counts, now := map[group]int{}, s.Clock.Now()
	var creating, deleting time.Duration
	doubtful, refused := 0, map[string]int{}
	each(s.ENIs, func(eni *v1alpha1.ElasticNetworkInterface) {
		state := eni.Status.State
		if state == "" {
			state = v1alpha1.ENIPending
		}
		counts[group{kindOf(eni.Spec.Mode, eni.Primary()), string(state), yes(isReady(eni.Status.Conditions))}]++
		doubtful += len(eni.Status.Doubtful)
		if refusal := eni.Status.Refusal; refusal != nil {
			refused[refusal.Reason]++
		}
		switch {
		case !eni.DeletionTimestamp.IsZero():
			deleting = max(deleting, now.Sub(eni.DeletionTimestamp.Time))
		case eni.Status.Attachment == nil:
			creating = max(creating, now.Sub(eni.CreationTimestamp.Time))
		}
	})
	for g, count := range counts {
		found <- eniCount.is(float64(count), g.kind, g.state, g.ready)
	}
	found <- eniDoubtful.is(float64(doubtful))
	for reason, count := range refused {
		found <- eniRefused.is(float64(count), reason)
	}
	found <- eniWaiting.is(creating.Seconds(), "creating")
	found <- eniWaiting.is(deleting.Seconds(), "deleting")
}

// amounts are the values of the gauges of pools.
type amounts struct{ capacity, allocated, free, cooling, desired, pending int32 }

func (a *amounts) add(b amounts) {
	a.capacity += b.capacity
	a.allocated += b.allocated
	a.free += b.free
	a.cooling += b.cooling
	a.desired += b.desired
	a.pending += b.pending
}

func (f families) send(found chan<- prometheus.Metric, a amounts, labels ...string) {
	found <- f.capacity.is(float64(a.capacity), labels...)
	found <- f.allocated.is(float64(a.allocated), labels...)
	found <- f.free.is(float64(a.free), labels...)
	found <- f.cooling.is(float64(a.cooling), labels...)
	found <- f.desired.is(float64(a.desired), labels...)
	found <- f.pending.is(float64(a.pending), labels...)
}

// amountsOf are a pool's, without what waits for it.
func amountsOf(pool *v1alpha1.ENIPool) map[v1alpha1.Mode]amounts {
	byMode := map[v1alpha1.Mode]amounts{}
	if shared := pool.Status.Shared; shared != nil {
		byMode[v1alpha1.ModeShared] = amounts{capacity: shared.Capacity, allocated: shared.Allocated, free: shared.Free,
			cooling: shared.Cooling, desired: shared.Desired}
	}
	if exclusive := pool.Status.Exclusive; exclusive != nil {
		cooling := int32(0)
		for i := range pool.Status.ENIs {
			if pool.Status.ENIs[i].CoolingSince != nil && pool.Status.ENIs[i].Claim == nil {
				cooling++
			}
		}
		byMode[v1alpha1.ModeExclusive] = amounts{capacity: exclusive.Capacity, allocated: exclusive.Allocated, free: exclusive.Free,
			cooling: cooling, desired: exclusive.Desired}
	}
	return byMode
}

// waits are where claims wait that hold nothing yet.
type waits struct {
	node string
	mode v1alpha1.Mode
}

func (s *Sources) collectPools(found chan<- prometheus.Metric) {
	if s.Pools == nil {
		return
	}
	pending := map[waits]int32{}
	each(s.Claims, func(claim *v1alpha1.ENIClaim) {
		if waiting(claim) {
			pending[waits{claim.Spec.NodeName, claim.Spec.Mode}]++
		}
	})
	type place struct{ policy, zone string }
	type group struct {
		place
		label string
	}
	sums, pools, enis := map[group]*amounts{}, map[group]int{}, map[place]int32{}
	each(s.Pools, func(pool *v1alpha1.ENIPool) {
		at := place{pool.Spec.PolicyName, pool.Status.AvailabilityZone}
		pools[group{at, yes(isReady(pool.Status.Conditions))}]++
		enis[at] += pool.Status.ENICount
		for mode, a := range amountsOf(pool) {
			a.pending = pending[waits{pool.Spec.NodeName, mode}]
			label := strings.ToLower(string(mode))
			sum := sums[group{at, label}]
			if sum == nil {
				sum = &amounts{}
				sums[group{at, label}] = sum
			}
			sum.add(a)
			if s.PerNode {
				nodeGauges.send(found, a, pool.Spec.NodeName, label)
			}
		}
	})
	for g, count := range pools {
		found <- poolCount.is(float64(count), g.policy, g.zone, g.label)
	}
	for at, count := range enis {
		found <- poolENIs.is(float64(count), at.policy, at.zone)
	}
	for g, sum := range sums {
		poolGauges.send(found, *sum, g.policy, g.zone, g.label)
	}
}

// waiting reports whether a claim holds nothing yet, and may.
func waiting(claim *v1alpha1.ENIClaim) bool {
	return claim.DeletionTimestamp.IsZero() && (claim.Status.Phase == "" || claim.Status.Phase == v1alpha1.ClaimPending)
}

func (s *Sources) collectClaims(found chan<- prometheus.Metric) {
	if s.Claims == nil {
		return
	}
	type group struct{ mode, label string }
	phases, reasons, now := map[group]int{}, map[group]int{}, s.Clock.Now()
	oldest := map[string]time.Duration{"shared": 0, "exclusive": 0}
	each(s.Claims, func(claim *v1alpha1.ENIClaim) {
		mode, phase := strings.ToLower(string(claim.Spec.Mode)), claim.Status.Phase
		if phase == "" {
			phase = v1alpha1.ClaimPending
		}
		phases[group{mode, string(phase)}]++
		if !waiting(claim) {
			return
		}
		reason := "Unseen"
		if ready := meta.FindStatusCondition(claim.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			reason = ready.Reason
		}
		reasons[group{mode, reason}]++
		oldest[mode] = max(oldest[mode], now.Sub(claim.CreationTimestamp.Time))
	})
	for g, count := range phases {
		found <- claimCount.is(float64(count), g.label, g.mode)
	}
	for g, count := range reasons {
		found <- claimWaits.is(float64(count), g.mode, g.label)
	}
	for mode, age := range oldest {
		found <- claimOldest.is(age.Seconds(), mode)
	}
}

func (s *Sources) collectEC2(found chan<- prometheus.Metric) {
	if s.EC2 == nil {
		return
	}
	for _, queue := range s.EC2.Queues() {
		found <- ec2Rate.is(queue.PerSecond, queue.Action)
		found <- ec2Queue.is(float64(queue.Waiting), queue.Action)
	}
}

func (s *Sources) collectInventory(found chan<- prometheus.Metric) {
	if s.Inventory == nil {
		return
	}
	trusted := 1.0
	if s.Inventory.Trust().Broken {
		trusted = 0
	}
	found <- ec2Trusted.is(trusted)
	known := s.Inventory.Stats()
	found <- inventorySize.is(float64(known.ENIs), "enis")
	found <- inventorySize.is(float64(known.Instances), "instances")
	found <- inventorySize.is(float64(known.InstanceTypes), "instance_types")
	found <- inventorySize.is(float64(len(known.Subnets)), "subnets")
	if !known.SweptAt.IsZero() {
		found <- inventoryAge.is(seconds(known.SweptAt, s.Clock.Now()))
	}
	found <- audits.is(float64(known.Sweeps), "ok")
	found <- audits.is(float64(known.FailedSweeps), "error")
	found <- differences.is(float64(known.Differences))
	for _, subnet := range known.Subnets {
		found <- subnetFree.is(float64(subnet.Free), subnet.ID, subnet.AvailabilityZone)
	}
}

func (s *Sources) collectOperator(found chan<- prometheus.Metric) {
	if s.Elected != nil {
		select {
		case <-s.Elected:
			found <- leader.is(1)
		default:
			found <- leader.is(0)
		}
	}
	if s.SnapshotSize != nil {
		if size, ok := s.SnapshotSize(); ok {
			found <- snapshotSize.is(float64(size))
		}
	}
	if s.Bus == nil {
		return
	}
	for _, queue := range s.Bus.Queues() {
		found <- queueLength.is(float64(queue.Length), queue.Subscriber)
		found <- queueCapacity.is(float64(queue.Capacity), queue.Subscriber)
		found <- delivered.is(float64(queue.Delivered), queue.Subscriber)
		found <- dropped.is(float64(queue.Dropped), queue.Subscriber)
	}
}
