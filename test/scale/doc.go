/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Command scale measures the operator side by side with the limits of what it
// works on: EC2's token buckets and Kubernetes. `make bench` runs it.
//
// Everything is real but EC2: etcd and kube-apiserver on loopback, the operator's
// binary as a process of its own, with its shipped settings and the rights of its
// own roles, and the emulator with EC2's buckets and fixed latencies. The fleet
// is launched while throttling is off; then the buckets are filled, and each row
// of measurements begins. rows.go lists them with the fleet that each is measured
// on; each has a file of its name.
//
// A row reads three sources, all from outside the operator: the emulator's log of
// calls, the API server's audit log, and /proc. result.go holds what a row
// reports, goals.go what is asked of it, table.go shows it and report.go keeps it.
// A goal that is missed fails nothing; a run that breaks off or leaks does.
//
// Variables ENI_OPERATOR_… reach the operator, so that a setting can be tried:
// ENI_OPERATOR_BATCH_WINDOW=1s make bench ROWS=join.
package main
