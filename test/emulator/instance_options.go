/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"strconv"
)

// instanceOptions are what RunInstances takes and Describe actions show again, without
// a part in the network.
type instanceOptions struct {
	metadata metadataOptionsXML
	// cpu is nil unless it was given: how many processors a type has is not emulated.
	cpu *cpuOptionsXML
	// placementGroup is the name of one; any name will do.
	placementGroup string
	userData       string
	// onShutdown is stop or terminate: what EC2 does when the instance shuts itself
	// down.
	onShutdown string
	// The instance is protected from StopInstances or TerminateInstances.
	keptFromStop, keptFromTermination bool
}

// readInstanceOptions reads them from RunInstances.
func readInstanceOptions(q *request) instanceOptions {
	o := instanceOptions{
		metadata:            readMetadataOptions(q.params),
		cpu:                 readCPUOptions(q.params),
		placementGroup:      q.text("Placement.GroupName"),
		userData:            q.text("UserData"),
		onShutdown:          oneOf(q.params, "InstanceInitiatedShutdownBehavior", "stop", "terminate"),
		keptFromStop:        q.boolean("DisableApiStop", false),
		keptFromTermination: q.boolean("DisableApiTermination", false),
	}
	tenancy := q.text("Placement.Tenancy")
	q.rejectUnless(tenancy == "" || tenancy == defaultTenancy, unsupported("The tenancy '%s' is not supported", tenancy))
	return o
}

// oneOf reads one of several words, the first of which is the default.
func oneOf(p params, name string, words ...string) string {
	value := cmp.Or(p.text(name), words[0])
	for _, word := range words {
		if value == word {
			return value
		}
	}
	p.reject(invalidValue("Value (%s) for parameter %s is invalid.", value, lowerFirst(name)))
	return words[0]
}

// cpuOptionsXML are the processors of an instance.
type cpuOptionsXML struct {
	Cores   int `xml:"coreCount"`
	Threads int `xml:"threadsPerCore"`
}

func readCPUOptions(q params) *cpuOptionsXML {
	p, given := q.sub("CpuOptions")
	if !given {
		return nil
	}
	p.required("CoreCount")
	p.required("ThreadsPerCore")
	return &cpuOptionsXML{Cores: p.integer("CoreCount", 1, 1), Threads: p.integer("ThreadsPerCore", 1, 1)}
}

// metadataOptionsXML are the options of an instance's metadata service.
type metadataOptionsXML struct {
	State        string `xml:"state"`
	Tokens       string `xml:"httpTokens"`
	HopLimit     int    `xml:"httpPutResponseHopLimit"`
	Endpoint     string `xml:"httpEndpoint"`
	IPv6         string `xml:"httpProtocolIpv6"`
	InstanceTags string `xml:"instanceMetadataTags"`
}

const (
	// usualHops is the hop limit that current images ask for.
	usualHops = 2
	mostHops  = 64
)

func readMetadataOptions(q params) metadataOptionsXML {
	p, _ := q.sub("MetadataOptions")
	hops := p.integer("HttpPutResponseHopLimit", 1, usualHops)
	p.rejectUnless(hops <= mostHops, invalidValue("Value (%d) for parameter httpPutResponseHopLimit is invalid.", hops))
	return metadataOptionsXML{
		State:        "applied",
		Tokens:       oneOf(p, "HttpTokens", "required", "optional"),
		HopLimit:     hops,
		Endpoint:     oneOf(p, "HttpEndpoint", "enabled", "disabled"),
		IPv6:         oneOf(p, "HttpProtocolIpv6", "disabled", "enabled"),
		InstanceTags: oneOf(p, "InstanceMetadataTags", "disabled", "enabled"),
	}
}

// bootMode is how an instance of the type boots.
func (t *instanceType) bootMode() string {
	if t.nitro() {
		return "uefi"
	}
	return "legacy-bios"
}

// checkProtected reports whether the instance may be stopped or terminated.
func checkProtected(protected bool, i *instance, participle, attribute string) error {
	if !protected {
		return nil
	}
	return fail("OperationNotPermitted", "The instance '%s' may not be %s. Modify its '%s' instance attribute and try again.",
		i.id, participle, attribute)
}

// optionFilters are filters of DescribeInstances on what has no part in the network.
var optionFilters = filterSet[*instance]{
	"capacity-reservation-specification.capacity-reservation-preference": constant[*instance]("open"),
	"current-instance-boot-mode":                                         one(func(i *instance) string { return i.kind.bootMode() }),
	"ena-support":                                                        one(func(i *instance) string { return formatBool(i.kind.nitro()) }),
	"enclave-options.enabled":                                            constant[*instance]("false"),
	"hibernation-options.configured":                                     constant[*instance]("false"),
	"maintenance-options.auto-recovery":                                  constant[*instance]("default"),
	"metadata-options.http-endpoint":                                     one(func(i *instance) string { return i.options.metadata.Endpoint }),
	"metadata-options.http-protocol-ipv4":                                one(func(i *instance) string { return i.options.metadata.Endpoint }),
	"metadata-options.http-protocol-ipv6":                                one(func(i *instance) string { return i.options.metadata.IPv6 }),
	"metadata-options.http-put-response-hop-limit":                       one(func(i *instance) string { return strconv.Itoa(i.options.metadata.HopLimit) }),
	"metadata-options.http-tokens":                                       one(func(i *instance) string { return i.options.metadata.Tokens }),
	"metadata-options.instance-metadata-tags":                            one(func(i *instance) string { return i.options.metadata.InstanceTags }),
	"metadata-options.state":                                             one(func(i *instance) string { return i.options.metadata.State }),
	"network-performance-options.bandwidth-weighting":                    constant[*instance]("default"),
	"placement-group-name":                                               one(func(i *instance) string { return i.options.placementGroup }),
	"platform-details":                                                   constant[*instance](platformDetails),
	"private-dns-name-options.hostname-type":                             constant[*instance](hostnameType),
	"private-dns-name-options.enable-resource-name-dns-a-record":         constant[*instance]("false"),
	"private-dns-name-options.enable-resource-name-dns-aaaa-record":      constant[*instance]("false"),
	"root-device-name":                                                   constant[*instance](rootDeviceName),
	"root-device-type":                                                   constant[*instance](rootDeviceType),
	"state-reason-message":                                               one((*instance).reasonMessage),
	"usage-operation":                                                    constant[*instance](usageOperation),
	"usage-operation-update-time":                                        one(func(i *instance) string { return timestamp(i.launchTime) }),

	"network-interface.addresses.private-dns-name": ofENIs(addressNames),

	"affinity":                                   nil,
	"block-device-mapping.attach-time":           nil,
	"block-device-mapping.delete-on-termination": nil,
	"block-device-mapping.device-name":           nil,
	"block-device-mapping.status":                nil,
	"block-device-mapping.volume-id":             nil,
	"boot-mode":                                  nil,
	"capacity-reservation-id":                    nil,
	"dns-name":                                   nil,
	"host-id":                                    nil,
	"iam-instance-profile.arn":                   nil,
	"iam-instance-profile.id":                    nil,
	"instance-lifecycle":                         nil,
	"ip-address":                                 nil,
	"ipv6-address":                               nil,
	"kernel-id":                                  nil,
	"outpost-arn":                                nil,
	"placement-partition-number":                 nil,
	"platform":                                   nil,
	"product-code":                               nil,
	"product-code.type":                          nil,
	"ramdisk-id":                                 nil,
	"requester-id":                               nil,
	"spot-instance-request-id":                   nil,
	"tpm-support":                                nil,

	"network-interface.addresses.association.allocation-id":     nil,
	"network-interface.addresses.association.association-id":    nil,
	"network-interface.addresses.association.carrier-ip":        nil,
	"network-interface.addresses.association.customer-owned-ip": nil,
	"network-interface.addresses.association.ip-owner-id":       nil,
	"network-interface.addresses.association.public-dns-name":   nil,
	"network-interface.association.carrier-ip":                  nil,
	"network-interface.association.customer-owned-ip":           nil,
	"network-interface.deny-all-igw-traffic":                    nil,
	"network-interface.ipv6-address":                            nil,
	"network-interface.ipv6-addresses.is-primary-ipv6":          nil,
	"network-interface.ipv6-native":                             nil,
	"network-interface.ipv6-prefixes.ipv6-prefix":               nil,
	"network-interface.outpost-arn":                             nil,
	"network-interface.public-dns-name":                         nil,
}
