/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package options holds the operator's settings. Each is a flag --some-name and
// an environment variable ENI_OPERATOR_SOME_NAME; the flag wins.
package options

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// Options are the operator's settings.
type Options struct {
	// Version asks for the version, and nothing else is looked at.
	Version bool

	Kubeconfig  string
	ClusterName string
	LogLevel    string
	LogFormat   string

	Uninstall        string
	UninstallTimeout time.Duration

	MetricsBindAddress     string
	MetricsSecure          bool
	MetricsCertPath        string
	HealthProbeBindAddress string
	PerNodeMetrics         bool
	PprofBindAddress       string

	EnableWebhooks       bool
	WebhookHost          string
	WebhookPort          int
	WebhookCertPath      string
	WebhookService       string
	WebhookSecret        string
	WebhookConfiguration string

	LeaderElect              bool
	LeaderElectNamespace     string
	LeaderElectLeaseDuration time.Duration
	LeaderElectRenewDeadline time.Duration
	LeaderElectRetryPeriod   time.Duration

	MinDeviceIndex     int32
	StartupTaintPrefix string
	VPCCNINoManage     bool
	Cooldown           time.Duration
	IdleReleaseAfter   time.Duration
	LeaseGrace         time.Duration

	NodeGoneGrace      time.Duration
	VisibilityWindow   time.Duration
	CreateRecordMaxAge time.Duration
	ForceDetachAfter   time.Duration
	SnapshotPath       string
	AuditInterval      time.Duration
	EC2Brake           bool
	GCInterval         time.Duration
	GCGrace            time.Duration
	GCDryRun           bool
	BatchWindow        time.Duration
	BusyBatchWindow    time.Duration
	NetworkTTL         time.Duration
	RetryBaseDelay     time.Duration
	RetryMaxDelay      time.Duration
	EC2Limits          string

	ENIConcurrency  int
	PoolConcurrency int
	NodeConcurrency int
	KubeAPIQPS      float32
	KubeAPIBurst    int
}

// Values of --uninstall.
const (
	UninstallDelete  = "delete"
	UninstallAbandon = "abandon"
)

// environmentPrefix begins the environment variable of every flag.
const environmentPrefix = "ENI_OPERATOR_"

// AddFlags registers a flag for every setting, with its default.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.Version, "version", false, "Print the version, and end.")
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "", "Path of a kubeconfig file. Unset: $KUBECONFIG, or the pod's own service account.")
	flags.StringVar(&o.ClusterName, "cluster-name", "", "Name of this cluster, for people; written into the tags of every ENI. Required.")
	flags.StringVar(&o.LogLevel, "log-level", "info", "Level of the log: debug, info or error.")
	flags.StringVar(&o.LogFormat, "log-format", "json", "Format of the log: json or console.")

	flags.StringVar(&o.Uninstall, "uninstall", "", "End the operator's work in the cluster instead of doing it: "+
		"delete (have all ENIs deleted by the running operator) or abandon (leave them in EC2, marked as retained; stop the operator first).")
	flags.DurationVar(&o.UninstallTimeout, "uninstall-timeout", 15*time.Minute, "How long --uninstall=delete waits for the operator.")

	o.addServingFlags(flags)

	flags.BoolVar(&o.LeaderElect, "leader-elect", true, "Act only while holding the leader lease, so that of several replicas one acts.")
	flags.StringVar(&o.LeaderElectNamespace, "leader-elect-namespace", "", "Namespace of the leader lease and of the webhooks' certificates. Unset: the pod's.")
	flags.DurationVar(&o.LeaderElectLeaseDuration, "leader-elect-lease-duration", 15*time.Second, "How long a lease holds without renewal.")
	flags.DurationVar(&o.LeaderElectRenewDeadline, "leader-elect-renew-deadline", 10*time.Second, "How long the leader tries to renew before it stops.")
	flags.DurationVar(&o.LeaderElectRetryPeriod, "leader-elect-retry-period", time.Second, "How long to wait between tries.")

	flags.Int32Var(&o.MinDeviceIndex, "min-device-index", 1, "Lowest device index for ENIs, where a policy or ENI names none. 0: use the primary ENI's free slots too.")
	flags.StringVar(&o.StartupTaintPrefix, "startup-taint-prefix", "eni-operator.dev/", "Beginning of the keys of taints that policies may name in startupTaint. "+
		"Empty: any key but those of Kubernetes itself, which removes taints of others at the wish of whoever edits policies.")
	flags.BoolVar(&o.VPCCNINoManage, "vpc-cni-no-manage", true, "Tag ENIs node.k8s.amazonaws.com/no_manage=true, so that the VPC CNI leaves them alone.")
	flags.DurationVar(&o.Cooldown, "cooldown", 30*time.Second,
		"How long a released exclusive ENI rests on nodes whose policy has no shared mode (which has a setting of its own).")
	flags.DurationVar(&o.IdleReleaseAfter, "idle-release-after", 10*time.Minute,
		"How long surplus exclusive ENIs are kept on nodes whose policy has no shared mode (which has a setting of its own).")

	flags.DurationVar(&o.LeaseGrace, "lease-grace", 30*time.Second,
		"How long a claim's lease is waited for beyond its duration. While Kubernetes cannot be reached for longer than this, nothing expires.")

	flags.DurationVar(&o.NodeGoneGrace, "node-gone-grace", 5*time.Minute, "How long a missing Node is waited for while its instance lives.")
	flags.DurationVar(&o.VisibilityWindow, "visibility-window", 30*time.Second, "How long EC2 may answer reads with what was before a write.")
	flags.DurationVar(&o.CreateRecordMaxAge, "create-record-max-age", time.Hour, "Age from which a creation is looked for by tag instead of repeated.")
	flags.DurationVar(&o.ForceDetachAfter, "force-detach-after", 3*time.Minute, "How long a detach may take before it is forced.")
	flags.StringVar(&o.SnapshotPath, "snapshot-path", "",
		"File with what was last known of each ENI, for a restart to begin with; one for each replica. Unset: memory.")
	flags.DurationVar(&o.AuditInterval, "audit-interval", 10*time.Minute, "Time between two reads of all our ENIs, which find what others changed.")
	flags.BoolVar(&o.EC2Brake, "ec2-brake", true, "Change nothing in EC2 while it does not show what this cluster has there, as another account or Region would. "+
		"false: believe EC2 whatever it shows; for the time after a real loss of most instances or ENIs, until the operator has cleaned up.")
	flags.DurationVar(&o.GCInterval, "gc-interval", 10*time.Minute,
		"Shortest time between two collections of leaked ENIs, which use the audit's reads: below --audit-interval it changes nothing. 0: collect none.")
	flags.DurationVar(&o.GCGrace, "gc-grace", 10*time.Minute, "How old an ENI that no resource stands for becomes before it counts as leaked.")
	flags.BoolVar(&o.GCDryRun, "gc-dry-run", false, "Report leaked ENIs in the log and in the metrics, and delete none.")
	flags.DurationVar(&o.BatchWindow, "batch-window", 50*time.Millisecond,
		"How long a read of EC2 waits for others to join its call, anew with each that does, but ten times at most.")
	flags.DurationVar(&o.BusyBatchWindow, "busy-batch-window", 10*time.Second,
		"The same, at most, for ENIs while attachments wait for EC2's rate limit, and for instances while creations do.")
	flags.DurationVar(&o.NetworkTTL, "network-ttl", time.Minute, "How long subnets and security groups found by selector terms are trusted.")
	flags.StringVar(&o.EC2Limits, "ec2-limits", "", "Token buckets of EC2's API actions where AWS granted this account others than its defaults, "+
		"as ACTION=BUCKET:PER-SECOND,... such as AttachNetworkInterface=100:20. Other clusters of the account share them.")
	flags.DurationVar(&o.RetryBaseDelay, "retry-base-delay", time.Second, "Delay after a first failure; each further one doubles it.")
	flags.DurationVar(&o.RetryMaxDelay, "retry-max-delay", 2*time.Minute, "Longest delay between two tries.")

	flags.IntVar(&o.ENIConcurrency, "eni-concurrency", 256, "ENIs worked on at once, each for as long as Kubernetes and EC2 take to answer. "+
		"One whose change has to wait for EC2's rate limit is put off until its turn, and is not among them.")
	flags.IntVar(&o.PoolConcurrency, "pool-concurrency", 256, "Pools worked on at once.")
	flags.IntVar(&o.NodeConcurrency, "node-concurrency", 64, "Nodes worked on at once.")
	flags.Float32Var(&o.KubeAPIQPS, "kube-api-qps", -1, "Requests to Kubernetes a second; -1: no limit but the API server's own (priority and fairness).")
	flags.IntVar(&o.KubeAPIBurst, "kube-api-burst", 400, "Requests to Kubernetes at once, where --kube-api-qps limits them.")
}

// addServingFlags registers what the process serves, and to whom.
func (o *Options) addServingFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.MetricsBindAddress, "metrics-bind-address", ":8443", "Address of the metrics server; 0 turns it off.")
	flags.BoolVar(&o.MetricsSecure, "metrics-secure", true, "Serve metrics over HTTPS, to those whom Kubernetes authorises.")
	flags.StringVar(&o.MetricsCertPath, "metrics-cert-path", "",
		"Folder with the metrics server's tls.crt and tls.key, such as cert-manager mounts; they are read again when they change. "+
			"Unset: the operator makes a certificate for itself at each start, which no scraper can verify.")
	flags.BoolVar(&o.PerNodeMetrics, "per-node-metrics", false,
		"Add gauges of each node's pool to the metrics: twelve series a node at most, so mind your Prometheus on large clusters.")
	flags.StringVar(&o.HealthProbeBindAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz; 0 turns them off.")
	flags.StringVar(&o.PprofBindAddress, "pprof-bind-address", "0",
		"Address of Go's profiling, which is served in clear and to everybody: name one on loopback, as in 127.0.0.1:6060. 0 turns it off.")
	flags.BoolVar(&o.EnableWebhooks, "enable-webhooks", false, "Serve the validating webhooks, on every replica.")
	flags.StringVar(&o.WebhookHost, "webhook-host", "", "Address on which webhooks are served. Unset: all of the pod's.")
	flags.IntVar(&o.WebhookPort, "webhook-port", 9443, "Port on which webhooks are served, over HTTPS.")
	flags.StringVar(&o.WebhookCertPath, "webhook-cert-path", "",
		"Folder with the webhooks' tls.crt and tls.key, such as cert-manager or OLM mounts; they are read again when they change. "+
			"Unset: the operator makes and renews certificates by itself.")
	flags.StringVar(&o.WebhookService, "webhook-service", "eni-operator-webhook-service",
		"Service, in the operator's namespace, by which the API server calls the webhooks; own certificates are for it.")
	flags.StringVar(&o.WebhookSecret, "webhook-secret", "eni-operator-webhook-certificate",
		"Secret, in the operator's namespace, in which own certificates are kept; the operator's Role must name it.")
	flags.StringVar(&o.WebhookConfiguration, "webhook-configuration", "eni-operator-validating-webhook-configuration",
		"ValidatingWebhookConfiguration in which own certificates are announced; the operator's ClusterRole must name it.")
}

// Parse reads arguments and environment variables (in the form of os.Environ).
// Its errors name the flag or variable.
func Parse(arguments, environment []string) (Options, error) {
	var o Options
	flags := pflag.NewFlagSet("eni-operator", pflag.ContinueOnError)
	flags.SortFlags = false
	o.AddFlags(flags)
	if err := fromEnvironment(flags, environment); err != nil {
		return o, err
	}
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if rest := flags.Args(); len(rest) > 0 {
		return o, fmt.Errorf("unknown argument %q: settings are flags, as in --cluster-name=NAME", rest[0])
	}
	if o.Version {
		return o, nil
	}
	err := o.validate()
	return o, err
}

// serviceLink is a variable that Kubernetes gives to every pod for each Service of
// its namespace. A Service whose name begins with eni-operator, such as that of
// our metrics, looks like a setting.
// https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
var serviceLink = regexp.MustCompile(
	`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|_PORT=[a-z]+://`)

func fromEnvironment(flags *pflag.FlagSet, environment []string) error {
	for _, entry := range environment {
		key, value, _ := strings.Cut(entry, "=")
		name, ours := strings.CutPrefix(key, environmentPrefix)
		if !ours {
			continue
		}
		flag := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if flags.Lookup(flag) == nil {
			if serviceLink.MatchString(entry) {
				continue
			}
			return fmt.Errorf("environment variable %s: there is no flag --%s", key, flag)
		}
		if err := flags.Set(flag, value); err != nil {
			return fmt.Errorf("environment variable %s: %w", key, err)
		}
	}
	return nil
}

func (o *Options) validate() error {
	var failed []error
	require := func(ok bool, format string, arguments ...any) {
		if !ok {
			failed = append(failed, fmt.Errorf(format, arguments...))
		}
	}
	require(o.ClusterName != "", "--cluster-name is required: it tells people in the EC2 console whose an ENI is")
	require(utf8.RuneCountInString(o.ClusterName) <= maxTagValue, "--cluster-name: at most %d characters (an EC2 tag's value)", maxTagValue)
	require(o.Uninstall == "" || o.Uninstall == UninstallDelete || o.Uninstall == UninstallAbandon,
		"--uninstall: must be %s or %s, not %q", UninstallDelete, UninstallAbandon, o.Uninstall)
	require(o.MinDeviceIndex >= 0 && o.MinDeviceIndex <= 127, "--min-device-index: must be between 0 and 127")
	o.validateServing(require)
	o.validateElection(require)
	require(o.AuditInterval >= time.Second, "--audit-interval: must be at least 1s")
	require(o.GCInterval == 0 || o.GCInterval >= time.Second, "--gc-interval: must be at least 1s, or 0 to collect nothing")
	require(o.LeaseGrace >= time.Second, "--lease-grace: must be at least 1s")
	require(o.RetryBaseDelay > 0 && o.RetryMaxDelay >= o.RetryBaseDelay, "--retry-max-delay must not be below --retry-base-delay, and both above 0")
	require(o.ENIConcurrency > 0 && o.PoolConcurrency > 0 && o.NodeConcurrency > 0, "--*-concurrency: must be at least 1")
	require(o.LogFormat == "json" || o.LogFormat == "console", "--log-format: must be json or console, not %q", o.LogFormat)
	for name, value := range map[string]time.Duration{
		"node-gone-grace": o.NodeGoneGrace, "visibility-window": o.VisibilityWindow, "create-record-max-age": o.CreateRecordMaxAge, "force-detach-after": o.ForceDetachAfter,
		"batch-window": o.BatchWindow, "busy-batch-window": o.BusyBatchWindow, "network-ttl": o.NetworkTTL, "idle-release-after": o.IdleReleaseAfter, "cooldown": o.Cooldown, "gc-grace": o.GCGrace,
	} {
		require(value >= 0, "--%s: must not be negative", name)
	}
	return errors.Join(failed...)
}

// requirement notes an error unless something is so.
type requirement func(ok bool, format string, arguments ...any)

func (o *Options) validateServing(require requirement) {
	require(o.MetricsSecure || o.MetricsCertPath == "", "--metrics-cert-path is for metrics over HTTPS: set --metrics-secure, or leave it out")
	require(o.WebhookPort >= 1 && o.WebhookPort <= maxPort, "--webhook-port: must be between 1 and %d", maxPort)
	require(o.WebhookCertPath != "" || (o.WebhookService != "" && o.WebhookSecret != "" && o.WebhookConfiguration != ""),
		"--webhook-service, --webhook-secret and --webhook-configuration are required without --webhook-cert-path")
}

func (o *Options) validateElection(require requirement) {
	require(o.LeaderElectLeaseDuration > o.LeaderElectRenewDeadline, "--leader-elect-lease-duration must be above --leader-elect-renew-deadline")
	require(o.LeaderElectLeaseDuration%time.Second == 0, "--leader-elect-lease-duration: must be whole seconds, since a Lease knows no fractions")
	require(o.LeaderElectRetryPeriod > 0, "--leader-elect-retry-period: must be above 0")
	require(o.LeaderElectRenewDeadline > o.LeaderElectRetryPeriod*6/5, // client-go adds that much jitter
		"--leader-elect-renew-deadline must be above 1.2 times --leader-elect-retry-period")
}

const maxPort = 65535

// maxTagValue is the longest value of an EC2 tag, in characters.
const maxTagValue = 256

// FromProcess parses the arguments and environment of this process.
func FromProcess() (Options, error) { return Parse(os.Args[1:], os.Environ()) }
