/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package garbagecollection

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// pageSize bounds the answers of the API server when it is asked for all ENI
// resources; each names up to a thousand addresses.
const pageSize = 500

// cached are the ElasticNetworkInterfaces that a cache knows.
func cached(ctx context.Context, cache client.Reader) ([]resource, error) {
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	err := cache.List(ctx, list, client.UnsafeDisableDeepCopy)
	return resourcesOf(list), err
}

// stored are the ElasticNetworkInterfaces that Kubernetes itself has, page by page.
func stored(ctx context.Context, live client.Reader) ([]resource, error) {
	var all []resource
	for next := ""; ; {
		list := &v1alpha1.ElasticNetworkInterfaceList{}
		if err := live.List(ctx, list, client.Limit(pageSize), client.Continue(next)); err != nil {
			return nil, err
		}
		all = append(all, resourcesOf(list)...)
		if next = list.Continue; next == "" {
			return all, nil
		}
	}
}

func resourcesOf(list *v1alpha1.ElasticNetworkInterfaceList) []resource {
	resources := make([]resource, 0, len(list.Items))
	for i := range list.Items {
		eni := &list.Items[i]
		resources = append(resources, resource{uid: eni.UID, eniID: eni.Status.NetworkInterfaceID})
	}
	return resources
}

// candidatesOf reads the tags of ENIs.
func candidatesOf(enis []ec2.NetworkInterface) []candidate {
	out := make([]candidate, 0, len(enis))
	for _, eni := range enis {
		out = append(out, candidate{
			id:        eni.ID,
			owner:     identity{cluster: eni.Tags[ec2.TagCluster], clusterUID: eni.Tags[ec2.TagClusterUID]},
			uid:       types.UID(eni.Tags[ec2.TagUID]),
			createdAt: createdAt(eni.Tags[ec2.TagCreatedAt]),
			retained:  ec2.Retained(eni.Tags),
			attached:  eni.Attachment != nil,
		})
	}
	return out
}

// createdAt is the time in a created-at tag, or the zero time.
func createdAt(tag string) time.Time {
	at, err := time.Parse(time.RFC3339, tag)
	if err != nil {
		return time.Time{}
	}
	return at
}
