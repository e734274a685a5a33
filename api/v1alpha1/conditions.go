/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

// Condition types. Ready is on every kind; True is good unless a type says
// otherwise.
const (
	// ConditionReady sums the others up.
	ConditionReady = "Ready"

	// ConditionOverlapping, on a policy: a stronger policy selects Nodes of this
	// one. True is bad.
	ConditionOverlapping = "Overlapping"
	// ConditionNodesUsable, on a policy: every selected Node names its instance.
	ConditionNodesUsable = "NodesUsable"

	// ConditionEC2Trusted, on policies and pools: EC2 shows what this cluster has
	// there. While it is False nothing that cannot be undone is done anywhere.
	ConditionEC2Trusted = "EC2Trusted"

	// ConditionInstanceFound, on a pool: EC2 knows the node's instance.
	ConditionInstanceFound = "InstanceFound"
	// ConditionNetworkResolved, on a pool: the selector terms found subnets and
	// security groups.
	ConditionNetworkResolved = "NetworkResolved"
	// ConditionCapacityAvailable, on a pool: the instance type can hold what the
	// policy asks for.
	ConditionCapacityAvailable = "CapacityAvailable"

	// ConditionCreated, on an ENI: it exists in EC2.
	ConditionCreated = "Created"
	// ConditionAttached, on an ENI: it is attached to its instance.
	ConditionAttached = "Attached"
	// ConditionAddressLost, on a claim: its address vanished in EC2 and cannot be had
	// again. True is bad.
	ConditionAddressLost = "AddressLost"
	// ConditionUninstallBlocked, on an ENI: a CRD of the operator is being deleted,
	// so the ENI is left alone in EC2. True is bad.
	ConditionUninstallBlocked = "UninstallBlocked"
	// ConditionAddressesAssigned, on an ENI: it carries as many addresses or
	// prefixes as the spec asks for.
	ConditionAddressesAssigned = "AddressesAssigned"
)

// Reasons that several kinds share.
const (
	// ReasonReady: all is as the spec says.
	ReasonReady = "Ready"
	// ReasonInProgress: the operator is working on it.
	ReasonInProgress = "InProgress"
	// ReasonDeleting: the object is being deleted.
	ReasonDeleting = "Deleting"
	// ReasonPaused: the annotation networking.eni-operator.dev/paused stops it.
	ReasonPaused = "Paused"
)

// Reasons of failed EC2 calls. The message names the call and the remedy.
const (
	// ReasonUnauthorized: the operator's IAM identity lacks a permission.
	ReasonUnauthorized = "Unauthorized"
	// ReasonThrottled: EC2 limits the rate of an action; it is tried again.
	ReasonThrottled = "Throttled"
	// ReasonSubnetExhausted: no candidate subnet has enough free addresses.
	ReasonSubnetExhausted = "SubnetExhausted"
	// ReasonSubnetFragmented: the subnet has free addresses, but no free block of 16
	// for a prefix.
	ReasonSubnetFragmented = "SubnetFragmented"
	// ReasonInvalidParameter: EC2 refuses what the spec asks for; only an edit of
	// the spec helps.
	ReasonInvalidParameter = "InvalidParameter"
	// ReasonQuotaExceeded: an account quota or instance limit is reached.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonNotFound: EC2 does not know something the spec names.
	ReasonNotFound = "NotFound"
	// ReasonEC2Error: EC2 answered with an error that passes; it is tried again.
	ReasonEC2Error = "EC2Error"
)

// Reasons of the condition EC2Trusted.
const (
	// ReasonEC2Agrees: EC2 shows what this cluster has there.
	ReasonEC2Agrees = "EC2Agrees"
	// ReasonEC2NotReached: EC2 has not answered since the operator started, or since this
	// replica leads; the message says why. Nothing is done before it does.
	ReasonEC2NotReached = "EC2NotReached"
	// ReasonOtherRegion: the operator reads another Region than the one in which the
	// cluster's instances and ENIs are.
	ReasonOtherRegion = "OtherRegion"
	// ReasonNothingKnown: EC2 shows none of the instances and ENIs that this cluster
	// has, as another account would.
	ReasonNothingKnown = "NothingKnown"
	// ReasonTooManyVanished: more instances or ENIs vanished at once than chance
	// explains.
	ReasonTooManyVanished = "TooManyVanished"
)

// Reasons on policies.
const (
	// ReasonNodesSkipped: some selected Nodes are no EC2 instances and are skipped; the
	// others name theirs.
	ReasonNodesSkipped = "NodesSkipped"
	// ReasonInstanceTaken: another Node keeps the instance that a selected Node names.
	ReasonInstanceTaken = "InstanceTaken"
	// ReasonNoNodes: the policy selects no Node.
	ReasonNoNodes = "NoNodes"
	// ReasonPoolsNotReady: some pools do not hold their minimum yet.
	ReasonPoolsNotReady = "PoolsNotReady"
	// ReasonProviderIDMissing: a Node has no providerID that names an instance.
	ReasonProviderIDMissing = "ProviderIDMissing"
	// ReasonAllUsable: every selected Node names its instance.
	ReasonAllUsable = "AllUsable"
	// ReasonOutranked: a policy with a higher rank selects the same Nodes.
	ReasonOutranked = "Outranked"
	// ReasonStartupTaintNotAllowed: startupTaint names a taint that is not the operator's to remove.
	ReasonStartupTaintNotAllowed = "StartupTaintNotAllowed"
	// ReasonInvalidSelector: nodeSelector is no valid label selector.
	ReasonInvalidSelector = "InvalidSelector"
	// ReasonNoOverlap: no stronger policy selects the same Nodes.
	ReasonNoOverlap = "NoOverlap"
)

// Reasons on pools.
const (
	// ReasonInstanceFound: EC2 knows the instance.
	ReasonInstanceFound = "InstanceFound"
	// ReasonInstanceNotFound: EC2 does not know the instance.
	ReasonInstanceNotFound = "InstanceNotFound"
	// ReasonInstanceTerminated: the instance is shutting down or terminated.
	ReasonInstanceTerminated = "InstanceTerminated"
	// ReasonNetworkResolved: subnets and security groups were found.
	ReasonNetworkResolved = "NetworkResolved"
	// ReasonSubnetNotFound: no subnet in the instance's zone fits the terms.
	ReasonSubnetNotFound = "SubnetNotFound"
	// ReasonSecurityGroupNotFound: no security group fits the terms.
	ReasonSecurityGroupNotFound = "SecurityGroupNotFound"
	// ReasonFits: the instance type holds what the policy asks for.
	ReasonFits = "Fits"
	// ReasonNodeWithoutInstance: the Node is there and names no instance at the moment;
	// the pool keeps what it has and hands out nothing.
	ReasonNodeWithoutInstance = "NodeWithoutInstance"
	// ReasonNodeMissing: the Node is missing, or stands for another instance; the pool
	// keeps what it has for a while and hands out nothing.
	ReasonNodeMissing = "NodeMissing"
	// ReasonOrphanedENIs: ENIs of this cluster that no resource stands for take slots
	// of the instance.
	ReasonOrphanedENIs = "OrphanedENIs"
	// ReasonTooManySecurityGroups: the selector terms find more security groups than
	// an ENI takes.
	ReasonTooManySecurityGroups = "TooManySecurityGroups"
	// ReasonInstanceTypeLimit: the instance type holds less than the policy asks
	// for; the pool gets what fits.
	ReasonInstanceTypeLimit = "InstanceTypeLimit"
	// ReasonENIsNotReady: an ENI that the pool needs is not ready yet.
	ReasonENIsNotReady = "ENIsNotReady"
	// ReasonDraining: no policy governs the node; the pool goes when it is empty.
	ReasonDraining = "Draining"
	// ReasonInUse: claims still hold addresses of a pool that is to be deleted.
	ReasonInUse = "InUse"
)

// Reasons on ENIs.
const (
	// ReasonNodeUnknown: no Node of that name names an instance.
	ReasonNodeUnknown = "NodeUnknown"
	// ReasonCreating: the ENI is being created.
	ReasonCreating = "Creating"
	// ReasonAttaching: the ENI is being attached.
	ReasonAttaching = "Attaching"
	// ReasonAssigning: addresses are being assigned.
	ReasonAssigning = "Assigning"
	// ReasonCreated: the ENI exists.
	ReasonCreated = "Created"
	// ReasonAttached: the ENI is attached.
	ReasonAttached = "Attached"
	// ReasonAssigned: the addresses are there.
	ReasonAssigned = "Assigned"
	// ReasonDetached: the ENI is not attached.
	ReasonDetached = "Detached"
	// ReasonNoFreeDeviceIndex: every device index that may be used is taken.
	ReasonNoFreeDeviceIndex = "NoFreeDeviceIndex"
	// ReasonUninstallBlocked: a CRD of the operator is being deleted, so nothing is
	// detached or deleted in EC2.
	ReasonUninstallBlocked = "UninstallBlocked"
	// ReasonAttachmentStuck: EC2 takes far longer than it should to attach the ENI.
	ReasonAttachmentStuck = "AttachmentStuck"
	// ReasonNotOwned: the tags in EC2 say that the ENI that the status names is not
	// this resource's, so it is left alone.
	ReasonNotOwned = "NotOwned"
	// ReasonWaitingForDrain: the ENI is deleted but addresses of it are in use.
	ReasonWaitingForDrain = "WaitingForDrain"
)

// Reasons on claims.
const (
	// ReasonBound: the claim holds what it asked for.
	ReasonBound = "Bound"
	// ReasonNoPool: the node has no pool, so no policy selects it (yet).
	ReasonNoPool = "NoPool"
	// ReasonPoolGrowing: the pool is taking what the claim waits for from EC2.
	ReasonPoolGrowing = "PoolGrowing"
	// ReasonPoolAtMaximum: the policy allows no more.
	ReasonPoolAtMaximum = "PoolAtMaximum"
	// ReasonNamespaceAtMaximum: the policy allows the claim's namespace no more on the node.
	ReasonNamespaceAtMaximum = "NamespaceAtMaximum"
	// ReasonNameTaken: an object of others has the name of one that is to be made.
	ReasonNameTaken = "NameTaken"
	// ReasonInstanceFull: the instance type can carry no more.
	ReasonInstanceFull = "InstanceFull"
	// ReasonPoolDraining: the pool takes no new claims.
	ReasonPoolDraining = "PoolDraining"
	// ReasonModeNotOffered: the node's policy does not offer the claim's mode.
	ReasonModeNotOffered = "ModeNotOffered"
	// ReasonNamespaceNotAllowed: the policy's claimNamespaceSelector excludes the
	// claim's namespace.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"
	// ReasonAddressMissing: the claim's address vanished in EC2 and is being assigned
	// again.
	ReasonAddressMissing = "AddressMissing"
	// ReasonAddressLost: the claim's address vanished in EC2 and cannot be had again.
	ReasonAddressLost = "AddressLost"
	// ReasonAddressNotInPool: spec.address is on none of the pool's ENIs.
	ReasonAddressNotInPool = "AddressNotInPool"
	// ReasonAddressInUse: spec.address is held by another claim, or all that the pool has
	// free carries addresses that claims still hold on other ENIs.
	ReasonAddressInUse = "AddressInUse"
	// ReasonAddressCooling: spec.address was released a moment ago and rests.
	ReasonAddressCooling = "AddressCooling"
	// ReasonAddressReserved: spec.address was released by a claim of another namespace, for
	// which it is reserved for a while.
	ReasonAddressReserved = "AddressReserved"
	// ReasonNodeGone: the node is gone, and the address with it.
	ReasonNodeGone = "NodeGone"
	// ReasonExpired: the claim's lease was not renewed in time.
	ReasonExpired = "Expired"
	// ReasonReleasing: the claim is deleted and gives its address back.
	ReasonReleasing = "Releasing"
)

// Underway says whether an ENI with a reason needs nothing but time.
func Underway(reason string) bool {
	switch reason {
	case ReasonCreating, ReasonAttaching, ReasonAssigning, ReasonInProgress:
		return true
	default:
		return false
	}
}
