// Command local shows the ENI Operator at work on this machine, on real parts:
// a Kubernetes API server, an EC2 endpoint that behaves like EC2, and the
// operator as a process of its own. `make demo` runs it from beginning to end;
// `make run-local` stays up for kubectl and the AWS CLI.
//
// story.go holds the chapters, which build.go, apply.go, teardown.go, summary.go,
// webhooks.go and stay.go tell. They play on cloud.go (EC2), cluster.go (Kubernetes) and
// operator.go. What they see is a picture, or EC2's evidence; table.go and
// screen.go show it, and pure functions judge it: missing.go says what is still
// to come, audit*.go what is not as EC2 shows it, calls.go whose calls it took.
package main
