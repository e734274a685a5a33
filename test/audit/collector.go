/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// Collection is when the collector set out to delete an ENI.
type Collection struct {
	id   string
	when time.Time
}

// Collections are what the collector set out to delete, by an operator's log.
func Collections(logFile string) ([]Collection, error) {
	log, err := os.Open(logFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	var all []Collection
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Message string  `json:"msg"`
			Time    float64 `json:"ts"` // in seconds
			ENI     string  `json:"eniID"`
		}
		// What is no JSON comes from elsewhere, such as the Go runtime.
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "Deleting leaked ENI" {
			all = append(all, Collection{id: line.ENI, when: time.UnixMicro(int64(line.Time * 1e6))})
		}
	}
	return all, lines.Err()
}

// Collected are the ENIs that were still there when the collector set out to delete
// them. To a stale read the others still were.
func Collected(all []Collection, calls []emulator.Call) []string {
	var leaked []string
	counted := map[string]bool{}
	for _, c := range all {
		if !counted[c.id] && slices.ContainsFunc(calls, func(call emulator.Call) bool {
			return call.Action == "DeleteNetworkInterface" && call.ErrorCode == "" &&
				slices.Contains(call.ResourceIDs, c.id) && !call.Time.Before(c.when)
		}) {
			counted[c.id] = true
			leaked = append(leaked, fmt.Sprintf("leaked: %s, until the collector deleted it", c.id))
		}
	}
	return leaked
}
