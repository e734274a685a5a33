/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// confirmENIs asks Kubernetes itself about ENIs for which a copy in the cache does not
// do. If it has another version than the cache, or none, the round ends as a conflict.
func (r *Reconciler) confirmENIs(ctx context.Context, pool *v1alpha1.ENIPool, o *observation) error {
	o.confirmed = map[string]types.UID{}
	for _, name := range unconfirmedENIs(pool, o) {
		latest := &v1alpha1.ElasticNetworkInterface{}
		err := r.live.Get(ctx, types.NamespacedName{Name: name}, latest)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading ENI %s: %w", name, err)
		}
		if err != nil || !pool.Owns(latest) {
			latest = nil
		}
		if !o.confirm(name, latest) {
			return staleENIs(name)
		}
	}
	return nil
}

// confirm takes what Kubernetes itself has of an ENI, or nil, and reports whether the
// cache shows the same.
func (o *observation) confirm(name string, latest *v1alpha1.ElasticNetworkInterface) bool {
	cached := o.eni(name)
	if cached == nil || latest == nil {
		return cached == nil && latest == nil
	}
	o.confirmed[name] = latest.UID
	return cached.UID == latest.UID && cached.ResourceVersion == latest.ResourceVersion
}

// unconfirmedENIs are the names of ENIs about which Kubernetes itself is to be asked: those
// that the record, or a bound claim, names and the cache does not show; those that the cache
// shows as something else, or older, than the record knows; and those whose ENI is gone, since
// that takes something from claims. Where the record is lost it is all of them.
func unconfirmedENIs(pool *v1alpha1.ENIPool, o *observation) []string {
	if pool.Status.PoolUID != pool.UID {
		return namedENIs(o)
	}

	names := map[string]bool{}
	for i := range o.claims {
		if claim := &o.claims[i]; o.unnamed[claim.UID] {
			names[claim.Status.ENIName] = true
		}
	}
	for i := range pool.Status.ENIs {
		if o.eni(pool.Status.ENIs[i].Name) == nil {
			names[pool.Status.ENIs[i].Name] = true
		}
	}
	for i := range o.enis {
		if eni := &o.enis[i]; gone(eni) || differsFromRecord(&pool.Status, eni) {
			names[eni.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// namedENIs are the names of all ENIs that the cache shows or a bound claim names.
func namedENIs(o *observation) []string {
	names := map[string]bool{}
	for i := range o.enis {
		names[o.enis[i].Name] = true
	}
	for i := range o.claims {
		if status := &o.claims[i].Status; status.Phase == v1alpha1.ClaimBound && status.ENIName != "" {
			names[status.ENIName] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// differsFromRecord reports whether the cache shows an ENI as something else, or older, than
// the record knows.
func differsFromRecord(record *v1alpha1.ENIPoolStatus, eni *v1alpha1.ElasticNetworkInterface) bool {
	entry := entryOf(record, eni.Name)
	// Before an ENI has an id nobody gets anything of it, whichever of its name it is.
	begun := eni.Status.NetworkInterfaceID != "" || eni.Spec.Drained || !eni.DeletionTimestamp.IsZero()
	other := entry.UID != eni.UID && (begun || entry.UID != "")
	changed := entry.NetworkInterfaceID != "" && entry.NetworkInterfaceID != eni.Status.NetworkInterfaceID
	// By a copy that shows a lost ENI as it was, its claims would look well.
	lost := entry.State == v1alpha1.PoolENIReleasing && len(record.HoldersOf(eni.Name)) > 0
	older := eni.Generation < entry.Generation
	return other || changed || lost || older
}
