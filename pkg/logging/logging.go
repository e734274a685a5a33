/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package logging gives every line about an object the same keys: eni, node, pool and
// claim name it, eniID is EC2's name of an ENI, attempt the number of the attempt to
// create it, errorCode EC2's; traceID and spanID name the span that a line belongs to.
package logging

import (
	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// For returns the loggers of a controller: each of the keys is the name of what a
// request is for, with its namespace where it has one. They replace
// controller-runtime's, which say the same five times in other words.
func For(base logr.Logger, controller string, keys ...string) func(*reconcile.Request) logr.Logger {
	base = base.WithValues("controller", controller)
	return func(request *reconcile.Request) logr.Logger {
		if request == nil {
			return base
		}
		name := request.Name
		if request.Namespace != "" {
			name = request.Namespace + "/" + name
		}
		pairs := make([]any, 0, 2*len(keys))
		for _, key := range keys {
			pairs = append(pairs, key, name)
		}
		return base.WithValues(pairs...)
	}
}
