/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package promises

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/emulator"
)

// Call is an EC2 call of one of the operator's replicas.
type Call struct {
	Client string // the replica's name as a client of Kubernetes
	Params url.Values
	// Sent is when it left the replica.
	Sent time.Time
}

// Action is the API action.
func (c Call) Action() string { return c.Params.Get("Action") }

// Mutating reports whether it can change something.
func (c Call) Mutating() bool { return !strings.HasPrefix(c.Action(), "Describe") }

// tag is the value of a tag that the call gives to what it creates.
func (c Call) tag(key string) string {
	for i := 1; c.Params.Has(fmt.Sprintf("TagSpecification.1.Tag.%d.Key", i)); i++ {
		if c.Params.Get(fmt.Sprintf("TagSpecification.1.Tag.%d.Key", i)) == key {
			return c.Params.Get(fmt.Sprintf("TagSpecification.1.Tag.%d.Value", i))
		}
	}
	return ""
}

// bySelector reports whether the call asks what selector terms find in a VPC.
func (c Call) bySelector() bool {
	for i := 1; c.Params.Has(fmt.Sprintf("Filter.%d.Name", i)); i++ {
		if c.Params.Get(fmt.Sprintf("Filter.%d.Name", i)) == "vpc-id" {
			return !c.Mutating()
		}
	}
	return false
}

// listed are the values of Name.1, Name.2 and so on.
func (c Call) listed(name string) []string {
	var values []string
	for i := 1; c.Params.Has(fmt.Sprintf("%s.%d", name, i)); i++ {
		values = append(values, c.Params.Get(fmt.Sprintf("%s.%d", name, i)))
	}
	return values
}

// Leads reports whether a replica holds the leader lease.
func (r *Referee) Leads(client string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leader == client
}

// Sending judges a call that leaves a replica.
func (r *Referee) Sending(c Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.countCall(c)
	r.departs(c)
	r.judgeRepetition(c)
	if c.Mutating() && r.leader != c.Client {
		r.foul(OneLeader, c.Client, "%s sends %s while %q leads", c.Client, c.Action(), r.leader)
	}
}

// Ended is called when the replica has EC2's answer, or none will come: succeeded says
// that the answer arrived, and was a success.
func (r *Referee) Ended(c Call, succeeded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.returns(c)
	if succeeded && c.Action() == "DeleteNetworkInterface" {
		r.accepted[c.Client+" "+c.Params.Get("NetworkInterfaceId")] = true
	}
}

// Arriving judges a call that EC2 is about to execute.
func (r *Referee) Arriving(c Call) {
	if !c.Mutating() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refresh()
	if r.resting {
		r.writes = append(r.writes, c.Action()+" "+shortly(r.targets(c)))
	}
	switch id := c.Params.Get("NetworkInterfaceId"); c.Action() {
	case "CreateNetworkInterface":
		r.judgeCreation(c)
	case "AssignPrivateIpAddresses":
		r.carried[id] = r.addressesOf(id)
	}
	for _, id := range r.targets(c) {
		if eni := r.world.ENI(id); eni != nil {
			r.judgeTarget(c, eni)
		}
	}
}

// targets are the ENIs that a call changes.
func (r *Referee) targets(c Call) []string {
	if id := c.Params.Get("NetworkInterfaceId"); id != "" {
		return []string{id}
	}
	if attachment := c.Params.Get("AttachmentId"); attachment != "" {
		for i := range r.world.Cloud.ENIs {
			if r.world.Cloud.ENIs[i].AttachmentID == attachment {
				return []string{r.world.Cloud.ENIs[i].ID}
			}
		}
	}
	return c.listed("ResourceId")
}

func (r *Referee) judgeTarget(c Call, eni *emulator.ENIState) {
	uid, tagged := eni.Tags[TagClusterUID]
	_, ours := r.made[eni.ID]
	switch {
	case eni.InstanceID != "" && eni.DeviceIndex == 0 && !ours:
		r.judgePrimary(c, eni)
	case !ours:
		r.foul(OthersKept, eni.ID+c.Action(), "%s on %s, which others made (tags %v)", c.Action(), eni.ID, eni.Tags)
	case tagged && uid != r.settings.ClusterUID && r.mayNotKnow(c, eni.ID):
	case tagged && uid != r.settings.ClusterUID:
		r.foul(OthersKept, eni.ID+c.Action(), "%s on %s, which belongs to cluster %q by its tags", c.Action(), eni.ID, uid)
	default:
		r.judgeTaking(c, eni)
	}
}

// showing is how long EC2 may show a tag as it was, and a call may wait to be sent after
// the tags were read.
const showing = 30 * time.Second

// mayNotKnow reports whether the operator may not know yet that others gave an ENI away.
// Before it takes something it reads the tags; for the rest an audit shows them.
func (r *Referee) mayNotKnow(c Call, id string) bool {
	since := time.Since(r.givenAway[id])
	if takes(c.Action()) {
		return since < showing
	}
	return since < r.settings.AuditInterval+showing
}

// takes reports whether an action takes something from an ENI.
func takes(action string) bool {
	return slices.Contains([]string{"DetachNetworkInterface", "DeleteNetworkInterface", "UnassignPrivateIpAddresses"}, action)
}

// judgePrimary allows nothing on a primary ENI but what concerns our own addresses.
func (r *Referee) judgePrimary(c Call, eni *emulator.ENIState) {
	switch c.Action() {
	case "AssignPrivateIpAddresses":
	case "UnassignPrivateIpAddresses":
		for _, address := range slices.Concat(c.listed("PrivateIpAddress"), c.listed("Ipv4Prefix")) {
			if !r.assigned[eni.ID+"|"+address] {
				r.foul(OthersKept, eni.ID+address, "%s of %s, which the operator did not assign, is taken from the primary ENI %s", c.Action(), address, eni.ID)
			}
		}
		r.judgeTaking(c, eni)
	default:
		r.foul(OthersKept, eni.ID+c.Action(), "%s on the primary ENI %s", c.Action(), eni.ID)
	}
}

// judgeTaking looks whether a call takes from a claim what it holds.
func (r *Referee) judgeTaking(c Call, eni *emulator.ENIState) {
	var taken func(address string) bool
	switch c.Action() {
	case "DetachNetworkInterface", "DeleteNetworkInterface":
		taken = func(string) bool { return true }
	case "UnassignPrivateIpAddresses":
		addresses, prefixes := c.listed("PrivateIpAddress"), c.listed("Ipv4Prefix")
		taken = func(address string) bool { return slices.Contains(addresses, address) || inPrefixes(prefixes, address) }
	default:
		return
	}
	for uid, held := range r.given {
		claim := r.world.Claims[uid]
		if claim == nil || held.eni != eni.ID || !taken(held.address) || claim.Status.Phase != v1alpha1.ClaimBound {
			continue
		}
		switch {
		case !claim.DeletionTimestamp.IsZero(), addressLost(claim), !Carries(eni, held.address):
		case !r.world.Living(held.instance), r.nodeGone(held.instance, claim.Spec.NodeName):
		case eni.InstanceID != "" && eni.InstanceID != held.instance:
		default:
			r.foul(HeldKept, string(uid), "%s takes %s (%s) from claim %s, which is bound on the living instance %s",
				c.Action(), held.address, eni.ID, nameOf(claim), held.instance)
		}
	}
}

// Done takes in what a call did; failed is EC2's error code.
func (r *Referee) Done(c Call, failed string) {
	if !c.Mutating() || failed != "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.noteGivenBack(c)
	r.refresh()
	switch c.Action() {
	case "CreateNetworkInterface":
		r.judgeCreated()
	case "AssignPrivateIpAddresses":
		id := c.Params.Get("NetworkInterfaceId")
		for _, address := range r.addressesOf(id) {
			if !slices.Contains(r.carried[id], address) {
				r.assigned[id+"|"+address] = true
			}
		}
	}
}

// noteGivenBack notes what EC2 has taken back because the operator asked for that. The
// state is the one from before the call.
func (r *Referee) noteGivenBack(c Call) {
	id := c.Params.Get("NetworkInterfaceId")
	eni := r.world.ENI(id)
	switch {
	case eni == nil:
	case c.Action() == "DeleteNetworkInterface":
		for _, address := range append(slices.Clone(eni.Addresses), eni.PrimaryAddress) {
			r.gaveBack[id+"|"+address] = time.Now()
		}
	case c.Action() == "UnassignPrivateIpAddresses":
		for _, address := range c.listed("PrivateIpAddress") {
			r.gaveBack[id+"|"+address] = time.Now()
		}
	}
}

func (r *Referee) addressesOf(id string) []string {
	eni := r.world.ENI(id)
	if eni == nil {
		return nil
	}
	return slices.Concat(eni.Addresses, eni.Prefixes)
}

// judgeCreated notes whose the ENIs are that the operator has made.
func (r *Referee) judgeCreated() {
	of := map[string]string{}
	for i := range r.world.Cloud.ENIs {
		eni := &r.world.Cloud.ENIs[i]
		uid := eni.Tags[TagUID]
		if eni.Tags[TagClusterUID] == r.settings.ClusterUID && r.made[eni.ID] == "" && !r.seen["foreign "+eni.ID] {
			r.made[eni.ID] = uid
		}
		if other := of[uid]; uid != "" && other != "" && r.made[eni.ID] == uid && r.made[other] == uid {
			r.foul(OneENI, uid, "resource %s has two ENIs: %s and %s", r.resourceName(uid), other, eni.ID)
		}
		of[uid] = eni.ID
	}
}

func (r *Referee) resourceName(uid string) string {
	for _, eni := range r.world.ENIs {
		if string(eni.UID) == uid {
			return eni.Name
		}
	}
	return uid
}

// Foreign notes an ENI that others made, whatever its tags say.
func (r *Referee) Foreign(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen["foreign "+id] = true
}

// Moved notes that people attached an ENI to another instance.
func (r *Referee) Moved(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved[id] = time.Now()
	r.refresh()
}

// mayNotSeeMove reports whether the operator may not know yet that people moved an ENI: an
// audit shows it, and a second one if the first failed.
func (r *Referee) mayNotSeeMove(id string) bool {
	at, moved := r.moved[id]
	return moved && time.Since(at) < 2*r.settings.AuditInterval+showing
}
