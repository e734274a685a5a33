/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// plainBodies hides the WriterTo of request bodies. smithy-go closes a body as
// soon as an answer is there; where net/http is not done with it, the WriterTo
// answers with an error, and net/http drops the connection and the answer.
type plainBodies struct{ ec2.HTTPClient }

// Do sends a request.
func (c plainBodies) Do(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		request.Body = struct{ io.ReadCloser }{request.Body}
	}
	return c.HTTPClient.Do(request)
}
