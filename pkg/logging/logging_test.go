/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package logging

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	smithy "github.com/aws/smithy-go"
	"github.com/go-logr/logr/funcr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"gotest.tools/v3/assert"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"
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

// TestCauses: lines about an error name EC2's code, at any level and however it is
// wrapped; others are as they were.
func TestCauses(t *testing.T) {
	observed, lines := observer.New(zapcore.InfoLevel)
	logger := zapr.NewLogger(zap.New(Causes(observed)))
	refused := &smithy.GenericAPIError{Code: "InvalidSubnetID.NotFound", Message: "no such subnet"}
	logger.Error(fmt.Errorf("creating: %w", refused), "Reconciler error", "eni", "a")
	logger.WithValues("node", "b").Error(refused, "Auditing failed")
	logger.Error(errors.New("something else"), "Reconciler error")
	logger.Info("All is well")
	log.FromContext(WithCause(log.IntoContext(t.Context(), logger), refused)).Info("ENI is not ready")
	log.FromContext(WithCause(log.IntoContext(t.Context(), logger), nil)).Info("ENI is ready")
	logger.V(1).Error(nil, "An error without one")
	var codes []any
	for _, line := range lines.All() {
		codes = append(codes, line.ContextMap()["errorCode"])
	}
	code := "InvalidSubnetID.NotFound"
	assert.DeepEqual(t, codes, []any{code, code, nil, nil, code, nil, nil})
	assert.Equal(t, lines.All()[0].ContextMap()["eni"], "a")
	assert.Equal(t, lines.All()[1].ContextMap()["node"], "b")
}

// TestCausesKeepTheLevel: what the level holds back is not written.
func TestCausesKeepTheLevel(t *testing.T) {
	observed, lines := observer.New(zapcore.ErrorLevel)
	logger := zapr.NewLogger(zap.New(Causes(observed)))
	logger.Info("All is well")
	assert.Equal(t, lines.Len(), 0)
}
