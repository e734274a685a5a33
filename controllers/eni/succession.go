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
	found, err := r.predecessorOf(ctx, o)
	if err != nil || found == "" {
		return err
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

func (r *Reconciler) predecessorOf(ctx context.Context, o *observation) (string, error) {
	id := o.eni.Status.NetworkInterfaceID
	switch {
	case id == "" && o.eni.DeletionTimestamp.IsZero():
		return r.predecessorThere(ctx, o)
	case o.presence != present || o.ownership != foreign:
		return "", nil
	}
	tags := o.actual.tags
	sameName := tags[ec2.TagName] == o.eni.Name && tags[clusterUIDKey] == r.options.Identity.ClusterUID
	if !sameName || tags[uidKey] == "" {
		return "", nil
	}
	return id, nil
}

// predecessorThere finds one on the instance. EC2 is asked about one in doubt, such as after
// an attempt to take it over that failed: no other ENI may be created beside it.
func (r *Reconciler) predecessorThere(ctx context.Context, o *observation) (string, error) {
	uid := string(o.eni.UID)
	found := r.inventory.Predecessor(o.instanceID, o.eni.Name, uid)
	if _, known := r.inventory.ENI(found); found == "" || known {
		return found, nil
	}
	switch _, there, err := r.inventory.Look(ctx, found); {
	case err != nil:
		return "", fmt.Errorf("reading ENI %s, which was made for an earlier %s: %w", found, o.eni.Name, err)
	case there == inventory.Unknown:
		return "", fmt.Errorf("EC2 does not show ENI %s, which was made for an earlier %s, and does not say that it is gone", found, o.eni.Name)
	case r.inventory.OwnedBy(uid) == found:
		return found, nil // An attempt succeeded, and its answer was lost.
	default:
		return r.inventory.Predecessor(o.instanceID, o.eni.Name, uid), nil
	}
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
