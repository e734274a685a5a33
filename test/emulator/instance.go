/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// instance is an instance, as far as its network is concerned.
type instance struct {
	record
	reservation  *reservation
	launchIndex  int
	kind         *instanceType
	imageID      string
	keyName      string
	ebsOptimized bool
	monitoring   bool
	clientToken  string
	options      instanceOptions
	launchTime   time.Time
	subnet       *subnet
	// address is the primary private address; none once terminated.
	address netip.Addr
	state   instanceState
	// changes counts state changes, so that a planned one is not applied after
	// another overtook it.
	changes int
	// ending is true from the moment at which a terminating instance has lost its
	// network: it shows no subnet, groups or address, and its ENIs as stubs.
	ending     bool
	reason     string
	reasonCode string
	// attachments are ordered by network card and device index.
	attachments []*attachment
	// ghosts are attachments that are gone but that stale reads still show.
	ghosts []*attachment
	// sick makes detaching slow, and hanging attaching endless.
	sick, hanging bool
	operator      operator
}

// reservation is one call of RunInstances.
type reservation struct {
	id string
}

type instanceState struct {
	code int
	name string
}

var (
	statePending      = instanceState{0, "pending"}
	stateRunning      = instanceState{16, "running"}
	stateShuttingDown = instanceState{32, "shutting-down"}
	stateTerminated   = instanceState{48, "terminated"}
	stateStopping     = instanceState{64, "stopping"}
	stateStopped      = instanceState{80, "stopped"}
)

// instance finds an instance that must exist; terminated ones do for a while.
func (r *region) instance(id string) (*instance, error) {
	if !wellFormed("i", id) {
		return nil, malformed("InvalidInstanceID.Malformed", "i", id)
	}
	if i, ok := r.instances.get(id); ok {
		return i, nil
	}
	return nil, instanceNotFound(id)
}

// findInstances finds several instances, all of which must exist. The error
// names all that do not.
func (r *region) findInstances(q *request, ids []string) ([]*instance, error) {
	var rows []*instance
	var unknown []string
	for _, id := range ids {
		if !wellFormed("i", id) {
			return nil, malformed("InvalidInstanceID.Malformed", "i", id)
		}
		if i, ok := r.instances.get(id); ok && (q.mutating || i.listed(r)) {
			rows = append(rows, i)
		} else {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		return nil, instanceNotFound(unknown...)
	}
	return rows, nil
}

// listed reports whether Describe actions show an instance.
func (i *instance) listed(r *region) bool { return r.includeManaged || !i.operator.hidden }

// groups are the security groups of the primary ENI.
func (i *instance) groups() []*securityGroup {
	if len(i.attachments) == 0 || i.ending {
		return nil
	}
	return i.attachments[0].eni.groups
}

// shownAttachments are the attachments that reads show.
func (i *instance) shownAttachments(r *region) []*attachment {
	return slices.DeleteFunc(slices.Concat(i.attachments, i.ghosts), func(a *attachment) bool {
		return !a.eni.listed(r) || a.eni.shownAttachment() != a
	})
}

func (i *instance) primarySourceDestCheck() bool {
	return len(i.attachments) > 0 && !i.ending && i.attachments[0].eni.sourceDestCheck
}

func (i *instance) privateAddress() string {
	if !i.address.IsValid() {
		return ""
	}
	return i.address.String()
}

func (i *instance) privateDNSName(r *region) string {
	if !i.address.IsValid() {
		return ""
	}
	return r.dnsName(i.address)
}

// reasonMessage explains reasonCode.
func (i *instance) reasonMessage() string {
	if i.reasonCode == "" {
		return ""
	}
	return i.reasonCode + ": User initiated shutdown"
}

func (i *instance) monitoringState() string {
	if i.monitoring {
		return "enabled"
	}
	return "disabled"
}

// instanceFilters are the filters of DescribeInstances. Those of its ENIs are
// eniFilters under another name, and optionFilters those without a part in the network.
var instanceFilters = withENIFilters(filterSet[*instance]{
	"architecture":         one(func(i *instance) string { return i.kind.architecture() }),
	"availability-zone":    one(func(i *instance) string { return i.subnet.zone.name }),
	"availability-zone-id": one(func(i *instance) string { return i.subnet.zone.id }),
	"client-token":         one(func(i *instance) string { return i.clientToken }),
	"ebs-optimized":        one(func(i *instance) string { return formatBool(i.ebsOptimized) }),
	"hypervisor":           constant[*instance](instanceHypervisor),
	"image-id":             one(func(i *instance) string { return i.imageID }),
	"instance-id":          idOf[*instance],
	"instance-state-code":  one(func(i *instance) string { return strconv.Itoa(i.state.code) }),
	"instance-state-name":  one(func(i *instance) string { return i.state.name }),
	"instance-type":        one(func(i *instance) string { return i.kind.id }),
	"instance.group-id":    ofGroups(func(g *securityGroup) string { return g.id }),
	"instance.group-name":  ofGroups(func(g *securityGroup) string { return g.name }),
	"key-name":             one(func(i *instance) string { return i.keyName }),
	"launch-index":         one(func(i *instance) string { return strconv.Itoa(i.launchIndex) }),
	"launch-time":          one(func(i *instance) string { return timestamp(i.launchTime) }),
	"monitoring-state":     one((*instance).monitoringState),
	"operator.managed":     one(func(i *instance) string { return formatBool(i.operator.managed()) }),
	"operator.principal":   principalOf(func(i *instance) operator { return i.operator }),
	"owner-id":             ownAccount[*instance],
	"private-dns-name":     func(r *region, i *instance) []string { return []string{i.privateDNSName(r)} },
	"private-ip-address":   one((*instance).privateAddress),
	"reason":               one(func(i *instance) string { return i.reason }),
	"reservation-id":       one(func(i *instance) string { return i.reservation.id }),
	"source-dest-check":    one(func(i *instance) string { return formatBool(i.primarySourceDestCheck()) }),
	"state-reason-code":    one(func(i *instance) string { return i.reasonCode }),
	"subnet-id":            ofNetwork(func(s *subnet) string { return s.id }),
	"tag-key":              tagKeys[*instance],
	"tag-value":            tagValues[*instance],
	"tenancy":              constant[*instance](defaultTenancy),
	"virtualization-type":  constant[*instance](virtualization),
	"vpc-id":               ofNetwork(func(s *subnet) string { return s.vpc.id }),
})

// ofNetwork is a filter on the subnet of an instance that has not lost it.
func ofNetwork(value func(*subnet) string) func(*region, *instance) []string {
	return func(_ *region, i *instance) []string {
		if i.ending {
			return nil
		}
		return []string{value(i.subnet)}
	}
}

func ofGroups(value func(*securityGroup) string) func(*region, *instance) []string {
	return func(_ *region, i *instance) []string {
		var values []string
		for _, g := range i.groups() {
			values = append(values, value(g))
		}
		return values
	}
}

// withENIFilters adds optionFilters, and each filter of ENIs as network-interface.NAME.
func withENIFilters(filters filterSet[*instance]) filterSet[*instance] {
	maps.Copy(filters, optionFilters)
	for name, values := range eniFilters {
		filters["network-interface."+name] = ofENIs(values)
	}
	return filters
}

func ofENIs(values func(*region, *eni) []string) func(*region, *instance) []string {
	if values == nil {
		return nil
	}
	return func(r *region, i *instance) []string {
		var all []string
		for _, a := range i.shownAttachments(r) {
			all = append(all, values(r, a.eni)...)
		}
		return all
	}
}

type describeInstancesResult struct {
	reply
	Reservations set[reservationXML] `xml:"reservationSet"`
	NextToken    string              `xml:"nextToken,omitempty"`
}

func describeInstances(r *region, q *request) (result, error) {
	r.includeManaged = q.boolean("IncludeManagedResources", false)
	l := readListing(r, q, "InstanceId", "InstancesSet", instanceFilters)
	if err := q.check(); err != nil {
		return nil, err
	}
	if _, err := r.findInstances(q, l.ids); err != nil {
		return nil, err
	}
	matches := l.match
	l.match = func(i *instance) bool { return i.listed(r) && matches(i) }
	rows, token, err := l.rows(r, r.instances, r.instance)
	if err != nil {
		return nil, err
	}
	return &describeInstancesResult{Reservations: r.reservationsXML(rows), NextToken: token}, nil
}
