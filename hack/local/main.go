package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Exit codes: that of a failure, and the shell's for a program that was
// interrupted.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

var errInterrupted = errors.New("interrupted")

func main() {
	options, err := parseOptions(os.Args[1:])
	if err != nil {
		os.Exit(exitUsage)
	}
	log.SetLogger(logr.Discard()) // what the libraries have to say stays off the screen
	os.Exit(run(options))
}

func run(options options) int {
	ctx, cancel := untilInterrupted()
	defer cancel()

	screen := newScreen(os.Stdout)
	story, err := newStory(options, screen)
	if err == nil {
		err = story.tell(ctx)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(context.Cause(ctx), errInterrupted):
		screen.line("Interrupted: everything was stopped and removed.")
		return exitInterrupted
	default:
		fmt.Fprintf(os.Stderr, "\nFAILED: %v\n", err)
		return exitFailed
	}
}

// untilInterrupted ends its context on a signal, and when the process that
// started this one is gone: `go run` dies of a SIGTERM without passing it on. A
// second signal ends the program at once; the kernel then ends its children.
func untilInterrupted() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	signalled, restore := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(signalled, restore)

	ctx, cancel := context.WithCancelCause(context.Background())
	context.AfterFunc(signalled, func() { cancel(errInterrupted) })
	go func(parent int) {
		_ = wait.PollUntilContextCancel(ctx, time.Second, false, func(context.Context) (bool, error) {
			return os.Getppid() != parent, nil
		})
		cancel(errInterrupted)
	}(os.Getppid())
	return ctx, func() { cancel(nil); restore() }
}

// options are the command line.
type options struct {
	// stay keeps everything up for people, until interrupted.
	stay bool
	// operator is the path of the operator's binary.
	operator string
	// timeout bounds each chapter of the story.
	timeout time.Duration
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.BoolVar(&o.stay, "stay", false, "stay up for kubectl and the AWS CLI, until interrupted")
	flags.StringVar(&o.operator, "operator", "", "`path` of the operator's binary (default: the repository's build/bin/eni-operator)")
	flags.DurationVar(&o.timeout, "timeout", 3*time.Minute, "how long each step may take")
	return o, flags.Parse(args)
}
