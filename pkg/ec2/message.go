/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	smithy "github.com/aws/smithy-go"
)

// MaxMessage is the longest text that Kubernetes takes in an event, in bytes. What
// Explain adds to a message fits too.
const MaxMessage = 1024

// maxMessage leaves room for what Explain adds.
const maxMessage = MaxMessage - 384

// noise is what differs from one refusal to the next, so that it must not be stored:
// each text that differs is another write and another event.
var noise = []*regexp.Regexp{
	regexp.MustCompile(`(?s)\s*Encoded authorization failure message: .*$`),
	regexp.MustCompile(`(?i),?\s*\(?(request ?id|requestid):? [0-9a-f-]{8,}\)?`),
	regexp.MustCompile(`, https response error StatusCode: \d+, RequestID: [^,]*`),
}

// Message returns EC2's error text, or the error's own where EC2 did not answer: without
// what differs each time, and short enough for a condition and an event.
func Message(err error) string {
	text := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		text = api.ErrorMessage()
	}
	for _, pattern := range noise {
		text = pattern.ReplaceAllString(text, "")
	}
	return Cut(text, maxMessage)
}

// Cut shortens a text to a number of bytes, between two characters.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const ellipsis = "…"
	end := most - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimSpace(text[:end]) + ellipsis
}
