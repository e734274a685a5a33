/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"maps"
	"strings"
	"time"
)

// Keys of the tags that every ENI of ours carries.
const (
	tagPrefix = "networking.eni-operator.dev/"

	// TagCluster is the cluster's name, for people.
	TagCluster = tagPrefix + "cluster"
	// TagClusterUID is the UID of the cluster's namespace kube-system: whose the
	// ENI is.
	TagClusterUID = tagPrefix + "cluster-uid"
	// TagName is the name of the ElasticNetworkInterface.
	TagName = tagPrefix + "name"
	// TagUID is the UID of the ElasticNetworkInterface: which one the ENI is.
	TagUID = tagPrefix + "uid"
	// TagNode is the Node's name, for people.
	TagNode = tagPrefix + "node"
	// TagCreatedAt is when the creation began, in RFC 3339.
	TagCreatedAt = tagPrefix + "created-at"
	// TagDeletionPolicy is whether the ENI is deleted with its resource: Delete or Retain.
	TagDeletionPolicy = tagPrefix + "deletion-policy"
	// TagNoManage keeps the VPC CNI's hands off the ENI.
	// https://github.com/aws/amazon-vpc-cni-k8s#eni-tags-related-to-allocation
	TagNoManage = "node.k8s.amazonaws.com/no_manage"
)

// Ownership is what the tags of an ENI say about whose it is.
type Ownership struct {
	Cluster        string
	ClusterUID     string
	Name           string
	UID            string
	Node           string
	CreatedAt      time.Time
	DeletionPolicy string
	// NoManage tells the VPC CNI to leave the ENI alone.
	NoManage bool
}

// Tags returns the tags of an ENI: the owner's, and those of extra that are not
// the operator's own.
func (o Ownership) Tags(extra map[string]string) map[string]string {
	tags := maps.Clone(extra)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, map[string]string{
		TagCluster:        o.Cluster,
		TagClusterUID:     o.ClusterUID,
		TagName:           o.Name,
		TagUID:            o.UID,
		TagNode:           o.Node,
		TagCreatedAt:      o.CreatedAt.UTC().Format(createdAtLayout),
		TagDeletionPolicy: o.DeletionPolicy,
	})
	if o.NoManage {
		tags[TagNoManage] = "true"
	}
	return tags
}

// Retained reports whether tags keep an ENI in EC2 without its resource. People write
// that tag as well, and in their own spelling.
func Retained(tags map[string]string) bool {
	return strings.EqualFold(tags[TagDeletionPolicy], "Retain")
}

// OwnedFilter selects the ENIs of the cluster with this UID.
func OwnedFilter(clusterUID string) Filter {
	return Filter{Name: "tag:" + TagClusterUID, Values: []string{clusterUID}}
}
