/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"fmt"
	"net/netip"
	"strconv"
)

// subnet is a subnet and the account of its addresses.
type subnet struct {
	record
	vpc       *vpc
	zone      zone
	cidr      netip.Prefix
	isDefault bool
	addresses *allocator
	// owners are the ENIs that hold the used addresses and prefixes.
	owners map[netip.Prefix]*eni
	arn    string
	// scarcity decides between EC2's codes where there is too little.
	scarcity     Scarcity
	reservations []*reservationOfCIDR
}

func (r *region) addSubnet(v *vpc, z zone, cidr netip.Prefix, tags map[string]string) *subnet {
	s := &subnet{
		record:    r.newRecord("subnet", tags),
		vpc:       v,
		zone:      z,
		cidr:      cidr,
		addresses: newAllocator(cidr, r.addressDice),
		owners:    make(map[netip.Prefix]*eni),
		scarcity:  r.limits.Scarcity,
	}
	s.arn = fmt.Sprintf("arn:aws:ec2:%s:%s:subnet/%s", r.name, r.account, s.id)
	r.subnets.add(s)
	return s
}

// subnet finds a subnet that must exist.
func (r *region) subnet(id string) (*subnet, error) {
	return mustExist(r.subnets, id, subnetRefusal)
}

// defaultSubnet finds the default subnet of a zone, or of the first zone where
// none is named.
func (r *region) defaultSubnet(zoneName string) (*subnet, error) {
	for _, s := range r.subnets.ordered {
		if s.isDefault && (zoneName == "" || s.zone.name == zoneName) {
			return s, nil
		}
	}
	return nil, fail("MissingInput", "No subnets found for the default VPC in the Availability Zone '%s'. Please specify a subnet.", zoneName)
}

type subnetResult struct {
	reply
	Subnet subnetXML `xml:"subnet"`
}

func createSubnet(r *region, q *request) (result, error) {
	v, err := r.vpc(q.required("VpcId"))
	cidr, cidrErr := parseNetwork(q.required("CidrBlock"))
	z, zoneErr := r.readZone(q)
	tags := r.readTagSpecifications(q, "subnet")
	if err := firstError(q.check(), err, cidrErr, zoneErr); err != nil {
		return nil, err
	}
	if err := r.checkSubnetRange(v, cidr); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	s := r.addSubnet(v, z, cidr, tags["subnet"])
	q.created = append(q.created, s.id)
	return &subnetResult{Subnet: s.xml(r)}, nil
}

// readZone reads the zone by its name or its id. The first zone is meant where
// neither is given.
func (r *region) readZone(q *request) (zone, error) {
	name, id := q.text("AvailabilityZone"), q.text("AvailabilityZoneId")
	switch {
	case name != "" && id != "":
		return zone{}, invalidCombination("AvailabilityZone and AvailabilityZoneId may not be specified together")
	case name != "":
		return r.zone(name)
	case id != "":
		return r.zoneByID(id)
	}
	return r.zones[0], nil
}

func (r *region) checkSubnetRange(v *vpc, cidr netip.Prefix) error {
	if !validSize(cidr) || cidr.Bits() < v.cidr.Bits() || !v.cidr.Contains(cidr.Addr()) {
		return fail("InvalidSubnet.Range", "The CIDR '%s' is invalid.", cidr)
	}
	for _, s := range r.subnets.ordered {
		if s.vpc == v && s.cidr.Overlaps(cidr) {
			return fail("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", cidr)
		}
	}
	return nil
}

func deleteSubnet(r *region, q *request) (result, error) {
	s, err := r.subnet(q.required("SubnetId"))
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if len(s.owners) > 0 {
		return nil, fail("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", s.id)
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	for len(s.reservations) > 0 {
		r.removeReservation(s.reservations[0])
	}
	r.subnets.remove(s)
	return succeeded()
}

var subnetFilters = filterSet[*subnet]{
	"availability-zone":               one(func(s *subnet) string { return s.zone.name }),
	"availabilityZone":                one(func(s *subnet) string { return s.zone.name }),
	"availability-zone-id":            one(func(s *subnet) string { return s.zone.id }),
	"availabilityZoneId":              one(func(s *subnet) string { return s.zone.id }),
	"available-ip-address-count":      one(func(s *subnet) string { return strconv.Itoa(s.addresses.free) }),
	"cidr-block":                      one(func(s *subnet) string { return s.cidr.String() }),
	"cidr":                            one(func(s *subnet) string { return s.cidr.String() }),
	"cidrBlock":                       one(func(s *subnet) string { return s.cidr.String() }),
	"default-for-az":                  one(func(s *subnet) string { return formatBool(s.isDefault) }),
	"defaultForAz":                    one(func(s *subnet) string { return formatBool(s.isDefault) }),
	"enable-dns64":                    constant[*subnet]("false"),
	"map-customer-owned-ip-on-launch": constant[*subnet]("false"),
	"private-dns-name-options-on-launch.hostname-type":                        constant[*subnet](hostnameType),
	"private-dns-name-options-on-launch.enable-resource-name-dns-a-record":    constant[*subnet]("false"),
	"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": constant[*subnet]("false"),
	"ipv6-native":             constant[*subnet]("false"),
	"map-public-ip-on-launch": constant[*subnet]("false"),
	"owner-id":                ownAccount[*subnet],
	"state":                   constant[*subnet]("available"),
	"subnet-arn":              one(func(s *subnet) string { return s.arn }),
	"subnet-id":               idOf[*subnet],
	"tag-key":                 tagKeys[*subnet],
	"tag-value":               tagValues[*subnet],
	"vpc-id":                  one(func(s *subnet) string { return s.vpc.id }),

	"ipv6-cidr-block-association.ipv6-cidr-block": nil,
	"ipv6-cidr-block-association.association-id":  nil,
	"ipv6-cidr-block-association.state":           nil,
	"customer-owned-ipv4-pool":                    nil,
	"enable-lni-at-device-index":                  nil,
	"outpost-arn":                                 nil,
}

type describeSubnetsResult struct {
	reply
	Subnets   set[subnetXML] `xml:"subnetSet"`
	NextToken string         `xml:"nextToken,omitempty"`
}

func describeSubnets(r *region, q *request) (result, error) {
	l := readListing(r, q, "SubnetId", "SubnetIds", subnetFilters)
	if err := q.check(); err != nil {
		return nil, err
	}
	rows, token, err := l.rows(r, r.subnets, r.subnet)
	if err != nil {
		return nil, err
	}
	return &describeSubnetsResult{Subnets: setOf(rows, func(s *subnet) subnetXML { return s.describedXML(r) }), NextToken: token}, nil
}

type subnetXML struct {
	ID                 string      `xml:"subnetId"`
	ARN                string      `xml:"subnetArn"`
	State              string      `xml:"state"`
	OwnerID            string      `xml:"ownerId"`
	VPCID              string      `xml:"vpcId"`
	CIDR               string      `xml:"cidrBlock"`
	AvailableAddresses int         `xml:"availableIpAddressCount"`
	Zone               string      `xml:"availabilityZone"`
	ZoneID             string      `xml:"availabilityZoneId"`
	DefaultForZone     bool        `xml:"defaultForAz"`
	MapPublicIP        bool        `xml:"mapPublicIpOnLaunch"`
	AssignIPv6         bool        `xml:"assignIpv6AddressOnCreation"`
	IPv6Native         bool        `xml:"ipv6Native"`
	IPv6Blocks         set[string] `xml:"ipv6CidrBlockAssociationSet"`
	Tags               set[tagXML] `xml:"tagSet"`
	// Rest is what is the same for all.
	Rest string `xml:",innerxml"`
}

// subnetRest is what every subnet shows, and subnetState what Describe actions add.
const (
	subnetRest = "<mapCustomerOwnedIpOnLaunch>false</mapCustomerOwnedIpOnLaunch><enableDns64>false</enableDns64>" +
		"<privateDnsNameOptionsOnLaunch><hostnameType>" + hostnameType + "</hostnameType>" +
		"<enableResourceNameDnsARecord>false</enableResourceNameDnsARecord>" +
		"<enableResourceNameDnsAAAARecord>false</enableResourceNameDnsAAAARecord></privateDnsNameOptionsOnLaunch>"
	publicAccess = "<blockPublicAccessStates><internetGatewayBlockMode>off</internetGatewayBlockMode></blockPublicAccessStates>"
)

// describedXML is a subnet as DescribeSubnets answers it.
func (s *subnet) describedXML(r *region) subnetXML {
	view := s.xml(r)
	view.Rest += publicAccess
	return view
}

func (s *subnet) xml(r *region) subnetXML {
	return subnetXML{
		ID:                 s.id,
		ARN:                s.arn,
		State:              "available",
		OwnerID:            r.account,
		VPCID:              s.vpc.id,
		CIDR:               s.cidr.String(),
		AvailableAddresses: s.addresses.free,
		Zone:               s.zone.name,
		ZoneID:             s.zone.id,
		DefaultForZone:     s.isDefault,
		Tags:               r.tagsXML(s.tags),
		Rest:               subnetRest,
	}
}
