package controlplane

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Process is a child process that ends when this process ends, however that
// happens (on Linux; elsewhere a killed parent leaves it running). It has a
// process group of its own, so that Ctrl-C reaches only the parent, which then
// decides in which order its children stop.
//
// Set the fields, then call Start.
type Process struct {
	// Path is the program.
	Path string
	// Args are its arguments, without the program's name.
	Args []string
	// Env is added to this process's environment.
	Env []string
	// LogFile receives standard output and error, behind what it already holds.
	// Without one they are discarded.
	LogFile string
	// StopTimeout is how long Stop waits before it kills; the default is 10 s.
	StopTimeout time.Duration

	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done is closed
}

// Start starts the process. It does not wait until the process is of use.
func (p *Process) Start() error {
	p.cmd = exec.Command(p.Path, p.Args...)
	p.cmd.Env = append(os.Environ(), p.Env...)
	p.cmd.SysProcAttr = guard()
	p.done = make(chan struct{})

	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w", p.name(), err)
	}
	return nil
}

// run stays on one thread from the child's start to its end, because the kernel
// takes the end of the thread that made a child for the death of its parent.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)

	if p.LogFile != "" {
		log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			started <- err
			return
		}
		defer func() { _ = log.Close() }()
		p.cmd.Stdout, p.cmd.Stderr = log, log
	}
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} {
	return p.done
}

// Wait returns when the process has ended: nil after exit code 0, else an
// *exec.ExitError.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Pid is the process's number.
func (p *Process) Pid() int {
	return p.cmd.Process.Pid
}

// Signal sends a signal. It returns os.ErrProcessDone when there is no process
// to receive it any more.
func (p *Process) Signal(signal os.Signal) error {
	return p.cmd.Process.Signal(signal)
}

// Stop asks the process to end with SIGTERM, and kills it after StopTimeout. It
// returns an error only if it had to kill: how a process ended is told by Wait.
func (p *Process) Stop() error {
	if p.cmd == nil || p.cmd.Process == nil {
		return nil
	}
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", p.name(), err)
	}
	timeout := p.StopTimeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(timeout):
	}
	err := p.Signal(syscall.SIGKILL)
	<-p.done
	return errors.Join(fmt.Errorf("%s did not stop within %s and was killed", p.name(), timeout), err)
}

func (p *Process) name() string {
	return filepath.Base(p.Path)
}
