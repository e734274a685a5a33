/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// finalizer is the one of the operator, spelled out like the tags.
const finalizer = "networking.eni-operator.dev/finalizer"

// uninstall is what there was before the operator was uninstalled.
type uninstall struct {
	enis []emulator.ENIState
	// standing are the ENIs of ours for which a resource stood.
	standing map[string]bool
	// retained are those of them that stay by their resource's deletion policy.
	retained map[string]bool
}

// Uninstalling notes what there is before the operator is uninstalled.
func (r *Referee) Uninstalling() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	r.uninstall = uninstall{enis: r.world.Cloud.ENIs, standing: map[string]bool{}, retained: map[string]bool{}}
	for i := range r.world.Cloud.ENIs {
		eni := &r.world.Cloud.ENIs[i]
		resource := r.resourceOf(eni)
		if resource == nil || primary(eni) || eni.Tags[TagClusterUID] != r.settings.ClusterUID {
			continue
		}
		r.uninstall.standing[eni.ID] = true
		r.uninstall.retained[eni.ID] = resource.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain
	}
}

// resourceOf is the resource that stands for an ENI.
func (r *Referee) resourceOf(eni *emulator.ENIState) *v1alpha1.ElasticNetworkInterface {
	if resource := r.world.ENIs[types.UID(eni.Tags[TagUID])]; resource != nil {
		return resource
	}
	for _, resource := range r.world.ENIs {
		if resource.Status.NetworkInterfaceID == eni.ID {
			return resource
		}
	}
	return nil
}

// primary reports whether an ENI is its instance's first.
func primary(eni *emulator.ENIState) bool { return eni.InstanceID != "" && eni.DeviceIndex == 0 }

// Deleted judges what is left after everything of the operator's was to be deleted.
func (r *Referee) Deleted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	r.judgeObjects(true)
	for i := range r.world.Cloud.ENIs {
		r.judgeLeft(&r.world.Cloud.ENIs[i])
	}
	for _, was := range r.uninstall.enis {
		if !r.uninstall.retained[was.ID] {
			continue
		}
		if is := r.world.ENI(was.ID); is != nil && was.InstanceID == "" {
			was.InstanceID, was.AttachmentID = is.InstanceID, is.AttachmentID // A slot came free for it.
		}
		r.judgeKept(&was)
	}
}

// judgeLeft looks at an ENI that EC2 has after everything was deleted. An attached one
// for which no resource stood before was not the operator's to take any more.
func (r *Referee) judgeLeft(eni *emulator.ENIState) {
	if primary(eni) {
		for _, address := range slices.Concat(eni.Addresses, eni.Prefixes) {
			if r.assigned[eni.ID+"|"+address] {
				r.foul(LeavesNothing, eni.ID+address, "the primary ENI %s has %s, which the operator assigned", eni.ID, address)
			}
		}
		return
	}
	ours := eni.Tags[TagClusterUID] == r.settings.ClusterUID && !r.seen["foreign "+eni.ID]
	orphan := !r.uninstall.standing[eni.ID] && slices.ContainsFunc(r.uninstall.enis, func(was emulator.ENIState) bool {
		return was.ID == eni.ID && was.InstanceID != ""
	})
	if ours && !orphan && !r.uninstall.retained[eni.ID] {
		r.foul(LeavesNothing, eni.ID, "everything was deleted, and %s carries our tags (instance %q)", eni.ID, eni.InstanceID)
	}
}

// Abandoned judges what there is after the operator let go of everything.
func (r *Referee) Abandoned() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	r.judgeObjects(false)
	for i := range r.uninstall.enis {
		r.judgeKept(&r.uninstall.enis[i])
	}
}

// judgeKept compares an ENI with what it was.
func (r *Referee) judgeKept(was *emulator.ENIState) {
	is := r.world.ENI(was.ID)
	if is == nil {
		r.foul(AbandonedKept, was.ID, "%s was to stay, and is gone", was.ID)
		return
	}
	if is.InstanceID != was.InstanceID || is.AttachmentID != was.AttachmentID {
		r.foul(AbandonedKept, was.ID, "%s was attached to %q (%s), and is attached to %q (%s)",
			was.ID, was.InstanceID, was.AttachmentID, is.InstanceID, is.AttachmentID)
	}
	carried := slices.Concat(was.Addresses, was.Prefixes, []string{was.PrimaryAddress})
	carries := slices.Concat(is.Addresses, is.Prefixes, []string{is.PrimaryAddress})
	if !slices.Equal(sorted(carried), sorted(carries)) {
		r.foul(AbandonedKept, was.ID, "%s had %v, and has %v", was.ID, carried, carries)
	}
	tags := maps.Clone(was.Tags)
	if r.uninstall.standing[was.ID] {
		tags[TagDeletionPolicy] = string(v1alpha1.DeletionPolicyRetain)
	}
	if !maps.Equal(tags, is.Tags) {
		r.foul(AbandonedKept, was.ID, "%s has the tags %v, and should have %v", was.ID, is.Tags, tags)
	}
}

// Outlived judges that what was abandoned is there after its instances ended.
func (r *Referee) Outlived() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	for _, id := range slices.Sorted(maps.Keys(r.uninstall.standing)) {
		if r.world.ENI(id) == nil {
			r.foul(AbandonedKept, id, "%s was abandoned, and ended with its instance", id)
		}
	}
}

// judgeObjects looks for what keeps the operator's kinds from going: objects with its
// finalizer, and, where all was deleted, those that should be gone, and claims that say
// that they hold something.
func (r *Referee) judgeObjects(deleted bool) {
	look := func(kind string, object metav1.Object, stays bool) {
		name := object.GetNamespace() + "/" + object.GetName()
		if slices.Contains(object.GetFinalizers(), finalizer) {
			r.foul(LeavesNothing, kind+name, "the operator is uninstalled, and its finalizer is on %s %s", kind, name)
		} else if deleted && !stays {
			r.foul(LeavesNothing, kind+name, "everything was deleted, and %s %s is there", kind, name)
		}
	}
	for _, claim := range r.world.Claims {
		look("claim", claim, claim.Status.Phase != v1alpha1.ClaimBound)
	}
	for _, pool := range r.world.Pools {
		look("pool", pool, false)
	}
	for _, eni := range r.world.ENIs {
		look("ENI", eni, false)
	}
	for _, policy := range r.world.Policies {
		look("policy", policy, false)
	}
}
