/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"slices"
	"time"
)

// attachment connects an ENI to an instance. It is in use from the moment of
// attaching until detaching is complete.
type attachment struct {
	id       string
	eni      *eni
	instance *instance
	// device is unique on the network card.
	device, card        int
	status              string
	attachTime          time.Time
	deleteOnTermination bool
	// overdue is true of an attachment that hangs and would be complete.
	overdue bool
}

const (
	statusPending   = "pending"
	statusAttaching = "attaching"
	statusAttached  = "attached"
	statusDetaching = "detaching"
)

// isPrimary tells whether this is the instance's primary ENI.
func (a *attachment) isPrimary() bool { return a.device == 0 && a.card == 0 }

// attach begins an attachment whose checks have passed.
func (r *region) attach(e *eni, i *instance, device, card int) *attachment {
	a := &attachment{
		id:         r.ids.next("eni-attach"),
		eni:        e,
		instance:   i,
		device:     device,
		card:       card,
		status:     statusAttaching,
		attachTime: r.now,
	}
	e.attachment = a
	r.attachments[a.id] = a
	i.attachments = append(i.attachments, a)
	slices.SortFunc(i.attachments, func(a, b *attachment) int {
		return cmp.Or(cmp.Compare(a.card, b.card), cmp.Compare(a.device, b.device))
	})
	return a
}

// complete ends attaching, unless detaching began before.
func (a *attachment) complete() {
	a.overdue = a.instance.hanging
	if a.status == statusAttaching && !a.overdue {
		a.status = statusAttached
	}
}

// unlink ends an attachment. Reads go on to show it for the time given, unless
// the ENI is attached again or deleted.
func (r *region) unlink(a *attachment, shown time.Duration) {
	if a.eni.attachment != a {
		return // a forced detachment was faster
	}
	i := a.instance
	a.eni.attachment, a.eni.ghost = nil, a
	delete(r.attachments, a.id)
	i.attachments = without(i.attachments, a)
	i.ghosts = append(i.ghosts, a)
	r.after(shown, func() {
		i.ghosts = without(i.ghosts, a)
		if a.eni.ghost == a {
			a.eni.ghost = nil
		}
	})
}

func without(attachments []*attachment, gone *attachment) []*attachment {
	return slices.DeleteFunc(attachments, func(a *attachment) bool { return a == gone })
}

type attachNetworkInterfaceResult struct {
	reply
	AttachmentID string `xml:"attachmentId"`
	Card         int    `xml:"networkCardIndex"`
}

func attachNetworkInterface(r *region, q *request) (result, error) {
	q.required("DeviceIndex")
	device := q.integer("DeviceIndex", 0, 0)
	card := q.integer("NetworkCardIndex", 0, 0)
	eniID, instanceID := q.required("NetworkInterfaceId"), q.required("InstanceId")
	if err := q.check(); err != nil {
		return nil, err
	}
	e, err := r.eni(eniID)
	if err != nil {
		return nil, err
	}
	i, err := r.instance(instanceID)
	if err != nil {
		return nil, err
	}
	if err := i.checkAttach(e, device, card); err != nil {
		return nil, err
	}
	if _, given := q.lookup("NetworkCardIndex"); !given && r.quirks.cardBlind {
		if err := i.checkFreeOnAllCards(device); err != nil {
			return nil, err
		}
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	a := r.attach(e, i, device, card)
	r.after(r.span(r.timings.Attach), a.complete)
	q.created = append(q.created, a.id)
	return &attachNetworkInterfaceResult{AttachmentID: a.id, Card: card}, nil
}

// checkAttach tells whether an ENI can be attached to an instance that is
// running or stopped.
func (i *instance) checkAttach(e *eni, device, card int) error {
	if e.attachment != nil {
		return eniInUse(e.id)
	}
	if i.ending || (i.state != stateRunning && i.state != stateStopped) {
		return fail("IncorrectState", "Instance '%s' is not 'running' or 'stopped'.", i.id)
	}
	if e.subnet.zone != i.subnet.zone {
		return differentZones()
	}
	return i.checkPlace(e, device, card)
}

// checkPlace tells whether the instance's type has room for an ENI: an ENI
// more, the device index on the network card, and the ENI's slots.
func (i *instance) checkPlace(e *eni, device, card int) error {
	onCard := 0
	for _, a := range i.attachments {
		if a.card != card {
			continue
		}
		onCard++
		if a.device == device {
			return deviceTaken(i, device)
		}
	}
	if card >= len(i.kind.cards) {
		return invalidValue("Network card index '%d' is not valid for %s", card, i.kind.id)
	}
	if !slices.Contains(i.kind.cards[card].types(), interfaceType) {
		return invalidCombination("Network card index '%d' of %s does not take interfaces of type '%s'", card, i.kind.id, interfaceType)
	}
	if total := len(i.attachments) + 1; total > i.kind.interfaces {
		return fail("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", total, i.kind.id)
	}
	if onCard+1 > i.kind.cards[card].Interfaces {
		return fail("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", onCard+1, i.kind.id)
	}
	return i.checkSlots(e)
}

func deviceTaken(i *instance, device int) error {
	return invalidValue("Instance '%s' already has an interface attached at device index '%d'.", i.id, device)
}

// checkFreeOnAllCards is what EC2 did for a time where no card was named.
func (i *instance) checkFreeOnAllCards(device int) error {
	if slices.ContainsFunc(i.attachments, func(a *attachment) bool { return a.device == device }) {
		return deviceTaken(i, device)
	}
	return nil
}

// checkSlots tells whether the instance's type can carry an ENI's slots.
func (i *instance) checkSlots(e *eni) error {
	if len(e.slots) > i.kind.limits.IPv4PerInterface {
		return addressLimitExceeded()
	}
	hasPrefix := slices.ContainsFunc(e.slots, func(s slot) bool { return !s.IsSingleIP() })
	if hasPrefix && !i.kind.nitro() {
		return prefixesUnsupported(i.kind)
	}
	return nil
}

func prefixesUnsupported(t *instanceType) error {
	return unsupported("The instance type '%s' does not support IPv4 prefixes", t.id)
}

func detachNetworkInterface(r *region, q *request) (result, error) {
	id, force := q.required("AttachmentId"), q.boolean("Force", false)
	if err := q.check(); err != nil {
		return nil, err
	}
	a, ok := r.attachments[id]
	if !ok || !a.eni.visible(r) {
		return nil, attachmentNotFound(id)
	}
	if a.isPrimary() {
		return nil, fail("OperationNotPermitted",
			"The network interface at device index %d and networkCard index %d cannot be detached.", a.device, a.card)
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	r.detach(a, force)
	return succeeded()
}

// detach begins to end an attachment. Repeating it changes nothing, unless it
// is forced: then a detachment that hangs on a sick instance is overtaken.
func (r *region) detach(a *attachment, force bool) {
	if a.status == statusDetaching && !force {
		return
	}
	a.status = statusDetaching
	span := r.timings.Detach
	if a.instance.sick && !force {
		span = r.timings.SickDetach
	}
	r.after(r.span(span), func() { r.unlink(a, r.stale.Detachments) })
}
