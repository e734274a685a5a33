/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/go-logr/logr"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/election"
	"github.com/eni-operator/eni-operator/pkg/options"
	"github.com/eni-operator/eni-operator/pkg/setup"
	"github.com/eni-operator/eni-operator/test/promises"
	"github.com/eni-operator/eni-operator/test/simulation/apiserver"
)

// The operator's flags that the simulation chooses.
const (
	nodeGoneGrace = 5 * time.Minute
	auditInterval = 10 * time.Minute
	renewDeadline = 40 * time.Second
	leaderLease   = "eni-operator.networking.eni-operator.dev"
	operatorSpace = "eni-system"
)

func operatorOptions(snapshot string, webhooks bool) options.Options {
	o, err := options.Parse([]string{
		"--cluster-name=simulation", "--metrics-bind-address=0", "--metrics-secure=false", "--health-probe-bind-address=0",
		"--leader-elect-namespace=" + operatorSpace, "--leader-elect-lease-duration=60s", "--leader-elect-renew-deadline=40s",
		"--leader-elect-retry-period=15s", "--snapshot-path=" + snapshot,
		"--eni-concurrency=16", "--pool-concurrency=8", "--node-concurrency=8", "--enable-webhooks=" + strconv.FormatBool(webhooks),
	}, nil)
	if err != nil {
		panic(err)
	}
	return o
}

// replica is one of the operator's pods: processes that follow each other.
type replica struct {
	name  string
	w     *world
	clock *wallClock

	mu       sync.Mutex
	rng      *rand.Rand
	now      *process
	born     int
	snapshot string
	stopped  bool
	done     chan struct{}
	lastEnd  string // of this goroutine alone
	// astray is another account that the next processes talk to.
	astray *account
	// blind is what EC2 does not show to the processes.
	blind blindness
	// crashIn counts the calls until the next crash; none at 0. Then says that it comes
	// after the call was executed.
	crashIn   int
	crashThen bool
	crashWhat string // "ec2", "kubernetes"
	// trouble outlives processes: it is the network's.
	trouble apiserver.Trouble
}

// process is one run of the operator's binary.
type process struct {
	replica    *replica
	connection *apiserver.Connection
	hooks      *hookServer
	cloud      *account
	cancel     context.CancelFunc
	mu         sync.Mutex
	ended      bool
}

func (w *world) newReplica(name string, seed uint64) *replica {
	return &replica{
		name: name, w: w, clock: newWallClock(), rng: rand.New(rand.NewPCG(seed, 3)), //nolint:gosec // repeatable, not secret
		snapshot: filepath.Join(w.folder, name+".db"), done: make(chan struct{}),
	}
}

// run starts one process after the other, as a kubelet does.
func (r *replica) run() {
	defer close(r.done)
	for {
		ctx, cancel := context.WithCancel(context.Background())
		p := r.start(cancel)
		if p == nil {
			cancel()
			return
		}
		err := p.operate(ctx)
		cancel()
		r.tellEnd(p, err)
		p.end()
		r.mu.Lock()
		wait := 5*time.Second + time.Duration(r.rng.Int64N(int64(20*time.Second)))
		r.mu.Unlock()
		if r.isStopped() {
			return
		}
		time.Sleep(wait)
	}
}

// tellEnd tells why a process ended, once of several that end alike.
func (r *replica) tellEnd(p *process, err error) {
	const longest = 120
	why := "as it was told"
	if err != nil {
		why = err.Error()
	}
	if p.dead() {
		why = "by a crash"
	}
	why = why[:min(len(why), longest)]
	began := why[:min(len(why), 30)] // What comes later names this or that object.
	if r.isStopped() || (err != nil && began == r.lastEnd) {
		return
	}
	r.lastEnd = began
	r.w.tell("%s ends: %s", p.connection.Name, why)
}

func (r *replica) start(cancel context.CancelFunc) *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil
	}
	r.born++
	p := &process{replica: r, cancel: cancel, cloud: r.w.cloud, hooks: newHookServer()}
	if r.astray != nil {
		p.cloud = r.astray
	}
	p.connection = r.w.api.Connect(fmt.Sprintf("%s.%d", r.name, r.born), r.rng.Uint64())
	trouble := r.trouble
	p.connection.Set(func(t *apiserver.Trouble) { *t = trouble })
	p.connection.Before = func(string, string) error { return r.maybeCrash("kubernetes", false) }
	p.connection.After = func(string, string) error { return r.maybeCrash("kubernetes", true) }
	r.now = p
	return p
}

func (r *replica) isStopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

// current is the process that runs.
func (r *replica) current() *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// disturb changes the network between the replica and Kubernetes.
func (r *replica) disturb(change func(*apiserver.Trouble)) {
	r.mu.Lock()
	change(&r.trouble)
	now := r.now
	r.mu.Unlock()
	if now != nil {
		now.connection.Set(change)
	}
}

// crash ends the process as kill -9 does: nothing that it sends arrives any more, and
// its snapshot is as it was last saved.
func (r *replica) crash(loseSnapshot bool) {
	p := r.current()
	if p == nil {
		return
	}
	p.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	copied := fmt.Sprintf("%s.%d", r.snapshot, r.born)
	if !loseSnapshot {
		if content, err := os.ReadFile(r.snapshot); err == nil {
			_ = os.WriteFile(copied, content, 0o600)
		}
	}
	r.snapshot = copied
}

// end cuts a process off and has its goroutines end.
func (p *process) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.connection.End()
	p.cancel()
}

func (p *process) dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// maybeCrash crashes the replica at the call that an adversary chose.
func (r *replica) maybeCrash(what string, then bool) error {
	r.mu.Lock()
	if r.crashIn == 0 || r.crashWhat != what || r.crashThen != then {
		r.mu.Unlock()
		return nil
	}
	r.crashIn--
	due := r.crashIn == 0
	r.mu.Unlock()
	if !due {
		return nil
	}
	r.crash(false)
	return errAborted
}

// stop ends the replica for good.
func (r *replica) stop() {
	r.mu.Lock()
	r.stopped = true
	now := r.now
	r.mu.Unlock()
	if now != nil {
		now.cancel()
	}
	<-r.done
}

// connect makes the client of EC2, and the fence that guards it.
func (p *process) connect(ctx context.Context, o options.Options) (ec2.Client, *election.Fence, error) {
	fence := election.NewFence(o.LeaderElectRenewDeadline, p.replica.clock, logr.Discard())
	api, err := ec2.NewClient(ctx, ec2.DefaultLimits(), ec2.WithGate(fence.Check), ec2.WithObserver(priorities{p}), ec2.WithConfig(
		awsconfig.WithRegion(region), awsconfig.WithBaseEndpoint("http://ec2"),
		awsconfig.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(p.connection.Name, "secret", "")),
		awsconfig.WithHTTPClient(&http.Client{Transport: p}),
	))
	return api, fence, err
}

// priorities tells the referee which calls a process sends with the highest priority.
type priorities struct{ of *process }

var _ ec2.Observer = priorities{}

// Waited is called before each call is sent.
func (p priorities) Waited(action string, priority ec2.Priority, _ time.Duration) {
	if priority == ec2.PriorityUrgent {
		p.of.replica.w.referee.Urgent(p.of.connection.Name, action)
	}
}

// Answered is called after each call; the referee sees answers in RoundTrip.
func (priorities) Answered(string, time.Duration, error) {}

// operate runs the operator as main does, until it ends or ctx does.
func (p *process) operate(ctx context.Context) error {
	r := p.replica
	r.mu.Lock()
	o := operatorOptions(r.snapshot, r.w.webhooks)
	r.mu.Unlock()
	client, fence, err := p.connect(ctx, o)
	if err != nil {
		return err
	}
	manager, err := setup.New(ctx, p.connection.Config(), client, fence, o, setup.WithClock(r.clock), setup.WithManager(func(o *ctrl.Options) {
		o.Controller.SkipNameValidation = ptr.To(true) // The replicas share this process.
		// A controller holds a mutex while it warms up and another goroutine waits for it:
		// virtual time would stand still.
		o.Controller.EnableWarmup = ptr.To(false)
		o.Logger = ctrl.Log
		o.WebhookServer = p.hooks
	}))
	if err != nil {
		return err
	}
	return setup.Run(ctx, manager)
}

// RoundTrip carries an EC2 call to the account, past the referee.
func (p *process) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	call := promises.Call{Client: p.connection.Name, Params: form, Sent: time.Now()}
	if p.dead() {
		return nil, errAborted
	}
	if call.Mutating() {
		if err := p.replica.maybeCrash("ec2", false); err != nil {
			return nil, err
		}
	}
	p.replica.w.referee.Sending(call)
	answer, err := p.send(r, body, call)
	arrived := err == nil && r.Context().Err() == nil
	p.replica.w.referee.Ended(call, arrived && answer.StatusCode == http.StatusOK)
	return answer, err
}

// send has the account that the process works with execute a call.
func (p *process) send(r *http.Request, body []byte, call promises.Call) (*http.Response, error) {
	if err := p.fly(r.Context()); err != nil {
		return nil, err
	}
	cloud := p.answering(call.Action())
	if cloud == p.replica.w.cloud {
		p.replica.w.referee.Arriving(call)
	}
	arrived := r.Clone(r.Context())
	arrived.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := p.exchange(cloud, arrived, call.Params)
	if cloud == p.replica.w.cloud {
		p.replica.w.referee.Done(call, failure(answer))
	}
	if call.Mutating() {
		if err := p.replica.maybeCrash("ec2", true); err != nil {
			return nil, err
		}
	}
	if p.dead() {
		return nil, errAborted
	}
	return answer, err
}

// answering is the account that answers an action.
func (p *process) answering(action string) *account {
	p.replica.mu.Lock()
	defer p.replica.mu.Unlock()
	if p.replica.blind.empty[action] {
		return p.replica.w.elsewhere
	}
	return p.cloud
}

// exchange has an account answer, without what EC2 does not show to the replica.
func (p *process) exchange(cloud *account, r *http.Request, form url.Values) (*http.Response, error) {
	p.replica.mu.Lock()
	hole := p.replica.blind.gap
	p.replica.mu.Unlock()
	if denied := p.replica.w.denied(hole, form); denied != nil {
		return denied, nil
	}
	answer, err := exchange(cloud, r)
	if err != nil || answer.StatusCode != http.StatusOK || !hole.concerns(form) {
		return answer, err
	}
	p.replica.mu.Lock()
	defer p.replica.mu.Unlock()
	return answer, hole.filter(answer, p.replica.rng)
}

// longestFlight is how long a call may be on the wire.
const longestFlight = 30 * time.Millisecond

// fly waits while a call is on the wire.
func (p *process) fly(ctx context.Context) error {
	p.replica.mu.Lock()
	flight := time.Duration(p.replica.rng.Int64N(int64(longestFlight)))
	p.replica.mu.Unlock()
	select {
	case <-time.After(flight):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failure is the error code of an answer; a connection that ended without one may
// have changed something, and counts as a success.
func failure(answer *http.Response) string {
	if answer == nil || answer.StatusCode == http.StatusOK {
		return ""
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if code := errorCode(string(body)); code != "" {
		return code
	}
	return answer.Status
}
