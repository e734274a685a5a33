/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// eni is an elastic network interface.
type eni struct {
	record
	subnet          *subnet
	description     string
	groups          []*securityGroup
	mac             string
	requester       string
	sourceDestCheck bool
	createdAt       time.Time
	// slots are the addresses, the primary one first, and the prefixes.
	slots []slot
	// pending is true until the ENI's creation is complete.
	pending bool
	// hiddenUntil is when a stale read first shows the ENI.
	hiddenUntil time.Time

	operator   operator
	attachment *attachment
	// ghost is an attachment that is gone but that stale reads still show.
	ghost *attachment
}

// slot is an address, as a /32, or a /28 prefix. Each counts once against the
// limit of the instance type.
type slot struct {
	netip.Prefix
	// hiddenUntil is when a stale read first shows the slot.
	hiddenUntil time.Time
}

const addressBits = 32

func addressSlot(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addressBits) }

// eni finds an ENI that must exist and be visible.
func (r *region) eni(id string) (*eni, error) {
	if !wellFormed("eni", id) {
		return nil, malformed("InvalidNetworkInterfaceId.Malformed", "eni", id)
	}
	if e, ok := r.enis.get(id); ok && e.visible(r) {
		return e, nil
	}
	return nil, eniNotFound(id)
}

// listed reports whether Describe actions show an ENI that is visible.
func (e *eni) listed(r *region) bool { return e.visible(r) && (r.includeManaged || !e.operator.hidden) }

// listedENI finds an ENI that must exist and be shown by the present request.
func (r *region) listedENI(id string) (*eni, error) {
	e, err := r.eni(id)
	if err == nil && !e.listed(r) {
		return nil, eniNotFound(id)
	}
	return e, err
}

func (e *eni) visible(r *region) bool { return !r.now.Before(e.hiddenUntil) }

// primary is the primary private address.
func (e *eni) primary() netip.Addr { return e.slots[0].Addr() }

// shown returns the slots of one kind that reads show.
func (e *eni) shown(r *region, bits int) []netip.Prefix {
	var visible []netip.Prefix
	for _, s := range e.slots {
		if s.Bits() == bits && !r.now.Before(s.hiddenUntil) {
			visible = append(visible, s.Prefix)
		}
	}
	return visible
}

// shownAttachment returns the attachment that reads show, or nil.
func (e *eni) shownAttachment() *attachment {
	return cmp.Or(e.attachment, e.ghost)
}

// status is the ENI's state as reads show it.
func (e *eni) status() string {
	switch {
	case e.shownAttachment() != nil:
		return "in-use"
	case e.pending:
		return statusPending
	}
	return "available"
}

// hold gives a slot, which the subnet has marked as used, to the ENI.
func (e *eni) hold(p netip.Prefix, hiddenUntil time.Time) {
	e.slots = append(e.slots, slot{Prefix: p, hiddenUntil: hiddenUntil})
	e.subnet.owners[p] = e
}

// letGo takes a slot from the ENI, without giving it back to the subnet.
func (e *eni) letGo(p netip.Prefix) {
	e.slots = slices.DeleteFunc(e.slots, func(s slot) bool { return s.Prefix == p })
	delete(e.subnet.owners, p)
}

// release gives a slot back to the subnet.
func (e *eni) release(p netip.Prefix) {
	e.letGo(p)
	e.subnet.addresses.release(p)
}

// join puts the ENI into groups, in place of those that it was in.
func (e *eni) join(groups []*securityGroup) {
	for _, g := range e.groups {
		g.interfaces--
	}
	for _, g := range groups {
		g.interfaces++
	}
	e.groups = groups
}

// dnsName is the private DNS name of an address. Answers have so many of them that
// it is written without waste.
func (r *region) dnsName(addr netip.Addr) string {
	name := make([]byte, 0, len("ip-255-255-255-255."))
	name = append(name, "ip"...)
	for _, part := range addr.As4() {
		name = append(name, '-')
		name = strconv.AppendUint(name, uint64(part), 10)
	}
	name = append(name, '.')
	return string(name) + r.domain()
}

// dnsName is the private DNS name of one of an ENI's addresses. VPCs other than the
// default one have DNS hostnames switched off.
func (e *eni) dnsName(r *region, addr netip.Addr) string {
	if !e.subnet.vpc.isDefault {
		return ""
	}
	return r.dnsName(addr)
}

// removeENI deletes an ENI that is not attached.
func (r *region) removeENI(e *eni) {
	for len(e.slots) > 0 {
		e.release(e.slots[0].Prefix)
	}
	e.join(nil)
	e.ghost = nil
	r.enis.remove(e)
	r.enisByZone[e.subnet.zone.name]--
}

func deleteNetworkInterface(r *region, q *request) (result, error) {
	e, err := r.eni(q.required("NetworkInterfaceId"))
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if e.attachment != nil {
		return nil, invalidValue("Network interface '%s' is currently in use.", e.id)
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	r.removeENI(e)
	return succeeded()
}
