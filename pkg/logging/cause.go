/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package logging

import (
	"context"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/tracing"
)

// errorCode is the key of EC2's error code.
const errorCode = "errorCode"

// WithCause returns a context whose logger names EC2's error code, if an error has one:
// for lines that tell what came of the error. The error may be nil.
func WithCause(ctx context.Context, err error) context.Context {
	code := ec2.Code(err)
	if code == "" {
		return ctx
	}
	return log.IntoContext(ctx, log.FromContext(ctx).WithValues(errorCode, code))
}

// Causes has lines about an error, whoever writes them, say what the error knows:
// EC2's error code, and during which span it came up.
func Causes(core zapcore.Core) zapcore.Core { return causes{core} }

type causes struct{ zapcore.Core }

// With adds fields to all lines.
func (c causes) With(fields []zapcore.Field) zapcore.Core { return causes{c.Core.With(fields)} }

// Check puts this core in the place of its own, if that would write the line.
func (c causes) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !c.Enabled(entry.Level) {
		return checked
	}
	return checked.AddCore(entry, c)
}

// Write writes a line.
func (c causes) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	at := slices.IndexFunc(fields, func(field zapcore.Field) bool { return field.Type == zapcore.ErrorType })
	if at < 0 {
		return c.Core.Write(entry, fields)
	}
	err, ok := fields[at].Interface.(error)
	if !ok {
		return c.Core.Write(entry, fields)
	}
	fields = slices.Clone(fields)
	if code := ec2.Code(err); code != "" {
		fields = append(fields, zap.String(errorCode, code))
	}
	values := tracing.LogValues(err)
	for i := 0; i+1 < len(values); i += 2 {
		fields = append(fields, zap.Any(values[i].(string), values[i+1])) //nolint:forcetypeassert // keys are strings
	}
	return c.Core.Write(entry, fields)
}
