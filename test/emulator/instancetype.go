/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	vpclimits "github.com/aws/amazon-vpc-resource-controller-k8s/pkg/aws/vpc"
)

// instanceType is an instance type with its network limits.
type instanceType struct {
	record
	limits *vpclimits.VPCLimits
	cards  []NetworkCard
	// interfaces is the number of ENIs on all cards together.
	interfaces int
}

// instanceTypes lists all types by name. The limits come from the generated
// table of the VPC resource controller for Kubernetes, and from furtherTypes.
var instanceTypes = newInstanceTypes()

func newInstanceTypes() *table[*instanceType] {
	types := newTable[*instanceType]()
	known := maps.Clone(furtherTypes)
	maps.Copy(known, vpclimits.Limits)
	for i, name := range slices.Sorted(maps.Keys(known)) {
		t := &instanceType{record: record{id: name, seq: uint64(i) + 1}, limits: known[name], interfaces: known[name].Interface}
		t.cards = make([]NetworkCard, max(1, len(t.limits.NetworkCards)))
		t.cards[0].Interfaces = t.limits.Interface
		for _, card := range t.limits.NetworkCards {
			t.cards[card.NetworkCardIndex].Interfaces = int(card.MaximumNetworkInterfaces)
		}
		types.add(t)
	}
	return types
}

// withCards returns all types, some of them with other network cards.
func withCards(cards map[string][]NetworkCard) *table[*instanceType] {
	if len(cards) == 0 {
		return instanceTypes
	}
	types := newTable[*instanceType]()
	for _, t := range instanceTypes.ordered {
		if replaced, ok := cards[t.id]; ok {
			t = &instanceType{record: t.record, limits: t.limits, cards: replaced}
			for _, card := range replaced {
				t.interfaces += card.Interfaces
			}
		}
		types.add(t)
	}
	return types
}

func (c NetworkCard) types() []string {
	if len(c.Types) == 0 {
		return []string{interfaceType}
	}
	return c.Types
}

// maxAddressesPerENI is the largest limit of any type. An ENI that is not
// attached may hold as many.
var maxAddressesPerENI = func() int {
	most := 0
	for _, t := range instanceTypes.ordered {
		most = max(most, t.limits.IPv4PerInterface)
	}
	return most
}()

func intOf(value func(*instanceType) int) func(*region, *instanceType) []string {
	return func(_ *region, t *instanceType) []string { return []string{strconv.Itoa(value(t))} }
}

var instanceTypeFilters = filterSet[*instanceType]{
	"bare-metal":                                one(func(t *instanceType) string { return formatBool(t.limits.IsBareMetal) }),
	"burstable-performance-supported":           one(func(t *instanceType) string { return formatBool(t.burstable()) }),
	"current-generation":                        one(func(t *instanceType) string { return formatBool(t.currentGeneration()) }),
	"hypervisor":                                one((*instanceType).hypervisor),
	"instance-type":                             idOf[*instanceType],
	"network-info.ena-support":                  one((*instanceType).enaSupport),
	"network-info.ipv4-addresses-per-interface": intOf(func(t *instanceType) int { return t.limits.IPv4PerInterface }),
	"network-info.ipv6-addresses-per-interface": intOf((*instanceType).ipv6PerInterface),
	"network-info.ipv6-supported":               one(func(t *instanceType) string { return formatBool(t.ipv6PerInterface() > 0) }),
	"network-info.maximum-network-cards":        intOf(func(t *instanceType) int { return len(t.cards) }),
	"network-info.maximum-network-interfaces":   intOf(func(t *instanceType) int { return t.interfaces }),
	"processor-info.supported-architecture":     func(_ *region, t *instanceType) []string { return t.architectures() },
}

type describeInstanceTypesResult struct {
	reply
	Types     set[instanceTypeXML] `xml:"instanceTypeSet"`
	NextToken string               `xml:"nextToken,omitempty"`
}

func describeInstanceTypes(r *region, q *request) (result, error) {
	q.boolean("IncludeUnsupportedInRegion", false)
	l := listing[*instanceType]{
		ids:   q.list("InstanceType"),
		match: readFilters(r, q, instanceTypeFilters),
		page:  readPage(q, typePages),
	}
	q.rejectUnless(len(l.ids) == 0 || l.page.limit == 0,
		invalidCombination("The parameter InstanceTypes cannot be used with the parameter MaxResults"))
	q.rejectUnless(len(l.ids) <= typePages.most, invalidValue("The maximum number of instance types per request is %d", typePages.most))
	if err := firstError(q.check(), r.checkTypesExist(l.ids)); err != nil {
		return nil, err
	}
	if l.page.limit == 0 {
		l.page.limit = typePages.most
	}
	rows, token, err := l.rows(r, r.types, r.findInstanceType)
	if err != nil {
		return nil, err
	}
	return &describeInstanceTypesResult{Types: setOf(rows, (*instanceType).xml), NextToken: token}, nil
}

// checkTypesExist names all unknown types in one error.
func (r *region) checkTypesExist(names []string) error {
	var unknown []string
	for _, name := range names {
		if _, ok := r.types.get(name); !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return fail("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
	}
	return nil
}

func (r *region) findInstanceType(name string) (*instanceType, error) {
	t, _ := r.types.get(name)
	return t, r.checkTypesExist([]string{name})
}

type instanceTypeXML struct {
	Name              string         `xml:"instanceType"`
	CurrentGeneration bool           `xml:"currentGeneration"`
	BareMetal         bool           `xml:"bareMetal"`
	Burstable         bool           `xml:"burstablePerformanceSupported"`
	Hypervisor        string         `xml:"hypervisor,omitempty"`
	Architectures     set[string]    `xml:"processorInfo>supportedArchitectures"`
	Network           networkInfoXML `xml:"networkInfo"`
}

type networkInfoXML struct {
	MaximumInterfaces int                 `xml:"maximumNetworkInterfaces"`
	MaximumCards      int                 `xml:"maximumNetworkCards"`
	DefaultCard       int                 `xml:"defaultNetworkCardIndex"`
	Cards             set[networkCardXML] `xml:"networkCards"`
	IPv4PerInterface  int                 `xml:"ipv4AddressesPerInterface"`
	IPv6PerInterface  int                 `xml:"ipv6AddressesPerInterface"`
	IPv6Supported     bool                `xml:"ipv6Supported"`
	ENASupport        string              `xml:"enaSupport"`
}

type networkCardXML struct {
	Index             int         `xml:"networkCardIndex"`
	MaximumInterfaces int         `xml:"maximumNetworkInterfaces"`
	Types             set[string] `xml:"interfaceTypeSet"`
}

func (t *instanceType) xml() instanceTypeXML {
	view := instanceTypeXML{
		Name:              t.id,
		CurrentGeneration: t.currentGeneration(),
		Architectures:     set[string]{Items: t.architectures()},
		BareMetal:         t.limits.IsBareMetal,
		Burstable:         t.burstable(),
		Hypervisor:        t.hypervisor(),
		Network: networkInfoXML{
			MaximumInterfaces: t.interfaces,
			MaximumCards:      len(t.cards),
			DefaultCard:       t.limits.DefaultNetworkCardIndex,
			IPv4PerInterface:  t.limits.IPv4PerInterface,
			IPv6PerInterface:  t.ipv6PerInterface(),
			IPv6Supported:     t.ipv6PerInterface() > 0,
			ENASupport:        t.enaSupport(),
		},
	}
	for index, card := range t.cards {
		view.Network.Cards.add(networkCardXML{
			Index:             index,
			MaximumInterfaces: card.Interfaces,
			Types:             set[string]{Items: card.types()},
		})
	}
	return view
}
