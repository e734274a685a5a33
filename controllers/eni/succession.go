/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/inventory"
)

// forgetOthersRecord drops a creation record that was made for another resource: a backup
// was restored with its status. Its call would make an ENI with that resource's tags.
func forgetOthersRecord(eni *v1alpha1.ElasticNetworkInterface) {
	record := eni.Status.Creation
	if record == nil {
		return
	}
	if uid, tagged := record.Tags[uidKey]; tagged && string(uid) != string(eni.UID) {
		eni.Status.Creation = nil
	}
}

// observePredecessor finds the ENI that was made for an earlier resource of the name: the
// one that the status names, or, where it names none, one on the instance. A copy of the
// earlier resource itself, which a cache may still show, takes nothing over.
func (r *Reconciler) observePredecessor(ctx context.Context, o *observation) error {
	if o.eni.Primary() || r.inventory.OwnedBy(string(o.eni.UID)) != "" {
		return nil
	}
	found := r.predecessorOf(o)
	if found == "" {
		return nil
	}
	latest := &v1alpha1.ElasticNetworkInterface{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(o.eni), latest); err != nil {
		return fmt.Errorf("reading ENI %s before it takes over %s: %w", o.eni.Name, found, err)
	}
	if latest.UID == o.eni.UID {
		o.predecessor = found
	}
	return nil
}

func (r *Reconciler) predecessorOf(o *observation) string {
	uid := string(o.eni.UID)
	id := o.eni.Status.NetworkInterfaceID
	switch {
	case id == "" && o.eni.DeletionTimestamp.IsZero():
		return r.inventory.Predecessor(o.instanceID, o.eni.Name, uid)
	case o.presence != present || o.ownership != foreign:
		return ""
	}
	tags := o.actual.tags
	sameName := tags[ec2.TagName] == o.eni.Name && tags[clusterUIDKey] == r.options.Identity.ClusterUID
	if !sameName || tags[uidKey] == "" {
		return ""
	}
	return id
}

// takeOver makes the ENI of the earlier resource this one's.
func (r *Reconciler) takeOver(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface, id string) error {
	log.FromContext(ctx).Info("Taking over the ENI of an earlier resource of the name", "eniID", id)
	if err := r.inventory.TakeOver(ctx, inventory.Ref{ID: id, UID: string(eni.UID)}, eni.Name); err != nil {
		return fmt.Errorf("taking over %s: %w", id, err)
	}
	eni.Status.NetworkInterfaceID = id
	return nil
}
