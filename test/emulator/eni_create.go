/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import "net/netip"

// eniSpec is what a new ENI is to be.
type eniSpec struct {
	subnet      *subnet
	groups      []*securityGroup
	description string
	tags        map[string]string
	slots       slotRequest
}

// readSlots reads the addresses and prefixes of a new ENI: addresses by name,
// or one or none by name and a count of more; and prefixes by name or count.
func readSlots(p params) slotRequest {
	req := slotRequest{
		count:       p.integer("SecondaryPrivateIpAddressCount", 0, 0),
		prefixCount: p.integer("Ipv4PrefixCount", 0, 0),
		prefixes:    readENIPrefixes(p),
	}
	primaryName := p.text("PrivateIpAddress")
	for _, item := range p.structs("PrivateIpAddresses") {
		addr := readAddress(item, item.required("PrivateIpAddress"))
		if item.boolean("Primary", false) {
			p.rejectUnless(!req.primary.IsValid(), invalidValue("Only one primary private IP address can be specified."))
			req.primary = addr
		} else {
			req.addresses = append(req.addresses, addr)
		}
	}
	if primaryName != "" {
		p.rejectUnless(!req.primary.IsValid(), invalidCombination(
			"The parameters PrivateIpAddress and PrivateIpAddresses.Primary may not be specified together"))
		req.primary = readAddress(p, primaryName)
	}
	p.rejectUnless(len(req.addresses) == 0 || req.count == 0, invalidCombination(
		"The parameters PrivateIpAddresses and SecondaryPrivateIpAddressCount may not be specified together"))
	p.rejectUnless(len(req.prefixes) == 0 || req.prefixCount == 0, invalidCombination(
		"The parameters Ipv4Prefix and Ipv4PrefixCount may not be specified together"))
	p.rejectUnless(len(req.prefixes)+req.prefixCount == 0 || len(req.addresses)+req.count == 0, invalidCombination(
		"Secondary private IP addresses and IPv4 prefixes may not be specified together"))
	return req
}

func readENIPrefixes(p params) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, item := range p.structs("Ipv4Prefix") {
		prefixes = append(prefixes, readPrefix(item, item.required("Ipv4Prefix")))
	}
	return prefixes
}

func readAddress(p params, text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is4() {
		p.reject(invalidValue("Invalid IPv4 address: %s", text))
		return netip.Addr{}
	}
	return addr
}

func readPrefix(p params, text string) netip.Prefix {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || !prefix.Addr().Is4() || prefix.Bits() != prefixBits || prefix != prefix.Masked() {
		p.reject(invalidValue("Invalid IPv4 prefix: %s", text))
		return netip.Prefix{}
	}
	return prefix
}

// newENI creates an ENI. Where it fails nothing has changed.
func (r *region) newENI(spec eniSpec) (*eni, error) {
	if r.enisByZone[spec.subnet.zone.name] >= r.limits.ENIsPerZone {
		return nil, fail("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached.")
	}
	if spec.slots.total() > maxAddressesPerENI {
		return nil, addressLimitExceeded()
	}
	slots, err := spec.subnet.takeSlots(spec.slots)
	if err != nil {
		return nil, err
	}
	e := &eni{
		record:          r.newRecord("eni", spec.tags),
		subnet:          spec.subnet,
		description:     spec.description,
		mac:             r.ids.mac(),
		sourceDestCheck: true,
		createdAt:       r.now,
		pending:         true,
		hiddenUntil:     r.now.Add(r.stale.NewENIs),
	}
	for _, p := range slots {
		e.hold(p, r.now)
	}
	e.join(spec.groups)
	r.enis.add(e)
	r.enisByZone[e.subnet.zone.name]++
	r.after(r.span(r.timings.CreateENI), func() { e.pending = false })
	return e, nil
}

type networkInterfaceResult struct {
	reply
	ENI         eniXML `xml:"networkInterface"`
	ClientToken string `xml:"clientToken,omitempty"`
}

func createNetworkInterface(r *region, q *request) (result, error) {
	token := readClientToken(q)
	spec, err := r.readENISpec(q)
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if res, known, err := r.replayENI(q, token); known {
		return res, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	e, err := r.newENI(spec)
	if err != nil {
		return nil, err
	}
	q.created = append(q.created, e.id)
	res := &networkInterfaceResult{ENI: e.createdXML(r), ClientToken: token}
	r.remember(q, token, e.id, *res)
	return res, nil
}

// createdXML is an ENI as CreateNetworkInterface answers it.
func (e *eni) createdXML(r *region) eniXML {
	view := e.xml(r)
	view.Operator.Hidden = nil
	return view
}

func (r *region) readENISpec(q *request) (eniSpec, error) {
	kind := q.text("InterfaceType")
	q.rejectUnless(kind == "" || kind == interfaceType, unsupported("The interface type '%s' is not supported", kind))
	spec := eniSpec{
		description: q.text("Description"),
		slots:       readSlots(q.params),
		tags:        r.readTagSpecifications(q, "network-interface")["network-interface"],
	}
	subnetID, groupIDs := q.required("SubnetId"), q.list("SecurityGroupId")
	if err := q.check(); err != nil {
		return spec, err
	}
	var err error
	if spec.subnet, err = r.subnet(subnetID); err != nil {
		return spec, err
	}
	spec.groups, err = r.groupsFor(spec.subnet, groupIDs)
	return spec, err
}

// replayENI answers from a remembered client token. Known is false where the
// call is to be executed.
func (r *region) replayENI(q *request, token string) (res result, known bool, err error) {
	past, err := r.recall(q, token)
	if past == nil || err != nil {
		return nil, err != nil, err
	}
	if e, exists := r.enis.get(past.id); exists {
		return &networkInterfaceResult{ENI: e.xml(r), ClientToken: token}, true, nil
	}
	switch r.limits.Replay {
	case ReplayEcho:
		echo := past.answer.(networkInterfaceResult)
		return &echo, true, nil
	case ReplayRecreate:
		return nil, false, nil
	default:
		return nil, true, eniNotFound(past.id)
	}
}
