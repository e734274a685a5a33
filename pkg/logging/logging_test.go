/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package logging

import (
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestFor(t *testing.T) {
	var said []string
	base := funcr.New(func(_, line string) { said = append(said, line) }, funcr.Options{})
	pool := For(base, "pool", "pool", "node")
	pool(nil).Info("Starting")
	pool(&reconcile.Request{NamespacedName: types.NamespacedName{Name: "node-1"}}).Info("Pool is ready")
	For(base, "lease", "claim")(&reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "web-0"}}).Info("Lease ran out")
	assert.Equal(t, strings.Join(said, "\n"), `"level"=0 "msg"="Starting" "controller"="pool"
"level"=0 "msg"="Pool is ready" "controller"="pool" "pool"="node-1" "node"="node-1"
"level"=0 "msg"="Lease ran out" "controller"="lease" "claim"="shop/web-0"`)
}
