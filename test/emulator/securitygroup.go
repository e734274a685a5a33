/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"fmt"
	"regexp"
)

// securityGroup is a security group. Its rules are not modelled: every group
// shows the rules of a new one, which let everything out and nothing in, but for what
// comes from the default group itself.
type securityGroup struct {
	record
	vpc         *vpc
	name        string
	description string
	arn         string
	// interfaces is the number of ENIs in the group.
	interfaces int
}

const defaultGroupName = "default"

func (r *region) addGroup(v *vpc, name, description string, tags map[string]string) *securityGroup {
	g := &securityGroup{record: r.newRecord("sg", tags), vpc: v, name: name, description: description}
	g.arn = fmt.Sprintf("arn:aws:ec2:%s:%s:security-group/%s", r.name, r.account, g.id)
	r.groups.add(g)
	return g
}

// group finds a security group that must exist.
func (r *region) group(id string) (*securityGroup, error) {
	return mustExist(r.groups, id, groupRefusal)
}

// groupsFor finds the security groups that an ENI in a subnet is to have: those
// named, which must belong to its VPC, or the VPC's default group.
// Foreign is the caller's error for a group of another VPC.
func (r *region) groupsFor(s *subnet, ids []string, foreign func(*securityGroup, *subnet) error) ([]*securityGroup, error) {
	if len(ids) == 0 {
		return []*securityGroup{s.vpc.defaultGroup}, nil
	}
	if len(ids) > r.limits.GroupsPerENI {
		return nil, fail("SecurityGroupsPerInterfaceLimitExceeded",
			"The maximum number of security groups per interface has been reached.")
	}
	var groups []*securityGroup
	for _, id := range ids {
		g, err := r.group(id)
		if err != nil {
			return nil, err
		}
		if g.vpc != s.vpc {
			return nil, foreign(g, s)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// EC2 has another error for each action that meets a group of another VPC.
const differentNetworks = "Security group %s and subnet %s belong to different networks."

func foreignToCreate(g *securityGroup, s *subnet) error {
	return invalidValue(differentNetworks, g.id, s.id)
}

func foreignToRun(g *securityGroup, s *subnet) error {
	return fail("InvalidParameter", differentNetworks, g.id, s.id)
}

func foreignToModify(*securityGroup, *subnet) error {
	return fail("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
}

type createSecurityGroupResult struct {
	reply
	Return bool        `xml:"return"`
	ID     string      `xml:"groupId"`
	ARN    string      `xml:"securityGroupArn"`
	Tags   set[tagXML] `xml:"tagSet"`
}

// groupText is what names and descriptions of security groups may consist of.
var groupText = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)

func createSecurityGroup(r *region, q *request) (result, error) {
	name, description := q.required("GroupName"), q.required("GroupDescription")
	q.rejectUnless(groupText.MatchString(name), invalidValue("Invalid security group name. Valid names contain less than 256 characters."))
	q.rejectUnless(groupText.MatchString(description), invalidValue("Invalid security group description. Valid descriptions are strings less than 256 characters."))
	v, err := r.readVPC(q)
	tags := r.readTagSpecifications(q, "security-group")
	if err := firstError(q.check(), err, r.checkGroupName(v, name)); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	g := r.addGroup(v, name, description, tags["security-group"])
	q.created = append(q.created, g.id)
	return &createSecurityGroupResult{Return: true, ID: g.id, ARN: g.arn, Tags: r.tagsXML(g.tags)}, nil
}

func (r *region) readVPC(q *request) (*vpc, error) {
	if id := q.text("VpcId"); id != "" {
		return r.vpc(id)
	}
	return r.defaultVPC()
}

func (r *region) checkGroupName(v *vpc, name string) error {
	for _, g := range r.groups.ordered {
		if g.vpc == v && g.name == name {
			return fail("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.id)
		}
	}
	return nil
}

type deleteSecurityGroupResult struct {
	reply
	Return bool   `xml:"return"`
	ID     string `xml:"groupId"`
}

func deleteSecurityGroup(r *region, q *request) (result, error) {
	g, err := r.group(q.required("GroupId"))
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if g == g.vpc.defaultGroup {
		return nil, fail("CannotDelete", "the specified group: \"%s\" name: \"%s\" cannot be deleted by a user", g.id, g.name)
	}
	if g.interfaces > 0 {
		return nil, fail("DependencyViolation", "resource %s has a dependent object", g.id)
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	r.groups.remove(g)
	return &deleteSecurityGroupResult{Return: true, ID: g.id}, nil
}

var groupFilters = filterSet[*securityGroup]{
	"description":                   one(func(g *securityGroup) string { return g.description }),
	"egress.ip-permission.cidr":     constant[*securityGroup](anywhere),
	"egress.ip-permission.protocol": constant[*securityGroup](anyProtocol),
	"group-id":                      idOf[*securityGroup],
	"group-name":                    one(func(g *securityGroup) string { return g.name }),
	"ip-permission.group-id":        ofItself(func(_ *region, g *securityGroup) string { return g.id }),
	"ip-permission.group-name":      ofItself(func(_ *region, g *securityGroup) string { return g.name }),
	"ip-permission.protocol":        ofItself(func(*region, *securityGroup) string { return anyProtocol }),
	"ip-permission.user-id":         ofItself(func(r *region, _ *securityGroup) string { return r.account }),
	"owner-id":                      ownAccount[*securityGroup],
	"tag-key":                       tagKeys[*securityGroup],
	"tag-value":                     tagValues[*securityGroup],
	"vpc-id":                        one(func(g *securityGroup) string { return g.vpc.id }),

	"egress.ip-permission.from-port":      nil,
	"egress.ip-permission.group-id":       nil,
	"egress.ip-permission.group-name":     nil,
	"egress.ip-permission.ipv6-cidr":      nil,
	"egress.ip-permission.prefix-list-id": nil,
	"egress.ip-permission.to-port":        nil,
	"egress.ip-permission.user-id":        nil,
	"ip-permission.cidr":                  nil,
	"ip-permission.from-port":             nil,
	"ip-permission.ipv6-cidr":             nil,
	"ip-permission.prefix-list-id":        nil,
	"ip-permission.to-port":               nil,
}

// ofItself is a filter on the rule by which a default group lets in what comes from
// itself.
func ofItself(value func(*region, *securityGroup) string) func(*region, *securityGroup) []string {
	return func(r *region, g *securityGroup) []string {
		if g != g.vpc.defaultGroup {
			return nil
		}
		return []string{value(r, g)}
	}
}

const (
	anywhere    = "0.0.0.0/0"
	anyProtocol = "-1"
)

type describeSecurityGroupsResult struct {
	reply
	Groups    set[securityGroupXML] `xml:"securityGroupInfo"`
	NextToken string                `xml:"nextToken,omitempty"`
}

func describeSecurityGroups(r *region, q *request) (result, error) {
	l := readListing(r, q, "GroupId", "GroupIds", groupFilters)
	if err := q.check(); err != nil {
		return nil, err
	}
	rows, token, err := l.rows(r, r.groups, r.group)
	if err != nil {
		return nil, err
	}
	return &describeSecurityGroupsResult{Groups: setOf(rows, func(g *securityGroup) securityGroupXML { return g.xml(r) }), NextToken: token}, nil
}

type securityGroupXML struct {
	OwnerID     string             `xml:"ownerId"`
	ID          string             `xml:"groupId"`
	Name        string             `xml:"groupName"`
	Description string             `xml:"groupDescription"`
	VPCID       string             `xml:"vpcId"`
	ARN         string             `xml:"securityGroupArn"`
	Ingress     set[permissionXML] `xml:"ipPermissions"`
	Egress      set[permissionXML] `xml:"ipPermissionsEgress"`
	Tags        set[tagXML]        `xml:"tagSet"`
}

type permissionXML struct {
	Protocol string            `xml:"ipProtocol"`
	Groups   set[groupPairXML] `xml:"groups"`
	Ranges   set[rangeXML]     `xml:"ipRanges"`
	IPv6     set[string]       `xml:"ipv6Ranges"`
	Prefixes set[string]       `xml:"prefixListIds"`
}

type groupPairXML struct {
	UserID string `xml:"userId"`
	ID     string `xml:"groupId"`
}

type rangeXML struct {
	CIDR string `xml:"cidrIp"`
}

func (g *securityGroup) xml(r *region) securityGroupXML {
	var everywhere permissionXML
	everywhere.Protocol = anyProtocol
	everywhere.Ranges.add(rangeXML{CIDR: anywhere})
	view := securityGroupXML{
		OwnerID:     r.account,
		ID:          g.id,
		Name:        g.name,
		Description: g.description,
		VPCID:       g.vpc.id,
		ARN:         g.arn,
		Tags:        r.tagsXML(g.tags),
	}
	view.Egress.add(everywhere)
	if g == g.vpc.defaultGroup {
		var fromItself permissionXML
		fromItself.Protocol = anyProtocol
		fromItself.Groups.add(groupPairXML{UserID: r.account, ID: g.id})
		view.Ingress.add(fromItself)
	}
	return view
}
