/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

const (
	apiVersion = "2016-11-15"
	namespace  = "http://ec2.amazonaws.com/doc/2016-11-15/"
	// defaultRegion is that of requests without a signature.
	defaultRegion = "us-east-1"
	// maxBodyBytes is far above any request of EC2's clients.
	maxBodyBytes = 4 << 20
)

// request is one call of an action.
type request struct {
	params
	id       string
	action   string
	region   string
	caller   string // access key id, empty when unsigned
	account  string
	values   url.Values
	dryRun   bool
	mutating bool
	// created are the ids of resources that the call made.
	created []string
	// cut means that the connection is closed without an answer.
	cut bool
	// compress is true where the answer is to be compressed.
	compress bool
	// met is the name of the fault that the request met.
	met string
}

// newRequest parses a request. The request is returned also with an error, for
// its id.
func (s *Server) newRequest(r *http.Request) (*request, error) {
	q := &request{id: s.identities.requestID()}
	q.compress = s.compress && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	r.Body = http.MaxBytesReader(nil, r.Body, maxBodyBytes)
	if err := r.ParseForm(); err != nil {
		return q, fail("InvalidRequest", "The request is not a well-formed query request: %v", err)
	}
	q.values = withoutSignature(r.Form)
	q.params = newParams(q.values)
	q.action = q.required("Action")
	if version := q.required("Version"); version != apiVersion {
		q.reject(fail("NoSuchVersion", "The requested version (%s) of service AmazonEC2 does not exist", version))
	}
	q.dryRun = q.boolean("DryRun", false)
	var err error
	if q.caller, q.region, err = credentialScope(r); err != nil {
		return q, err
	}
	q.account = s.accounts.of(q.caller)
	return q, q.form.err
}

// withoutSignature drops the parameters of a signature in the query string.
func withoutSignature(values url.Values) url.Values {
	for key := range values {
		if strings.HasPrefix(key, "X-Amz-") {
			delete(values, key)
		}
	}
	return values
}

// regionName is the form of a Region's name, such as ap-southeast-2.
var regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]+$`)

// credentialScope reads the access key and the Region from a Signature Version
// 4, in the header or in the query string: KEY/DATE/REGION/ec2/aws4_request.
// The signature itself is not verified.
func credentialScope(r *http.Request) (key, region string, err error) {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if header := r.Header.Get("Authorization"); header != "" {
		_, rest, _ := strings.Cut(header, "Credential=")
		credential, _, _ = strings.Cut(rest, ",")
	}
	if credential == "" {
		return "", defaultRegion, nil
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || !regionName.MatchString(scope[2]) {
		return "", "", fail("AuthFailure", "Credential should be scoped to a valid region.")
	}
	return scope[0], scope[2], nil
}

// proceed ends a mutating handler's checks. It fails where parameters were
// wrong or unknown, and on a dry run: what follows changes state.
func (q *request) proceed() error {
	if err := q.check(); err != nil {
		return err
	}
	if q.dryRun {
		return dryRunSucceeded()
	}
	return nil
}

// result is the body of an answer.
type result interface {
	setRequestID(id string)
}

// reply is embedded by every result.
type reply struct {
	RequestID string `xml:"requestId"`
}

func (r *reply) setRequestID(id string) { r.RequestID = id }

// done is the answer of an action that returns nothing.
type done struct {
	reply
	Return bool `xml:"return"`
}

func succeeded() (result, error) { return &done{Return: true}, nil }

// errorReply is the answer of an action that failed.
type errorReply struct {
	XMLName   xml.Name `xml:"Response"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	RequestID string
}

func writeResult(w http.ResponseWriter, q *request, res result) {
	res.setRequestID(q.id)
	start := xml.StartElement{
		Name: xml.Name{Local: q.action + "Response"},
		Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}},
	}
	var body bytes.Buffer
	body.WriteString(xml.Header)
	if err := xml.NewEncoder(&body).EncodeElement(res, start); err != nil {
		writeError(w, q, err)
		return
	}
	writeXML(w, q, http.StatusOK, body.Bytes())
}

func writeError(w http.ResponseWriter, q *request, err error) {
	var known *apiError
	if !errors.As(err, &known) {
		known = &apiError{Code: "InternalError", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	body, err := xml.Marshal(errorReply{Code: known.Code, Message: known.Message, RequestID: q.id})
	if err != nil { // the reply holds nothing but strings
		panic(err)
	}
	writeXML(w, q, known.Status, append([]byte(xml.Header), body...))
}

// writeXML answers. A client that went away is no error of ours.
func writeXML(w http.ResponseWriter, q *request, status int, body []byte) {
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-cache, no-store")
	w.Header().Set("Server", "AmazonEC2")
	w.Header().Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	w.Header().Set("X-Amzn-Requestid", q.id)
	if !q.compress {
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Vary", "accept-encoding")
	w.WriteHeader(status)
	compressed := gzip.NewWriter(w)
	_, _ = compressed.Write(body)
	_ = compressed.Close()
}
