/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/eni-operator/eni-operator/test/emulator"
)

const (
	region = "us-east-1"
	zoneA  = "us-east-1a"
	zoneB  = "us-east-1b"
)

// account is an emulated EC2 in this process.
type account struct {
	*emulator.Server
	vpc     string
	group   string
	groups  []string          // further ones
	subnets map[string]string // of the nodes and of the pods, by name
}

// errAborted is a connection that ends without an answer.
var errAborted = fmt.Errorf("read tcp: connection reset by peer")

// exchange has a server answer a request.
func exchange(server http.Handler, r *http.Request) (answer *http.Response, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			if cause != http.ErrAbortHandler { //nolint:errorlint // recovered values are no errors
				panic(cause)
			}
			answer, err = nil, errAborted
		}
	}()
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, r)
	answer = recorder.Result()
	answer.Request = r
	return answer, nil
}

// call does what a person does with the console or the AWS CLI.
func (a *account) call(action string, parameters ...string) (string, error) {
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i+1 < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "http://ec2/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=console/20000101/"+region+"/ec2/aws4_request, Signature=x")
	answer, err := exchange(a, r)
	if err != nil { // People's answers get lost as well.
		return "", fmt.Errorf("%s: %w", action, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", fmt.Errorf("%s: %w", action, err)
	}
	body := string(text)
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", action, errorCode(body))
	}
	return body, nil
}

// must is call for what cannot fail.
func (a *account) must(action string, parameters ...string) string {
	body, err := a.call(action, parameters...)
	if err != nil {
		panic(fmt.Sprintf("%v %v", err, parameters))
	}
	return body
}

// element returns the text of the first XML element of a name.
func element(body, name string) string {
	_, rest, found := strings.Cut(body, "<"+name+">")
	if !found {
		return ""
	}
	text, _, _ := strings.Cut(rest, "</"+name+">")
	return text
}

var codes = regexp.MustCompile(`<Code>([^<]*)</Code>`)

func errorCode(body string) string {
	if found := codes.FindStringSubmatch(body); found != nil {
		return found[1]
	}
	return ""
}

// newAccount makes a VPC with subnets for nodes, and small ones for pods, in two zones.
func newAccount(seed uint64, bits int) *account {
	a := &account{subnets: map[string]string{}, Server: emulator.New(emulator.Options{
		Seed: seed, Timings: emulator.DefaultTimings(), CallLogSize: 1, Limits: emulator.Limits{GroupsPerENI: 16},
	})}
	a.SetThrottling(true)
	a.vpc = element(a.must("CreateVpc", "CidrBlock", "10.0.0.0/16"), "vpcId")
	add := func(name, zone, cidr, role string) {
		a.subnets[name] = element(a.must("CreateSubnet", "VpcId", a.vpc, "AvailabilityZone", zone, "CidrBlock", cidr,
			"TagSpecification.1.ResourceType", "subnet", "TagSpecification.1.Tag.1.Key", "role", "TagSpecification.1.Tag.1.Value", role), "subnetId")
	}
	add("nodes-a", zoneA, "10.0.0.0/24", "nodes")
	add("nodes-b", zoneB, "10.0.1.0/24", "nodes")
	add("pods-a", zoneA, fmt.Sprintf("10.0.16.0/%d", bits), "pods")
	add("pods-b", zoneB, fmt.Sprintf("10.0.17.0/%d", bits), "pods")
	add("more-a", zoneA, "10.0.18.0/26", "pods")
	a.group = a.newGroup("nodes", "nodes")
	for i := range 3 {
		a.groups = append(a.groups, a.newGroup(fmt.Sprintf("pods-%d", i), "none"))
	}
	return a
}

func (a *account) newGroup(name, role string) string {
	return element(a.must("CreateSecurityGroup", "VpcId", a.vpc, "GroupName", name, "GroupDescription", name,
		"TagSpecification.1.ResourceType", "security-group", "TagSpecification.1.Tag.1.Key", "role", "TagSpecification.1.Tag.1.Value", role), "groupId")
}

// launch starts an instance.
func (a *account) launch(kind, zone string) string {
	subnet := a.subnets["nodes-a"]
	if zone == zoneB {
		subnet = a.subnets["nodes-b"]
	}
	return element(a.must("RunInstances", "ImageId", "ami-0123456789abcdef0", "InstanceType", kind, "SubnetId", subnet,
		"SecurityGroupId.1", a.group, "MinCount", "1", "MaxCount", "1"), "instanceId")
}
