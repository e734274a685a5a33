/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// launch is a call of RunInstances.
type launch struct {
	imageID, keyName string
	kind             *instanceType
	least, most      int
	ebsOptimized     bool
	monitoring       bool
	clientToken      string
	instanceTags     map[string]string
	options          instanceOptions
	interfaces       []launchInterface
}

// defaultInstanceType is what EC2 launches when no type is named.
const defaultInstanceType = "m1.small"

func runInstances(r *region, q *request) (result, error) {
	l, err := r.readLaunch(q)
	if err != nil {
		return nil, err
	}
	if past := r.recall(q, l.clientToken); past != nil {
		return r.replayRun(q, past)
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	rows, err := r.launch(l)
	if err != nil {
		return nil, err
	}
	for _, i := range rows {
		q.created = append(q.created, i.id)
	}
	r.remember(q, l.clientToken, clientToken{id: rows[0].reservation.id, arguments: canonical(q.values), answer: rows})
	return r.runResult(rows), nil
}

// replayRun answers a launch that was made before.
func (r *region) replayRun(q *request, past *clientToken) (result, error) {
	if past.arguments != canonical(q.values) {
		return nil, tokenMismatch("Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	rows := past.answer.([]*instance)
	if slices.ContainsFunc(rows, func(i *instance) bool { return i.state == stateTerminated }) {
		return nil, fail("IdempotentInstanceTerminated", "The instance of client token %s is terminated.", past.token)
	}
	return r.runResult(rows), nil
}

type runInstancesResult struct {
	reply
	reservationXML
}

func (r *region) runResult(rows []*instance) *runInstancesResult {
	return &runInstancesResult{reservationXML: r.reservationsXML(rows).Items[0]}
}

// readLaunch reads the parameters that matter to the network, and a few that
// change nothing here but are shown again.
func (r *region) readLaunch(q *request) (launch, error) {
	q.required("MinCount")
	q.required("MaxCount")
	q.ignore(launchOptions...)
	l := launch{
		imageID:      q.required("ImageId"),
		keyName:      q.text("KeyName"),
		kind:         r.readInstanceType(q),
		least:        q.integer("MinCount", 1, 1),
		most:         q.integer("MaxCount", 1, 1),
		ebsOptimized: q.boolean("EbsOptimized", false),
		monitoring:   q.boolean("Monitoring.Enabled", false),
		clientToken:  readClientToken(q),
		options:      readInstanceOptions(q),
	}
	q.rejectUnless(strings.HasPrefix(l.imageID, "ami-"), malformed("InvalidAMIID.Malformed", "ami", l.imageID))
	q.rejectUnless(l.least <= l.most, invalidCombination(
		"MinCount (%d) may not be greater than MaxCount (%d)", l.least, l.most))
	zoneName := r.readLaunchZone(q)
	tags := r.readTagSpecifications(q, "instance", "network-interface")
	l.instanceTags = tags["instance"]
	requests := readInterfaceRequests(q)
	q.rejectUnless(l.most == 1 || !slices.ContainsFunc(requests, interfaceRequest.isNamed), invalidCombination(
		"Network interfaces and private IP addresses may not be specified when launching more than one instance"))
	isNew := func(n interfaceRequest) bool { return n.eniID == "" }
	q.rejectUnless(tags["network-interface"] == nil || slices.ContainsFunc(requests, isNew), invalidValue(
		"You cannot specify tags for network interfaces if there are no network interfaces being created by the request"))
	if err := q.check(); err != nil {
		return l, err
	}
	var err error
	l.interfaces, err = r.launchInterfaces(requests, zoneName, tags["network-interface"])
	return l, err
}

// launchOptions are the parameters of RunInstances that have no part in the network.
var launchOptions = []string{
	"AdditionalInfo", "BlockDeviceMapping", "CapacityReservationSpecification", "CreditSpecification", "EnclaveOptions",
	"HibernationOptions", "IamInstanceProfile", "LicenseSpecification", "MaintenanceOptions", "NetworkPerformanceOptions",
	"PrivateDnsNameOptions",
}

// readLaunchZone reads the name of the zone in which to launch, which may be given by
// its id; empty where none is given.
func (r *region) readLaunchZone(q *request) string {
	name, id := q.text("Placement.AvailabilityZone"), q.text("Placement.AvailabilityZoneId")
	if id == "" {
		return name
	}
	z, err := r.zoneByID(id)
	q.rejectUnless(err == nil, invalidValue("Invalid availability zone-id: [%s]", id))
	q.rejectUnless(name == "", invalidCombination("AvailabilityZone and AvailabilityZoneId may not be specified together"))
	return z.name
}

func (r *region) readInstanceType(q *request) *instanceType {
	name := cmp.Or(q.text("InstanceType"), defaultInstanceType)
	kind, ok := r.types.get(name)
	q.rejectUnless(ok, invalidValue("Invalid value '%s' for InstanceType.", name))
	return kind
}

// launch creates instances, as many as there is room for between the least and
// the most wanted. Where it fails nothing has changed.
func (r *region) launch(l launch) ([]*instance, error) {
	res := &reservation{id: r.ids.next("r")}
	var rows []*instance
	for len(rows) < l.most {
		i, err := r.launchOne(l, res, len(rows))
		if err == nil {
			rows = append(rows, i)
			continue
		}
		if len(rows) >= l.least {
			break
		}
		for _, launched := range rows {
			r.undoLaunch(launched, l)
		}
		return nil, err
	}
	return rows, nil
}

func (r *region) launchOne(l launch, res *reservation, index int) (*instance, error) {
	i := &instance{
		record:       r.newRecord("i", maps.Clone(l.instanceTags)),
		reservation:  res,
		launchIndex:  index,
		kind:         l.kind,
		imageID:      l.imageID,
		keyName:      l.keyName,
		ebsOptimized: l.ebsOptimized,
		monitoring:   l.monitoring,
		clientToken:  l.clientToken,
		options:      l.options,
		launchTime:   r.now,
		subnet:       l.interfaces[0].subnet(),
	}
	r.instances.add(i)
	for _, nic := range l.interfaces {
		if err := r.launchENI(i, nic); err != nil {
			r.undoLaunch(i, l)
			return nil, err
		}
	}
	i.address = i.attachments[0].eni.primary()
	r.start(i)
	return i, nil
}

// launchENI attaches an ENI to an instance that is being launched.
func (r *region) launchENI(i *instance, nic launchInterface) error {
	e := nic.existing
	if e == nil {
		spec := nic.spec
		spec.tags = maps.Clone(spec.tags)
		var err error
		if e, err = r.newENI(spec); err != nil {
			return err
		}
		e.pending, e.hiddenUntil = false, r.now
	}
	if err := i.checkPlace(e, nic.device, nic.card); err != nil {
		if nic.existing == nil {
			r.removeENI(e)
		}
		return err
	}
	r.attach(e, i, nic.device, nic.card).deleteOnTermination = nic.deleteOnTermination
	return nil
}

// undoLaunch removes an instance that was launched in this call.
func (r *region) undoLaunch(i *instance, l launch) {
	for n, a := range slices.Clone(i.attachments) {
		r.unlink(a, 0)
		if l.interfaces[n].existing == nil {
			r.removeENI(a.eni)
		}
	}
	i.changes++ // drops the planned start
	r.instances.remove(i)
}
