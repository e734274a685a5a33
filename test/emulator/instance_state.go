/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"net/netip"
	"slices"
	"time"
)

type instanceStateChangeXML struct {
	ID       string   `xml:"instanceId"`
	Current  stateXML `xml:"currentState"`
	Previous stateXML `xml:"previousState"`
}

type instanceStateChangesResult struct {
	reply
	Instances set[instanceStateChangeXML] `xml:"instancesSet"`
}

// changeStates runs one of the actions on instances that change their state.
// The check passes or fails each instance before any is changed; change returns the
// state that is answered.
func (r *region) changeStates(q *request, check func(*instance) error, change func(*instance) instanceState) (result, error) {
	ids := q.list("InstanceId")
	q.rejectUnless(len(ids) > 0, missingParameter("InstanceId"))
	if err := q.check(); err != nil {
		return nil, err
	}
	rows, err := r.findInstances(q, ids)
	if err != nil {
		return nil, err
	}
	for _, i := range rows {
		if err := check(i); err != nil {
			return nil, err
		}
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	res := &instanceStateChangesResult{}
	for _, i := range rows {
		previous := i.state
		current := change(i)
		res.Instances.add(instanceStateChangeXML{ID: i.id, Current: current.xml(), Previous: previous.xml()})
	}
	return res, nil
}

// enter changes an instance's state.
func (i *instance) enter(state instanceState) {
	i.state = state
	i.changes++
}

// enterAfter plans a state change, which is dropped if another one comes
// before.
func (r *region) enterAfter(delay time.Duration, i *instance, then func()) {
	planned := i.changes
	r.after(delay, func() {
		if i.changes == planned {
			then()
		}
	})
}

// start lets an instance boot. Its ENIs are attached when it runs.
func (r *region) start(i *instance) {
	i.enter(statePending)
	i.reason, i.reasonCode = "", ""
	r.enterAfter(r.span(r.timings.StartInstance), i, func() {
		i.enter(stateRunning)
		for _, a := range i.attachments {
			a.complete()
		}
	})
}

func startInstances(r *region, q *request) (result, error) {
	return r.changeStates(q, func(i *instance) error {
		return i.requireState("started", stateStopped, stateRunning, statePending)
	}, func(i *instance) instanceState {
		if i.state == stateStopped {
			r.start(i)
		}
		return i.state
	})
}

// stopInstances ignores Force: an emulated instance has nothing to lose.
func stopInstances(r *region, q *request) (result, error) {
	q.boolean("Force", false)
	q.boolean("SkipOsShutdown", false)
	return r.changeStates(q, func(i *instance) error {
		return firstError(i.requireState("stopped", stateRunning, stateStopping, stateStopped),
			checkProtected(i.options.keptFromStop, i, "stopped", "disableApiStop"))
	}, func(i *instance) instanceState {
		if i.state == stateRunning {
			r.stop(i)
		}
		return i.state
	})
}

func (r *region) stop(i *instance) {
	i.enter(stateStopping)
	i.userInitiated(r)
	r.enterAfter(r.span(r.timings.StopInstance), i, func() { i.enter(stateStopped) })
}

func (i *instance) requireState(participle string, states ...instanceState) error {
	if slices.Contains(states, i.state) && !i.ending {
		return nil
	}
	if i.state == stateTerminated {
		return fail("IncorrectInstanceState", "This instance '%s' is not in a state from which it can be %s.", i.id, participle)
	}
	return fail("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.", i.id, participle)
}

// userInitiated records why the instance stops or terminates.
func (i *instance) userInitiated(r *region) {
	i.reason = "User initiated (" + r.now.UTC().Format("2006-01-02 15:04:05 GMT") + ")"
	i.reasonCode = "Client.UserInitiatedShutdown"
}

func terminateInstances(r *region, q *request) (result, error) {
	q.boolean("Force", false)
	q.boolean("SkipOsShutdown", false)
	unprotected := func(i *instance) error {
		return checkProtected(i.options.keptFromTermination, i, "terminated", "disableApiTermination")
	}
	return r.changeStates(q, unprotected, func(i *instance) instanceState {
		switch {
		case i.state == stateStopped:
			if !i.ending {
				r.terminateStopped(i)
			}
			return stateTerminated
		case i.state != stateTerminated && i.state != stateShuttingDown:
			r.terminate(i)
		}
		return i.state
	})
}

// terminate ends an instance that is not stopped. For two thirds of the time it shows
// all that it had, then its ENIs are detaching.
func (r *region) terminate(i *instance) {
	i.enter(stateShuttingDown)
	i.userInitiated(r)
	span := r.span(r.timings.TerminateInstance)
	r.after(span*2/3, func() {
		i.loseNetwork()
		for _, a := range i.attachments {
			a.status = statusDetaching
		}
	})
	r.enterAfter(span, i, func() {
		r.releaseENIs(i)
		r.end(i)
	})
}

// terminateStopped ends a stopped instance. EC2 answers that it is terminated, and
// shows it as stopped, without its network, for half of the time that it takes.
func (r *region) terminateStopped(i *instance) {
	i.loseNetwork()
	i.userInitiated(r)
	span := r.span(r.timings.TerminateStopped)
	r.enterAfter(span/2, i, func() {
		i.enter(stateShuttingDown)
		r.releaseENIs(i)
		r.enterAfter(span-span/2, i, func() { r.end(i) })
	})
}

// loseNetwork takes from an instance what EC2 shows of its network.
func (i *instance) loseNetwork() {
	i.ending = true
	i.address = netip.Addr{}
}

// end makes an instance terminated, and forgets it in the end.
func (r *region) end(i *instance) {
	i.enter(stateTerminated)
	i.loseNetwork()
	r.after(r.limits.TerminatedRetention, func() { r.instances.remove(i) })
}

// releaseENIs deletes the ENIs of a terminated instance that go with it, and
// detaches the others.
func (r *region) releaseENIs(i *instance) {
	for _, a := range slices.Clone(i.attachments) {
		if a.deleteOnTermination {
			r.unlink(a, 0)
			r.removeENI(a.eni)
			continue
		}
		r.after(r.stale.Terminations, func() { r.unlink(a, 0) })
	}
}
