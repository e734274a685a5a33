/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package iam evaluates an identity-based policy as IAM does, as far as the policies of this
// project need it: no NotAction, no principals, no variables.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Policy is an identity-based policy.
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement allows or denies actions on resources under conditions.
type Statement struct {
	Sid      string
	Effect   string
	Action   OneOrMany
	Resource OneOrMany
	// Condition has the values of each key, by operator.
	Condition map[string]map[string]OneOrMany
}

// OneOrMany is a string, or a list of them.
type OneOrMany []string

// UnmarshalJSON reads either form.
func (o *OneOrMany) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*o = OneOrMany{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(o))
}

// Parse reads a policy and refuses what it would not evaluate.
func Parse(document []byte) (Policy, error) {
	var p Policy
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, fmt.Errorf("reading the policy: %w", err)
	}
	var wrong []error
	for _, s := range p.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			wrong = append(wrong, fmt.Errorf("statement %s: Effect is %q", s.Sid, s.Effect))
		}
		for operator := range s.Condition {
			if _, err := parseOperator(operator); err != nil {
				wrong = append(wrong, fmt.Errorf("statement %s: %w", s.Sid, err))
			}
		}
	}
	return p, errors.Join(wrong...)
}

// Call is one action on one resource. A request with several resources needs each of its
// calls to be allowed.
type Call struct {
	// Action is the action with its service: ec2:CreateTags.
	Action string
	// Resource is an ARN, or * for an action that knows no resources.
	Resource string
	// Keys are the condition keys that the request has for this resource.
	Keys map[string][]string
}

// Allows reports whether a statement allows a call and none denies it.
func (p Policy) Allows(c Call) bool {
	allowed := false
	for _, s := range p.Statement {
		if !s.matches(c) {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func (s Statement) matches(c Call) bool {
	action := slices.ContainsFunc(s.Action, func(pattern string) bool { return like(strings.ToLower(pattern), strings.ToLower(c.Action)) })
	if !action || !slices.ContainsFunc(s.Resource, func(pattern string) bool { return like(pattern, c.Resource) }) {
		return false
	}
	for name, keys := range s.Condition {
		op, err := parseOperator(name)
		if err != nil {
			return false
		}
		for key, values := range keys {
			if !op.holds(values, c.value(key)) {
				return false
			}
		}
	}
	return true
}

// value finds a condition key: IAM ignores the case of its name.
func (c Call) value(key string) []string {
	for name, values := range c.Keys {
		if strings.EqualFold(name, key) {
			return values
		}
	}
	return nil
}

// operator is a condition operator with its qualifiers.
type operator struct {
	any, all bool
	ifExists bool
	negated  bool
	// null asks whether the key is missing.
	null  bool
	match func(want, got string) bool
}

func parseOperator(name string) (operator, error) {
	var op operator
	rest := name
	if rest, op.any = strings.CutPrefix(rest, "ForAnyValue:"); !op.any {
		rest, op.all = strings.CutPrefix(rest, "ForAllValues:")
	}
	rest, op.ifExists = strings.CutSuffix(rest, "IfExists")
	switch rest {
	case "Null":
		op.null = true
	case "StringEquals", "StringNotEquals", "ArnEquals", "ArnNotEquals", "StringLike", "StringNotLike", "ArnLike", "ArnNotLike":
		op.negated = strings.Contains(rest, "Not")
		op.match = like
		if strings.HasPrefix(rest, "String") && strings.HasSuffix(rest, "Equals") {
			op.match = func(want, got string) bool { return want == got }
		}
	default:
		return op, fmt.Errorf("condition operator %s is not evaluated here", name)
	}
	return op, nil
}

// holds compares what a key must be with what it is.
func (op operator) holds(want, got []string) bool {
	if op.null {
		return slices.Contains(want, fmt.Sprint(len(got) == 0))
	}
	one := func(value string) bool {
		matched := slices.ContainsFunc(want, func(w string) bool { return op.match(w, value) })
		return matched != op.negated
	}
	switch {
	case op.all:
		return !slices.ContainsFunc(got, func(value string) bool { return !one(value) })
	case op.any:
		return slices.ContainsFunc(got, one)
	case len(got) == 0:
		return op.ifExists || op.negated
	default:
		return one(got[0])
	}
}

// like compares a text with a pattern in which * stands for any text, and ? for any
// character.
func like(pattern, text string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return len(pattern) == len(text) && alike(pattern, text)
	}
	if len(text) < len(head) || !alike(head, text[:len(head)]) {
		return false
	}
	for at := len(head); at <= len(text); at++ {
		if like(rest, text[at:]) {
			return true
		}
	}
	return false
}

// alike compares texts of the same length.
func alike(pattern, text string) bool {
	for at := range len(pattern) {
		if pattern[at] != '?' && pattern[at] != text[at] {
			return false
		}
	}
	return true
}
