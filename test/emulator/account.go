/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"maps"
	"sync"
)

// regionKey identifies a Region of an account.
type regionKey struct{ account, name string }

// accounts are the accounts of callers, by access key id.
type accounts struct {
	mu       sync.Mutex
	byCaller map[string]string
}

func newAccounts(byCaller map[string]string) *accounts {
	a := &accounts{byCaller: make(map[string]string)}
	maps.Copy(a.byCaller, byCaller)
	return a
}

func (a *accounts) of(caller string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return cmp.Or(a.byCaller[caller], DefaultAccount)
}

// SetAccount has the calls that are signed with this access key id act in another
// account from now on. Accounts see nothing of each other; one that nobody has
// called before is empty but for its default VPCs. An empty account is
// DefaultAccount.
func (s *Server) SetAccount(caller, account string) {
	s.accounts.mu.Lock()
	defer s.accounts.mu.Unlock()
	s.accounts.byCaller[caller] = account
}
