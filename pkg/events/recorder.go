/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package events

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// Recorder returns a handler that makes Kubernetes Events of the notices. What
// happens again to the same object becomes one Event with a count, since objects
// are named without their resource version.
func Recorder(recorder events.EventRecorder) Handler {
	return func(_ context.Context, e Event) {
		if e.Notice == nil {
			return
		}
		kind := corev1.EventTypeNormal
		if e.Notice.Warning {
			kind = corev1.EventTypeWarning
		}
		recorder.Eventf(e.Object.object(), e.Notice.Related.object(), kind, e.Notice.Reason, e.Notice.Action, "%s", noteOf(e.Message))
	}
}

// longestNote is how many bytes Kubernetes takes of an Event's note; it refuses an Event
// with more.
const longestNote = 1024

// noteOf returns a message as far as it fits into an Event.
func noteOf(message string) string {
	const ellipsis = "…"
	if len(message) <= longestNote {
		return message
	}
	return strings.ToValidUTF8(message[:longestNote-len(ellipsis)], "") + ellipsis
}

// object is the reference as client-go takes it.
func (r *Reference) object() runtime.Object {
	if r == nil {
		return nil
	}
	return &corev1.ObjectReference{APIVersion: r.APIVersion, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name, UID: r.UID}
}
