/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"net/netip"
	"slices"
)

// reservationOfCIDR keeps a range of a subnet from being chosen automatically. Its
// addresses count as free all the same.
type reservationOfCIDR struct {
	record
	subnet      *subnet
	cidr        netip.Prefix
	kind        string
	description string
}

const (
	// reservedForPrefixes is the kind of reservation that prefixes come from.
	reservedForPrefixes = "prefix"
	// reservedForNamed is the kind whose addresses are assigned by name.
	reservedForNamed = "explicit"
)

// keepReserved keeps the allocator from choosing what is reserved.
func (s *subnet) keepReserved() {
	var all, blocks []netip.Prefix
	for _, v := range s.reservations {
		all = append(all, v.cidr)
		if v.kind == reservedForPrefixes {
			blocks = append(blocks, v.cidr)
		}
	}
	s.addresses.keep(all, blocks)
}

// checkReserved reports whether a slot may be asked for by name: not an address of a
// reservation for prefixes, nor a prefix of one for addresses.
func (s *subnet) checkReserved(p netip.Prefix) error {
	barred := reservedForPrefixes
	if !p.IsSingleIP() {
		barred = reservedForNamed
	}
	for _, v := range s.reservations {
		if v.kind == barred && v.cidr.Overlaps(p) {
			return invalidValue("%s is in the CIDR reservation %s of type %s", slotText(p), v.id, v.kind)
		}
	}
	return nil
}

type subnetReservationResult struct {
	reply
	Reservation subnetReservationXML `xml:"subnetCidrReservation"`
}

func createSubnetReservation(r *region, q *request) (result, error) {
	s, err := r.subnet(q.required("SubnetId"))
	cidr, cidrErr := netip.ParsePrefix(q.required("Cidr"))
	kind, description := q.required("ReservationType"), q.text("Description")
	tags := r.readTagSpecifications(q, reservationTagType)[reservationTagType]
	q.rejectUnless(kind == reservedForPrefixes || kind == reservedForNamed, invalidValue(
		"Value (%s) for parameter reservationType is invalid.", kind))
	q.rejectUnless(cidrErr == nil && cidr.Addr().Is4() && cidr == cidr.Masked(), invalidValue(
		"Value (%s) for parameter cidr is invalid. This is not a valid CIDR block.", q.text("Cidr")))
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if err := s.checkReservation(cidr, kind); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	v := &reservationOfCIDR{record: r.newRecord("scr", tags), subnet: s, cidr: cidr, kind: kind, description: description}
	s.reservations = append(s.reservations, v)
	r.reservations.add(v)
	s.keepReserved()
	q.created = append(q.created, v.id)
	return &subnetReservationResult{Reservation: v.xml(r)}, nil
}

const reservationTagType = "subnet-cidr-reservation"

func (s *subnet) checkReservation(cidr netip.Prefix, kind string) error {
	if !s.addresses.contains(cidr) {
		return invalidValue("The CIDR '%s' is not within the CIDR of subnet '%s'.", cidr, s.id)
	}
	if kind == reservedForPrefixes && cidr.Bits() > prefixBits {
		return invalidValue("The CIDR '%s' is too small for a reservation of type prefix.", cidr)
	}
	if slices.ContainsFunc(s.reservations, func(v *reservationOfCIDR) bool { return v.cidr.Overlaps(cidr) }) {
		return invalidValue("The CIDR '%s' conflicts with another reservation of subnet '%s'.", cidr, s.id)
	}
	return nil
}

// reservation finds a CIDR reservation that must exist.
func (r *region) reservation(id string) (*reservationOfCIDR, error) {
	return mustExist(r.reservations, id, reservationRefusal)
}

type deletedSubnetReservationResult struct {
	reply
	Reservation subnetReservationXML `xml:"deletedSubnetCidrReservation"`
}

func deleteSubnetReservation(r *region, q *request) (result, error) {
	v, err := r.reservation(q.required("SubnetCidrReservationId"))
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	r.removeReservation(v)
	return &deletedSubnetReservationResult{Reservation: v.xml(r)}, nil
}

func (r *region) removeReservation(v *reservationOfCIDR) {
	v.subnet.reservations = slices.DeleteFunc(v.subnet.reservations, func(other *reservationOfCIDR) bool { return other == v })
	r.reservations.remove(v)
	v.subnet.keepReserved()
}

var reservationFilters = filterSet[*reservationOfCIDR]{
	"cidr":             one(func(v *reservationOfCIDR) string { return v.cidr.String() }),
	"reservationType":  one(func(v *reservationOfCIDR) string { return v.kind }),
	"reservation-type": one(func(v *reservationOfCIDR) string { return v.kind }),
	"subnet-id":        one(func(v *reservationOfCIDR) string { return v.subnet.id }),
	"tag-key":          tagKeys[*reservationOfCIDR],
}

type getSubnetReservationsResult struct {
	reply
	IPv4      set[subnetReservationXML] `xml:"subnetIpv4CidrReservationSet"`
	IPv6      set[subnetReservationXML] `xml:"subnetIpv6CidrReservationSet"`
	NextToken string                    `xml:"nextToken,omitempty"`
}

func getSubnetReservations(r *region, q *request) (result, error) {
	s, err := r.subnet(q.required("SubnetId"))
	l := listing[*reservationOfCIDR]{match: readFilters(r, q, reservationFilters), page: readPage(q, usualPages)}
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	matches := l.match
	l.match = func(v *reservationOfCIDR) bool { return v.subnet == s && matches(v) }
	rows, token := l.scan(r, r.reservations)
	return &getSubnetReservationsResult{
		IPv4:      setOf(rows, func(v *reservationOfCIDR) subnetReservationXML { return v.xml(r) }),
		NextToken: token,
	}, nil
}

type subnetReservationXML struct {
	ID          string      `xml:"subnetCidrReservationId"`
	SubnetID    string      `xml:"subnetId"`
	CIDR        string      `xml:"cidr"`
	Kind        string      `xml:"reservationType"`
	OwnerID     string      `xml:"ownerId"`
	Description string      `xml:"description,omitempty"`
	Tags        set[tagXML] `xml:"tagSet"`
}

func (v *reservationOfCIDR) xml(r *region) subnetReservationXML {
	return subnetReservationXML{
		ID:          v.id,
		SubnetID:    v.subnet.id,
		CIDR:        v.cidr.String(),
		Kind:        v.kind,
		OwnerID:     r.account,
		Description: v.description,
		Tags:        r.tagsXML(v.tags),
	}
}
