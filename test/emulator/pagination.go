/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"strings"
)

// pageBounds are the smallest and largest MaxResults of an action.
type pageBounds struct{ least, most int }

var (
	// usualPages are the bounds of most Describe actions.
	usualPages = pageBounds{5, 1000}
	// typePages are those of DescribeInstanceTypes.
	typePages = pageBounds{5, 100}
)

// page is the part of a listing that a request asks for.
type page struct {
	// limit is the largest number of rows. Zero asks for all of them.
	limit int
	// after is the position of the last row of the page before.
	after uint64
	// request is what a token is bound to.
	request *request
}

// readPage reads MaxResults and NextToken.
func readPage(q *request, bounds pageBounds) page {
	pg := page{request: q, limit: q.integer("MaxResults", 0, 0)}
	if _, given := q.lookup("MaxResults"); given {
		q.rejectUnless(pg.limit >= bounds.least, invalidValue(
			"Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than %d.", pg.limit, bounds.least))
		q.rejectUnless(pg.limit <= bounds.most, invalidValue(
			"Value ( %d ) for parameter maxResults is invalid. Expecting a value less than or equal to %d.", pg.limit, bounds.most))
	}
	if token := q.text("NextToken"); token != "" {
		pg.after = pg.position(q, token)
	}
	return pg
}

// listingScope identifies what a request lists: its action, Region and filters.
func listingScope(q *request) string {
	hash := fnv.New64a()
	fmt.Fprintln(hash, q.action, q.account, q.region)
	for _, key := range q.form.keys {
		if strings.HasPrefix(key, "Filter.") {
			fmt.Fprintln(hash, key, q.values.Get(key))
		}
	}
	return fmt.Sprintf("%x", hash.Sum64())
}

// token names the place after a row.
func (pg page) token(last uint64) string {
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d", listingScope(pg.request), last))
}

// position reads a token.
func (pg page) position(q *request, token string) uint64 {
	var scope string
	var last uint64
	raw, err := base64.URLEncoding.DecodeString(token)
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "%s %d", &scope, &last)
	}
	if err != nil || scope != listingScope(q) {
		q.reject(invalidValue("Value ( %s ) for parameter NextToken is invalid. The token is invalid.", token))
	}
	return last
}

// listing reads the parameters that Describe actions share: ids, filters, and a
// page of the whole.
type listing[R resource] struct {
	ids   []string
	match func(R) bool
	page  page
}

// readListing reads the ids from idParameter. Ids and MaxResults exclude each
// other; idsName is what EC2's message calls the list of ids.
func readListing[R resource](r *region, q *request, idParameter, idsName string, known filterSet[R]) listing[R] {
	l := listing[R]{
		ids:   q.list(idParameter),
		match: readFilters(r, q, known),
		page:  readPage(q, usualPages),
	}
	q.rejectUnless(len(l.ids) == 0 || l.page.limit == 0,
		invalidCombination("The parameter %s cannot be used with the parameter MaxResults", idsName))
	return l
}

// rows selects from a table, in any order of the ids or on one page. Each id must
// exist, which find decides. The token is empty where no further row matches.
func (l listing[R]) rows(r *region, t *table[R], find func(id string) (R, error)) (rows []R, token string, err error) {
	if len(l.ids) == 0 {
		rows, token = l.scan(r, t)
		return rows, token, nil
	}
	seen := make(map[string]bool, len(l.ids))
	for _, id := range l.ids {
		row, err := find(id)
		if err != nil {
			return nil, "", err
		}
		if !seen[id] && l.match(row) {
			rows = append(rows, row)
		}
		seen[id] = true
	}
	shuffle(r, rows)
	return rows, "", nil
}

// scan lists a page. Pages follow each other from the oldest row to the youngest.
func (l listing[R]) scan(r *region, t *table[R]) (rows []R, token string) {
	length := r.pageLength(l.page.limit)
	for _, row := range t.after(l.page.after) {
		if !l.match(row) {
			continue
		}
		if length > 0 && len(rows) == length {
			token = l.page.token(rows[length-1].base().seq)
			break
		}
		rows = append(rows, row)
	}
	shuffle(r, rows)
	return rows, token
}
