/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"net/netip"
	"slices"
	"strconv"
)

const interfaceType = "interface"

// eniFilters are the filters of DescribeNetworkInterfaces.
var eniFilters = filterSet[*eni]{
	"addresses.primary":                func(*region, *eni) []string { return []string{"true", "false"} },
	"addresses.private-ip-address":     addressValues,
	"attachment.attach-time":           ofAttachment(func(a *attachment) string { return timestamp(a.attachTime) }),
	"attachment.attachment-id":         ofAttachment(func(a *attachment) string { return a.id }),
	"attachment.delete-on-termination": ofAttachment(func(a *attachment) string { return formatBool(a.deleteOnTermination) }),
	"attachment.device-index":          ofAttachment(func(a *attachment) string { return strconv.Itoa(a.device) }),
	"attachment.instance-id":           ofAttachment(func(a *attachment) string { return a.instance.id }),
	"attachment.instance-owner-id":     instanceOwner,
	"attachment.network-card-index":    ofAttachment(func(a *attachment) string { return strconv.Itoa(a.card) }),
	"attachment.status":                ofAttachment(func(a *attachment) string { return a.status }),
	"availability-zone":                one(func(e *eni) string { return e.subnet.zone.name }),
	"availability-zone-id":             one(func(e *eni) string { return e.subnet.zone.id }),
	"description":                      one(func(e *eni) string { return e.description }),
	"group-id":                         groupIDs,
	"group-name":                       groupNames,
	"interface-type":                   constant[*eni](interfaceType),
	"mac-address":                      one(func(e *eni) string { return e.mac }),
	"network-interface-id":             idOf[*eni],
	"operator.managed":                 one(func(e *eni) string { return formatBool(e.operator.managed()) }),
	"operator.principal":               principalOf(func(e *eni) operator { return e.operator }),
	"owner-id":                         ownAccount[*eni],
	"private-dns-name":                 func(r *region, e *eni) []string { return []string{e.dnsName(r, e.primary())} },
	"private-ip-address":               addressValues,
	"requester-id":                     one(func(e *eni) string { return e.requester }),
	"requester-managed":                constant[*eni]("false"),
	"source-dest-check":                one(func(e *eni) string { return formatBool(e.sourceDestCheck) }),
	"status":                           one((*eni).status),
	"subnet-id":                        one(func(e *eni) string { return e.subnet.id }),
	"tag-key":                          tagKeys[*eni],
	"tag-value":                        tagValues[*eni],
	"vpc-id":                           one(func(e *eni) string { return e.subnet.vpc.id }),
	"ipv4-prefixes.ipv4-prefix":        prefixValues,

	"addresses.association.owner-id":  nil,
	"addresses.association.public-ip": nil,
	"association.allocation-id":       nil,
	"association.association-id":      nil,
	"association.ip-owner-id":         nil,
	"association.public-ip":           nil,
	"association.public-dns-name":     nil,
	"ipv6-addresses.ipv6-address":     nil,
}

// narrowing are the filters with which EC2 answers an unpaginated call however
// many ENIs there are.
var narrowing = []string{"attachment.instance-id", "group-id", "mac-address", "private-dns-name", "private-ip-address", "subnet-id", "vpc-id"}

// narrows tells whether a request has one of the narrowing filters.
func (q *request) narrows() bool {
	return slices.ContainsFunc(q.filters(), func(f filter) bool { return slices.Contains(narrowing, f.name) })
}

func ofAttachment(value func(*attachment) string) func(*region, *eni) []string {
	return func(_ *region, e *eni) []string {
		if a := e.shownAttachment(); a != nil {
			return []string{value(a)}
		}
		return nil
	}
}

func instanceOwner(r *region, e *eni) []string {
	if e.shownAttachment() == nil {
		return nil
	}
	return []string{r.account}
}

func addressValues(r *region, e *eni) []string {
	return slotTexts(e.shown(r, addressBits))
}

func addressNames(r *region, e *eni) []string {
	var names []string
	for _, p := range e.shown(r, addressBits) {
		names = append(names, e.dnsName(r, p.Addr()))
	}
	return names
}

func prefixValues(r *region, e *eni) []string {
	return slotTexts(e.shown(r, prefixBits))
}

func slotTexts(slots []netip.Prefix) []string {
	texts := make([]string, 0, len(slots))
	for _, p := range slots {
		texts = append(texts, slotText(p))
	}
	return texts
}

func groupIDs(_ *region, e *eni) []string {
	var ids []string
	for _, g := range e.groups {
		ids = append(ids, g.id)
	}
	return ids
}

func groupNames(_ *region, e *eni) []string {
	var names []string
	for _, g := range e.groups {
		names = append(names, g.name)
	}
	return names
}

type describeNetworkInterfacesResult struct {
	reply
	ENIs      set[eniXML] `xml:"networkInterfaceSet"`
	NextToken string      `xml:"nextToken,omitempty"`
}

func describeNetworkInterfaces(r *region, q *request) (result, error) {
	r.includeManaged = q.boolean("IncludeManagedResources", false)
	l := readListing(r, q, "NetworkInterfaceId", "NetworkInterfaceIds", eniFilters)
	if err := q.check(); err != nil {
		return nil, err
	}
	if len(l.ids) == 0 && l.page.limit == 0 && r.enis.len() > r.limits.UnpaginatedENIs && !q.narrows() {
		return nil, fail("OperationNotPermitted", "The number of network interfaces is too large. Use pagination, or one of the "+
			"filters attachment.instance-id, group-id, mac-address, private-dns-name, private-ip-address, subnet-id and vpc-id.")
	}
	matches := l.match
	l.match = func(e *eni) bool { return e.listed(r) && matches(e) }
	rows, token, err := l.rows(r, r.enis, r.listedENI)
	if err != nil {
		return nil, err
	}
	return &describeNetworkInterfacesResult{
		ENIs:      setOf(rows, func(e *eni) eniXML { return e.xml(r) }),
		NextToken: token,
	}, nil
}

type eniXML struct {
	ID               string `xml:"networkInterfaceId"`
	SubnetID         string `xml:"subnetId"`
	VPCID            string `xml:"vpcId"`
	Zone             string `xml:"availabilityZone"`
	ZoneID           string `xml:"availabilityZoneId"`
	Description      string `xml:"description"`
	OwnerID          string `xml:"ownerId"`
	RequesterID      string `xml:"requesterId"`
	RequesterManaged bool   `xml:"requesterManaged"`
	Status           string `xml:"status"`
	MAC              string `xml:"macAddress"`
	PrivateAddress   string `xml:"privateIpAddress"`
	PrivateDNSName   string `xml:"privateDnsName,omitempty"`
	// PublicDNSName is empty, and absent from what Create actions answer.
	PublicDNSName   *string             `xml:"publicDnsName"`
	SourceDestCheck bool                `xml:"sourceDestCheck"`
	Groups          set[groupXML]       `xml:"groupSet"`
	Attachment      *eniAttachmentXML   `xml:"attachment"`
	Tags            set[tagXML]         `xml:"tagSet"`
	Addresses       set[addressXML]     `xml:"privateIpAddressesSet"`
	Prefixes        *set[ipv4PrefixXML] `xml:"ipv4PrefixSet"`
	IPv6Addresses   set[string]         `xml:"ipv6AddressesSet"`
	InterfaceType   string              `xml:"interfaceType"`
	Operator        operatorXML         `xml:"operator"`
}

type addressXML struct {
	Address string  `xml:"privateIpAddress"`
	DNSName *string `xml:"privateDnsName"`
	Primary bool    `xml:"primary"`
}

type ipv4PrefixXML struct {
	Prefix string `xml:"ipv4Prefix"`
}

type eniAttachmentXML struct {
	ID                  string `xml:"attachmentId"`
	InstanceID          string `xml:"instanceId"`
	InstanceOwnerID     string `xml:"instanceOwnerId"`
	DeviceIndex         int    `xml:"deviceIndex"`
	NetworkCardIndex    int    `xml:"networkCardIndex"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

func (e *eni) xml(r *region) eniXML {
	return eniXML{
		ID:              e.id,
		SubnetID:        e.subnet.id,
		VPCID:           e.subnet.vpc.id,
		Zone:            e.subnet.zone.name,
		ZoneID:          e.subnet.zone.id,
		Description:     e.description,
		OwnerID:         r.account,
		RequesterID:     e.requester,
		Status:          e.status(),
		MAC:             e.mac,
		PrivateAddress:  e.primary().String(),
		PrivateDNSName:  e.dnsName(r, e.primary()),
		PublicDNSName:   new(string),
		SourceDestCheck: e.sourceDestCheck,
		Groups:          groupsXML(e.groups),
		Attachment:      r.attachmentXML(e.shownAttachment()),
		Tags:            r.tagsXML(e.tags),
		Addresses:       e.addressesXML(r),
		Prefixes:        e.prefixesXML(r),
		InterfaceType:   interfaceType,
		Operator:        e.operator.xml(),
	}
}

func (e *eni) addressesXML(r *region) set[addressXML] {
	return setOf(e.shown(r, addressBits), func(p netip.Prefix) addressXML {
		view := addressXML{Address: slotText(p), Primary: p == e.slots[0].Prefix}
		if name := e.dnsName(r, p.Addr()); name != "" || !view.Primary {
			view.DNSName = &name
		}
		return view
	})
}

// prefixesXML is nil, and its element absent, where the ENI has no prefix.
func (e *eni) prefixesXML(r *region) *set[ipv4PrefixXML] {
	prefixes := e.shown(r, prefixBits)
	if len(prefixes) == 0 {
		return nil
	}
	view := setOf(prefixes, func(p netip.Prefix) ipv4PrefixXML { return ipv4PrefixXML{Prefix: p.String()} })
	return &view
}

func (r *region) attachmentXML(a *attachment) *eniAttachmentXML {
	if a == nil {
		return nil
	}
	return &eniAttachmentXML{
		ID:                  a.id,
		InstanceID:          a.instance.id,
		InstanceOwnerID:     r.account,
		DeviceIndex:         a.device,
		NetworkCardIndex:    a.card,
		Status:              a.status,
		AttachTime:          timestamp(a.attachTime),
		DeleteOnTermination: a.deleteOnTermination,
	}
}
