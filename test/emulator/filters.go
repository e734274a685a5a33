/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"slices"
	"strconv"
	"strings"
)

// maxFilterValues is the number of values that all filters of a call may have
// together or, with Options.FilterLimitEach, each of them.
const maxFilterValues = 200

// filterSet maps the names of an action's filters to the values that a row has
// for each. A nil function stands for a filter that EC2 knows and that no row
// of the emulator has a value for, such as association.public-ip.
type filterSet[R any] map[string]func(*region, R) []string

// filter is one filter of a request: any of its patterns must match.
type filter struct {
	name string
	// count is the number of values.
	count    int
	literals map[string]bool
	globs    []string
}

// readFilters reads the filters of a request and returns a test that is true
// for the rows that pass all of them.
func readFilters[R any](r *region, q *request, known filterSet[R]) func(R) bool {
	filters := q.filters()
	q.reject(r.quirks.checkFilterValues(filters))
	values := make([]func(*region, R) []string, len(filters))
	for i, f := range filters {
		var ok bool
		if values[i], ok = known.lookup(f.name); !ok {
			q.reject(invalidValue("The filter '%s' is invalid", f.name))
		}
	}
	return func(row R) bool {
		for i, f := range filters {
			if values[i] == nil || !slices.ContainsFunc(values[i](r, row), f.matches) {
				return false
			}
		}
		return true
	}
}

// lookup finds a filter by name. The filters tag:KEY and tag-key, tag-value
// exist for whatever has tags.
func (s filterSet[R]) lookup(name string) (func(*region, R) []string, bool) {
	if values, ok := s[name]; ok {
		return values, true
	}
	key, isTag := strings.CutPrefix(name, "tag:")
	if _, tagged := s["tag-key"]; !isTag || !tagged {
		return nil, false
	}
	return func(_ *region, row R) []string {
		if value, ok := any(row).(resource).base().tags[key]; ok {
			return []string{value}
		}
		return nil
	}, true
}

// tagKeys is the filter tag-key.
func tagKeys[R resource](_ *region, row R) []string {
	var keys []string
	for key := range row.base().tags {
		keys = append(keys, key)
	}
	return keys
}

// tagValues is the filter tag-value.
func tagValues[R resource](_ *region, row R) []string {
	var values []string
	for _, value := range row.base().tags {
		values = append(values, value)
	}
	return values
}

// constant is a filter whose value is the same for all rows.
func constant[R any](value string) func(*region, R) []string {
	return func(*region, R) []string { return []string{value} }
}

// ownAccount is a filter on the account that owns a row.
func ownAccount[R any](r *region, _ R) []string { return []string{r.account} }

// one is a filter on a single value.
func one[R any](value func(R) string) func(*region, R) []string {
	return func(_ *region, row R) []string { return []string{value(row)} }
}

// idOf is the filter on a resource's own id.
func idOf[R resource](_ *region, row R) []string { return []string{row.base().id} }

// filters reads the Filter.N parameters.
func (q *request) filters() []filter {
	var filters []filter
	for _, item := range q.structs("Filter") {
		name, values := item.required("Name"), item.list("Value")
		if len(values) == 0 {
			q.reject(invalidValue("The filter '%s' must have at least one value", name))
		}
		filters = append(filters, newFilter(name, values))
	}
	return filters
}

func (s quirks) checkFilterValues(filters []filter) error {
	counted := 0
	for _, f := range filters {
		if s.filterLimitEach {
			counted = 0
		}
		counted += f.count
		if counted > maxFilterValues {
			return fail("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
	}
	return nil
}

func newFilter(name string, values []string) filter {
	f := filter{name: name, count: len(values), literals: make(map[string]bool, len(values))}
	for _, value := range values {
		if strings.ContainsAny(value, `*?\`) {
			f.globs = append(f.globs, value)
		} else {
			f.literals[value] = true
		}
	}
	return f
}

func (f filter) matches(value string) bool {
	return f.literals[value] || slices.ContainsFunc(f.globs, func(glob string) bool {
		return matchGlob(glob, value)
	})
}

// matchGlob matches value against a pattern in which * stands for any number of
// characters, ? for one, and \ takes the next character literally.
func matchGlob(pattern, value string) bool {
	p, v := 0, 0
	star, resume := -1, 0
	for v < len(value) {
		width, ok := matchOne(pattern[p:], value[v])
		switch {
		case ok:
			p, v = p+width, v+1
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, v
			p++
		case star >= 0: // let the last star take one character more
			resume++
			p, v = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one character against the start of a pattern, which is not a
// star, and returns the length of what matched it.
func matchOne(pattern string, char byte) (width int, ok bool) {
	switch {
	case pattern == "" || pattern[0] == '*':
		return 0, false
	case pattern[0] == '\\' && len(pattern) > 1:
		return 2, pattern[1] == char
	default:
		return 1, pattern[0] == '?' || pattern[0] == char
	}
}

func formatBool(b bool) string { return strconv.FormatBool(b) }
