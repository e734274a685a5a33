/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
	"github.com/eni-operator/eni-operator/test/emulator/sdk"
)

// TestAccountsSeeNothingOfEachOther calls as two access keys of different accounts.
func TestAccountsSeeNothingOfEachOther(t *testing.T) {
	options := unthrottled()
	options.Accounts = map[string]string{"AKIDOTHER": "210987654321"}
	w := newWorld(t, options)
	other := sdk.New(w.url, "us-east-1", "AKIDOTHER", func(o *ec2.Options) {
		o.Retryer = aws.NopRetryer{}
		o.HTTPClient = w.Options().HTTPClient
	})
	subnetID := w.subnet("10.0.0.0/24")
	id := w.eni(subnetID)

	assert.Equal(t, len(must(other.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{})).NetworkInterfaces), 0)
	_, err := other.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+id+"' does not exist")
	_, err = other.CreateNetworkInterface(w.ctx(), &ec2.CreateNetworkInterfaceInput{SubnetId: &subnetID})
	assertAPIError(t, err, "InvalidSubnetID.NotFound", "The subnet ID '"+subnetID+"' does not exist")
	vpcs := must(other.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{})).Vpcs
	assert.Equal(t, len(vpcs), 1)
	assert.Equal(t, *vpcs[0].OwnerId, "210987654321")
	assert.Equal(t, *w.describe(id).OwnerId, emulator.DefaultAccount)
}

// TestSetAccountMovesACaller moves a caller to an empty account and back.
func TestSetAccountMovesACaller(t *testing.T) {
	w := newWorld(t, unthrottled())
	id := w.eni(w.subnet("10.0.0.0/24"))
	w.server.SetAccount("AKIDTEST", "210987654321")
	_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}})
	assertAPIError(t, err, "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '"+id+"' does not exist")
	calls := w.server.Calls()
	assert.Equal(t, calls[len(calls)-1].Account, "210987654321")
	w.server.SetAccount("AKIDTEST", "")
	assert.Equal(t, *w.describe(id).OwnerId, emulator.DefaultAccount)
}

// TestAccountsHaveBucketsOfTheirOwn empties the bucket of one account.
func TestAccountsHaveBucketsOfTheirOwn(t *testing.T) {
	w := newWorld(t, emulator.Options{Throttling: emulator.Throttling{Buckets: map[string]emulator.Bucket{"DescribeVpcs": {Burst: 1}}}})
	must(w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{}))
	_, err := w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{})
	assertAPIError(t, err, "RequestLimitExceeded", "Request limit exceeded.")
	w.server.SetAccount("AKIDTEST", "210987654321")
	must(w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{}))
}
