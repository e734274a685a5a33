/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import "strings"

// eniChange is one attribute of ModifyNetworkInterfaceAttribute.
type eniChange struct {
	attribute string
	// check tells whether the change is possible.
	check func(*eni) error
	apply func(*eni)
}

// modifyNetworkInterfaceAttribute changes one attribute; EC2 takes no more in
// one call.
func modifyNetworkInterfaceAttribute(r *region, q *request) (result, error) {
	id := q.required("NetworkInterfaceId")
	changes := r.readENIChanges(q)
	var names []string
	for _, change := range changes {
		names = append(names, change.attribute)
	}
	if err := q.check(); err != nil { // such as for an attribute that is not modelled
		return nil, err
	}
	q.rejectUnless(len(changes) > 0, invalidCombination("No attributes specified."))
	q.rejectUnless(len(changes) < 2, invalidCombination("Fields for multiple attribute types specified: %s", strings.Join(names, ", ")))
	if err := q.check(); err != nil {
		return nil, err
	}
	e, err := r.eni(id)
	if err != nil {
		return nil, err
	}
	if err := changes[0].check(e); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	changes[0].apply(e)
	return succeeded()
}

// resetNetworkInterfaceAttribute sets the only attribute that can be reset to what a
// new ENI has.
func resetNetworkInterfaceAttribute(r *region, q *request) (result, error) {
	e, err := r.eni(q.required("NetworkInterfaceId"))
	attribute := q.text("SourceDestCheck")
	q.rejectUnless(attribute != "", missingParameter("sourceDestCheck"))
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	changeSourceDestCheck(true).apply(e)
	return succeeded()
}

func (r *region) readENIChanges(q *request) []eniChange {
	var changes []eniChange
	if ids := q.list("SecurityGroupId"); len(ids) > 0 {
		changes = append(changes, r.changeGroups(ids))
	}
	if _, given := q.lookup("SourceDestCheck.Value"); given {
		changes = append(changes, changeSourceDestCheck(q.boolean("SourceDestCheck.Value", true)))
	}
	if _, given := q.lookup("Description.Value"); given {
		changes = append(changes, changeDescription(readENIDescription(q.params, "Description.Value")))
	}
	if p, given := q.sub("Attachment"); given {
		changes = append(changes, changeDeleteOnTermination(p.required("AttachmentId"), readRequiredBoolean(p, "DeleteOnTermination")))
	}
	return changes
}

func readRequiredBoolean(p params, name string) bool {
	p.required(name)
	return p.boolean(name, false)
}

func (r *region) changeGroups(ids []string) eniChange {
	var groups []*securityGroup
	return eniChange{
		attribute: "groupSet",
		check: func(e *eni) (err error) {
			groups, err = r.groupsFor(e.subnet, ids, foreignToModify)
			return err
		},
		apply: func(e *eni) { e.join(groups) },
	}
}

func changeDescription(value string) eniChange {
	return eniChange{
		attribute: "description",
		check:     func(*eni) error { return nil },
		apply:     func(e *eni) { e.description = value },
	}
}

func changeSourceDestCheck(value bool) eniChange {
	return eniChange{
		attribute: "sourceDestCheck",
		check:     func(*eni) error { return nil },
		apply:     func(e *eni) { e.sourceDestCheck = value },
	}
}

func changeDeleteOnTermination(attachmentID string, value bool) eniChange {
	return eniChange{
		attribute: "attachment",
		check: func(e *eni) error {
			if e.attachment == nil || e.attachment.id != attachmentID {
				return attachmentNotFound(attachmentID)
			}
			return nil
		},
		apply: func(e *eni) { e.attachment.deleteOnTermination = value },
	}
}

type networkInterfaceAttributeResult struct {
	reply
	ID              string            `xml:"networkInterfaceId"`
	Attachment      *eniAttachmentXML `xml:"attachment"`
	Description     *attributeXML     `xml:"description"`
	Groups          *set[groupXML]    `xml:"groupSet"`
	SourceDestCheck *attributeXML     `xml:"sourceDestCheck"`
}

type attributeXML struct {
	Value string `xml:"value"`
}

func describeNetworkInterfaceAttribute(r *region, q *request) (result, error) {
	id, attribute := q.required("NetworkInterfaceId"), q.required("Attribute")
	if err := q.check(); err != nil {
		return nil, err
	}
	e, err := r.eni(id)
	if err != nil {
		return nil, err
	}
	res := &networkInterfaceAttributeResult{ID: e.id}
	switch attribute {
	case "attachment":
		res.Attachment = r.attachmentXML(e.shownAttachment())
	case "description":
		res.Description = &attributeXML{Value: e.description}
	case "groupSet":
		groups := groupsXML(e.groups)
		res.Groups = &groups
	case "sourceDestCheck":
		res.SourceDestCheck = &attributeXML{Value: formatBool(e.sourceDestCheck)}
	default:
		return nil, invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	return res, nil
}
