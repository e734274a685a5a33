/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

// instanceChange is one attribute of ModifyInstanceAttribute.
type instanceChange struct {
	// check reports whether the change is possible.
	check func(*instance) error
	apply func(*instance)
}

// modifyInstanceAttribute changes the type of a stopped instance, the groups or the
// source check of its primary ENI, what protects it, or how it shuts down.
func modifyInstanceAttribute(r *region, q *request) (result, error) {
	id := q.required("InstanceId")
	changes := r.readInstanceChanges(q)
	if err := q.check(); err != nil {
		return nil, err
	}
	if len(changes) != 1 {
		return nil, invalidCombination("Exactly one attribute must be specified, not %d.", len(changes))
	}
	i, err := r.instance(id)
	if err != nil {
		return nil, err
	}
	if err := changes[0].check(i); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	changes[0].apply(i)
	return succeeded()
}

func (r *region) readInstanceChanges(q *request) []instanceChange {
	var changes []instanceChange
	kind, given := q.lookup("InstanceType.Value")
	if attribute := q.text("Attribute"); attribute != "" {
		q.rejectUnless(attribute == "instanceType", invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute))
		kind, given = q.required("Value"), true
	}
	if given {
		changes = append(changes, r.changeType(q, kind))
	}
	if ids := q.list("GroupId"); len(ids) > 0 {
		changes = append(changes, ofPrimary(r.changeGroups(ids)))
	}
	if _, given := q.lookup("SourceDestCheck.Value"); given {
		changes = append(changes, ofPrimary(changeSourceDestCheck(q.boolean("SourceDestCheck.Value", true))))
	}
	if _, given := q.lookup("DisableApiStop.Value"); given {
		kept := q.boolean("DisableApiStop.Value", false)
		changes = append(changes, changeOption(func(o *instanceOptions) { o.keptFromStop = kept }))
	}
	if _, given := q.lookup("DisableApiTermination.Value"); given {
		kept := q.boolean("DisableApiTermination.Value", false)
		changes = append(changes, changeOption(func(o *instanceOptions) { o.keptFromTermination = kept }))
	}
	if _, given := q.lookup("InstanceInitiatedShutdownBehavior.Value"); given {
		value := oneOf(q.params, "InstanceInitiatedShutdownBehavior.Value", "stop", "terminate")
		changes = append(changes, changeOption(func(o *instanceOptions) { o.onShutdown = value }))
	}
	return changes
}

// changeOption is a change of what has no part in the network.
func changeOption(change func(*instanceOptions)) instanceChange {
	return instanceChange{
		check: func(*instance) error { return nil },
		apply: func(i *instance) { change(&i.options) },
	}
}

// ofPrimary is a change of an instance's primary ENI.
func ofPrimary(change eniChange) instanceChange {
	return instanceChange{
		check: func(i *instance) error {
			if len(i.attachments) == 0 {
				return i.requireState("modified", stateRunning, stateStopped)
			}
			return change.check(i.attachments[0].eni)
		},
		apply: func(i *instance) { change.apply(i.attachments[0].eni) },
	}
}

func (r *region) changeType(q *request, name string) instanceChange {
	kind, known := r.types.get(name)
	q.rejectUnless(known, invalidValue("Invalid value '%s' for InstanceType.", name))
	return instanceChange{
		check: func(i *instance) error {
			if i.ending || i.state != stateStopped {
				return fail("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.id)
			}
			return i.checkFits(kind)
		},
		apply: func(i *instance) { i.kind = kind },
	}
}

// checkFits reports whether another type has room for all that is attached.
func (i *instance) checkFits(kind *instanceType) error {
	other := instance{record: i.record, kind: kind}
	for _, a := range i.attachments {
		if err := other.checkPlace(a.eni, a.device, a.card); err != nil {
			return err
		}
		other.attachments = append(other.attachments, a)
	}
	return nil
}
