/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"cmp"
	"time"

	"k8s.io/utils/clock"
)

// Options configures a Server. The zero value is an instantaneous EC2 with
// EC2's throttling and quotas.
type Options struct {
	// Clock tells the time of everything: states, token buckets, latency and
	// the call log. The system clock is used when it is nil.
	Clock clock.Clock
	// Timings says how long state changes and answers take. The zero value
	// makes them instantaneous; DefaultTimings gives EC2's.
	Timings Timings
	// Throttling configures the token buckets. The zero value is EC2's.
	Throttling Throttling
	// Stale makes reads lag behind writes. The zero value is a consistent EC2.
	Stale StaleReads
	// Limits are the account's quotas. Fields that are zero take the value of
	// DefaultLimits.
	Limits Limits
	// Seed starts the generators of identifiers, jitter, fault probabilities, and
	// of the addresses chosen, the order and the length of answers. Equal seeds and equal requests give equal answers.
	Seed uint64
	// Permissions are the actions that callers may use, by their access key id, as
	// their IAM policies would allow them. Callers that are not named may use all.
	// Server.SetPermissions changes them.
	Permissions map[string][]string
	// Accounts are the accounts of callers, by access key id. Callers that are not
	// named have DefaultAccount. Server.SetAccount changes them.
	Accounts map[string]string
	// Rising has addresses and prefixes be chosen in rising order, starting after the
	// last one chosen. EC2 scatters them over the subnet, which is the default: it is
	// for tests that name addresses which they did not ask for.
	Rising bool
	// Sorted has Describe actions answer in the order of the ids of the request or,
	// without ids, of creation, and list tags by their keys. EC2's order is
	// arbitrary, which is the default.
	Sorted bool
	// FullPages has pages hold as many rows as MaxResults asks for, but for the last.
	// EC2's can be shorter, and half of them are by default: it is for tests that
	// count calls.
	FullPages bool
	// PlainRefusals leaves the text that is another one each time, "Encoded
	// authorization failure message: ...", out of UnauthorizedOperation.
	PlainRefusals bool
	// CardBlind has AttachNetworkInterface without a network card index refuse a device
	// index that is taken on any card, as EC2 did for a time. Otherwise only card 0
	// counts.
	CardBlind bool
	// FilterLimitEach has the limit of 200 values hold for each filter. Otherwise it
	// holds for all filters of a call together. EC2's documentation has it both ways.
	FilterLimitEach bool
	// Compress has answers compressed for clients that take it, as EC2's are. They do
	// not notice, so that tests save the time.
	Compress bool
	// KeepPast has reads of a Fault with Stale show what was up to this long before,
	// even before the fault was added. Server.SetKeepPast changes it.
	KeepPast time.Duration
	// Cards replace the network cards of instance types, by the type's name.
	Cards map[string][]NetworkCard
	// CallLogSize bounds the call log; the oldest calls are dropped first.
	// Zero means DefaultCallLogSize.
	CallLogSize int
}

// DefaultCallLogSize is the number of calls kept when Options.CallLogSize is
// zero.
const DefaultCallLogSize = 50_000

// Span is a range of durations, from which one is drawn evenly each time.
type Span struct {
	Min, Max time.Duration
}

// Timings says how long EC2 takes. Drawn durations run from the moment at
// which the request is executed.
type Timings struct {
	// CreateENI is the time that an ENI stays pending.
	CreateENI Span
	// Attach is the time from attaching to attached.
	Attach Span
	// Detach is the time from detaching to the attachment's disappearance.
	Detach Span
	// SickDetach replaces Detach on an instance marked by Server.SetSick,
	// unless the detachment is forced.
	SickDetach Span
	// StartInstance is the time that an instance stays pending.
	StartInstance Span
	// StopInstance is the time that an instance stays stopping.
	StopInstance Span
	// TerminateInstance is the time that an instance stays shutting-down.
	TerminateInstance Span
	// TerminateStopped replaces TerminateInstance for an instance that is stopped: for
	// the first half it stays so, without its network.
	TerminateStopped Span
	// Latency is the time from a request's execution to its answer.
	Latency Latency
}

// Latency is the time that an answer takes, by kind of action. It is waited
// for after the request took effect: a client that gives up early has lost the
// answer, not undone the request.
type Latency struct {
	// Reads applies to Describe actions.
	Reads Span
	// Writes applies to all other actions.
	Writes Span
	// Actions overrides both for single actions, by API action name.
	Actions map[string]Span
}

// DefaultTimings returns the durations seen in EC2: an ENI is pending for up to
// 1 s, attaching takes 1–5 s, detaching 2–3 s and on sick instances more than
// three minutes. EC2 documents none of them; those of instances and of answers
// are the least certain.
func DefaultTimings() Timings {
	return Timings{
		CreateENI:         Span{0, time.Second},
		Attach:            Span{1 * time.Second, 5 * time.Second},
		Detach:            Span{2 * time.Second, 3 * time.Second},
		SickDetach:        Span{3 * time.Minute, 5 * time.Minute},
		StartInstance:     Span{5 * time.Second, 15 * time.Second},
		StopInstance:      Span{10 * time.Second, 30 * time.Second},
		TerminateInstance: Span{20 * time.Second, 30 * time.Second},
		TerminateStopped:  Span{8 * time.Second, 11 * time.Second},
		Latency: Latency{
			Reads:  Span{50 * time.Millisecond, 150 * time.Millisecond},
			Writes: Span{100 * time.Millisecond, 300 * time.Millisecond},
			Actions: map[string]Span{
				"CreateNetworkInterface": {200 * time.Millisecond, 400 * time.Millisecond},
			},
		},
	}
}

// Throttling configures the token buckets, of which there is one per Region
// and action.
type Throttling struct {
	// Off admits every request. Server.SetThrottling changes it at run time.
	Off bool
	// Buckets overrides EC2's figures for single actions, by API action name.
	// The buckets of instances, which RunInstances and the actions that change the
	// states of instances take from in addition, are not overridden.
	Buckets map[string]Bucket
}

// Bucket is the size of a token bucket. A request takes one token.
type Bucket struct {
	// Burst is the number of tokens in a full bucket.
	Burst int
	// PerSecond is the number of tokens that return each second.
	PerSecond float64
}

// StaleReads makes answers lag behind the state, as EC2's eventual consistency
// does. Each duration runs from the change that stays unseen.
type StaleReads struct {
	// NewENIs hides new ENIs: every call that names one answers NotFound, and
	// describing by filter omits it.
	NewENIs time.Duration
	// NewAddresses hides addresses and prefixes assigned to an existing ENI
	// from Describe calls.
	NewAddresses time.Duration
	// Detachments shows an attachment that is already gone, as detaching.
	Detachments time.Duration
	// Terminations keeps an ENI attached after its instance is terminated:
	// it must be force-detached or waited for before it can be deleted.
	Terminations time.Duration
}

// ReplayPolicy says what a client token answers once the ENI that it created is
// deleted.
type ReplayPolicy string

const (
	// ReplayStale answers IdempotentParameterMismatch, as EC2 was seen to do.
	ReplayStale ReplayPolicy = "Stale"
	// ReplayNotFound answers InvalidNetworkInterfaceID.NotFound.
	ReplayNotFound ReplayPolicy = "NotFound"
	// ReplayEcho answers with the ENI as it was created, though it is gone.
	ReplayEcho ReplayPolicy = "Echo"
	// ReplayRecreate forgets the token with its ENI and creates another.
	ReplayRecreate ReplayPolicy = "Recreate"
)

// The codes that Scarcity decides between.
const (
	CodeInvalidParameterValue     = "InvalidParameterValue"
	CodeInsufficientFreeAddresses = "InsufficientFreeAddressesInSubnet"
	CodeInsufficientCIDRBlocks    = "InsufficientCidrBlocks"
)

// Scarcity decides between the codes that EC2 was seen to answer with where a subnet
// has too little. Fields that are empty take the value of DefaultLimits.
type Scarcity struct {
	// PrefixShortage is the code of CreateNetworkInterface by count of prefixes where
	// the free addresses hold no free block: CodeInvalidParameterValue or
	// CodeInsufficientCIDRBlocks.
	PrefixShortage string
	// CountAboveFree is the code for a count of addresses that is larger than that of
	// the free ones, of which there are some: CodeInsufficientFreeAddresses or
	// CodeInvalidParameterValue.
	CountAboveFree string
}

// NetworkCard is a network card of an instance type.
type NetworkCard struct {
	// Interfaces is the number of ENIs that it takes.
	Interfaces int
	// Types are the types of ENIs that it takes: "interface", "efa", "efa-only",
	// "secondary". None means "interface".
	Types []string
}

// Limits are an account's quotas and EC2's retention periods.
type Limits struct {
	// ENIsPerZone is the quota of ENIs in one Availability Zone.
	ENIsPerZone int
	// GroupsPerENI is the quota of security groups on one ENI.
	GroupsPerENI int
	// TagsPerResource is the quota of tags on one resource.
	TagsPerResource int
	// UnpaginatedENIs is the number of ENIs in a Region above which
	// DescribeNetworkInterfaces demands ids, pagination or a filter that
	// narrows by VPC, subnet, group or address.
	UnpaginatedENIs int
	// TokenRetention is how long a client token is remembered. EC2 documents
	// at least 24 h for RunInstances and nothing for CreateNetworkInterface.
	TokenRetention time.Duration
	// Replay is what a remembered token answers after its ENI is deleted.
	Replay ReplayPolicy
	// Scarcity decides what a subnet answers that has too little.
	Scarcity Scarcity
	// TerminatedRetention is how long a terminated instance is described.
	TerminatedRetention time.Duration
}

// DefaultLimits returns the quotas of a fresh AWS account.
func DefaultLimits() Limits {
	return Limits{
		ENIsPerZone:         5000,
		GroupsPerENI:        5,
		TagsPerResource:     50,
		UnpaginatedENIs:     1000,
		TokenRetention:      24 * time.Hour,
		Replay:              ReplayStale,
		TerminatedRetention: time.Hour,
		Scarcity:            Scarcity{PrefixShortage: CodeInvalidParameterValue, CountAboveFree: CodeInsufficientFreeAddresses},
	}
}

// withDefaults fills the fields that are zero.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	l.ENIsPerZone = cmp.Or(l.ENIsPerZone, d.ENIsPerZone)
	l.GroupsPerENI = cmp.Or(l.GroupsPerENI, d.GroupsPerENI)
	l.TagsPerResource = cmp.Or(l.TagsPerResource, d.TagsPerResource)
	l.UnpaginatedENIs = cmp.Or(l.UnpaginatedENIs, d.UnpaginatedENIs)
	l.TokenRetention = cmp.Or(l.TokenRetention, d.TokenRetention)
	l.Replay = cmp.Or(l.Replay, d.Replay)
	l.Scarcity.PrefixShortage = cmp.Or(l.Scarcity.PrefixShortage, d.Scarcity.PrefixShortage)
	l.Scarcity.CountAboveFree = cmp.Or(l.Scarcity.CountAboveFree, d.Scarcity.CountAboveFree)
	l.TerminatedRetention = cmp.Or(l.TerminatedRetention, d.TerminatedRetention)
	return l
}
