/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"io"
	"net/http"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
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

// Gate says whether a call that can change something may be sent now: nil, or why
// not.
type Gate func() error

// gatedWrites asks a gate before each write is sent: before it looks for a
// connection, which may take a while, and when the first byte of its body is asked
// for, right before that goes out. EC2 does nothing without the body, which is where
// the action is. A write that had begun by then is on the wire.
type gatedWrites struct {
	ec2.HTTPClient
	gate Gate
}

// Do sends a request, unless the gate is shut.
func (c gatedWrites) Do(request *http.Request) (*http.Response, error) {
	if strings.HasPrefix(awsmiddleware.GetOperationName(request.Context()), "Describe") {
		return c.HTTPClient.Do(request)
	}
	if err := c.gate(); err != nil {
		return nil, &notLeaderError{cause: err}
	}
	if request.Body != nil {
		request.Body = &gatedBody{ReadCloser: request.Body, gate: c.gate}
	}
	return c.HTTPClient.Do(request)
}

// gatedBody asks the gate before its first byte.
type gatedBody struct {
	io.ReadCloser
	gate  Gate
	begun bool
}

// Read reads, unless the gate was shut when the first byte was asked for.
func (b *gatedBody) Read(p []byte) (int, error) {
	if !b.begun {
		if err := b.gate(); err != nil {
			return 0, &notLeaderError{cause: err}
		}
		b.begun = true
	}
	return b.ReadCloser.Read(p)
}
