/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// validForm returns, for an action with parameters that must be given, a request
// that would succeed.
func validForm(s *stage, action string) url.Values {
	vpcID := *s.describe(s.loose).VpcId
	pairs := map[string][]string{
		"AssignPrivateIpAddresses":          {"NetworkInterfaceId", s.loose, "SecondaryPrivateIpAddressCount", "1"},
		"AttachNetworkInterface":            {"NetworkInterfaceId", s.loose, "InstanceId", s.instance, "DeviceIndex", "2"},
		"CreateNetworkInterface":            {"SubnetId", s.subnet},
		"CreateSecurityGroup":               {"GroupName", "g", "GroupDescription", "d", "VpcId", vpcID},
		"CreateSubnet":                      {"VpcId", vpcID, "CidrBlock", "10.0.2.0/24"},
		"CreateSubnetCidrReservation":       {"SubnetId", s.subnet, "Cidr", "10.0.0.128/26", "ReservationType", "prefix"},
		"CreateTags":                        {"ResourceId.1", s.loose, "Tag.1.Key", "a", "Tag.1.Value", "b"},
		"CreateVpc":                         {"CidrBlock", "10.1.0.0/16"},
		"DeleteNetworkInterface":            {"NetworkInterfaceId", s.loose},
		"DeleteTags":                        {"ResourceId.1", s.attached},
		"DescribeNetworkInterfaceAttribute": {"NetworkInterfaceId", s.loose, "Attribute", "description"},
		"DescribeInstanceAttribute":         {"InstanceId", s.instance, "Attribute", "instanceType"},
		"DetachNetworkInterface":            {"AttachmentId", s.attachment},
		"GetSubnetCidrReservations":         {"SubnetId", s.subnet},
		"ModifyInstanceAttribute":           {"InstanceId", s.instance, "SourceDestCheck.Value", "false"},
		"ModifyNetworkInterfaceAttribute":   {"NetworkInterfaceId", s.loose, "Description.Value", "x"},
		"ModifySubnetAttribute":             {"SubnetId", s.subnet, "MapPublicIpOnLaunch.Value", "false"},
		"ResetNetworkInterfaceAttribute":    {"NetworkInterfaceId", s.loose, "SourceDestCheck", "x"},
		"RunInstances":                      {"ImageId", image, "MinCount", "1", "MaxCount", "1"},
		"StopInstances":                     {"InstanceId.1", s.instance},
		"TerminateInstances":                {"InstanceId.1", s.instance},
	}[action]
	switch action {
	case "DeleteSecurityGroup":
		input := &ec2.CreateSecurityGroupInput{GroupName: aws.String("g"), Description: aws.String("d"), VpcId: &vpcID}
		pairs = []string{"GroupId", *must(s.CreateSecurityGroup(s.ctx(), input)).GroupId}
	case "DeleteSubnet":
		pairs = []string{"SubnetId", s.world.subnet("10.2.0.0/16")}
	case "DeleteSubnetCidrReservation":
		pairs = []string{"SubnetCidrReservationId", s.reserve(s.subnet, "10.0.0.128/26", types.SubnetCidrReservationTypeExplicit)}
	case "DeleteVpc":
		pairs = []string{"VpcId", *must(s.CreateVpc(s.ctx(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.2.0.0/16")})).Vpc.VpcId}
	case "StartInstances":
		must(s.StopInstances(s.ctx(), &ec2.StopInstancesInput{InstanceIds: []string{s.instance}}))
		pairs = []string{"InstanceId.1", s.instance}
	case "UnassignPrivateIpAddresses":
		pairs = []string{"NetworkInterfaceId", s.attached, "PrivateIpAddress.1", s.assign(s.attached, count(1))[0]}
	}
	return form(action, pairs...)
}

// TestDryRunLooksAtNothingButPermission asserts that neither ids nor values matter to
// a dry run, but that it must be a request which can be read.
func TestDryRunLooksAtNothingButPermission(t *testing.T) {
	const success = "Request would have succeeded, but DryRun flag is set."
	for _, test := range []struct {
		name    string
		form    url.Values
		code    string
		message string
	}{
		{"an unknown id", form("DeleteNetworkInterface", "NetworkInterfaceId", noENI), "DryRunOperation", success},
		{"a malformed id", form("DeleteNetworkInterface", "NetworkInterfaceId", "x"), "DryRunOperation", success},
		{"an unknown id of a read", form("DescribeNetworkInterfaces", "NetworkInterfaceId.1", noENI), "DryRunOperation", success},
		{"a bad address", form("AssignPrivateIpAddresses", "NetworkInterfaceId", noENI, "PrivateIpAddress.1", "x"), "DryRunOperation", success},
		{"a bad group", form("CreateNetworkInterface", "SubnetId", noSubnet, "SecurityGroupId.1", noGroup), "DryRunOperation", success},
		{"a long token", form("RunInstances", "ImageId", image, "MinCount", "1", "MaxCount", "1", "ClientToken", strings.Repeat("x", 65)),
			"DryRunOperation", success},
		{"no number", form("AssignPrivateIpAddresses", "NetworkInterfaceId", noENI, "Ipv4PrefixCount", "many"), "InvalidParameterValue",
			"Value (many) for parameter Ipv4PrefixCount is invalid."},
		{"a parameter too few", form("DeleteNetworkInterface"), "MissingParameter", "The request must contain the parameter NetworkInterfaceId"},
		{"a parameter too many", form("DescribeVpcs", "Colour", "blue"), "UnknownParameter", "The parameter Colour is not recognized"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, unthrottled())
			test.form.Set("DryRun", "true")
			_, got := post(w.server, "", test.form)
			assert.Equal(t, got.Code, test.code)
			assert.Equal(t, got.Message, test.message)
			w.server.Deny(emulator.AnyAction)
			status, got := post(w.server, "", test.form)
			assert.Equal(t, got.Code, "UnauthorizedOperation")
			assert.Equal(t, status, http.StatusForbidden)
		})
	}
}

// TestDryRun asserts for every action that a dry run of a request that would
// succeed says so and changes nothing.
func TestDryRun(t *testing.T) {
	for _, action := range emulator.Actions() {
		t.Run(action, func(t *testing.T) {
			s := newStage(t)
			request := validForm(s, action)
			before := s.snapshot()
			request.Set("DryRun", "true")
			status, got := post(s.server, "", request)
			assert.Equal(t, got.Message, "Request would have succeeded, but DryRun flag is set.")
			assert.Equal(t, got.Code, "DryRunOperation")
			assert.Equal(t, status, http.StatusPreconditionFailed)
			assert.DeepEqual(t, s.snapshot(), before, exportedOnly)

			request.Del("DryRun")
			status, got = post(s.server, "", request)
			assert.Equal(t, got.Message, "")
			assert.Equal(t, status, http.StatusOK)
		})
	}
}
