/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package eventstest helps tests of those who publish events.
package eventstest

import (
	"context"

	toolsevents "k8s.io/client-go/tools/events"

	"github.com/eni-operator/eni-operator/pkg/events"
)

// Direct hands each event to a function at once.
type Direct func(context.Context, events.Event)

// Publish calls the function.
func (d Direct) Publish(happened ...events.Event) {
	for _, e := range happened {
		d(context.Background(), e)
	}
}

// Recorder makes Kubernetes Events of the notices at once.
func Recorder(recorder toolsevents.EventRecorder) events.Publisher {
	return Direct(events.Recorder(recorder))
}
