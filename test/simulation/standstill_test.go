/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/assert"
)

// TestStandstillIsExplained: of all goroutines, the dump shows the one that waits for a
// mutex, and none of those that virtual time wakes.
func TestStandstillIsExplained(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		var mu sync.Mutex
		mu.Lock()
		go waitsForMutex(&mu)
		go time.Sleep(time.Hour)
		for range 1000 {
			runtime.Gosched() // Until both wait; synctest.Wait would never see the mutex do so.
		}
		stacks := make([]byte, 1<<20)
		found := awake(string(stacks[:runtime.Stack(stacks, true)]))
		mu.Unlock()
		assert.Assert(t, strings.Contains(found, "waitsForMutex"), found)
		assert.Assert(t, !strings.Contains(found, "time.Sleep"), found)
		time.Sleep(2 * time.Hour)
	})
}

func waitsForMutex(mu *sync.Mutex) {
	mu.Lock()
	mu.Unlock() //nolint:staticcheck,gocritic // it is there to wait, and guards nothing
}
