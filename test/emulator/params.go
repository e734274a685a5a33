/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// params reads the parameters of a request, or of one structure inside it, in
// the form that the query protocol gives them: Filter.1.Value.2=x.
//
// Every parameter that is read is marked. What remains unmarked is a parameter
// that the action does not know, and the request is refused: ignoring it could
// give a wrong success. The first error is kept, so that a handler reads all
// its parameters and checks once.
type params struct {
	prefix string
	form   *form
}

// form is the state shared by all params of one request.
type form struct {
	values url.Values
	keys   []string // sorted
	read   map[string]bool
	err    error
}

// newParams wraps the parameters of a whole request.
func newParams(values url.Values) params {
	f := &form{values: values, read: make(map[string]bool, len(values))}
	for key := range values {
		f.keys = append(f.keys, key)
	}
	slices.Sort(f.keys)
	return params{form: f}
}

// check returns the first error met in reading, or else names a parameter that
// nothing has read.
func (p params) check() error {
	if p.form.err != nil {
		return p.form.err
	}
	for _, key := range p.form.keys {
		if !p.form.read[key] {
			return unknownParameter(key)
		}
	}
	return nil
}

// reject records err, which may be nil, unless an earlier error exists.
func (p params) reject(err error) {
	if p.form.err == nil {
		p.form.err = err
	}
}

// rejectUnless records err unless ok.
func (p params) rejectUnless(ok bool, err error) {
	if !ok {
		p.reject(err)
	}
}

// lookup reads a parameter and tells whether it was given.
func (p params) lookup(name string) (string, bool) {
	key := p.prefix + name
	values, ok := p.form.values[key]
	if !ok || len(values) == 0 {
		return "", false
	}
	p.form.read[key] = true
	return values[0], true
}

// text reads an optional string.
func (p params) text(name string) string {
	value, _ := p.lookup(name)
	return value
}

// required reads a string that must be given and not be empty.
func (p params) required(name string) string {
	value := p.text(name)
	if value == "" {
		p.reject(missingParameter(p.prefix + name))
	}
	return value
}

// boolean reads a boolean, or returns fallback where it is absent.
func (p params) boolean(name string, fallback bool) bool {
	value, ok := p.lookup(name)
	if !ok {
		return fallback
	}
	parsed, err := strconv.ParseBool(value)
	if err != nil {
		p.reject(unreadable("Value (%s) for parameter %s is invalid. Invalid boolean value", value, p.prefix+name))
	}
	return parsed
}

// integer reads an integer that is not below least, or returns fallback where
// it is absent.
func (p params) integer(name string, least, fallback int) int {
	value, ok := p.lookup(name)
	if !ok {
		return fallback
	}
	parsed, err := strconv.ParseInt(value, 10, 32) // EC2's integers have 32 bits
	if err != nil || int(parsed) < least {
		p.reject(unreadable("Value (%s) for parameter %s is invalid.", value, p.prefix+name))
		return fallback
	}
	return int(parsed)
}

// list reads name.1, name.2 and so on up to the first gap.
func (p params) list(name string) []string {
	var values []string
	for n := 1; ; n++ {
		value, ok := p.lookup(name + "." + strconv.Itoa(n))
		if !ok {
			return values
		}
		values = append(values, value)
	}
}

// ignore accepts parameters, or structures, that have no effect here.
func (p params) ignore(names ...string) {
	for _, key := range p.form.keys {
		name, _, _ := strings.Cut(strings.TrimPrefix(key, p.prefix), ".")
		if slices.Contains(names, name) {
			p.form.read[key] = true
		}
	}
}

// structs reads a list of structures: for each N with a parameter name.N.*, the
// params of that structure.
func (p params) structs(name string) []params {
	var items []params
	for n := 1; ; n++ {
		prefix := p.prefix + name + "." + strconv.Itoa(n) + "."
		if !p.anyWithPrefix(prefix) {
			return items
		}
		items = append(items, params{prefix: prefix, form: p.form})
	}
}

// sub reads one structure, name.*, and tells whether any part of it was given.
func (p params) sub(name string) (params, bool) {
	prefix := p.prefix + name + "."
	return params{prefix: prefix, form: p.form}, p.anyWithPrefix(prefix)
}

func (p params) anyWithPrefix(prefix string) bool {
	i, _ := slices.BinarySearch(p.form.keys, prefix)
	return i < len(p.form.keys) && strings.HasPrefix(p.form.keys[i], prefix)
}
