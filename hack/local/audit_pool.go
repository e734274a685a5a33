package main

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// pool compares a pool's counts with what EC2 and the claims show.
func (a *audit) pool(pool *v1alpha1.ENIPool) {
	subject, status := "pool "+pool.Name, &pool.Status
	instance, exists := a.ec2.instances[pool.Spec.InstanceID]
	a.same(subject, "instance "+pool.Spec.InstanceID+" exists", true, exists)
	if !exists {
		return
	}
	a.same(subject, "node", pool.Spec.NodeName, aws.ToString(instance.PrivateDnsName))
	a.same(subject, "instance type", status.InstanceType, string(instance.InstanceType))
	a.same(subject, "zone", status.AvailabilityZone, aws.ToString(instance.Placement.AvailabilityZone))

	enis := a.attached(pool.Spec.InstanceID)
	a.same(subject, "number of ENIs", status.ENICount, int32(len(enis)))
	a.same(subject, "record's owner", status.PoolUID, pool.UID)
	a.sharedCounts(subject, pool, enis)
	a.exclusiveCounts(subject, pool, enis)
}

func (a *audit) sharedCounts(subject string, pool *v1alpha1.ENIPool, enis []types.NetworkInterface) {
	var capacity int
	for _, eni := range enis {
		if a.modeOf(eni) == v1alpha1.ModeShared {
			capacity += len(secondaries(eni)) + addressesPerPrefix*len(eni.Ipv4Prefixes)
		}
	}
	shared := pool.Status.Shared
	if shared == nil {
		shared = &v1alpha1.SharedStatus{}
	}
	taken := 0
	for _, entry := range pool.Status.Addresses {
		if entry.State != v1alpha1.HolderReserved {
			taken++
		}
	}
	a.same(subject, "capacity", shared.Capacity, int32(capacity))
	a.same(subject, "allocated addresses", shared.Allocated, a.bound(pool.Spec.NodeName, v1alpha1.ModeShared))
	a.same(subject, "free addresses", shared.Free, int32(capacity-taken))
	a.same(subject, "allocated + free + cooling", shared.Allocated+shared.Free+shared.Cooling, int32(capacity))
}

func (a *audit) exclusiveCounts(subject string, pool *v1alpha1.ENIPool, enis []types.NetworkInterface) {
	var capacity int32
	for _, eni := range enis {
		if a.modeOf(eni) == v1alpha1.ModeExclusive {
			capacity++
		}
	}
	exclusive := pool.Status.Exclusive
	if exclusive == nil {
		exclusive = &v1alpha1.ExclusiveStatus{}
	}
	held := a.bound(pool.Spec.NodeName, v1alpha1.ModeExclusive)
	a.same(subject, "exclusive ENIs", exclusive.Capacity, capacity)
	a.same(subject, "allocated exclusive ENIs", exclusive.Allocated, held)
	a.same(subject, "free exclusive ENIs", exclusive.Free, capacity-held)
}

// modeOf finds an ENI's mode by the UID in its tags; empty without a resource.
func (a *audit) modeOf(eni types.NetworkInterface) v1alpha1.Mode {
	uid := tagsOf(eni.TagSet)[tagUID]
	for i := range a.kubernetes.enis {
		if string(a.kubernetes.enis[i].UID) == uid {
			return a.kubernetes.enis[i].Spec.Mode
		}
	}
	return ""
}

// bound counts the claims of a mode that are bound on a node.
func (a *audit) bound(node string, mode v1alpha1.Mode) int32 {
	return int32(len(keep(a.kubernetes.on(node).claims, func(claim *v1alpha1.ENIClaim) bool {
		return claim.Spec.Mode == mode && claim.Status.Phase == v1alpha1.ClaimBound
	})))
}
