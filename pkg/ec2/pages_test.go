/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// pageFailure refuses requests for a page of ENIs: the first one, or those after it.
type pageFailure struct {
	first  bool
	code   string
	status int
	// left is how many requests it refuses yet.
	left atomic.Int32
	// refused counts those that it refused.
	refused atomic.Int32
}

// failingPages is an EC2 with short pages, and a pageFailure.
type failingPages struct {
	*emulator.Server
	failure atomic.Pointer[pageFailure]
}

func (f *failingPages) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	form, _ := url.ParseQuery(string(body))
	failure := f.failure.Load()
	concerned := form.Get("Action") == "DescribeNetworkInterfaces" && (form.Get("NextToken") == "") == failure.first
	if concerned && failure.left.Add(-1) >= 0 {
		failure.refused.Add(1)
		response.WriteHeader(failure.status)
		_, _ = fmt.Fprintf(response, "<Response><Errors><Error><Code>%s</Code><Message>refused</Message></Error></Errors></Response>", failure.code)
		return
	}
	if form.Has("MaxResults") {
		form.Set("MaxResults", "5")
	}
	sent := form.Encode()
	request.Body = io.NopCloser(strings.NewReader(sent))
	request.ContentLength = int64(len(sent))
	f.Server.ServeHTTP(response, request)
}

// moreThanOnePage is how many ENIs an EC2 of connectToPages has.
const moreThanOnePage = 12

// connectToPages returns an EC2 with more ENIs than a page holds, and a client of it.
func connectToPages(t *testing.T) (*failingPages, *sdkClient) {
	t.Helper()
	server := &failingPages{Server: emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})}
	server.failure.Store(&pageFailure{})
	client := connect(t, server, plenty)
	client.pagePause = time.Millisecond
	subnet := aSubnet(t, client)
	for n := range moreThanOnePage {
		_, err := client.CreateNetworkInterface(t.Context(), CreateInput{SubnetID: subnet.ID, ClientToken: strconv.Itoa(n)})
		assert.NilError(t, err)
	}
	return server, client
}

// TestAPageThatFails is asked for again, a few times, and never looks like ENIs that are
// gone.
func TestAPageThatFails(t *testing.T) {
	server, client := connectToPages(t)
	for _, test := range []struct {
		name     string
		first    bool
		code     string
		status   int
		failures int32
		refused  int32
		class    Class // of the error; "": there is none
	}{
		{"twice, by an outage", false, "InternalError", 500, 2, 2, ""},
		{"twice, by the rate limit", false, "RequestLimitExceeded", 503, 2, 2, ""},
		{"always", false, "Unavailable", 503, 100, pageTries, ClassRetryable},
		{"for good", false, "UnauthorizedOperation", 403, 1, 1, ClassUnauthorized},
		{"since its token has expired", false, "InvalidParameterValue", 400, 1, 1, ClassTerminal},
		{"and is the first: the caller decides", true, "InternalError", 500, 1, 1, ClassRetryable},
	} {
		t.Run(test.name, func(t *testing.T) {
			failure := &pageFailure{first: test.first, code: test.code, status: test.status}
			failure.left.Store(test.failures)
			server.failure.Store(failure)

			found, err := client.DescribeNetworkInterfaces(t.Context())
			assert.Equal(t, failure.refused.Load(), test.refused)
			if test.class == "" {
				assert.NilError(t, err)
				assert.Equal(t, len(found), moreThanOnePage)
				return
			}
			assert.Equal(t, Classify(err), test.class)
			assert.Equal(t, len(found), 0, "part of an answer")
		})
	}
}

// TestAReadThatIsCancelled does not wait for the next try of a page.
func TestAReadThatIsCancelled(t *testing.T) {
	server, client := connectToPages(t)
	client.pagePause = time.Hour
	failure := &pageFailure{code: "InternalError", status: http.StatusInternalServerError}
	failure.left.Store(pageTries)
	server.failure.Store(failure)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() {
		_, err := client.DescribeNetworkInterfaces(ctx)
		ended <- err
	}()
	for failure.refused.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	assert.Equal(t, Classify(<-ended), ClassRetryable)
}
