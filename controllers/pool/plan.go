/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ipam"
)

// limits are what the instance can carry of ours. Known is false while EC2 has
// not told them.
type limits struct {
	known        bool
	instanceType string
	zone         string
	// slots that ENIs of ours may take, those they have taken included.
	slots int32
	// learnedFor is for how long slots are fewer than the type promises, because EC2
	// refused one.
	learnedFor time.Duration
	// addressSlots of one ENI for secondary addresses or prefixes.
	addressSlots int32
	nitro        bool
}

// subnetRoom is what is known of a subnet's free space.
type subnetRoom struct {
	known     bool
	addresses int32
	// fragmented: no block of 16 is free.
	fragmented bool
}

// primary is what the pool may use of the instance's primary ENI.
type primary struct {
	// known: the policy's network and the primary ENI were read.
	known bool
	// taken: a resource of others stands for it.
	taken bool
	// usable: the policy lets the pool use it, and it is where the policy's ENIs are
	// to be: in one of its subnets, with its security groups.
	usable bool
	// room is the number of slots for addresses or prefixes that others leave.
	room int32
	// slower: EC2 gives a new ENI sooner than addresses on this one.
	slower bool
}

// network is where new ENIs of the pool go.
type network struct {
	subnetIDs      []string
	securityGroups []string
	// unresolved: reading it failed, or found nothing that an ENI can be made with, so
	// nothing grows.
	unresolved bool
	// rooms of subnets, by id: those above and those of the pool's ENIs.
	rooms map[string]subnetRoom
}

// observation is all that a decision depends on.
type observation struct {
	pool *v1alpha1.ENIPool
	// latestRecord: the pool's record was written in this round, or read live, so that it is
	// known to be the latest.
	latestRecord bool
	now          time.Time
	// enis of the pool by name, how many other ENI resources sit on the instance,
	// and the names of others on the Node.
	enis       []v1alpha1.ElasticNetworkInterface
	otherENIs  int32
	otherNames map[string]bool
	// confirmed are the UIDs of ENI resources that a live read found, by name.
	confirmed map[string]types.UID
	claims    []v1alpha1.ENIClaim
	vanished  map[string]bool // UIDs of claims that a live read did not find
	// unnamed are UIDs of claims that are bound, by a live read, and that the latest
	// record does not name: the record was edited, or an older one was restored.
	unnamed map[types.UID]bool
	// elsewhere are addresses of the pool's ENIs that claims still hold on other ENIs:
	// EC2 took them from an ENI, and those claims do not say so yet.
	elsewhere map[v1alpha1.Address]bool
	// moved are the pool's ENIs, by the names of their resources, that EC2 does not show on the
	// instance.
	moved map[string]bool
	// unrecorded are the addresses that EC2 has on ENIs which the record does not know, by
	// the names of their resources.
	unrecorded map[string][]v1alpha1.Address
	allowed    map[string]bool // namespaces that may claim
	// unprepared are claims for which the first write of this round failed, or that another
	// round takes in.
	unprepared map[types.UID]bool
	// queued are claims that wait behind as many of their namespace as it could have: they are
	// told so, and prepared for nothing. queueRecheck is when more of them are looked at.
	queued       map[types.UID]bool
	queueRecheck time.Duration
	// coming are claims that the next rounds prepare: the pool grows for them at once.
	coming []*v1alpha1.ENIClaim
	// crowded: there are more claims than this round comes to.
	crowded bool
	// suspended is why the pool keeps all it has and changes nothing; nil: it goes on.
	suspended *trouble
	// distrust is why EC2 is not believed; nil: it is.
	distrust *trouble
	// instanceAbsent: EC2 does not know the instance's id.
	instanceAbsent bool
	// resourceIDs and resourceUIDs are those of all ENI resources on the Node.
	resourceIDs, resourceUIDs map[string]bool
	// nodeGone: nobody can use anything of the pool any more, and why.
	nodeGone   bool
	goneReason string
	// nodelessFor is how long this process has seen no Node that stands for the instance,
	// and graceLeft how much longer the claims of a deleted pool keep what they hold.
	nodelessFor, graceLeft time.Duration
	// stopped names the state of an instance that does not run.
	stopped string
	// orphans are ENIs of this cluster that no resource stands for, on the instance.
	orphans []string
	// interfaces are the ids of all ENIs that EC2 shows on the instance.
	interfaces map[string]bool
	// standing is what EC2 shows on the instance, by id, and returning are the resources
	// that some of that lacks.
	standing  map[string]standing
	returning []newENI
	limits    limits
	primary   primary
	network   network
	// refused is what EC2 lately had no capacity for, by ENI.
	refused map[string]v1alpha1.GrowthRefusal
	// emptyFor is how long ENIs have been draining with nobody holding anything.
	emptyFor map[string]time.Duration
	// idleAfter and restFor are for pools whose policy has no shared mode.
	idleAfter, restFor time.Duration
	lowestSlot         int32
	// troubles are conditions that reading brought up, such as an unknown instance.
	troubles []trouble
}

// trouble is something that keeps the pool from being what it should be.
type trouble struct {
	condition string
	reason    string
	message   string
}

// decision is what plan decides. The status is stored first; only then are
// claims told and ENIs changed, by what was stored.
type decision struct {
	status  v1alpha1.ENIPoolStatus
	creates []newENI
	// counts are the new sizes of ENIs that grow or shrink, in addresses or
	// prefixes.
	counts map[string]int32
	// releases are the addresses and prefixes to give back by name, by ENI.
	releases map[string][]v1alpha1.AddressOrPrefix
	// reclaims are the addresses and prefixes to assign again by name, by ENI: claims
	// hold them, and they vanished in EC2.
	reclaims map[string][]v1alpha1.AddressOrPrefix
	// removals are ENIs that nobody holds anything of.
	removals []string
	// recheck is when time alone changes the decision; zero: never.
	recheck time.Duration
}

// newENI is an ENI to make.
type newENI struct {
	name  string
	mode  v1alpha1.Mode
	count int32
	// prefixes are those that an ENI has which is taken up again, besides count addresses.
	prefixes int32
	// primary: it stands for the instance's primary ENI.
	primary bool
}

// plan decides who holds what, how large the pool should be, and what that means
// for its ENIs.
func plan(o observation) decision {
	if o.suspended != nil {
		return hold(o)
	}
	h := holdersOf(o)
	h.forgetLost(o)
	h.resume(o)
	h.settleReleases()
	h.cool(o)
	h.giveUpMissing(o)
	h.quarantineSurprises(o)
	h.giveUpUnattached(o)
	h.giveUpRefused(o)
	wait := h.drain(o)
	h.allocate(o)
	d := newDecision()
	h.takeUp(o, &d)
	s := sizeOf(o, h)
	surplusSince, idle := h.shrink(o, s)
	s.grow(o, h, &d)
	h.handOver(o, &d)
	h.reclaimMissing(&d)
	d.status = statusOf(o, h, s)
	d.status.SurplusSince = surplusSince
	d.recheck = soonest(h.nextThaw(o), h.nextUnreserved(o), wait, idle, s.retry(o), h.recheckElsewhere())
	return d
}

func newDecision() decision {
	return decision{
		counts: map[string]int32{}, releases: map[string][]v1alpha1.AddressOrPrefix{}, reclaims: map[string][]v1alpha1.AddressOrPrefix{},
	}
}

// hold keeps all that a suspended pool has. Only claims that are deleted or expired give
// up what they held, to rest until the pool goes on.
func hold(o observation) decision {
	d := newDecision()
	if o.recordLost() {
		d.status = *o.pool.Status.DeepCopy()
		setSuspendedConditions(o, &d.status)
		return d
	}
	h := holdersOf(o)
	h.startResting(o)
	h.waiting = h.pending(o)
	d.status = heldStatus(o, h)
	return d
}

// recordLost reports whether the record is not this pool's: it was lost or restored.
func (o observation) recordLost() bool { return o.pool.Status.PoolUID != o.pool.UID }

// draining says whether the pool takes no new claims at all.
func (o observation) draining() bool {
	return !o.pool.DeletionTimestamp.IsZero() || o.pool.Spec.PolicyName == "" || o.nodeGone
}

// offers says whether the policy offers a mode on this node.
func (o observation) offers(mode v1alpha1.Mode) bool { return o.pool.Spec.Offers(mode) }

// ipam is the plugin that the policy names. Unknown names are refused at apply; those
// of a newer release, after a step back, get the pool that has always been there.
func (o observation) ipam() ipam.Plugin {
	if plugin, ok := ipam.Get(o.pool.Spec.IPAM); ok {
		return plugin
	}
	plugin, _ := ipam.Get(ipam.Shared)
	return plugin
}

// unit is the number of addresses of one slot.
func (o observation) unit() int32 { return o.pool.Spec.AddressUnit() }

// highest is the maximum of addresses, in whole prefixes where they are the unit.
func (o observation) highest() int32 {
	if o.pool.Spec.Shared == nil {
		return 0
	}
	return o.pool.Spec.Shared.MaximumIPs / o.unit() * o.unit()
}

// room is the number of slots for addresses or prefixes that an ENI offers.
func (o observation) room(eni *v1alpha1.ElasticNetworkInterface) int32 {
	if eni.Primary() {
		return o.primary.room
	}
	return o.limits.addressSlots
}

func (o observation) cooldown() time.Duration {
	if o.pool.Spec.Shared != nil && o.pool.Spec.Shared.Cooldown != nil {
		return o.pool.Spec.Shared.Cooldown.Duration
	}
	return o.restFor
}

func (o observation) idleReleaseAfter() time.Duration {
	if o.pool.Spec.Shared != nil && o.pool.Spec.Shared.IdleReleaseAfter != nil {
		return o.pool.Spec.Shared.IdleReleaseAfter.Duration
	}
	return o.idleAfter
}

// soonest is the shortest of some waits, of which 0 is none.
func soonest(waits ...time.Duration) time.Duration {
	var shortest time.Duration
	for _, wait := range waits {
		if shortest == 0 || (wait != 0 && wait < shortest) {
			shortest = wait
		}
	}
	return shortest
}

// sane returns a stored time, or now where the stored one is further ahead than the wait
// that starts with it: a clock was wrong.
func sane(at metav1.Time, now time.Time, wait time.Duration) metav1.Time {
	if at.After(restingFrom(now.Add(wait)).Time) {
		return restingFrom(now)
	}
	return at
}
