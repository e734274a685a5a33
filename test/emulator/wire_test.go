/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// answer is any answer of EC2.
type answer struct {
	XMLName   xml.Name
	Code      string `xml:"Errors>Error>Code"`
	Message   string `xml:"Errors>Error>Message"`
	FailedID  string `xml:"RequestID"`
	RequestID string `xml:"requestId"`
	VPCs      []struct {
		ID   string `xml:"vpcId"`
		CIDR string `xml:"cidrBlock"`
	} `xml:"vpcSet>item"`
}

// post sends a form to a server without HTTP in between.
func post(server http.Handler, authorization string, form url.Values) (int, answer) {
	request := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	recorder := httptest.NewRecorder()
	server.ServeHTTP(recorder, request)
	var parsed answer
	if err := xml.Unmarshal(recorder.Body.Bytes(), &parsed); err != nil {
		panic(err)
	}
	return recorder.Code, parsed
}

// form makes a request of EC2's query protocol from names and values.
func form(action string, pairs ...string) url.Values {
	values := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return values
}

func TestWireForms(t *testing.T) {
	const scope = "AWS4-HMAC-SHA256 Credential=AKID/20260102/%REGION%/ec2/aws4_request, SignedHeaders=host, Signature=0"
	for _, test := range []struct {
		name          string
		authorization string
		form          url.Values
		status        int
		code          string
		message       string
	}{
		{name: "unsigned", form: form("DescribeVpcs"), status: 200},
		{name: "signed", form: form("DescribeVpcs"), authorization: strings.ReplaceAll(scope, "%REGION%", "eu-west-1"), status: 200},
		{
			name: "signed for no Region", form: form("DescribeVpcs"), authorization: strings.ReplaceAll(scope, "%REGION%", "moon"),
			status: 400, code: "AuthFailure", message: "Credential should be scoped to a valid region.",
		},
		{
			name: "another version", form: url.Values{"Action": {"DescribeVpcs"}, "Version": {"2009-01-01"}},
			status: 400, code: "NoSuchVersion", message: "The requested version (2009-01-01) of service AmazonEC2 does not exist",
		},
		{
			name: "no action", form: url.Values{"Version": {"2016-11-15"}},
			status: 400, code: "MissingParameter", message: "The request must contain the parameter Action",
		},
		{
			name: "an unknown action", form: form("CreateMoon"),
			status: 400, code: "InvalidAction", message: "The action CreateMoon is not valid for this web service.",
		},
		{
			name: "a misspelt parameter", form: form("DeleteNetworkInterface", "NetworkInterfaceID", noENI, "NetworkInterfaceId", noENI),
			status: 400, code: "UnknownParameter", message: "The parameter NetworkInterfaceID is not recognized",
		},
		{
			name: "a gap in a list", form: form("DescribeVpcs", "VpcId.2", "vpc-00000000"),
			status: 400, code: "UnknownParameter", message: "The parameter VpcId.2 is not recognized",
		},
		{
			name: "a missing parameter", form: form("DeleteNetworkInterface"),
			status: 400, code: "MissingParameter", message: "The request must contain the parameter NetworkInterfaceId",
		},
		{
			name: "no number", form: form("DescribeVpcs", "MaxResults", "many"),
			status: 400, code: "InvalidParameterValue", message: "Value (many) for parameter MaxResults is invalid.",
		},
		{
			name: "a number of more than 32 bits", form: form("AssignPrivateIpAddresses", "NetworkInterfaceId", noENI, "Ipv4PrefixCount", "4611686018427387904"),
			status: 400, code: "InvalidParameterValue", message: "Value (4611686018427387904) for parameter Ipv4PrefixCount is invalid.",
		},
		{
			name: "a dry run", form: form("DescribeVpcs", "DryRun", "true"),
			status: 412, code: "DryRunOperation", message: "Request would have succeeded, but DryRun flag is set.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, got := post(emulator.New(emulator.Options{}), test.authorization, test.form)
			assert.Equal(t, status, test.status)
			assert.Equal(t, got.Code, test.code)
			assert.Equal(t, got.Message, test.message)
			if test.code == "" {
				assert.Equal(t, got.XMLName, xml.Name{Space: "http://ec2.amazonaws.com/doc/2016-11-15/", Local: "DescribeVpcsResponse"})
				assert.Equal(t, len(got.RequestID), 36)
				assert.Equal(t, got.VPCs[0].CIDR, "172.31.0.0/16")
			} else {
				assert.Equal(t, got.XMLName.Local, "Response")
				assert.Equal(t, len(got.FailedID), 36)
			}
		})
	}
}

func TestRequestInTheQueryString(t *testing.T) {
	w := newWorld(t, unthrottled())
	query := form("DescribeVpcs", "X-Amz-Credential", "AKID/20260102/eu-west-1/ec2/aws4_request", "X-Amz-Signature", "0")
	response, err := http.Get(w.url + "/?" + query.Encode())
	assert.NilError(t, err)
	defer http.DefaultClient.CloseIdleConnections()
	body := must(io.ReadAll(response.Body))
	assert.NilError(t, response.Body.Close())
	assert.Equal(t, response.StatusCode, http.StatusOK)
	assert.Assert(t, strings.Contains(string(body), "<requestId>"))
	assert.Equal(t, w.server.Calls()[0].Region, "eu-west-1")
}

func TestRegionsAreSeparate(t *testing.T) {
	w := newWorld(t, inOrder())
	id := w.eni(w.subnet("10.0.0.0/24"))
	elsewhere := w.client("eu-central-1")
	_, err := elsewhere.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+id+"' does not exist")

	subnets := must(elsewhere.DescribeSubnets(w.ctx(), &ec2.DescribeSubnetsInput{})).Subnets
	assert.Equal(t, len(subnets), 3)
	assert.Equal(t, *subnets[1].AvailabilityZoneId, "euc1-az2")
	assert.Equal(t, *subnets[1].CidrBlock, "172.31.16.0/20")
	assert.Equal(t, *subnets[1].AvailableIpAddressCount, int32(4091))
	zones := must(w.DescribeAvailabilityZones(w.ctx(), &ec2.DescribeAvailabilityZonesInput{})).AvailabilityZones
	assert.Equal(t, len(zones), 6)
	assert.Equal(t, *zones[5].ZoneId, "use1-az6")
}

func TestCallLog(t *testing.T) {
	options := unthrottled()
	options.CallLogSize = 3
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24") // two calls
	id := w.eni(subnetID)
	assert.Assert(t, w.tryTags(noENI) != nil)
	calls := w.server.Calls()
	assert.Equal(t, len(calls), 3)
	assert.Equal(t, calls[0].Action, "CreateSubnet")

	created := calls[1]
	assert.Equal(t, created.Seq, uint64(3))
	assert.Equal(t, created.Time, start)
	assert.Equal(t, created.Region, "us-east-1")
	assert.Equal(t, created.Caller, "AKIDTEST")
	assert.Equal(t, created.Params.Get("SubnetId"), subnetID)
	assert.Equal(t, created.Mutating, true)
	assert.Equal(t, created.ErrorCode, "")
	assert.DeepEqual(t, created.ResourceIDs, []string{subnetID, id})
	assert.Equal(t, calls[2].ErrorCode, "InvalidNetworkInterfaceID.NotFound")

	w.server.ResetCalls()
	assert.Equal(t, len(w.server.Calls()), 0)
	assert.Equal(t, len(w.server.Counts()), 0)
}

func TestEqualSeedsGiveEqualAnswers(t *testing.T) {
	create := func(seed uint64) (id, mac string) {
		options := unthrottled()
		options.Seed = seed
		w := newWorld(t, options)
		eni := w.create(&ec2.CreateNetworkInterfaceInput{SubnetId: aws.String(w.subnet("10.0.0.0/24"))})
		return *eni.NetworkInterfaceId, *eni.MacAddress
	}
	id, mac := create(7)
	sameID, sameMAC := create(7)
	assert.Equal(t, id, sameID)
	assert.Equal(t, mac, sameMAC)
	otherID, otherMAC := create(8)
	assert.Assert(t, id != otherID)
	assert.Assert(t, mac != otherMAC)
}
