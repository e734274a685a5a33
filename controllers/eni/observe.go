/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/index"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// progress is what one reconcile has done so far.
type progress struct {
	// stored is the resource as Kubernetes has it.
	stored *v1alpha1.ElasticNetworkInterface
	// looked: the last step asked EC2.
	looked bool
	// presence is what the last step found, if it looked at the ENI.
	presence presence
	// forced: the ENI was detached by force.
	forced bool
	// freshRecord: the creation record was written just now, so no call of its
	// attempt was made before.
	freshRecord bool
	// freshAssignment: the same for the record of an assignment.
	freshAssignment bool
	// admission is for the call that was admitted last.
	admission *ec2.Admission
	// looks are how often the ENI was observed.
	looks int
}

// observe reads all that a decision depends on. On an error the observation
// holds what was read until then.
func (r *Reconciler) observe(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, done *progress) (observation, error) {
	o := observation{
		eni: eni, now: r.clock.Now(), looked: done.looked, forced: done.forced, freshAssignment: done.freshAssignment,
		recordMaxAge: r.options.CreateRecordMaxAge, visibility: r.options.VisibilityWindow,
	}
	forgetOthersRecord(eni)
	instance, err := r.observeInstance(ctx, &o)
	if err != nil {
		return o, err
	}
	o.desired = build(r.options.Identity, eni, instance)
	if eni.Primary() {
		err = r.observePrimary(ctx, &o, instance)
	} else {
		err = r.observeENI(ctx, &o, done)
	}
	if err != nil {
		return o, err
	}
	r.observeProgress(&o)
	if err := r.observePredecessor(ctx, &o); err != nil {
		return o, err
	}
	if o.presence == present && o.ownership == owned {
		if err := r.observeVacant(ctx, &o); err != nil {
			return o, err
		}
		noteMissing(eni, typed[v1alpha1.Address](o.actual.addresses), typed[v1alpha1.Prefix](o.actual.prefixes), o.doubt)
	}
	if err := r.checkBirth(ctx, &o, instance); err != nil {
		return o, err
	}
	if err := r.observeRoom(ctx, &o); err != nil {
		return o, err
	}
	o.refusedNames = r.memory.refusedNames(eni)
	if !eni.DeletionTimestamp.IsZero() {
		err = r.observeDeletion(ctx, eni, &o)
	}
	return o, err
}

// checkBirth refuses an ENI that could never be attached, before there is one, and
// drops the candidate subnets of other zones. EC2 would create it all the same.
func (r *Reconciler) checkBirth(ctx context.Context, o *observation, instance ec2.Instance) error {
	begun := o.eni.Status.NetworkInterfaceID != "" || mayExist(o.eni.Status.Creation)
	if begun || o.instance != instanceLive || !o.eni.DeletionTimestamp.IsZero() {
		return nil
	}
	limits, known, err := r.inventory.InstanceType(ctx, instance.Type)
	if err != nil {
		return fmt.Errorf("reading the limits of %s: %w", instance.Type, err)
	}
	if most := limits.IPv4PerENI - 1; known && o.desired.addressCount+o.desired.prefixCount > most {
		return &tooManyError{instanceType: instance.Type, most: most}
	}
	if len(o.eni.Spec.SubnetIDs) > 0 {
		o.desired.subnetIDs, err = r.inZone(ctx, o.desired.subnetIDs, instance.AvailabilityZone)
	}
	if o.eni.Status.Creation == nil { // Later attempts go on to the next subnet.
		o.desired.subnetIDs = r.inventory.PreferRoom(o.desired.subnetIDs, 1+o.desired.addressCount+v1alpha1.AddressesPerPrefix*o.desired.prefixCount)
	}
	return err
}

// inZone are the subnets of a zone. What EC2 does not know, it refuses itself.
func (r *Reconciler) inZone(ctx context.Context, ids []string, zone string) ([]string, error) {
	var near []string
	var far ec2.Subnet
	for _, id := range ids {
		subnet, found, err := r.inventory.Subnet(ctx, id)
		if err != nil {
			return ids, fmt.Errorf("reading subnet %s: %w", id, err)
		}
		if found && subnet.AvailabilityZone != zone {
			far = subnet
			continue
		}
		near = append(near, id)
	}
	if len(near) == 0 {
		return ids, &otherZoneError{subnet: far, zone: zone}
	}
	return near, nil
}

func (r *Reconciler) observeDeletion(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, o *observation) (err error) {
	if o.drained, err = r.drained(ctx, eni); err != nil {
		return err
	}
	o.uninstalling, err = r.definitions.UnderWay(ctx, r.live, r.clock, r.memory.deletionSeen(eni, r.clock.Now()))
	if err != nil {
		return fmt.Errorf("reading whether the operator is being uninstalled: %w", err)
	}
	return nil
}

// observeProgress notes whose the ENI is, and how long EC2 has worked on the last
// change, as far as this process saw it: a stored time may be another clock's.
func (r *Reconciler) observeProgress(o *observation) {
	if o.unnamed() || (o.presence == presenceUnknown && o.eni.Status.NetworkInterfaceID != "") {
		o.unseenFor = r.absences().Since(o.eni.Name, string(o.eni.UID)+" "+o.eni.Status.NetworkInterfaceID)
	} else {
		r.absences().Forget(o.eni.Name)
	}
	if o.presence != present {
		return // Nothing is known at the moment, so that the time goes on.
	}
	uid := string(o.eni.UID)
	if !o.eni.Primary() {
		seenOurs := r.inventory.OwnedBy(uid) == o.eni.Status.NetworkInterfaceID
		o.ownership = ownershipOf(o.actual.tags, r.options.Identity.ClusterUID, uid, seenOurs)
	}
	o.changingFor = r.watch().Since(o.eni.Name, uid+" "+o.underway())
	o.stuck = o.underway() != "" && o.changingFor >= r.options.ForceDetachAfter
	o.deleteAccepted = r.memory.deletedWithin(o.eni, o.now, r.options.VisibilityWindow)
}

func (r *Reconciler) observeInstance(ctx context.Context, o *observation) (ec2.Instance, error) {
	o.instance = instanceUnknown
	var err error
	if o.instanceID, err = r.instanceFor(ctx, o.eni); err != nil || o.instanceID == "" {
		return ec2.Instance{}, err
	}
	instance, state, err := r.inventory.Instance(ctx, o.instanceID)
	if err != nil {
		return instance, fmt.Errorf("reading instance %s: %w", o.instanceID, err)
	}
	switch state {
	case inventory.Present:
		o.instance, o.zone = instanceLive, instance.AvailabilityZone
	case inventory.Gone:
		o.instance = instanceGone
	case inventory.Absent:
		var stands bool
		if stands, err = r.nodeStands(ctx, o.eni.Spec.NodeName, o.instanceID); err == nil && !stands {
			o.instance = instanceGone
		}
	case inventory.Unknown:
	}
	return instance, err
}

// instanceFor returns the id of the instance that an ENI belongs to, or "". Only pools name one
// that no Node of the name stands for at the moment: otherwise people who may make ENIs could
// attach them to any instance of the account, by the operator's rights.
func (r *Reconciler) instanceFor(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface) (string, error) {
	if at := eni.Status.Attachment; at != nil && eni.Primary() {
		return at.InstanceID, nil // It stays with its instance, whatever the Node says.
	}
	if eni.Spec.InstanceID != "" && (eni.Spec.PoolName != "" || onInstance(eni) || !eni.DeletionTimestamp.IsZero()) {
		return eni.Spec.InstanceID, nil
	}
	node := &corev1.Node{}
	err := r.client.Get(ctx, types.NamespacedName{Name: eni.Spec.NodeName}, node)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading Node %s of ENI %s: %w", eni.Spec.NodeName, eni.Name, err)
	}
	if named := eni.Spec.InstanceID; named != "" && named != instanceOf(node) {
		return "", &foreignInstanceError{instanceID: named, node: eni.Spec.NodeName}
	}
	return instanceOf(node), nil
}

// onInstance reports whether an ENI is attached to the instance that its spec names.
func onInstance(eni *v1alpha1.ElasticNetworkInterface) bool {
	return eni.Status.Attachment != nil && eni.Status.Attachment.InstanceID == eni.Spec.InstanceID
}

// nodeStands asks Kubernetes itself whether a Node stands for the instance: then it is
// not gone, though EC2 does not know it. That is the Node of the name, if it names the
// instance or none at the moment, or one of another name that names the instance.
func (r *Reconciler) nodeStands(ctx context.Context, name, instanceID string) (bool, error) {
	node := &corev1.Node{}
	err := r.live.Get(ctx, types.NamespacedName{Name: name}, node)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading Node %s, whose instance EC2 does not know: %w", name, err)
	}
	if id := instanceOf(node); err == nil && (id == "" || id == instanceID) {
		return true, nil
	}
	renamed, err := index.NodeNaming(ctx, r.client, r.live, instanceID)
	return renamed != "", err
}

// observeENI finds the ENI of the resource. Its tags decide which one that is: a status
// that names another owner's ENI, or one that is gone, while EC2 has one with this
// resource's UID, was edited or restored, and is put right.
func (r *Reconciler) observeENI(ctx context.Context, o *observation, done *progress) error {
	if err := r.observeNamed(ctx, o, done); err != nil {
		return err
	}
	id := o.eni.Status.NetworkInterfaceID
	own := r.inventory.OwnedBy(string(o.eni.UID))
	if own == "" || own == id || !r.disproved(o) {
		return nil
	}
	log.FromContext(ctx).Info("The status named an ENI that is not the resource's", "eniID", own, "named", id)
	o.eni.Status.NetworkInterfaceID = own
	o.presence = presenceUnknown
	o.actual = actual{}
	o.doubt = doubt{}
	return r.observeNamed(ctx, o, &progress{}) // What was looked at was another ENI.
}

// disproved reports whether EC2 says that the ENI that was observed is not the resource's.
func (r *Reconciler) disproved(o *observation) bool {
	if o.presence == present {
		return ownershipOf(o.actual.tags, r.options.Identity.ClusterUID, string(o.eni.UID), false) != owned
	}
	return o.presence == gone
}

// observeNamed observes the ENI that the status names.
func (r *Reconciler) observeNamed(ctx context.Context, o *observation, done *progress) error {
	if o.eni.Status.NetworkInterfaceID == "" {
		// Created a moment ago, and the cache does not show it yet; or found by a sweep.
		o.eni.Status.NetworkInterfaceID = r.inventory.OwnedBy(string(o.eni.UID))
	}
	id := o.eni.Status.NetworkInterfaceID
	if id == "" {
		return nil
	}
	if known, ok := r.inventory.ENI(id); ok {
		o.presence, o.actual, o.doubt = present, actualOf(known), r.doubtAbout(id)
		return nil
	}
	if done.looked && done.presence != present {
		o.presence = done.presence // The last step has just asked.
		return nil
	}
	return r.look(ctx, o)
}

// observePrimary finds the primary ENI of the instance, which EC2 shows with it.
func (r *Reconciler) observePrimary(ctx context.Context, o *observation, instance ec2.Instance) error {
	if o.instance != instanceLive || instance.Primary.ID == "" {
		return nil
	}
	if o.eni.DeletionTimestamp.IsZero() {
		if err := r.onlyPrimary(ctx, o.eni); err != nil {
			return err
		}
	}
	o.eni.Status.NetworkInterfaceID = instance.Primary.ID
	known, ok := r.inventory.ENI(instance.Primary.ID)
	if !ok {
		return r.lookAtPrimary(ctx, o)
	}
	o.presence, o.actual, o.doubt = present, actualOf(known), r.doubtAbout(known.ID)
	return nil
}

// lookAtPrimary asks EC2 for the instance, and with it for its primary ENI.
func (r *Reconciler) lookAtPrimary(ctx context.Context, o *observation) error {
	instance, _, err := r.inventory.RefreshInstance(ctx, o.instanceID)
	if err != nil {
		return fmt.Errorf("reading instance %s with its primary ENI: %w", o.instanceID, err)
	}
	o.looked = true
	if known, ok := r.inventory.ENI(instance.Primary.ID); ok {
		o.presence, o.actual, o.doubt = present, actualOf(known), r.doubtAbout(known.ID)
	}
	return nil
}

// onlyPrimary refuses a second resource for a primary ENI: the first one made is
// the one that counts. Without an instance in its spec, a resource is for the
// Node's.
func (r *Reconciler) onlyPrimary(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface) error {
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	if err := r.client.List(ctx, list, client.MatchingFields{index.NodeName: eni.Spec.NodeName}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the ENIs of node %s: %w", eni.Spec.NodeName, err)
	}
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == eni.UID || !other.Primary() || !eni.SameInstance(other) {
			continue
		}
		if cmp.Or(other.CreationTimestamp.Compare(eni.CreationTimestamp.Time), strings.Compare(other.Name, eni.Name)) < 0 {
			return &primaryTakenError{by: other.Name}
		}
	}
	return nil
}

// observeVacant chooses what a primary ENI is to be assigned.
func (r *Reconciler) observeVacant(ctx context.Context, o *observation) (err error) {
	if !o.eni.Primary() || !o.eni.DeletionTimestamp.IsZero() || o.eni.Status.Assignment != nil || givenUp(*o) {
		return nil
	}
	addresses, prefixes := primaryNeed(*o)
	subnet := o.actual.subnetID
	switch {
	case prefixes > 0:
		o.vacant, err = r.inventory.ChoosePrefixes(ctx, subnet, int(prefixes))
	case addresses > 0:
		o.vacant, err = r.inventory.ChooseAddresses(ctx, subnet, int(addresses))
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("choosing free addresses of %s: %w", subnet, err)
	}
	if len(o.vacant) == 0 {
		r.inventory.ForgetOccupancy(subnet)
		return &noVacancyError{subnetID: subnet}
	}
	return nil
}

// look asks EC2 for the ENI.
func (r *Reconciler) look(ctx context.Context, o *observation) error {
	if o.eni.Primary() {
		return r.lookAtPrimary(ctx, o)
	}
	seen, state, err := r.inventory.Look(ctx, o.eni.Status.NetworkInterfaceID)
	if err != nil {
		return fmt.Errorf("reading %s: %w", o.eni.Status.NetworkInterfaceID, err)
	}
	o.looked = true
	switch state {
	case inventory.Present:
		o.presence, o.actual, o.doubt = present, actualOf(seen), r.doubtAbout(seen.ID)
	case inventory.Gone:
		o.presence = gone
	default:
		o.presence = presenceUnknown
	}
	return nil
}

func (r *Reconciler) doubtAbout(eniID string) doubt {
	found := r.inventory.DoubtAddresses(eniID)
	return doubt{until: found.Until, inherited: found.Inherited}
}

func actualOf(eni ec2.NetworkInterface) actual {
	a := actual{
		addresses: eni.Addresses, prefixes: eni.Prefixes,
		securityGroups: eni.SecurityGroups, tags: eni.Tags, zone: eni.AvailabilityZone, subnetID: eni.SubnetID,
	}
	if at := eni.Attachment; at != nil {
		a.attachment = &attachment{
			id: at.ID, instanceID: at.InstanceID, deleteOnTermination: at.DeleteOnTermination,
			changing: at.Status != ec2.AttachmentAttached,
		}
	}
	return a
}

// drained says whether nobody holds anything of an ENI: its pool says so, or,
// where no pool owns it, no claim is bound to it.
func (r *Reconciler) drained(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface) (bool, error) {
	if eni.Spec.Drained || eni.Spec.PoolName == "" {
		return true, nil
	}
	// Waiting harms nobody, so that the cache will do for it; only a live read proves
	// that no pool owns the ENI any more.
	for _, reader := range []client.Reader{r.client, r.live} {
		pool := &v1alpha1.ENIPool{}
		err := reader.Get(ctx, types.NamespacedName{Name: eni.Spec.PoolName}, pool)
		if client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("reading pool %s of ENI %s: %w", eni.Spec.PoolName, eni.Name, err)
		}
		if err == nil && pool.Owns(eni) {
			return false, nil
		}
	}
	claims := &v1alpha1.ENIClaimList{}
	if err := r.client.List(ctx, claims, client.MatchingFields{index.NodeName: eni.Spec.NodeName}); err != nil {
		return false, fmt.Errorf("listing the claims of node %s: %w", eni.Spec.NodeName, err)
	}
	for i := range claims.Items {
		if claims.Items[i].Status.ENIName == eni.Name {
			return false, nil
		}
	}
	return true, nil
}
