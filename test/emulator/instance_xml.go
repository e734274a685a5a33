/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

// What every instance shows, because nothing else is modelled.
const (
	instanceHypervisor = "xen" // EC2 shows this for Nitro as well
	defaultTenancy     = "default"
	virtualization     = "hvm"
	hostnameType       = "ip-name"
	platformDetails    = "Linux/UNIX"
	rootDeviceName     = "/dev/xvda"
	rootDeviceType     = "ebs"
	usageOperation     = "RunInstances"
	instanceRest       = "<productCodes/><rootDeviceType>" + rootDeviceType + "</rootDeviceType>" +
		"<rootDeviceName>" + rootDeviceName + "</rootDeviceName><blockDeviceMapping/>" +
		"<capacityReservationSpecification><capacityReservationPreference>open</capacityReservationPreference>" +
		"</capacityReservationSpecification><hibernationOptions><configured>false</configured></hibernationOptions>" +
		"<enclaveOptions><enabled>false</enabled></enclaveOptions><secondaryInterfaceSet/>" +
		"<platformDetails>" + platformDetails + "</platformDetails><usageOperation>" + usageOperation + "</usageOperation>" +
		"<privateDnsNameOptions><hostnameType>" + hostnameType + "</hostnameType>" +
		"<enableResourceNameDnsARecord>false</enableResourceNameDnsARecord>" +
		"<enableResourceNameDnsAAAARecord>false</enableResourceNameDnsAAAARecord></privateDnsNameOptions>" +
		"<maintenanceOptions><autoRecovery>default</autoRecovery><rebootMigration>default</rebootMigration></maintenanceOptions>" +
		"<networkPerformanceOptions><bandwidthWeighting>default</bandwidthWeighting></networkPerformanceOptions>"
)

type reservationXML struct {
	ID        string           `xml:"reservationId"`
	OwnerID   string           `xml:"ownerId"`
	Groups    set[groupXML]    `xml:"groupSet"`
	Instances set[instanceXML] `xml:"instancesSet"`
}

type stateXML struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

func (s instanceState) xml() stateXML { return stateXML{Code: s.code, Name: s.name} }

type instanceXML struct {
	ID              string             `xml:"instanceId"`
	ImageID         string             `xml:"imageId"`
	State           stateXML           `xml:"instanceState"`
	PrivateDNSName  string             `xml:"privateDnsName"`
	DNSName         string             `xml:"dnsName"`
	Reason          string             `xml:"reason"`
	KeyName         string             `xml:"keyName,omitempty"`
	LaunchIndex     int                `xml:"amiLaunchIndex"`
	Type            string             `xml:"instanceType"`
	LaunchTime      string             `xml:"launchTime"`
	Placement       placementXML       `xml:"placement"`
	Monitoring      string             `xml:"monitoring>state"`
	SubnetID        string             `xml:"subnetId,omitempty"`
	VPCID           string             `xml:"vpcId,omitempty"`
	PrivateAddress  string             `xml:"privateIpAddress,omitempty"`
	SourceDestCheck *bool              `xml:"sourceDestCheck"`
	Groups          set[groupXML]      `xml:"groupSet"`
	StateReason     *stateReasonXML    `xml:"stateReason"`
	Architecture    string             `xml:"architecture"`
	Virtualization  string             `xml:"virtualizationType"`
	ClientToken     string             `xml:"clientToken"`
	Tags            set[tagXML]        `xml:"tagSet"`
	Hypervisor      string             `xml:"hypervisor"`
	Interfaces      set[any]           `xml:"networkInterfaceSet"` // of instanceENIXML, or stubs
	EBSOptimized    bool               `xml:"ebsOptimized"`
	ENASupport      bool               `xml:"enaSupport"`
	Operator        operatorXML        `xml:"operator"`
	Metadata        metadataOptionsXML `xml:"metadataOptions"`
	CPU             *cpuOptionsXML     `xml:"cpuOptions"`
	BootMode        string             `xml:"currentInstanceBootMode"`
	UsageSince      string             `xml:"usageOperationUpdateTime"`
	// Rest is what is the same for all.
	Rest string `xml:",innerxml"`
}

type placementXML struct {
	Zone    string `xml:"availabilityZone"`
	ZoneID  string `xml:"availabilityZoneId"`
	Group   string `xml:"groupName"`
	Tenancy string `xml:"tenancy"`
}

type stateReasonXML struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

// instanceENIXML is an ENI as its instance shows it.
type instanceENIXML struct {
	ID              string                   `xml:"networkInterfaceId"`
	SubnetID        string                   `xml:"subnetId"`
	VPCID           string                   `xml:"vpcId"`
	Description     string                   `xml:"description"`
	OwnerID         string                   `xml:"ownerId"`
	Status          string                   `xml:"status"`
	MAC             string                   `xml:"macAddress"`
	PrivateAddress  string                   `xml:"privateIpAddress"`
	PrivateDNSName  string                   `xml:"privateDnsName,omitempty"`
	SourceDestCheck bool                     `xml:"sourceDestCheck"`
	Groups          set[groupXML]            `xml:"groupSet"`
	Attachment      instanceENIAttachmentXML `xml:"attachment"`
	Addresses       set[addressXML]          `xml:"privateIpAddressesSet"`
	Prefixes        *set[ipv4PrefixXML]      `xml:"ipv4PrefixSet"`
	IPv6Addresses   set[string]              `xml:"ipv6AddressesSet"`
	InterfaceType   string                   `xml:"interfaceType"`
	Operator        operatorXML              `xml:"operator"`
}

// instanceENIStubXML is what is left of an ENI while its instance terminates.
type instanceENIStubXML struct {
	ID         string                   `xml:"networkInterfaceId"`
	OwnerID    string                   `xml:"ownerId"`
	Status     string                   `xml:"status"`
	Attachment instanceENIAttachmentXML `xml:"attachment"`
}

type instanceENIAttachmentXML struct {
	ID                  string `xml:"attachmentId"`
	DeviceIndex         int    `xml:"deviceIndex"`
	NetworkCardIndex    int    `xml:"networkCardIndex"`
	Status              string `xml:"status"`
	AttachTime          string `xml:"attachTime"`
	DeleteOnTermination bool   `xml:"deleteOnTermination"`
}

// reservationsXML groups instances by the call that launched them.
func (r *region) reservationsXML(rows []*instance) set[reservationXML] {
	var view set[reservationXML]
	index := make(map[*reservation]int)
	for _, i := range rows {
		at, ok := index[i.reservation]
		if !ok {
			at = len(view.Items)
			index[i.reservation] = at
			view.add(reservationXML{ID: i.reservation.id, OwnerID: r.account})
		}
		view.Items[at].Instances.add(i.xml(r))
	}
	return view
}

func (i *instance) xml(r *region) instanceXML {
	view := instanceXML{
		ID:             i.id,
		ImageID:        i.imageID,
		State:          i.state.xml(),
		PrivateDNSName: i.privateDNSName(r),
		Reason:         i.reason,
		KeyName:        i.keyName,
		LaunchIndex:    i.launchIndex,
		Type:           i.kind.id,
		LaunchTime:     timestamp(i.launchTime),
		Placement:      placementXML{Zone: i.subnet.zone.name, ZoneID: i.subnet.zone.id, Group: i.options.placementGroup, Tenancy: defaultTenancy},
		Monitoring:     i.monitoringState(),
		PrivateAddress: i.privateAddress(),
		Groups:         groupsXML(i.groups()),
		Architecture:   i.kind.architecture(),
		Virtualization: virtualization,
		ClientToken:    i.clientToken,
		Tags:           r.tagsXML(i.tags),
		Hypervisor:     instanceHypervisor,
		EBSOptimized:   i.ebsOptimized,
		ENASupport:     i.kind.nitro(),
		Operator:       i.operator.xml(),
		Metadata:       i.options.metadata,
		CPU:            i.options.cpu,
		BootMode:       i.kind.bootMode(),
		UsageSince:     timestamp(i.launchTime),
		Rest:           instanceRest,
	}
	if i.reasonCode != "" {
		view.StateReason = &stateReasonXML{Code: i.reasonCode, Message: i.reasonMessage()}
	}
	if !i.ending {
		check := i.primarySourceDestCheck()
		view.SourceDestCheck = &check
		view.SubnetID, view.VPCID = i.subnet.id, i.subnet.vpc.id
	}
	if i.state != stateTerminated {
		view.Interfaces = setOf(i.shownAttachments(r), func(a *attachment) any { return a.ofInstance(r) })
	}
	return view
}

// ofInstance shows an attached ENI from the instance's side, and only a stub of it
// where the instance has lost its network.
func (a *attachment) ofInstance(r *region) any {
	view := a.xml(r)
	if !a.instance.ending {
		return view
	}
	return instanceENIStubXML{ID: view.ID, OwnerID: view.OwnerID, Status: view.Status, Attachment: view.Attachment}
}

// xml shows an attached ENI from the instance's side.
func (a *attachment) xml(r *region) instanceENIXML {
	e := a.eni.xml(r)
	return instanceENIXML{
		ID:              e.ID,
		SubnetID:        e.SubnetID,
		VPCID:           e.VPCID,
		Description:     e.Description,
		OwnerID:         e.OwnerID,
		Status:          e.Status,
		MAC:             e.MAC,
		PrivateAddress:  e.PrivateAddress,
		PrivateDNSName:  e.PrivateDNSName,
		SourceDestCheck: e.SourceDestCheck,
		Groups:          e.Groups,
		Attachment: instanceENIAttachmentXML{
			ID:                  e.Attachment.ID,
			DeviceIndex:         e.Attachment.DeviceIndex,
			NetworkCardIndex:    e.Attachment.NetworkCardIndex,
			Status:              e.Attachment.Status,
			AttachTime:          e.Attachment.AttachTime,
			DeleteOnTermination: e.Attachment.DeleteOnTermination,
		},
		Addresses:     e.Addresses,
		Prefixes:      e.Prefixes,
		InterfaceType: e.InterfaceType,
		Operator:      e.Operator,
	}
}
