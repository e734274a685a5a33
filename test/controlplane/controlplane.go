package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// startTimeout bounds the start of each program. It takes seconds on an idle
	// machine; the rest is for machines that compile at the same time.
	startTimeout = 2 * time.Minute
	// stopTimeout bounds the graceful end of each program.
	stopTimeout = 30 * time.Second
	// pollInterval is how often a starting program is asked whether it is ready.
	pollInterval = 50 * time.Millisecond

	// controllers are those that the behaviour of our own kinds rests on. All
	// others would only compete with the tests for the processors.
	controllers = "garbage-collector-controller,namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller"

	// auditPolicy records who did what to which object, without bodies.
	auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`
)

// Options say what to start. The zero value is a control plane with the
// repository's CRDs.
type Options struct {
	// CRDs are files or folders of CustomResourceDefinitions; all are established
	// when Start returns. Nil means the repository's config/crd/bases, and an
	// empty slice means none.
	CRDs []string
	// APIServerArgs are added to kube-apiserver's own, each as "--name=value".
	APIServerArgs []string
	// AuditLog, if set, is the file to which kube-apiserver writes one line of
	// JSON per request (level Metadata).
	AuditLog string
	// WithoutControllerManager leaves kube-controller-manager out.
	WithoutControllerManager bool
	// LogDir receives etcd.log, kube-apiserver.log and
	// kube-controller-manager.log. Unset, they go where Stop removes them.
	LogDir string
}

// User is somebody known to the API server, with the ways to act as them.
type User struct {
	// Config has no client-side rate limit.
	Config *rest.Config
	// Kubeconfig holds the same credentials for other programs.
	Kubeconfig []byte
	// KubeconfigPath is a file with Kubeconfig; Stop removes it.
	KubeconfigPath string
}

// ControlPlane is a running control plane. The embedded User is its
// administrator (group system:masters).
type ControlPlane struct {
	User
	// LogDir holds the programs' logs.
	LogDir string

	folder            *folder
	logs              []*os.File
	environment       *envtest.Environment
	stopEnvironment   chan struct{}
	environmentEnded  chan error
	controllerManager *Process
	stop              func() error
}

// Start starts a control plane and returns when it is ready. Ending ctx ends the
// start, not a control plane that has been started: that is for Stop.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	c := &ControlPlane{}
	c.stop = sync.OnceValue(c.stopAll)
	if err := c.start(ctx, options); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// Stop ends every program and removes every file of the control plane. All but
// the first call do nothing and return what the first returned.
func (c *ControlPlane) Stop() error {
	return c.stop()
}

// AddUser makes a user who belongs to the given groups. What they may do is up
// to RBAC.
func (c *ControlPlane) AddUser(name string, groups ...string) (User, error) {
	added, err := c.environment.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1})
	if err != nil {
		return User{}, fmt.Errorf("adding the user %s: %w", name, err)
	}
	kubeconfig, err := added.KubeConfig()
	if err != nil {
		return User{}, fmt.Errorf("adding the user %s: %w", name, err)
	}
	path, err := c.folder.write("*.kubeconfig", kubeconfig)
	if err != nil {
		return User{}, err
	}
	return User{Config: added.Config(), Kubeconfig: kubeconfig, KubeconfigPath: path}, nil
}

func (c *ControlPlane) start(ctx context.Context, options Options) error {
	if err := c.prepare(options); err != nil {
		return err
	}
	if err := c.startEnvironment(ctx); err != nil {
		return err
	}
	var err error
	if c.User, err = c.AddUser("admin", "system:masters"); err != nil {
		return err
	}
	if options.WithoutControllerManager {
		return nil
	}
	// Its garbage collector finds new kinds only every 30 s, so the CRDs, which
	// the environment installs, come first.
	return c.startControllerManager(ctx)
}

// prepare makes the folder and the environment, and starts nothing yet.
func (c *ControlPlane) prepare(options Options) error {
	etcd, err := Binary("etcd")
	if err != nil {
		return err
	}
	apiServer, err := Binary("kube-apiserver")
	if err != nil {
		return err
	}
	crds, err := crdPaths(options.CRDs)
	if err != nil {
		return err
	}
	if c.folder, err = newFolder(); err != nil {
		return err
	}
	if c.LogDir = options.LogDir; c.LogDir == "" {
		c.LogDir = c.folder.path
	}
	if err := os.MkdirAll(c.LogDir, 0o755); err != nil {
		return err
	}

	c.environment = &envtest.Environment{
		UseExistingCluster:       ptr.To(false),
		CRDDirectoryPaths:        crds,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  stopTimeout,
	}
	if err := c.prepareEtcd(etcd); err != nil {
		return err
	}
	return c.prepareAPIServer(apiServer, options)
}

func (c *ControlPlane) prepareEtcd(path string) error {
	var err error
	etcd := &envtest.Etcd{}
	c.environment.ControlPlane.Etcd = etcd
	if etcd.Path, err = c.folder.guarded(path); err != nil {
		return err
	}
	if etcd.DataDir, err = c.folder.mkdir("etcd"); err != nil {
		return err
	}
	etcd.Out, etcd.Err, err = c.openLog("etcd")
	return err
}

func (c *ControlPlane) prepareAPIServer(path string, options Options) error {
	var err error
	apiServer := c.environment.ControlPlane.GetAPIServer()
	if apiServer.Path, err = c.folder.guarded(path); err != nil {
		return err
	}
	if apiServer.CertDir, err = c.folder.mkdir("kube-apiserver"); err != nil {
		return err
	}
	if apiServer.Out, apiServer.Err, err = c.openLog("kube-apiserver"); err != nil {
		return err
	}

	args := apiServer.Configure()
	for _, arg := range options.APIServerArgs {
		name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		args.Append(name, value)
	}
	if options.AuditLog == "" {
		return nil
	}
	policy, err := c.folder.write("audit-policy-*.yaml", []byte(auditPolicy))
	if err != nil {
		return err
	}
	args.Append("audit-policy-file", policy).Append("audit-log-path", options.AuditLog).Append("audit-log-maxsize", "100000")
	return nil
}

// startEnvironment starts etcd and kube-apiserver and installs the CRDs.
func (c *ControlPlane) startEnvironment(ctx context.Context) error {
	c.stopEnvironment = make(chan struct{})
	c.environmentEnded = make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// The guard ends a child when the thread that started it ends. See Process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_, err := c.environment.Start()
		started <- err
		<-c.stopEnvironment
		c.environmentEnded <- c.environment.Stop()
	}()

	select {
	case err := <-started:
		if err != nil {
			return fmt.Errorf("starting etcd and kube-apiserver: %w\n%s", err, c.lastLogLines("etcd", "kube-apiserver"))
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("starting etcd and kube-apiserver: %w", ctx.Err())
	}
}

func (c *ControlPlane) startControllerManager(ctx context.Context) error {
	const name = "kube-controller-manager"
	path, err := Binary(name)
	if err != nil {
		return err
	}
	user, err := c.AddUser("system:"+name, "system:masters")
	if err != nil {
		return err
	}
	c.controllerManager = &Process{
		Path: path,
		Args: []string{
			"--kubeconfig=" + user.KubeconfigPath,
			"--controllers=" + controllers,
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
			"--secure-port=0", // nobody asks for its metrics, and ports are shared by all tests of the machine
			"--kube-api-qps=1000",
			"--kube-api-burst=1000",
		},
		LogFile:     c.logFile(name),
		StopTimeout: stopTimeout,
	}
	if err := c.controllerManager.Start(); err != nil {
		return err
	}
	if err := c.waitForControllers(ctx); err != nil {
		return fmt.Errorf("starting %s: %w\n%s", name, err, c.lastLogLines(name))
	}
	return nil
}

// waitForControllers returns when the first visible work of
// kube-controller-manager is done: the default service account.
func (c *ControlPlane) waitForControllers(ctx context.Context) error {
	clients, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-c.controllerManager.Done():
			return false, errors.Join(errors.New("it ended"), c.controllerManager.Wait())
		default:
		}
		_, err := clients.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil, client.IgnoreNotFound(err)
	})
}

func (c *ControlPlane) stopAll() error {
	var errs []error
	if c.controllerManager != nil {
		errs = append(errs, c.controllerManager.Stop())
	}
	if c.stopEnvironment != nil {
		close(c.stopEnvironment)
		errs = append(errs, <-c.environmentEnded)
	}
	for _, log := range c.logs {
		errs = append(errs, log.Close())
	}
	if c.folder != nil {
		errs = append(errs, c.folder.remove())
	}
	return errors.Join(errs...)
}

func (c *ControlPlane) logFile(program string) string {
	return filepath.Join(c.LogDir, program+".log")
}

// openLog opens a program's log for its standard output and error.
func (c *ControlPlane) openLog(program string) (stdout, stderr *os.File, err error) {
	log, err := os.Create(c.logFile(program))
	if err != nil {
		return nil, nil, err
	}
	c.logs = append(c.logs, log)
	return log, log, nil
}

// lastLogLines quotes the ends of logs that Stop is about to remove.
func (c *ControlPlane) lastLogLines(programs ...string) string {
	const most = 10
	var quoted strings.Builder
	for _, program := range programs {
		content, err := os.ReadFile(c.logFile(program))
		if err != nil {
			content = []byte(err.Error())
		}
		lines := strings.Split(strings.TrimSpace(string(content)), "\n")
		lines = lines[max(0, len(lines)-most):]
		fmt.Fprintf(&quoted, "%s's last log lines:\n  %s\n", program, strings.Join(lines, "\n  "))
	}
	return quoted.String()
}
