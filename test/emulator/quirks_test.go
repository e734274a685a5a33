/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"compress/gzip"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestAttachingWithoutANetworkCard attaches at a device index that is taken on card 1
// alone.
func TestAttachingWithoutANetworkCard(t *testing.T) {
	for _, test := range []struct {
		name      string
		cardBlind bool
		card      *int32
		refused   bool
	}{
		{"no card means card 0", false, nil, false},
		{"card 0 is named", false, aws.Int32(0), false},
		{"EC2 is blind to cards", true, nil, true},
		{"EC2 is blind to cards, but card 0 is named", true, aws.Int32(0), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := unthrottled()
			options.CardBlind = test.cardBlind
			w := newWorld(t, options)
			subnetID := w.subnet("10.0.0.0/24")
			instanceID := *w.run(subnetID, types.InstanceTypeP4d24xlarge).InstanceId
			attach := func(card *int32) error {
				_, err := w.AttachNetworkInterface(w.ctx(), &ec2.AttachNetworkInterfaceInput{
					NetworkInterfaceId: aws.String(w.eni(subnetID)), InstanceId: &instanceID, DeviceIndex: aws.Int32(1), NetworkCardIndex: card,
				})
				return err
			}
			assert.NilError(t, attach(aws.Int32(1)))
			err := attach(test.card)
			if test.refused {
				assertAPIError(t, err, "InvalidParameterValue", "Instance '"+instanceID+"' already has an interface attached at device index '1'.")
				return
			}
			assert.NilError(t, err)
		})
	}
}

// TestLimitOfFilterValues asks for values above and below the limit, in one filter and
// in two.
func TestLimitOfFilterValues(t *testing.T) {
	for _, test := range []struct {
		name         string
		each         bool
		values       []int // of each filter
		wantRefusals bool
	}{
		{"as many as may be", false, []int{200}, false},
		{"as many as may be, in two filters", false, []int{100, 100}, false},
		{"too many, in two filters", false, []int{101, 100}, true},
		{"too many for one filter", true, []int{201}, true},
		{"each filter has a limit of its own", true, []int{200, 200}, false},
		{"each filter has a limit of its own, and the second has too many", true, []int{1, 201}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := unthrottled()
			options.FilterLimitEach = test.each
			w := newWorld(t, options)
			var filters []types.Filter
			for _, values := range test.values {
				filters = append(filters, by("network-interface-id", make([]string, values)...))
			}
			_, err := w.DescribeNetworkInterfaces(w.ctx(), &ec2.DescribeNetworkInterfacesInput{Filters: filters})
			if test.wantRefusals {
				assertAPIError(t, err, "FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200")
				return
			}
			assert.NilError(t, err)
		})
	}
}

// TestHeadersOfAnswers asserts that answers are not to be cached, and compressed only
// for those who take it.
func TestHeadersOfAnswers(t *testing.T) {
	for _, test := range []struct {
		name, accepted, action string
		compress               bool
		wantEncoding           string
		wantStatus             int
	}{
		{"compressed", "gzip, deflate", "DescribeVpcs", true, "gzip", http.StatusOK},
		{"an error is compressed too", "gzip", "CreateMoon", true, "gzip", http.StatusBadRequest},
		{"not asked for", "identity", "DescribeVpcs", true, "", http.StatusOK},
		{"switched off", "gzip", "DescribeVpcs", false, "", http.StatusOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := unthrottled()
			options.Compress = test.compress
			request := httptest.NewRequest(http.MethodGet, "/?"+form(test.action).Encode(), http.NoBody)
			request.Header.Set("Accept-Encoding", test.accepted)
			recorder := httptest.NewRecorder()
			emulator.New(options).ServeHTTP(recorder, request)
			got := recorder.Result()
			assert.Equal(t, got.StatusCode, test.wantStatus)
			assert.Equal(t, got.Header.Get("Content-Encoding"), test.wantEncoding)
			assert.Equal(t, got.Header.Get("Content-Type"), "text/xml;charset=UTF-8")
			assert.Equal(t, got.Header.Get("Cache-Control"), "no-cache, no-store")
			assert.Equal(t, got.Header.Get("Strict-Transport-Security"), "max-age=31536000; includeSubDomains")
			assert.Equal(t, got.Header.Get("Server"), "AmazonEC2")
			body := got.Body
			if test.wantEncoding != "" {
				body = must(gzip.NewReader(got.Body))
			}
			var parsed answer
			assert.NilError(t, xml.NewDecoder(body).Decode(&parsed))
			assert.Equal(t, parsed.RequestID+parsed.FailedID, got.Header.Get("X-Amzn-Requestid"))
		})
	}
}
