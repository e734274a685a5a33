/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package metrics

import (
	"runtime"

	"github.com/eni-operator/eni-operator/pkg/version"
)

var build = gauge("eni_operator_build_info", "1, with the release or commit of this replica and the Go that built it.", "version", "go_version")

func init() { build.WithLabelValues(version.String(), runtime.Version()).Set(1) }
