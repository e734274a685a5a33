/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

// operator is the AWS service that manages an ENI or an instance, if one does.
type operator struct {
	// principal is the service, such as eks.amazonaws.com; empty where none does.
	principal string
	// hidden resources are left out of Describe answers unless a request has
	// IncludeManagedResources.
	hidden bool
}

func (o operator) managed() bool { return o.principal != "" }

type operatorXML struct {
	Managed   bool   `xml:"managed"`
	Principal string `xml:"principal,omitempty"`
	// Hidden is absent from what Create actions answer.
	Hidden *bool `xml:"hiddenByDefault"`
}

func (o operator) xml() operatorXML {
	return operatorXML{Managed: o.managed(), Principal: o.principal, Hidden: &o.hidden}
}

// SetManaged has an AWS service, such as eks.amazonaws.com, manage an ENI or an
// instance from now on, or none where principal is empty. If it is hidden, Describe
// actions leave it out unless they are asked to include managed resources; it takes
// its place on the instance all the same. False is returned where the Region knows no
// such ENI or instance.
func (s *Server) SetManaged(regionName, id, principal string, hidden bool) bool {
	by := operator{principal: principal, hidden: hidden && principal != ""}
	for _, r := range s.regionsNamed(regionName) {
		if r.setOperator(id, by) {
			return true
		}
	}
	return false
}

func (r *region) setOperator(id string, by operator) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.enis.get(id); ok {
		e.operator = by
		return true
	}
	i, ok := r.instances.get(id)
	if ok {
		i.operator = by
	}
	return ok
}

// principalOf is the filter operator.principal.
func principalOf[R any](of func(R) operator) func(*region, R) []string {
	return func(_ *region, row R) []string {
		if by := of(row); by.managed() {
			return []string{by.principal}
		}
		return nil
	}
}
