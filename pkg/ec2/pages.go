/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

const (
	// pageTries is how often a page after the first is asked for. An error that passes
	// must not cost the pages before it: a list of fifty of them would hardly ever end
	// while one call in ten fails.
	pageTries = 4
	// pagePause is the pause before the second try; each further one is twice as long.
	pagePause = 500 * time.Millisecond
)

// paginator is what the SDK has for each Describe action. NextPage asks for the same
// page again after an error.
type paginator[P any] interface {
	HasMorePages() bool
	NextPage(ctx context.Context, options ...func(*ec2.Options)) (P, error)
}

// eachPage hands all pages of an answer to take, in their order. If it returns an error
// the answer is incomplete, and what take has got must not be used: what the missing
// pages would show is not gone.
func eachPage[P any](ctx context.Context, pause time.Duration, pages paginator[P], take func(P)) error {
	first := true
	for pages.HasMorePages() {
		tries := pageTries
		if first { // Nothing is lost with it: its caller decides.
			tries = 1
		}
		page, err := readPage(ctx, tries, pause, pages)
		if err != nil {
			return err
		}
		take(page)
		first = false
	}
	return nil
}

// readPage reads the next page, up to so many times while the error is one that passes.
func readPage[P any](ctx context.Context, tries int, pause time.Duration, pages paginator[P]) (P, error) {
	page, err := pages.NextPage(ctx)
	for try := 1; try < tries && passes(err); try++ {
		if waitErr := sleep(ctx, pause); waitErr != nil {
			return page, err
		}
		pause *= 2
		page, err = pages.NextPage(ctx)
	}
	return page, err
}

// passes reports whether a read may succeed if it is repeated soon.
func passes(err error) bool {
	if err == nil || Cancelled(err) {
		return false
	}
	class := Classify(err)
	return class == ClassThrottled || class == ClassRetryable
}

// sleep returns after a pause, or with an error once ctx ends.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
