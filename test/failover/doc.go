/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package failover takes the lead away from the operator under load, again and again,
// and looks what the replicas write to EC2 meanwhile.
//
// Two replicas, real processes with the election of the product, work for a fleet on
// which claims come and go and machines are replaced. A round picks a moment at random
// and does to the leader what happens to leaders: it is killed, told to stop, or
// stopped for longer than its lease lasts and then woken, as a suspended virtual
// machine is. The standby takes over, and a new one is started.
//
// Each replica signs its calls with a key of its own, so a log before EC2 tells who
// wrote, and when the request was complete. After a replica has lost the lead it must
// write nothing any more: after it woke, after it released the lease, and after its
// successor's first write. In the end EC2 must hold as many ENIs as there are
// resources, nothing twice and nothing leaked.
package failover
