/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/eni-operator/eni-operator/test/emulator/iam"
)

// SetPolicy has IAM decide from now on what a caller may do, by access key id: each request
// is compared with the policy's resources and conditions, and refused with
// UnauthorizedOperation where it does not allow it.
func (s *Server) SetPolicy(caller string, policy iam.Policy) {
	s.denials.mu.Lock()
	defer s.denials.mu.Unlock()
	s.denials.policies[caller] = policy
}

// unauthorized is the action that a caller's policy does not allow on what a request
// names; the Region's lock is held.
func (d *denials) unauthorized(r *region, q *request) (action string, refused bool) {
	d.mu.Lock()
	policy, judged := d.policies[q.caller]
	d.mu.Unlock()
	if !judged {
		return "", false
	}
	for _, call := range r.callsOf(q) {
		if !policy.Allows(call) {
			return strings.TrimPrefix(call.Action, "ec2:"), true
		}
	}
	return "", false
}

// callsOf is what IAM is asked about a request: its action on each resource that it names or
// creates, and the tagging of what it creates. What is not there is not asked about: EC2 answers
// that it does not find it.
func (r *region) callsOf(q *request) []iam.Call {
	action := "ec2:" + q.action
	request := map[string][]string{"aws:RequestedRegion": {q.region}, "ec2:Region": {q.region}}
	if strings.HasPrefix(q.action, "Describe") || strings.HasPrefix(q.action, "Get") {
		return []iam.Call{{Action: action, Resource: "*", Keys: request}}
	}
	var calls []iam.Call
	for _, id := range r.withAttached(namedResources(q)) {
		row, err := r.tagged(id)
		if err != nil {
			continue
		}
		keys := r.keysOf(row)
		if q.action == "CreateTags" || q.action == "DeleteTags" {
			requestTags(keys, q, "Tag.")
		}
		calls = append(calls, iam.Call{Action: action, Resource: r.arn(id), Keys: keys})
	}
	if q.action == "CreateNetworkInterface" {
		created := map[string][]string{}
		requestTags(created, q, "TagSpecification.1.Tag.")
		calls = append(calls, iam.Call{Action: action, Resource: r.arn("eni-"), Keys: created})
		if len(created) > 0 {
			tagging := map[string][]string{"ec2:CreateAction": {q.action}}
			requestTags(tagging, q, "TagSpecification.1.Tag.")
			calls = append(calls, iam.Call{Action: "ec2:CreateTags", Resource: r.arn("eni-"), Keys: tagging})
		}
	}
	if len(calls) == 0 {
		calls = []iam.Call{{Action: action, Resource: "*", Keys: map[string][]string{}}}
	}
	for i := range calls {
		for key, value := range request {
			calls[i].Keys[key] = value
		}
	}
	return calls
}

// withAttached puts the ENI and the instance of an attachment in its place.
func (r *region) withAttached(named []string) []string {
	var ids []string
	for _, id := range named {
		if a, ok := r.attachments[id]; ok {
			ids = append(ids, a.eni.id, a.instance.id)
		} else {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// requestTags adds the keys of the tags that a request writes.
func requestTags(keys map[string][]string, q *request, prefix string) {
	for n := 1; q.values.Has(prefix + strconv.Itoa(n) + ".Key"); n++ {
		at := prefix + strconv.Itoa(n)
		key := q.values.Get(at + ".Key")
		keys["aws:TagKeys"] = append(keys["aws:TagKeys"], key)
		if q.values.Has(at + ".Value") {
			keys["aws:RequestTag/"+key] = []string{q.values.Get(at + ".Value")}
		}
	}
}

// keysOf are the condition keys of a resource.
func (r *region) keysOf(row resource) map[string][]string {
	keys := map[string][]string{}
	for key, value := range row.base().tags {
		keys["aws:ResourceTag/"+key] = []string{value}
		keys["ec2:ResourceTag/"+key] = []string{value}
	}
	switch row := row.(type) {
	case *eni:
		keys["ec2:Subnet"] = []string{r.arn(row.subnet.id)}
		keys["ec2:Vpc"] = []string{r.arn(row.subnet.vpc.id)}
		keys["ec2:NetworkInterfaceID"] = []string{row.id}
	case *subnet:
		keys["ec2:SubnetID"] = []string{row.id}
		keys["ec2:Vpc"] = []string{r.arn(row.vpc.id)}
	case *securityGroup:
		keys["ec2:SecurityGroupID"] = []string{row.id}
		keys["ec2:Vpc"] = []string{r.arn(row.vpc.id)}
	case *instance:
		keys["ec2:InstanceID"] = []string{row.id}
		keys["ec2:InstanceType"] = []string{row.kind.id}
	}
	return keys
}

// arn names a resource, or one that is to be created.
func (r *region) arn(id string) string {
	prefix, rest, _ := strings.Cut(id, "-")
	if rest == "" {
		id = "*"
	}
	return fmt.Sprintf("arn:aws:ec2:%s:%s:%s/%s", r.name, r.account, arnTypes[prefix], id)
}
