/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import "net/netip"

// vpc is a virtual private cloud with one IPv4 block.
type vpc struct {
	record
	cidr      netip.Prefix
	isDefault bool
	tenancy   string
	// associationID identifies the association of the block.
	associationID string
	dhcpOptionsID string
	defaultGroup  *securityGroup
}

const (
	minNetworkBits = 16
	maxNetworkBits = 28
)

// parseNetwork parses the block of a VPC or subnet. Bits of the host part are
// cleared, as EC2 does.
func parseNetwork(cidr string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, invalidValue("Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", cidr)
	}
	return p.Masked(), nil
}

// validSize tells whether EC2 takes the size of a network.
func validSize(p netip.Prefix) bool {
	return p.Bits() >= minNetworkBits && p.Bits() <= maxNetworkBits
}

// addVPC creates a VPC with its default security group.
func (r *region) addVPC(cidr netip.Prefix, tags map[string]string) *vpc {
	v := &vpc{
		record:        r.newRecord("vpc", tags),
		cidr:          cidr,
		tenancy:       "default",
		associationID: r.ids.next("vpc-cidr-assoc"),
		dhcpOptionsID: r.ids.next("dopt"),
	}
	r.vpcs.add(v)
	v.defaultGroup = r.addGroup(v, defaultGroupName, "default VPC security group", nil)
	return v
}

// vpc finds a VPC that must exist.
func (r *region) vpc(id string) (*vpc, error) {
	return mustExist(r.vpcs, id, vpcRefusal)
}

// defaultVPC finds the VPC that requests without a network mean.
func (r *region) defaultVPC() (*vpc, error) {
	for _, v := range r.vpcs.ordered {
		if v.isDefault {
			return v, nil
		}
	}
	return nil, fail("VPCIdNotSpecified", "No default VPC for this user")
}

type vpcResult struct {
	reply
	VPC vpcXML `xml:"vpc"`
}

func createVPC(r *region, q *request) (result, error) {
	cidr, err := parseNetwork(q.required("CidrBlock"))
	if err != nil {
		q.reject(err)
	} else if !validSize(cidr) {
		q.reject(fail("InvalidVpc.Range", "The CIDR '%s' is invalid.", cidr))
	}
	tenancy := q.text("InstanceTenancy")
	q.rejectUnless(tenancy == "" || tenancy == "default", unsupported("The instance tenancy '%s' is not supported", tenancy))
	tags := r.readTagSpecifications(q, "vpc")
	if err := q.proceed(); err != nil {
		return nil, err
	}
	v := r.addVPC(cidr, tags["vpc"])
	q.created = append(q.created, v.id)
	view := v.xml(r, "pending")
	view.Rest = "<ipv6CidrBlockAssociationSet/>"
	return &vpcResult{VPC: view}, nil
}

func deleteVPC(r *region, q *request) (result, error) {
	v, err := r.vpc(q.required("VpcId"))
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if r.vpcInUse(v) {
		return nil, fail("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", v.id)
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	r.groups.remove(v.defaultGroup)
	r.vpcs.remove(v)
	return succeeded()
}

func (r *region) vpcInUse(v *vpc) bool {
	for _, s := range r.subnets.ordered {
		if s.vpc == v {
			return true
		}
	}
	for _, g := range r.groups.ordered {
		if g.vpc == v && g != v.defaultGroup {
			return true
		}
	}
	return false
}

var vpcFilters = filterSet[*vpc]{
	"cidr":                                  one(func(v *vpc) string { return v.cidr.String() }),
	"cidr-block-association.association-id": one(func(v *vpc) string { return v.associationID }),
	"cidr-block-association.cidr-block":     one(func(v *vpc) string { return v.cidr.String() }),
	"cidr-block-association.state":          constant[*vpc]("associated"),
	"dhcp-options-id":                       one(func(v *vpc) string { return v.dhcpOptionsID }),
	"is-default":                            one(func(v *vpc) string { return formatBool(v.isDefault) }),
	"owner-id":                              ownAccount[*vpc],
	"state":                                 constant[*vpc]("available"),
	"tag-key":                               tagKeys[*vpc],
	"tag-value":                             tagValues[*vpc],
	"vpc-id":                                idOf[*vpc],

	"ipv6-cidr-block-association.ipv6-cidr-block": nil,
	"ipv6-cidr-block-association.ipv6-pool":       nil,
	"ipv6-cidr-block-association.association-id":  nil,
	"ipv6-cidr-block-association.state":           nil,
}

type describeVPCsResult struct {
	reply
	VPCs      set[vpcXML] `xml:"vpcSet"`
	NextToken string      `xml:"nextToken,omitempty"`
}

func describeVPCs(r *region, q *request) (result, error) {
	l := readListing(r, q, "VpcId", "VpcIds", vpcFilters)
	if err := q.check(); err != nil {
		return nil, err
	}
	rows, token, err := l.rows(r, r.vpcs, r.vpc)
	if err != nil {
		return nil, err
	}
	return &describeVPCsResult{
		VPCs:      setOf(rows, func(v *vpc) vpcXML { return v.describedXML(r) }),
		NextToken: token,
	}, nil
}

type vpcXML struct {
	ID           string                  `xml:"vpcId"`
	OwnerID      string                  `xml:"ownerId"`
	State        string                  `xml:"state"`
	CIDR         string                  `xml:"cidrBlock"`
	Associations set[cidrAssociationXML] `xml:"cidrBlockAssociationSet"`
	DHCPOptions  string                  `xml:"dhcpOptionsId"`
	Tags         set[tagXML]             `xml:"tagSet"`
	Tenancy      string                  `xml:"instanceTenancy"`
	IsDefault    bool                    `xml:"isDefault"`
	// Rest differs between Create and Describe.
	Rest string `xml:",innerxml"`
}

type cidrAssociationXML struct {
	ID    string `xml:"associationId"`
	CIDR  string `xml:"cidrBlock"`
	State string `xml:"cidrBlockState>state"`
}

// describedXML is a VPC as DescribeVpcs answers it.
func (v *vpc) describedXML(r *region) vpcXML {
	view := v.xml(r, "available")
	view.Rest = publicAccess
	return view
}

func (v *vpc) xml(r *region, state string) vpcXML {
	return vpcXML{
		ID:           v.id,
		OwnerID:      r.account,
		State:        state,
		CIDR:         v.cidr.String(),
		Associations: setOf([]*vpc{v}, (*vpc).associationXML),
		DHCPOptions:  v.dhcpOptionsID,
		Tags:         r.tagsXML(v.tags),
		Tenancy:      v.tenancy,
		IsDefault:    v.isDefault,
	}
}

func (v *vpc) associationXML() cidrAssociationXML {
	return cidrAssociationXML{ID: v.associationID, CIDR: v.cidr.String(), State: "associated"}
}
