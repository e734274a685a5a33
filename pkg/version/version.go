/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package version says which release runs.
package version

import "runtime/debug"

// release is set when a release is built:
// go build -ldflags "-X github.com/eni-operator/eni-operator/pkg/version.release=v0.1.0".
var release string

// unknown is the version of a program that was built without a release or a commit.
const unknown = "unknown"

// String is the release, or else the commit that the program was built from.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return of(release, info)
}

func of(release string, info *debug.BuildInfo) string {
	if release != "" {
		return release
	}
	commit, modified := "", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			commit = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = "-modified"
		}
	}
	if commit == "" {
		return unknown
	}
	return commit + modified
}
