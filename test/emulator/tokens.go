/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// maxClientToken is the largest length of a client token of RunInstances.
const maxClientToken = 64

// tokenKey identifies a client token. Each action has tokens of its own.
type tokenKey struct {
	action, token string
}

// clientToken is what a Region remembers of a call with a client token.
type clientToken struct {
	// token is the token as it was given, but for blanks around it.
	token string
	// id is what the call created.
	id string
	// arguments are what a repeated call must have in common with this one.
	arguments string
	// answer is what the action needs to answer again.
	answer any
}

// readClientToken reads the token, which is empty where none is given.
func readClientToken(q *request) string {
	token := q.text("ClientToken")
	q.rejectUnless(len(token) <= maxClientToken, fail("InvalidClientToken", "The specified client token is not valid."))
	return token
}

// readENIToken reads the token of CreateNetworkInterface. EC2 trims it, takes one of
// any length, and fails on one that is blank.
func readENIToken(q *request) string {
	text, given := q.lookup("ClientToken")
	token := strings.TrimSpace(text)
	q.rejectUnless(!given || token != "", &apiError{
		Code: "InternalError", Message: "An internal error has occurred", Status: http.StatusInternalServerError,
	})
	return token
}

// keyOf is where a token is remembered, whatever the case of its letters.
func keyOf(q *request, token string) tokenKey { return tokenKey{q.action, strings.ToLower(token)} }

// recall finds the call that used a token before, or returns nil.
func (r *region) recall(q *request, token string) *clientToken {
	if token == "" {
		return nil
	}
	return r.tokens[keyOf(q, token)]
}

// remember keeps a call for the time of token retention.
func (r *region) remember(q *request, token string, call clientToken) {
	if token == "" {
		return
	}
	key := keyOf(q, token)
	call.token = token
	r.tokens[key] = &call
	r.after(r.limits.TokenRetention, func() {
		if r.tokens[key] == &call {
			delete(r.tokens, key)
		}
	})
}

func tokenMismatch(format string, args ...any) error {
	return fail("IdempotentParameterMismatch", format, args...)
}

// canonical writes parameters in sorted order.
func canonical(values url.Values) string {
	significant := maps.Clone(values)
	significant.Del("DryRun")
	return significant.Encode()
}
