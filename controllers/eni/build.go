/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

const (
	createdAtKey      = ec2.TagCreatedAt
	deletionPolicyKey = ec2.TagDeletionPolicy
	clusterUIDKey     = ec2.TagClusterUID
	uidKey            = ec2.TagUID
)

// Identity is what the ENIs of this cluster have in common.
type Identity struct {
	// Cluster is the cluster's name, and ClusterUID the UID of kube-system.
	Cluster    string
	ClusterUID string
	// NoManage keeps the VPC CNI's hands off our ENIs.
	NoManage bool
}

// build says what an ENI looks like in EC2: the spec's wishes, and the primary
// ENI's subnet and groups where the spec has none.
func build(identity Identity, eni *v1alpha1.ElasticNetworkInterface, instance ec2.Instance) desired {
	extra := make(map[string]string, len(eni.Spec.Tags))
	for key, value := range eni.Spec.Tags {
		extra[key] = string(value)
	}
	tags := ec2.Ownership{
		Cluster: identity.Cluster, ClusterUID: identity.ClusterUID, NoManage: identity.NoManage,
		Name: eni.Name, UID: string(eni.UID), Node: eni.Spec.NodeName,
		DeletionPolicy: string(eni.Spec.DeletionPolicy),
	}.Tags(extra)
	delete(tags, createdAtKey)

	d := desired{
		subnetIDs:      stringsOf(eni.Spec.SubnetIDs),
		securityGroups: stringsOf(eni.Spec.SecurityGroupIDs),
		addressCount:   eni.Spec.AddressCount,
		prefixCount:    eni.Spec.PrefixCount,
		description:    eni.Spec.Description,
		tags:           tags,
	}
	slices.Sort(d.securityGroups)
	if len(d.subnetIDs) == 0 {
		d.subnetIDs = []string{instance.SubnetID}
	}
	if len(d.securityGroups) == 0 {
		d.securityGroups, d.keepGroups = instance.SecurityGroups, true
	}
	if d.description == "" {
		d.description = fmt.Sprintf("ENI Operator: %s on %s", eni.Name, eni.Spec.NodeName)
	}
	if runes := []rune(d.description); len(runes) > maxDescription {
		d.description = string(runes[:maxDescription])
	}
	return d
}

// maxDescription is the longest description in EC2, in characters.
const maxDescription = 255

// newRecord writes down a CreateNetworkInterface call.
func newRecord(d desired, attempt int32, subnetID string, now time.Time) v1alpha1.CreationRecord {
	startedAt := metav1.NewTime(now.UTC().Truncate(time.Second))
	record := v1alpha1.CreationRecord{
		Attempt:          attempt,
		StartedAt:        startedAt,
		SubnetID:         v1alpha1.SubnetID(subnetID),
		SecurityGroupIDs: typed[v1alpha1.SecurityGroupID](d.securityGroups),
		AddressCount:     d.addressCount,
		PrefixCount:      d.prefixCount,
		Description:      d.description,
		Tags:             make(map[string]v1alpha1.TagValue, len(d.tags)+1),
	}
	for key, value := range d.tags {
		record.Tags[key] = v1alpha1.TagValue(value)
	}
	record.Tags[createdAtKey] = v1alpha1.TagValue(startedAt.Format(time.RFC3339))
	return record
}

// createInput makes the call that a record describes. Its client token follows
// from the owner and the attempt, so that the same record is the same call.
func createInput(owner types.UID, record *v1alpha1.CreationRecord) ec2.CreateInput {
	tags := make(map[string]string, len(record.Tags))
	for key, value := range record.Tags {
		tags[key] = string(value)
	}
	return ec2.CreateInput{
		SubnetID:       string(record.SubnetID),
		SecurityGroups: stringsOf(record.SecurityGroupIDs),
		AddressCount:   record.AddressCount,
		PrefixCount:    record.PrefixCount,
		Description:    record.Description,
		Tags:           tags,
		ClientToken:    fmt.Sprintf("%s-%d", owner, record.Attempt),
	}
}

func stringsOf[T ~string](values []T) []string {
	out := make([]string, 0, len(values))
	for _, value := range values {
		out = append(out, string(value))
	}
	return out
}

func typed[T ~string](values []string) []T {
	out := make([]T, 0, len(values))
	for _, value := range values {
		out = append(out, T(value))
	}
	return out
}
