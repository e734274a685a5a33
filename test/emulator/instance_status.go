/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import "strconv"

// What the checks of an instance's health show.
const (
	statusOK            = "ok"
	statusNotApplicable = "not-applicable"
	reachable           = "passed"
)

// health is what the checks show: an emulated instance is well as soon as it runs.
func (i *instance) health() string {
	if i.state == stateRunning {
		return statusOK
	}
	return statusNotApplicable
}

// reachability is empty where an instance does not run.
func (i *instance) reachability() string {
	if i.state == stateRunning {
		return reachable
	}
	return ""
}

var instanceStatusFilters = filterSet[*instance]{
	"availability-zone":            one(func(i *instance) string { return i.subnet.zone.name }),
	"availability-zone-id":         one(func(i *instance) string { return i.subnet.zone.id }),
	"attached-ebs-status.status":   one((*instance).health),
	"instance-state-code":          one(func(i *instance) string { return strconv.Itoa(i.state.code) }),
	"instance-state-name":          one(func(i *instance) string { return i.state.name }),
	"instance-status.reachability": one((*instance).reachability),
	"instance-status.status":       one((*instance).health),
	"operator.managed":             one(func(i *instance) string { return formatBool(i.operator.managed()) }),
	"operator.principal":           principalOf(func(i *instance) operator { return i.operator }),
	"system-status.reachability":   one((*instance).reachability),
	"system-status.status":         one((*instance).health),

	"application-status.status": nil,
	"event.code":                nil,
	"event.description":         nil,
	"event.instance-event-id":   nil,
	"event.not-after":           nil,
	"event.not-before":          nil,
	"event.not-before-deadline": nil,
}

type describeInstanceStatusResult struct {
	reply
	Statuses  set[instanceStatusXML] `xml:"instanceStatusSet"`
	NextToken string                 `xml:"nextToken,omitempty"`
}

// describeInstanceStatus shows the health of running instances, or of all.
func describeInstanceStatus(r *region, q *request) (result, error) {
	r.includeManaged = q.boolean("IncludeManagedResources", false)
	all := q.boolean("IncludeAllInstances", false)
	l := readListing(r, q, "InstanceId", "InstanceIds", instanceStatusFilters)
	if err := q.check(); err != nil {
		return nil, err
	}
	if _, err := r.findInstances(q, l.ids); err != nil {
		return nil, err
	}
	matches := l.match
	l.match = func(i *instance) bool {
		return i.listed(r) && (all || i.state == stateRunning) && matches(i)
	}
	rows, token, err := l.rows(r, r.instances, r.instance)
	if err != nil {
		return nil, err
	}
	return &describeInstanceStatusResult{Statuses: setOf(rows, (*instance).statusXML), NextToken: token}, nil
}

type instanceStatusXML struct {
	ID       string      `xml:"instanceId"`
	Zone     string      `xml:"availabilityZone"`
	ZoneID   string      `xml:"availabilityZoneId"`
	Operator operatorXML `xml:"operator"`
	State    stateXML    `xml:"instanceState"`
	System   healthXML   `xml:"systemStatus"`
	Instance healthXML   `xml:"instanceStatus"`
	Volumes  healthXML   `xml:"attachedEbsStatus"`
}

type healthXML struct {
	Status  string                `xml:"status"`
	Details *set[healthDetailXML] `xml:"details"`
}

type healthDetailXML struct {
	Name   string `xml:"name"`
	Status string `xml:"status"`
}

func (i *instance) statusXML() instanceStatusXML {
	checks := healthXML{Status: i.health()}
	if reachability := i.reachability(); reachability != "" {
		checks.Details = &set[healthDetailXML]{}
		checks.Details.add(healthDetailXML{Name: "reachability", Status: reachability})
	}
	return instanceStatusXML{
		ID:       i.id,
		Zone:     i.subnet.zone.name,
		ZoneID:   i.subnet.zone.id,
		Operator: i.operator.xml(),
		State:    i.state.xml(),
		System:   checks,
		Instance: checks,
		Volumes:  checks,
	}
}
