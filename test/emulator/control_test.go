/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
)

// ask calls the control interface and returns its status and body.
func (w *world) ask(method, path, body string) (int, string) {
	w.t.Helper()
	request := must(http.NewRequestWithContext(w.ctx(), method, w.url+"/_emulator/"+path, strings.NewReader(body)))
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	assert.NilError(w.t, err)
	text := must(io.ReadAll(response.Body))
	assert.NilError(w.t, response.Body.Close())
	return response.StatusCode, strings.TrimSpace(string(text))
}

func TestControlInterface(t *testing.T) {
	w := newWorld(t, unthrottled())
	instanceID := *w.run(w.subnet("10.0.0.0/24"), types.InstanceTypeM5Large).InstanceId
	for _, step := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "healthz", "", 200, `{"status":"ok"}`},
		{"GET", "throttling", "", 200, `{"enabled":false}`},
		{"PUT", "throttling", `{"enabled":true}`, 204, ""},
		{"GET", "throttling", "", 200, `{"enabled":true}`},
		{"POST", "refill", "", 204, ""},
		{"PUT", "denied/CreateTags", "", 204, ""},
		{"GET", "denied", "", 200, `["CreateTags"]`},
		{"DELETE", "denied/CreateTags", "", 204, ""},
		{"GET", "denied", "", 200, `[]`},
		{"POST", "faults", `{"action":"DescribeVpcs","code":"Unavailable","status":503,"delay":"1.5s","count":2}`, 200, `{"id":"1"}`},
		{"POST", "faults", `{"action":"*","probability":2}`, 400, "a probability lies between 0 and 1"},
		{"POST", "faults", `{"action":"*","colour":"blue"}`, 400, `json: unknown field "colour"`},
		{"POST", "faults", `{}`, 400, `a fault needs an action, or "*" for any`},
		{"GET", "faults", "", 200, `[{"id":"1","action":"DescribeVpcs","count":2,"code":"Unavailable","status":503,"delay":"1.5s"}]`},
		{"DELETE", "faults/1", "", 204, ""},
		{"DELETE", "faults/1", "", 404, "fault 1: no such thing"},
		{"DELETE", "faults", "", 204, ""},
		{"PUT", "stale-reads", `{"newENIs":"2s"}`, 204, ""},
		{"GET", "stale-reads", "", 200, `{"newENIs":"2s","newAddresses":"0s","detachments":"0s","terminations":"0s"}`},
		{"PUT", "sick/us-east-1/" + instanceID, "", 204, ""},
		{"DELETE", "sick/us-east-1/" + instanceID, "", 204, ""},
		{"PUT", "hanging/us-east-1/" + instanceID, "", 204, ""},
		{"DELETE", "hanging/us-east-1/" + instanceID, "", 204, ""},
		{"PUT", "hanging/us-east-1/" + noInstance, "", 404, "instance " + noInstance + ": no such thing"},
		{"PUT", "managed/us-east-1/" + instanceID, `{"principal":"eks.amazonaws.com","hiddenByDefault":true}`, 204, ""},
		{"PUT", "managed/us-east-1/" + instanceID, `{}`, 400, "a managed resource needs a principal"},
		{"DELETE", "managed/us-east-1/" + instanceID, "", 204, ""},
		{"DELETE", "managed/us-east-1/" + noENI, "", 404, "resource " + noENI + ": no such thing"},
		{"PUT", "account/AKIDOTHER/210987654321", "", 204, ""},
		{"PUT", "account/AKIDOTHER/somebody", "", 400, "an account is a number of 12 digits"},
		{"DELETE", "account/AKIDOTHER", "", 204, ""},
		{"PUT", "past", `{"span":"30s"}`, 204, ""},
		{"PUT", "past", `{"span":"0s"}`, 204, ""},
		{"PUT", "sick/us-east-1/" + noInstance, "", 404, "instance " + noInstance + ": no such thing"},
		{"GET", "counts", "", 200, `{"CreateSubnet":{"calls":1},"CreateVpc":{"calls":1},"RunInstances":{"calls":1}}`},
		{"GET", "calls?since=x", "", 400, `parsing since: strconv.ParseUint: parsing "x": invalid syntax`},
		{"GET", "calls?action=DeleteVpc", "", 200, `[]`},
	} {
		status, body := w.ask(step.method, step.path, step.body)
		assert.Equal(t, status, step.status, "%s %s: %s", step.method, step.path, body)
		assert.Equal(t, body, step.want, "%s %s", step.method, step.path)
	}

	_, body := w.ask("GET", "calls?since=2", "")
	var calls []struct {
		Seq    int
		Action string
		Params map[string][]string
	}
	assert.NilError(t, json.Unmarshal([]byte(body), &calls))
	assert.Equal(t, len(calls), 1)
	assert.Equal(t, calls[0].Action, "RunInstances")
	assert.DeepEqual(t, calls[0].Params["InstanceType"], []string{"m5.large"})
	w.ask("DELETE", "calls", "")
	assert.Equal(t, len(w.server.Calls()), 0)
}

func TestControlInterfaceInjectsFaults(t *testing.T) {
	w := newWorld(t, unthrottled())
	w.ask("POST", "faults", `{"action":"DescribeVpcs","count":1,"loseAnswer":true}`)
	_, err := w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{})
	assertNoAnswer(t, err)
	must(w.DescribeVpcs(w.ctx(), &ec2.DescribeVpcsInput{}))
}
