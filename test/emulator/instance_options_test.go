/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// launchWith launches an instance with options.
func (w *world) launchWith(input ec2.RunInstancesInput) (types.Instance, error) {
	w.t.Helper()
	input.ImageId = aws.String(image)
	input.MinCount = aws.Int32(1)
	input.MaxCount = aws.Int32(1)
	out, err := w.RunInstances(w.ctx(), &input)
	if err != nil {
		return types.Instance{}, err
	}
	return out.Instances[0], nil
}

// TestMetadataOptions asserts that an instance shows those that it was launched with.
func TestMetadataOptions(t *testing.T) {
	w := newWorld(t, unthrottled())
	for _, test := range []struct {
		name  string
		asked *types.InstanceMetadataOptionsRequest
		want  types.InstanceMetadataOptionsResponse
	}{
		{"none asked for", nil, types.InstanceMetadataOptionsResponse{
			HttpTokens: "required", HttpPutResponseHopLimit: aws.Int32(2), HttpEndpoint: "enabled", HttpProtocolIpv6: "disabled", InstanceMetadataTags: "disabled",
		}},
		{"some asked for", &types.InstanceMetadataOptionsRequest{
			HttpTokens: "optional", HttpPutResponseHopLimit: aws.Int32(64),
		}, types.InstanceMetadataOptionsResponse{
			HttpTokens: "optional", HttpPutResponseHopLimit: aws.Int32(64), HttpEndpoint: "enabled", HttpProtocolIpv6: "disabled", InstanceMetadataTags: "disabled",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.State = "applied"
			i, err := w.launchWith(ec2.RunInstancesInput{MetadataOptions: test.asked})
			assert.NilError(t, err)
			assert.DeepEqual(t, *i.MetadataOptions, test.want, exportedOnly)
			assert.DeepEqual(t, *w.describeInstance(*i.InstanceId).MetadataOptions, test.want, exportedOnly)
		})
	}
}

// TestLaunchOptions passes each option of RunInstances that real launch tools send.
func TestLaunchOptions(t *testing.T) {
	for _, test := range []struct {
		name  string
		pairs string // of parameters
		code  string
	}{
		{"volumes", "BlockDeviceMapping.1.DeviceName /dev/xvda BlockDeviceMapping.1.Ebs.VolumeSize 20", ""},
		{"a role", "IamInstanceProfile.Arn arn:aws:iam::123456789012:instance-profile/node", ""},
		{"credits", "CreditSpecification.CpuCredits unlimited", ""},
		{"a capacity reservation", "CapacityReservationSpecification.CapacityReservationPreference open", ""},
		{"processors", "CpuOptions.CoreCount 1 CpuOptions.ThreadsPerCore 2", ""},
		{"names", "PrivateDnsNameOptions.HostnameType ip-name", ""},
		{"bandwidth", "NetworkPerformanceOptions.BandwidthWeighting default", ""},
		{"maintenance", "MaintenanceOptions.AutoRecovery default", ""},
		{"a licence", "LicenseSpecification.1.LicenseConfigurationArn arn:x", ""},
		{"the zone by its id", "Placement.AvailabilityZoneId use1-az2", ""},
		{"a placement group", "Placement.GroupName near Placement.Tenancy default", ""},
		{"a host of one's own", "Placement.Tenancy host", "UnsupportedOperation"},
		{"no such zone", "Placement.AvailabilityZoneId use1-az9", "InvalidParameterValue"},
		{"no such metadata option", "MetadataOptions.HttpTokens sometimes", "InvalidParameterValue"},
		{"too many hops", "MetadataOptions.HttpPutResponseHopLimit 65", "InvalidParameterValue"},
		{"the spot market", "InstanceMarketOptions.MarketType spot", "UnknownParameter"},
		{"a launch template", "LaunchTemplate.LaunchTemplateName x", "UnknownParameter"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := emulator.New(unthrottled())
			pairs := append([]string{"ImageId", image, "MinCount", "1", "MaxCount", "1"}, strings.Fields(test.pairs)...)
			status, got := post(server, "", form("RunInstances", pairs...))
			assert.Equal(t, got.Code, test.code)
			assert.Equal(t, status == http.StatusOK, test.code == "")
		})
	}
}

// TestInstanceAttributes reads each attribute.
func TestInstanceAttributes(t *testing.T) {
	w := newWorld(t, unthrottled())
	i, err := w.launchWith(ec2.RunInstancesInput{
		InstanceType: types.InstanceTypeM5Large, UserData: aws.String("eA=="), EbsOptimized: aws.Bool(true), DisableApiStop: aws.Bool(true),
		InstanceInitiatedShutdownBehavior: types.ShutdownBehaviorTerminate,
	})
	assert.NilError(t, err)
	for _, test := range []struct {
		attribute types.InstanceAttributeName
		got       func(*ec2.DescribeInstanceAttributeOutput) string
		want      string
	}{
		{"instanceType", func(o *ec2.DescribeInstanceAttributeOutput) string { return *o.InstanceType.Value }, "m5.large"},
		{"ebsOptimized", func(o *ec2.DescribeInstanceAttributeOutput) string { return yesNo(o.EbsOptimized) }, "yes"},
		{"sourceDestCheck", func(o *ec2.DescribeInstanceAttributeOutput) string { return yesNo(o.SourceDestCheck) }, "yes"},
		{"groupSet", func(o *ec2.DescribeInstanceAttributeOutput) string { return *o.Groups[0].GroupId }, *i.SecurityGroups[0].GroupId},
		{"userData", func(o *ec2.DescribeInstanceAttributeOutput) string { return *o.UserData.Value }, "eA=="},
		{"instanceInitiatedShutdownBehavior", func(o *ec2.DescribeInstanceAttributeOutput) string {
			return *o.InstanceInitiatedShutdownBehavior.Value
		}, "terminate"},
		{"disableApiStop", func(o *ec2.DescribeInstanceAttributeOutput) string { return yesNo(o.DisableApiStop) }, "yes"},
		{"disableApiTermination", func(o *ec2.DescribeInstanceAttributeOutput) string { return yesNo(o.DisableApiTermination) }, "no"},
		{"rootDeviceName", func(o *ec2.DescribeInstanceAttributeOutput) string { return *o.RootDeviceName.Value }, "/dev/xvda"},
	} {
		t.Run(string(test.attribute), func(t *testing.T) {
			out := must(w.DescribeInstanceAttribute(w.ctx(), &ec2.DescribeInstanceAttributeInput{InstanceId: i.InstanceId, Attribute: test.attribute}))
			assert.Equal(t, *out.InstanceId, *i.InstanceId)
			assert.Equal(t, test.got(out), test.want)
		})
	}
	_, err = w.DescribeInstanceAttribute(w.ctx(), &ec2.DescribeInstanceAttributeInput{InstanceId: i.InstanceId, Attribute: "colour"})
	assertAPIError(t, err, "InvalidParameterValue", "Value (colour) for parameter attribute is invalid. Unknown attribute.")
}

func yesNo(value *types.AttributeBooleanValue) string {
	if *value.Value {
		return "yes"
	}
	return "no"
}

// TestProtectedInstances asserts that an instance is neither stopped nor terminated
// until it is no longer protected.
func TestProtectedInstances(t *testing.T) {
	w := newWorld(t, unthrottled())
	i, err := w.launchWith(ec2.RunInstancesInput{DisableApiStop: aws.Bool(true), DisableApiTermination: aws.Bool(true)})
	assert.NilError(t, err)
	id := *i.InstanceId
	for _, test := range []struct {
		participle, attribute string
		call                  func() error
		allow                 ec2.ModifyInstanceAttributeInput
	}{
		{"stopped", "disableApiStop", func() error {
			_, err := w.StopInstances(w.ctx(), &ec2.StopInstancesInput{InstanceIds: []string{id}})
			return err
		}, ec2.ModifyInstanceAttributeInput{DisableApiStop: &types.AttributeBooleanValue{Value: aws.Bool(false)}}},
		{"terminated", "disableApiTermination", func() error {
			_, err := w.TerminateInstances(w.ctx(), &ec2.TerminateInstancesInput{InstanceIds: []string{id}})
			return err
		}, ec2.ModifyInstanceAttributeInput{DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(false)}}},
	} {
		t.Run(test.participle, func(t *testing.T) {
			w.describeInstance(id)
			assertAPIError(t, test.call(), "OperationNotPermitted", "The instance '"+id+"' may not be "+test.participle+
				". Modify its '"+test.attribute+"' instance attribute and try again.")
			test.allow.InstanceId = &id
			must(w.ModifyInstanceAttribute(w.ctx(), &test.allow))
			assert.NilError(t, test.call())
		})
	}
}

// TestInstanceStatus asserts that only running instances are shown, unless all are
// asked for.
func TestInstanceStatus(t *testing.T) {
	options := unthrottled()
	options.Timings.StartInstance = emulator.Span{Min: time.Second, Max: time.Second}
	w := newWorld(t, options)
	subnetID := w.subnet("10.0.0.0/24")
	running := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	w.clock.Step(time.Second)
	pending := *w.run(subnetID, types.InstanceTypeM5Large).InstanceId
	for _, test := range []struct {
		name  string
		input ec2.DescribeInstanceStatusInput
		want  map[string]types.SummaryStatus
	}{
		{"running ones", ec2.DescribeInstanceStatusInput{}, map[string]types.SummaryStatus{running: "ok"}},
		{"one that does not run", ec2.DescribeInstanceStatusInput{InstanceIds: []string{pending}}, map[string]types.SummaryStatus{}},
		{"all", ec2.DescribeInstanceStatusInput{IncludeAllInstances: aws.Bool(true)}, map[string]types.SummaryStatus{
			running: "ok", pending: "not-applicable",
		}},
		{"by health", ec2.DescribeInstanceStatusInput{
			IncludeAllInstances: aws.Bool(true), Filters: []types.Filter{by("instance-status.reachability", "passed")},
		}, map[string]types.SummaryStatus{running: "ok"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := make(map[string]types.SummaryStatus)
			for _, status := range must(w.DescribeInstanceStatus(w.ctx(), &test.input)).InstanceStatuses {
				assert.Equal(t, status.SystemStatus.Status, status.InstanceStatus.Status)
				assert.Equal(t, len(status.InstanceStatus.Details) == 1, status.InstanceStatus.Status == "ok")
				found[*status.InstanceId] = status.InstanceStatus.Status
			}
			assert.DeepEqual(t, found, test.want)
		})
	}
	waiter := ec2.NewInstanceStatusOkWaiter(w)
	assert.NilError(t, waiter.Wait(w.ctx(), &ec2.DescribeInstanceStatusInput{InstanceIds: []string{running}}, time.Minute))
}
