/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"net/netip"
	"slices"
	"strings"
)

type assignPrivateIPAddressesResult struct {
	reply
	Return    bool                  `xml:"return"`
	ENIID     string                `xml:"networkInterfaceId"`
	Addresses set[assignedXML]      `xml:"assignedPrivateIpAddressesSet"`
	Prefixes  set[assignedBlockXML] `xml:"assignedIpv4PrefixSet"`
}

type assignedXML struct {
	Address string `xml:"privateIpAddress"`
}

type assignedBlockXML struct {
	Prefix string `xml:"ipv4Prefix"`
}

// assignPrivateIPAddresses adds addresses or prefixes to an ENI. Those asked
// for by count are always additional; naming what the ENI has already changes
// nothing. The answer lists the new ones, or all that were named: also those that the
// ENI had before, its primary address among them.
func assignPrivateIPAddresses(r *region, q *request) (result, error) {
	id := q.required("NetworkInterfaceId")
	req, move := readAssignment(q), q.boolean("AllowReassignment", false)
	if err := q.check(); err != nil {
		return nil, err
	}
	e, err := r.eni(id)
	if err != nil {
		return nil, err
	}
	wanted := e.missing(req.named())
	if err := e.checkAssign(req, wanted, move); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	assigned, err := r.assign(e, req, wanted)
	if err != nil {
		return nil, err
	}
	res := &assignPrivateIPAddressesResult{Return: true, ENIID: e.id}
	for _, p := range sortedOnce(slices.Concat(req.named(), assigned)) {
		if p.IsSingleIP() {
			res.Addresses.add(assignedXML{Address: p.Addr().String()})
		} else {
			res.Prefixes.add(assignedBlockXML{Prefix: p.String()})
		}
	}
	return res, nil
}

// readAssignment reads what is to be assigned, in exactly one of four ways.
func readAssignment(q *request) slotRequest {
	var req slotRequest
	req.addresses, req.prefixes = readNamedSlots(q)
	req.count = readCount(q.params, "SecondaryPrivateIpAddressCount")
	req.prefixCount = readCount(q.params, "Ipv4PrefixCount")
	q.rejectUnless(req.ways() > 0, fail("InvalidParameter",
		"One of privateIpAddressSet or privateIpAddressCount or ipv4PrefixSet or ipv4PrefixCount must be specified."))
	q.rejectUnless(req.ways() < 2, invalidCombination("You may specify one and only one of privateIpAddressSet or "+
		"secondaryPrivateIpAddressCount or ipv4Prefixes or ipv4PrefixCount, but not more than one of them."))
	return req
}

// readNamedSlots reads the addresses and prefixes that a call names.
func readNamedSlots(q *request) (addresses []netip.Addr, prefixes []netip.Prefix) {
	for _, text := range q.list("PrivateIpAddress") {
		addresses = append(addresses, readAddress(q.params, text))
	}
	for _, text := range q.list("Ipv4Prefix") {
		prefixes = append(prefixes, readPrefix(q.params, text))
	}
	return addresses, prefixes
}

// sortedOnce sorts slots and drops repeated ones.
func sortedOnce(slots []netip.Prefix) []netip.Prefix {
	slices.SortFunc(slots, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return slices.Compact(slots)
}

// missing returns the slots, each once, that the ENI does not have.
func (e *eni) missing(slots []netip.Prefix) []netip.Prefix {
	var missing []netip.Prefix
	for _, p := range slots {
		if e.subnet.owners[p] != e && !slices.Contains(missing, p) {
			missing = append(missing, p)
		}
	}
	return missing
}

// checkAssign tells whether an ENI can be given the named slots wanted, or
// those that a count asks for.
func (e *eni) checkAssign(req slotRequest, wanted []netip.Prefix, move bool) error {
	limit := maxAddressesPerENI
	if e.attachment != nil {
		limit = e.attachment.instance.kind.limits.IPv4PerInterface
		if len(req.prefixes)+req.prefixCount > 0 && !e.attachment.instance.kind.nitro() {
			return prefixesUnsupported(e.attachment.instance.kind)
		}
	}
	if len(e.slots)+len(wanted)+req.count+req.prefixCount > limit {
		return addressLimitExceeded()
	}
	return e.subnet.checkWanted(wanted, move)
}

// checkWanted reports whether slots can be assigned to an ENI that does not have them:
// free ones, and others' secondary ones where moving is allowed. The error names all
// that are taken.
func (s *subnet) checkWanted(wanted []netip.Prefix, move bool) error {
	var taken []string
	for _, p := range wanted {
		if err := s.checkRange(p, invalidValue("Address %s is in subnet's reserved range.", p.Addr())); err != nil {
			return err
		}
		if s.addresses.isFree(p) {
			continue
		}
		owner := s.owners[p]
		if move && owner != nil && owner.slots[0].Prefix == p {
			return invalidValue("secondary-addresses")
		}
		if !move || owner == nil {
			taken = append(taken, slotText(p))
		}
	}
	if len(taken) > 0 {
		return invalidValue("[%s] assigned, but move is not allowed.", strings.Join(taken, ", "))
	}
	return nil
}

// assign gives an ENI the named slots wanted and those that a count asks for.
func (r *region) assign(e *eni, req slotRequest, wanted []netip.Prefix) ([]netip.Prefix, error) {
	chosen, err := e.subnet.takeAny(req.count, req.prefixCount)
	if err != nil {
		return nil, err
	}
	for _, p := range wanted {
		if owner := e.subnet.owners[p]; owner != nil {
			owner.letGo(p)
		} else {
			e.subnet.addresses.take(p)
		}
	}
	assigned := slices.Concat(wanted, chosen)
	for _, p := range assigned {
		e.hold(p, r.now.Add(r.stale.NewAddresses))
	}
	return assigned, nil
}

func unassignPrivateIPAddresses(r *region, q *request) (result, error) {
	id := q.required("NetworkInterfaceId")
	addresses, prefixes := readNamedSlots(q)
	q.rejectUnless(len(addresses)+len(prefixes) > 0, fail("MissingParameter", "One of privateIpAddresses or ipv4Prefixes must be specified."))
	if err := q.check(); err != nil {
		return nil, err
	}
	e, err := r.eni(id)
	if err != nil {
		return nil, err
	}
	slots := slotRequest{addresses: addresses, prefixes: prefixes}.named()
	if len(e.missing(slots)) > 0 {
		return nil, invalidValue("Some of the specified addresses are not assigned to interface %s", e.id)
	}
	if slices.Contains(slots, e.slots[0].Prefix) {
		return nil, invalidValue("Value (%s) for parameter privateIpAddress is invalid. "+
			"The primary IP address of an interface cannot be unassigned.", e.primary())
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	for _, p := range slots {
		if e.subnet.owners[p] == e { // named twice otherwise
			e.release(p)
		}
	}
	return succeeded()
}
