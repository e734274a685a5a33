/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// plenty never makes a call wait.
var plenty = Limits{Default: Limit{Bucket: 1 << 30, PerSecond: 1e9}}

// connect returns a client of an EC2 endpoint.
func connect(t *testing.T, endpoint http.Handler, limits Limits, settings ...Option) *sdkClient {
	t.Helper()
	listener := httptest.NewServer(endpoint)
	t.Cleanup(listener.Close)
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL_EC2": listener.URL, "AWS_REGION": "us-east-1",
		"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(key, value)
	}
	client, err := NewClient(t.Context(), limits, settings...)
	assert.NilError(t, err)
	return client.(*sdkClient)
}

// newEmulator returns an instantaneous EC2, and a client of it.
func newEmulator(t *testing.T) (*emulator.Server, *sdkClient) {
	t.Helper()
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	return server, connect(t, server, plenty)
}

// aSubnet is a subnet of the default VPC.
func aSubnet(t *testing.T, client Client) Subnet {
	t.Helper()
	subnets, err := client.DescribeSubnets(t.Context(), Filter{Name: "availability-zone", Values: []string{"us-east-1a"}})
	assert.NilError(t, err)
	assert.Assert(t, len(subnets) > 0)
	return subnets[0]
}

// waiting is the number of deletions in the queue.
func waiting(client Client) int {
	waiting, _ := client.Backlog("DeleteNetworkInterface")
	return waiting
}
