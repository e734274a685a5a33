/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// eniSpec is what a new ENI is to be.
type eniSpec struct {
	subnet      *subnet
	groups      []*securityGroup
	description string
	tags        map[string]string
	slots       slotRequest
	// requester is the principal that asks for the ENI.
	requester string
}

// readSlots reads the addresses and prefixes of a new ENI: addresses by name,
// or one or none by name and a count of more; and prefixes by name or count.
func readSlots(p params) slotRequest {
	req := slotRequest{
		count:       readCount(p, "SecondaryPrivateIpAddressCount"),
		prefixCount: readCount(p, "Ipv4PrefixCount"),
		prefixes:    readENIPrefixes(p),
	}
	primaryName := p.text("PrivateIpAddress")
	for _, item := range p.structs("PrivateIpAddresses") {
		addr := readAddress(item, item.required("PrivateIpAddress"))
		if item.boolean("Primary", false) {
			p.rejectUnless(!req.primary.IsValid(), twoPrimaries())
			req.primary = addr
		} else {
			req.addresses = append(req.addresses, addr)
		}
	}
	if primaryName != "" {
		p.rejectUnless(!req.primary.IsValid(), twoPrimaries())
		req.primary = readAddress(p, primaryName)
	}
	p.rejectUnless(req.ways() < 2, invalidValue("You can specify one and only one secondaryPrivateIpAddressCount "+
		"or secondaryPrivateIpAddressCount or ipv4Prefixes or ipv4PrefixCount."))
	return req
}

func twoPrimaries() error {
	return invalidValue("Only one primary private IP address can be specified.")
}

// readCount reads a count of addresses or prefixes, which must be positive where it is
// given.
func readCount(p params, name string) int {
	count := p.integer(name, math.MinInt32, 0)
	_, given := p.lookup(name)
	p.rejectUnless(!given || count > 0, invalidValue(
		"Value (%d) for parameter %s is invalid. Value must be a positive number.", count, lowerFirst(name)))
	return max(0, count)
}

// lowerFirst is how EC2's messages spell the name of a parameter.
func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

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
		p.reject(invalidValue("invalid value for parameter address: %s", text))
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
		requester:       spec.requester,
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
	ENI eniXML `xml:"networkInterface"`
}

func createNetworkInterface(r *region, q *request) (result, error) {
	token := readENIToken(q)
	spec, err := r.readENISpec(q)
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if res, known, err := r.replayENI(q, token, spec); known {
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
	res := &networkInterfaceResult{ENI: e.createdXML(r)}
	r.remember(q, token, clientToken{id: e.id, arguments: spec.arguments(), answer: *res})
	return res, nil
}

// createdXML is an ENI as CreateNetworkInterface answers it.
func (e *eni) createdXML(r *region) eniXML {
	view := e.xml(r)
	view.Operator.Hidden = nil
	view.PublicDNSName = nil
	return view
}

// eniDescription is what descriptions of ENIs may consist of.
var eniDescription = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}$`)

// readENIDescription reads the description of an ENI.
func readENIDescription(p params, name string) string {
	text := p.text(name)
	p.rejectUnless(eniDescription.MatchString(text), invalidValue("Invalid interface description. "+
		"Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"))
	return text
}

func (r *region) readENISpec(q *request) (eniSpec, error) {
	kind := q.text("InterfaceType")
	q.rejectUnless(kind == "" || kind == interfaceType, unsupported("The interface type '%s' is not supported", kind))
	spec := eniSpec{
		description: readENIDescription(q.params, "Description"),
		slots:       readSlots(q.params),
		tags:        r.readTagSpecifications(q, "network-interface")["network-interface"],
		requester:   principalID(q.caller),
	}
	subnetID, groupIDs := q.required("SubnetId"), q.list("SecurityGroupId")
	if err := q.check(); err != nil {
		return spec, err
	}
	var err error
	if spec.subnet, err = r.subnet(subnetID); err != nil {
		return spec, err
	}
	spec.groups, err = r.groupsFor(spec.subnet, groupIDs, foreignToCreate)
	if err != nil {
		return spec, err
	}
	// Named addresses are looked at before the token: repeating the request finds
	// them in use by the ENI that it created.
	return spec, spec.subnet.checkNamed(spec.slots)
}

// replayENI answers from a remembered client token. Known is false where the
// call is to be executed.
func (r *region) replayENI(q *request, token string, spec eniSpec) (res result, known bool, err error) {
	past := r.recall(q, token)
	switch {
	case past == nil:
		return nil, false, nil
	case past.token != token:
		return nil, true, tokenMismatch("Idempotency token %s is not valid for resource interface-%s", token, past.id)
	case past.arguments != spec.arguments():
		return nil, true, tokenMismatch("Wrong arguments for token: %s", token)
	}
	if e, exists := r.enis.get(past.id); exists {
		return e.replayedXML(r, spec.tags), true, nil
	}
	switch r.limits.Replay {
	case ReplayEcho:
		echo := past.answer.(networkInterfaceResult)
		return &echo, true, nil
	case ReplayRecreate:
		return nil, false, nil
	case ReplayNotFound:
		return nil, true, eniNotFound(past.id)
	default:
		return nil, true, tokenMismatch("The request with token: %s is stale", token)
	}
}

// replayedXML is an ENI as a repeated request is answered: as it is now but pending,
// and with the tags of the request, whatever its own are.
func (e *eni) replayedXML(r *region, tags map[string]string) *networkInterfaceResult {
	view := e.createdXML(r)
	view.Status = statusPending
	view.Tags = r.tagsXML(tags)
	return &networkInterfaceResult{ENI: view}
}

// arguments are what a repeated request must have in common with the first: all but
// the tags and the order of groups.
func (s eniSpec) arguments() string {
	groups := make([]string, 0, len(s.groups))
	for _, g := range s.groups {
		groups = append(groups, g.id)
	}
	slices.Sort(groups)
	parts := slices.Concat(groups, slotTexts(s.slots.named()), []string{
		s.subnet.id, strconv.Itoa(s.slots.count), strconv.Itoa(s.slots.prefixCount), s.slots.primary.String(), s.description,
	})
	return strings.Join(parts, "\n")
}
