/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"net/url"
)

// maxClientToken is the largest length of a client token.
const maxClientToken = 64

// tokenKey identifies a client token. Each action has tokens of its own.
type tokenKey struct {
	action, token string
}

// clientToken is what a Region remembers of a call with a client token.
type clientToken struct {
	// id is what the call created.
	id string
	// parameters are all parameters of the call, in canonical form.
	parameters string
	// answer is what the action needs to answer again.
	answer any
}

// readClientToken reads the token, which is empty where none is given.
func readClientToken(q *request) string {
	token := q.text("ClientToken")
	q.rejectUnless(len(token) <= maxClientToken, fail("InvalidClientToken", "The specified client token is not valid."))
	return token
}

// recall finds the call that used a token before. It is an error if that call
// had other parameters.
func (r *region) recall(q *request, token string) (*clientToken, error) {
	past, ok := r.tokens[tokenKey{q.action, token}]
	if token == "" || !ok {
		return nil, nil
	}
	if past.parameters != canonical(q.values) {
		return nil, fail("IdempotentParameterMismatch",
			"Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	return past, nil
}

// remember keeps a call for the time of token retention.
func (r *region) remember(q *request, token, id string, answer any) {
	if token == "" {
		return
	}
	key := tokenKey{q.action, token}
	call := &clientToken{id: id, parameters: canonical(q.values), answer: answer}
	r.tokens[key] = call
	r.after(r.limits.TokenRetention, func() {
		if r.tokens[key] == call {
			delete(r.tokens, key)
		}
	})
}

// canonical writes parameters in sorted order.
func canonical(values url.Values) string {
	significant := maps.Clone(values)
	significant.Del("DryRun")
	return significant.Encode()
}
