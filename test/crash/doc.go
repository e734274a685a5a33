/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package crash kills the operator at every call that it makes, and looks at what
// becomes of it.
//
// A path is a piece of the operator's work, such as creating the ENIs of a pool
// or moving an ENI. Its undisturbed run is recorded: every EC2 action and every
// write to Kubernetes is a Call. Each call makes two Points: before, where the
// request is discarded, and after, where it has its effect but its answer is
// withheld. At a point the operator, a real process, is killed with SIGKILL by
// the gate that stands between it and the emulated EC2 and the API server; the
// operator itself knows nothing of it. Then it is started again, while EC2 does not
// yet show what was done last.
//
// Afterwards EC2 must hold as many ENIs as there are resources, each attached
// where it should be with the addresses that it should have, nothing twice,
// nothing leaked, and nothing of others changed. Nothing helps the operator to
// heal: no leader election, no collector, and no audit within the run.
package crash
