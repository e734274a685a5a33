/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// fleet is a server with instances that each have three ENIs besides their
// primary one, filled without HTTP in between.
type fleet struct {
	server    *emulator.Server
	instances []string
	enis      int
}

// ids are what the calls of these tests answer.
type ids struct {
	Instances []string `xml:"instancesSet>item>instanceId"`
	Subnets   []string `xml:"subnetSet>item>subnetId"`
	ENI       string   `xml:"networkInterface>networkInterfaceId"`
	ENIs      []string `xml:"networkInterfaceSet>item>networkInterfaceId"`
	NextToken string   `xml:"nextToken"`
	Code      string   `xml:"Errors>Error>Code"`
}

func (f *fleet) call(tb testing.TB, form url.Values) ids {
	tb.Helper()
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	recorder := httptest.NewRecorder()
	f.server.ServeHTTP(recorder, request)
	var parsed ids
	assert.NilError(tb, xml.Unmarshal(recorder.Body.Bytes(), &parsed))
	assert.Equal(tb, parsed.Code, "")
	return parsed
}

const enisPerInstance = 3

func newFleet(tb testing.TB, instances int) *fleet {
	tb.Helper()
	options := unthrottled()
	options.Limits.ENIsPerZone = 1 << 20
	f := &fleet{server: emulator.New(options)}
	for index := range instances {
		// 4,091 addresses in each of six default subnets
		zone := "us-east-1" + string("abcdef"[index%6])
		id := f.call(tb, form("RunInstances", "ImageId", image, "InstanceType", "m5.xlarge",
			"MinCount", "1", "MaxCount", "1", "Placement.AvailabilityZone", zone)).Instances[0]
		f.instances = append(f.instances, id)
		f.addENIs(tb, id, zone)
	}
	return f
}

func (f *fleet) addENIs(tb testing.TB, instanceID, zone string) {
	tb.Helper()
	subnetID := f.defaultSubnet(tb, zone)
	for device := range enisPerInstance {
		eniID := f.call(tb, form("CreateNetworkInterface", "SubnetId", subnetID)).ENI
		f.call(tb, form("AttachNetworkInterface", "NetworkInterfaceId", eniID, "InstanceId", instanceID,
			"DeviceIndex", strconv.Itoa(device+1), "NetworkCardIndex", "0"))
	}
	f.enis += enisPerInstance + 1
}

func (f *fleet) defaultSubnet(tb testing.TB, zone string) string {
	tb.Helper()
	return f.call(tb, form("DescribeSubnets", "Filter.1.Name", "availability-zone", "Filter.1.Value.1", zone)).Subnets[0]
}

// listENIs lists all ENIs in pages of a thousand.
func (f *fleet) listENIs(tb testing.TB) map[string]bool {
	tb.Helper()
	seen := make(map[string]bool)
	page := form("DescribeNetworkInterfaces", "MaxResults", "1000")
	for {
		answer := f.call(tb, page)
		for _, id := range answer.ENIs {
			seen[id] = true
		}
		if answer.NextToken == "" {
			return seen
		}
		page.Set("NextToken", answer.NextToken)
	}
}

func TestFleet(t *testing.T) {
	f := newFleet(t, 120)
	assert.Equal(t, len(f.listENIs(t)), f.enis)
	of := f.call(t, form("DescribeNetworkInterfaces", "MaxResults", "1000",
		"Filter.1.Name", "attachment.instance-id", "Filter.1.Value.1", f.instances[7]))
	assert.Equal(t, len(of.ENIs), enisPerInstance+1)
}

// The benchmarks run against 5,000 instances with 15,000 ENIs, and as many
// primary ones.

func BenchmarkFillFleet(b *testing.B) {
	for b.Loop() {
		newFleet(b, 5000)
	}
}

func BenchmarkListENIsOfFleet(b *testing.B) {
	f := newFleet(b, 5000)
	for b.Loop() {
		assert.Equal(b, len(f.listENIs(b)), f.enis)
	}
}

func BenchmarkFindENIsOfOneInstance(b *testing.B) {
	f := newFleet(b, 5000)
	query := form("DescribeNetworkInterfaces", "MaxResults", "1000",
		"Filter.1.Name", "attachment.instance-id", "Filter.1.Value.1", f.instances[4999])
	for b.Loop() {
		assert.Equal(b, len(f.call(b, query).ENIs), enisPerInstance+1)
	}
}

func BenchmarkFindENIsByIDs(b *testing.B) {
	f := newFleet(b, 5000)
	query := form("DescribeNetworkInterfaces", "MaxResults", "1000", "Filter.1.Name", "network-interface-id")
	n := 0
	for id := range f.listENIs(b) {
		n++
		query.Set("Filter.1.Value."+strconv.Itoa(n), id)
		if n == 200 {
			break
		}
	}
	for b.Loop() {
		assert.Equal(b, len(f.call(b, query).ENIs), n)
	}
}
