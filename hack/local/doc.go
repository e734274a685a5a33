// Command local shows the ENI Operator at work on this machine, on real parts:
// a Kubernetes API server, an EC2 endpoint that behaves like EC2, and the
// operator as a process of its own. `make demo` runs it from beginning to end,
// `make run-local` stays up for kubectl and the AWS CLI.
//
// The story is told in story.go. What it needs stands in cloud.go (EC2),
// cluster.go (Kubernetes) and operator.go; what it sees goes through picture.go
// to the table and to the pure functions that judge it: missing.go says what is
// still to come, audit.go what is not as EC2 says, calls.go whose work it was.
package main
