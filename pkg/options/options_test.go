/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package options

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"gotest.tools/v3/assert"
)

// named is the least that is accepted.
var named = []string{"--cluster-name=test"}

func TestDefaults(t *testing.T) {
	o, err := Parse(named, nil)
	assert.NilError(t, err)
	assert.Equal(t, o.ClusterName, "test")
	for name, pair := range map[string][2]time.Duration{
		"node-gone-grace":             {o.NodeGoneGrace, 5 * time.Minute},
		"visibility-window":           {o.VisibilityWindow, 30 * time.Second},
		"lease-grace":                 {o.LeaseGrace, 30 * time.Second},
		"create-record-max-age":       {o.CreateRecordMaxAge, time.Hour},
		"leader-elect-lease-duration": {o.LeaderElectLeaseDuration, 15 * time.Second},
		"leader-elect-renew-deadline": {o.LeaderElectRenewDeadline, 10 * time.Second},
		"leader-elect-retry-period":   {o.LeaderElectRetryPeriod, time.Second},
	} {
		assert.Equal(t, pair[0], pair[1], name)
	}
	assert.Assert(t, o.LeaderElect && o.VPCCNINoManage && o.MetricsSecure && !o.EnableWebhooks)
	assert.Equal(t, o.MinDeviceIndex, int32(1))
	assert.Equal(t, o.WebhookPort, 9443)
	assert.Equal(t, o.PprofBindAddress, "0", "no profiling unless it is asked for")
}

// TestEveryFlagIsAVariable sets each flag by its variable, to what it is already.
func TestEveryFlagIsAVariable(t *testing.T) {
	var o Options
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.AddFlags(flags)
	environment := []string{"ENI_OPERATOR_CLUSTER_NAME=test", "PATH=/bin", "ENI_OPERATORS=x", "MALFORMED"}
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "cluster-name" {
			environment = append(environment, "ENI_OPERATOR_"+strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))+"="+flag.DefValue)
		}
		assert.Assert(t, flag.Usage != "", flag.Name)
	})
	assert.Assert(t, len(environment) > 20)
	got, err := Parse(nil, environment)
	assert.NilError(t, err)
	want, err := Parse(named, nil)
	assert.NilError(t, err)
	assert.Equal(t, got, want)
}

func TestFlagBeatsVariable(t *testing.T) {
	environment := []string{"ENI_OPERATOR_CLUSTER_NAME=from-environment", "ENI_OPERATOR_VISIBILITY_WINDOW=1m", "ENI_OPERATOR_LEADER_ELECT=false"}
	o, err := Parse([]string{"--cluster-name", "from-flag", "--visibility-window=2m"}, environment)
	assert.NilError(t, err)
	assert.Equal(t, o.ClusterName, "from-flag")
	assert.Equal(t, o.VisibilityWindow, 2*time.Minute)
	assert.Assert(t, !o.LeaderElect, "the variable counts where there is no flag")
}

// TestServiceLinksAreNoSettings: Kubernetes gives these to our pod, since the
// Service of our metrics is called eni-operator-controller-manager-metrics.
func TestServiceLinksAreNoSettings(t *testing.T) {
	var environment []string
	for _, service := range []string{"ENI_OPERATOR", "ENI_OPERATOR_CONTROLLER_MANAGER_METRICS"} {
		environment = append(environment,
			service+"_SERVICE_HOST=10.96.0.17", service+"_SERVICE_PORT=8443", service+"_SERVICE_PORT_METRICS=8443",
			service+"_PORT=tcp://10.96.0.17:8443", service+"_PORT_8443_TCP=tcp://10.96.0.17:8443",
			service+"_PORT_8443_TCP_PROTO=tcp", service+"_PORT_8443_TCP_PORT=8443", service+"_PORT_8443_TCP_ADDR=10.96.0.17",
			service+"_SERVICE_HOST=fd00::17", service+"_PORT=tcp://[fd00::17]:8443", service+"_PORT_8443_TCP_ADDR=fd00::17",
		)
	}
	_, err := Parse(named, environment)
	assert.NilError(t, err)
}

func TestBadValues(t *testing.T) {
	long := "--cluster-name=" + strings.Repeat("é", 257)
	for _, test := range []struct {
		name        string
		arguments   []string
		environment []string
		want        []string // each is in the error
	}{
		{name: "no cluster name", arguments: []string{}, want: []string{"--cluster-name is required"}},
		{name: "empty cluster name", environment: []string{"ENI_OPERATOR_CLUSTER_NAME="}, arguments: []string{}, want: []string{"--cluster-name is required"}},
		{name: "long cluster name", arguments: []string{long}, want: []string{"--cluster-name", "256"}},
		{name: "unknown flag", arguments: []string{"--cluster-nam=x"}, want: []string{"cluster-nam"}},
		{name: "no flag", arguments: []string{"--cluster-name=x", "test"}, want: []string{`"test"`, "--cluster-name=NAME"}},
		{name: "unknown variable", environment: []string{"ENI_OPERATOR_CLUSTERNAME=x"}, want: []string{"ENI_OPERATOR_CLUSTERNAME", "--clustername"}},
		{name: "a variable that only ends like a service's", environment: []string{"ENI_OPERATOR_METRICS_HOST=10.0.0.1"}, want: []string{"ENI_OPERATOR_METRICS_HOST"}},
		{name: "and another", environment: []string{"ENI_OPERATOR_METRICS_PORT=8443"}, want: []string{"ENI_OPERATOR_METRICS_PORT"}},
		{name: "bad duration", arguments: []string{"--visibility-window=30"}, want: []string{"--visibility-window", "30"}},
		{name: "bad duration in a variable", environment: []string{"ENI_OPERATOR_VISIBILITY_WINDOW=30"}, want: []string{"ENI_OPERATOR_VISIBILITY_WINDOW", "30"}},
		{name: "bad bool", environment: []string{"ENI_OPERATOR_LEADER_ELECT=perhaps"}, want: []string{"ENI_OPERATOR_LEADER_ELECT", "perhaps"}},
		{name: "bad integer", arguments: []string{"--min-device-index=one"}, want: []string{"--min-device-index"}},
		{name: "below the primary ENI", arguments: []string{"--min-device-index=-1"}, want: []string{"--min-device-index"}},
		{name: "lease below deadline", arguments: []string{"--leader-elect-lease-duration=10s"}, want: []string{"--leader-elect-lease-duration", "--leader-elect-renew-deadline"}},
		{name: "lease with a fraction", arguments: []string{"--leader-elect-lease-duration=10500ms"}, want: []string{"--leader-elect-lease-duration", "whole seconds"}},
		{name: "no port", arguments: []string{"--webhook-port=0"}, want: []string{"--webhook-port", "65535"}},
		{name: "no such port", arguments: []string{"--webhook-port=65536"}, want: []string{"--webhook-port"}},
		{name: "no Secret for own certificates", arguments: []string{"--webhook-secret="}, want: []string{"--webhook-secret", "--webhook-cert-path"}},
		{name: "a certificate for metrics in clear", arguments: []string{"--metrics-secure=false", "--metrics-cert-path=/certs"}, want: []string{"--metrics-cert-path", "--metrics-secure"}},
		{name: "deadline below period", arguments: []string{"--leader-elect-retry-period=10s"}, want: []string{"--leader-elect-renew-deadline", "--leader-elect-retry-period"}},
		{name: "deadline below period and jitter", arguments: []string{"--leader-elect-retry-period=9s"}, want: []string{"--leader-elect-renew-deadline", "--leader-elect-retry-period"}},
		{name: "no period", arguments: []string{"--leader-elect-retry-period=0s"}, want: []string{"--leader-elect-retry-period"}},
		{name: "audits without a pause", arguments: []string{"--audit-interval=0s"}, want: []string{"--audit-interval"}},
		{name: "collections without a pause", arguments: []string{"--gc-interval=999ms"}, want: []string{"--gc-interval", "1s", "0"}},
		{name: "no grace for leases", arguments: []string{"--lease-grace=0"}, want: []string{"--lease-grace", "1s"}},
		{name: "negative collections", arguments: []string{"--gc-interval=-1s"}, want: []string{"--gc-interval"}},
		{name: "negative grace", arguments: []string{"--gc-grace=-1s"}, want: []string{"--gc-grace"}},
		{name: "no base delay", arguments: []string{"--retry-base-delay=0s"}, want: []string{"--retry-base-delay"}},
		{name: "max below base", arguments: []string{"--retry-max-delay=1ms"}, want: []string{"--retry-max-delay"}},
		{name: "no ENI worker", arguments: []string{"--eni-concurrency=0"}, want: []string{"-concurrency"}},
		{name: "no pool worker", arguments: []string{"--pool-concurrency=0"}, want: []string{"-concurrency"}},
		{name: "no node worker", arguments: []string{"--node-concurrency=-1"}, want: []string{"-concurrency"}},
		{name: "log format", arguments: []string{"--log-format=xml"}, want: []string{"--log-format", "xml"}},
		{name: "negative", arguments: []string{"--node-gone-grace=-1s"}, want: []string{"--node-gone-grace"}},
		{name: "negative window", arguments: []string{"--batch-window=-1s"}, want: []string{"--batch-window"}},
		{name: "all that is wrong at once", arguments: []string{"--min-device-index=-1", "--log-format=xml"}, want: []string{"--min-device-index", "--log-format"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			arguments := test.arguments
			if arguments == nil || (len(arguments) > 0 && !strings.HasPrefix(arguments[0], "--cluster-nam")) {
				arguments = append([]string{"--cluster-name=test"}, arguments...)
			}
			_, err := Parse(arguments, test.environment)
			assert.Assert(t, err != nil)
			for _, want := range test.want {
				assert.Assert(t, strings.Contains(err.Error(), want), "%v: no %s", err, want)
			}
		})
	}
}

func TestHelpIsNoFailure(t *testing.T) {
	_, err := Parse([]string{"--help"}, nil)
	assert.Assert(t, errors.Is(err, pflag.ErrHelp))
}

func TestLongestClusterName(t *testing.T) {
	_, err := Parse([]string{"--cluster-name=" + strings.Repeat("é", 256)}, nil)
	assert.NilError(t, err)
}

func TestCollectorCanBeTurnedOff(t *testing.T) {
	o, err := Parse([]string{"--cluster-name=test", "--gc-interval=0", "--gc-grace=0"}, []string{"ENI_OPERATOR_GC_DRY_RUN=true"})
	assert.NilError(t, err)
	assert.Equal(t, o.GCInterval, time.Duration(0))
	assert.Equal(t, o.GCGrace, time.Duration(0))
	assert.Assert(t, o.GCDryRun)
}
