package emulator

import (
	"cmp"
	"slices"
)

// readLaunchInterfaces reads the ENIs of a launch, ordered by network card and
// device index: those specified one by one, or the one that the instance's own
// subnet, groups and address describe.
func (r *region) readLaunchInterfaces(q *request, tags map[string]string) ([]launchInterface, error) {
	items := q.structs("NetworkInterface")
	if len(items) == 0 {
		nic, err := r.readPlainInterface(q, tags)
		return []launchInterface{nic}, err
	}
	for name, text := range map[string]string{
		"SubnetId":          "an instance-level subnet ID",
		"SecurityGroupId.1": "instance-level security groups",
		"PrivateIpAddress":  "an instance-level private IP address",
	} {
		if _, given := q.lookup(name); given {
			return nil, invalidCombination("Network interfaces and %s may not be specified on the same request", text)
		}
	}
	zoneName := q.text("Placement.AvailabilityZone")
	var nics []launchInterface
	for _, item := range items {
		nic, err := r.readLaunchInterface(item, zoneName, tags)
		if err := firstError(item.form.err, err); err != nil {
			return nil, err
		}
		nics = append(nics, nic)
	}
	slices.SortStableFunc(nics, func(a, b launchInterface) int {
		return cmp.Or(cmp.Compare(a.card, b.card), cmp.Compare(a.device, b.device))
	})
	return nics, checkLaunchInterfaces(nics, zoneName)
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
			return invalidCombination("You may not attach a network interface to an instance " +
				"if they are not in the same availability zone")
		}
	}
	return nil
}

// readPlainInterface reads the primary ENI of a request that specifies none.
func (r *region) readPlainInterface(q *request, tags map[string]string) (launchInterface, error) {
	nic := launchInterface{deleteOnTermination: true, spec: eniSpec{tags: tags}}
	zoneName := q.text("Placement.AvailabilityZone")
	subnetID, groupIDs := q.text("SubnetId"), q.list("SecurityGroupId")
	if address := q.text("PrivateIpAddress"); address != "" {
		nic.spec.slots.primary = readAddress(q.params, address)
		q.rejectUnless(q.integer("MaxCount", 1, 1) == 1, invalidCombination(
			"A private IP address may not be specified when launching more than one instance"))
	}
	if err := q.check(); err != nil {
		return nic, err
	}
	var err error
	if nic.spec.subnet, err = r.launchSubnet(subnetID, zoneName); err != nil {
		return nic, err
	}
	if nic.spec.groups, err = r.groupsFor(nic.spec.subnet, groupIDs); err != nil {
		return nic, err
	}
	return nic, checkLaunchInterfaces([]launchInterface{nic}, zoneName)
}

// readLaunchInterface reads one NetworkInterface.N.
func (r *region) readLaunchInterface(p params, zoneName string, tags map[string]string) (launchInterface, error) {
	nic := launchInterface{device: p.integer("DeviceIndex", 0, 0), card: p.integer("NetworkCardIndex", 0, 0)}
	nic.deleteOnTermination = p.boolean("DeleteOnTermination", true)
	p.rejectUnless(!p.boolean("AssociatePublicIpAddress", false), unsupported("Public IP addresses are not supported"))
	kind := p.text("InterfaceType")
	p.rejectUnless(kind == "" || kind == interfaceType, unsupported("The interface type '%s' is not supported", kind))
	if id := p.text("NetworkInterfaceId"); id != "" {
		return r.readExistingInterface(p, nic, id)
	}
	nic.spec = eniSpec{description: p.text("Description"), slots: readSlots(p), tags: tags}
	subnetID, groupIDs := p.text("SubnetId"), p.list("SecurityGroupId")
	var err error
	if nic.spec.subnet, err = r.launchSubnet(subnetID, zoneName); err != nil {
		return nic, err
	}
	nic.spec.groups, err = r.groupsFor(nic.spec.subnet, groupIDs)
	return nic, err
}

// readExistingInterface finds the ENI that a NetworkInterface.N names. It
// outlives the instance unless told otherwise.
func (r *region) readExistingInterface(p params, nic launchInterface, id string) (launchInterface, error) {
	nic.deleteOnTermination = p.boolean("DeleteOnTermination", false)
	var err error
	if nic.existing, err = r.eni(id); err != nil {
		return nic, err
	}
	if nic.existing.attachment != nil {
		return nic, eniInUse(id)
	}
	return nic, nil
}

// launchSubnet finds the subnet named, or else the default subnet of a zone.
func (r *region) launchSubnet(id, zoneName string) (*subnet, error) {
	if id != "" {
		return r.subnet(id)
	}
	if zoneName != "" {
		if _, err := r.zone(zoneName); err != nil {
			return nil, invalidValue("Invalid availability zone: [%s]", zoneName)
		}
	}
	return r.defaultSubnet(zoneName)
}
