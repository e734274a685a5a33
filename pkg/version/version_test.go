/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package version

import (
	"runtime/debug"
	"testing"

	"gotest.tools/v3/assert"
)

func TestOf(t *testing.T) {
	built := func(settings ...debug.BuildSetting) *debug.BuildInfo { return &debug.BuildInfo{Settings: settings} }
	commit, modified := debug.BuildSetting{Key: "vcs.revision", Value: "0a1b"}, debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	assert.Equal(t, of("v0.1.0", built(commit, modified)), "v0.1.0")
	assert.Equal(t, of("", built(commit)), "0a1b")
	assert.Equal(t, of("", built(commit, modified)), "0a1b-modified")
	assert.Equal(t, of("", built()), unknown)
}
