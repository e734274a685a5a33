/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package sdk makes clients of an emulated EC2 with the AWS SDK for Go.
package sdk

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// New returns a client of an endpoint in a Region, whose calls the emulator logs as
// those of this access key id.
func New(endpoint, region, accessKeyID string, settings ...func(*ec2.Options)) *ec2.Client {
	return ec2.New(ec2.Options{
		Region: region, BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(accessKeyID, "secret", ""),
	}, append(settings, func(o *ec2.Options) { o.HTTPClient = plainBodies{o.HTTPClient} })...)
}

// plainBodies hides the WriterTo of request bodies, as pkg/ec2 does: an answer that
// comes at once, as an emulator's may, would be lost.
type plainBodies struct{ ec2.HTTPClient }

// Do sends a request.
func (c plainBodies) Do(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		request.Body = struct{ io.ReadCloser }{request.Body}
	}
	return c.HTTPClient.Do(request)
}
