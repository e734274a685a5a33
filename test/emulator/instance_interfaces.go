/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"slices"
)

// launchInterface is an ENI of each instance launched: a new one, or one that
// exists.
type launchInterface struct {
	spec                eniSpec
	existing            *eni
	device, card        int
	deleteOnTermination bool
}

// subnet is where the ENI is or will be.
func (l launchInterface) subnet() *subnet {
	if l.existing != nil {
		return l.existing.subnet
	}
	return l.spec.subnet
}

// interfaceRequest is a launchInterface as RunInstances asks for it, with ids.
type interfaceRequest struct {
	eniID, subnetID, description string
	groupIDs                     []string
	requester                    string
	slots                        slotRequest
	device, card                 int
	deleteOnTermination          bool
}

// readInterfaceRequests reads the ENIs of a launch: those specified one by one,
// or the one that the instance's own subnet, groups and address describe.
func readInterfaceRequests(q *request) []interfaceRequest {
	plain := interfaceRequest{
		subnetID:            q.text("SubnetId"),
		groupIDs:            q.list("SecurityGroupId"),
		requester:           principalID(q.caller),
		deleteOnTermination: true,
	}
	address := q.text("PrivateIpAddress")
	if address != "" {
		plain.slots.primary = readAddress(q.params, address)
	}
	var requests []interfaceRequest
	for _, item := range q.structs("NetworkInterface") {
		request := readInterfaceRequest(item)
		request.requester = plain.requester
		requests = append(requests, request)
	}
	if len(requests) == 0 {
		return []interfaceRequest{plain}
	}
	const conflict = "Network interfaces and an instance-level %s may not be specified on the same request"
	q.rejectUnless(plain.subnetID == "", invalidCombination(conflict, "subnet ID"))
	q.rejectUnless(len(plain.groupIDs) == 0, invalidCombination(conflict, "security group"))
	q.rejectUnless(address == "", invalidCombination(conflict, "private IP address"))
	return requests
}

// readInterfaceRequest reads one NetworkInterface.N. An ENI that exists
// outlives the instance unless told otherwise, a new one does not.
func readInterfaceRequest(p params) interfaceRequest {
	kind := p.text("InterfaceType")
	p.rejectUnless(kind == "" || kind == interfaceType, unsupported("The interface type '%s' is not supported", kind))
	p.rejectUnless(!p.boolean("AssociatePublicIpAddress", false), unsupported("Public IP addresses are not supported"))
	eniID := p.text("NetworkInterfaceId")
	p.rejectUnless(eniID == "" || !p.boolean("DeleteOnTermination", false), invalidCombination(
		"A network interface may not specify both a network interface ID and delete on termination as true"))
	return interfaceRequest{
		eniID:               eniID,
		subnetID:            p.text("SubnetId"),
		description:         readENIDescription(p, "Description"),
		groupIDs:            p.list("SecurityGroupId"),
		slots:               readSlots(p),
		device:              p.integer("DeviceIndex", 0, 0),
		card:                p.integer("NetworkCardIndex", 0, 0),
		deleteOnTermination: p.boolean("DeleteOnTermination", eniID == ""),
	}
}

// isNamed tells whether an ENI or an address is asked for by name, of which
// there is only one.
func (n interfaceRequest) isNamed() bool {
	return n.eniID != "" || len(n.slots.named()) > 0
}

// launchInterfaces finds what the requests name, and orders the ENIs by network
// card and device index. New ENIs get the tags.
func (r *region) launchInterfaces(requests []interfaceRequest, zoneName string, tags map[string]string) ([]launchInterface, error) {
	var nics []launchInterface
	for _, request := range requests {
		nic, err := r.launchInterface(request, zoneName)
		if err != nil {
			return nil, err
		}
		nic.spec.tags = tags
		nics = append(nics, nic)
	}
	slices.SortStableFunc(nics, func(a, b launchInterface) int {
		return cmp.Or(cmp.Compare(a.card, b.card), cmp.Compare(a.device, b.device))
	})
	return nics, checkLaunchInterfaces(nics, zoneName)
}

func (r *region) launchInterface(n interfaceRequest, zoneName string) (nic launchInterface, err error) {
	nic = launchInterface{device: n.device, card: n.card, deleteOnTermination: n.deleteOnTermination}
	if n.eniID != "" {
		nic.existing, err = r.eni(n.eniID)
		return nic, err
	}
	nic.spec = eniSpec{description: n.description, slots: n.slots, requester: n.requester}
	if nic.spec.subnet, err = r.launchSubnet(n.subnetID, zoneName); err != nil {
		return nic, err
	}
	nic.spec.groups, err = r.groupsFor(nic.spec.subnet, n.groupIDs, foreignToRun)
	return nic, err
}

func checkLaunchInterfaces(nics []launchInterface, zoneName string) error {
	if nics[0].device != 0 || nics[0].card != 0 {
		return invalidCombination("A primary network interface with device index 0 must be specified")
	}
	zone := nics[0].subnet().zone
	if zoneName != "" && zoneName != zone.name {
		return invalidValue("The availability zone '%s' does not match that of subnet %s", zoneName, nics[0].subnet().id)
	}
	for _, nic := range nics {
		if nic.subnet().zone != zone {
			return differentZones()
		}
		if nic.existing != nil && nic.existing.attachment != nil {
			return eniInUse(nic.existing.id)
		}
	}
	return nil
}

// launchSubnet finds the subnet named, or else the default subnet of a zone.
func (r *region) launchSubnet(id, zoneName string) (*subnet, error) {
	if id != "" {
		return r.subnet(id)
	}
	if zoneName != "" && !slices.Contains(r.zoneNames(), zoneName) {
		return nil, invalidValue("Invalid availability zone: [%s]", zoneName)
	}
	return r.defaultSubnet(zoneName)
}
