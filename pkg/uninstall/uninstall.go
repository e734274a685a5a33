/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package uninstall ends the operator's work in a cluster, before the operator and
// its CRDs are removed: by having everything deleted, or by letting go of it.
package uninstall

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
	"github.com/eni-operator/eni-operator/pkg/events"
	"github.com/eni-operator/eni-operator/pkg/store"
)

// Uninstaller ends the operator's work in a cluster.
type Uninstaller struct {
	Client client.Client
	Log    logr.Logger
	// EC2 and ClusterUID are for letting go alone.
	EC2        ec2.Client
	ClusterUID string
}

// poll is how often Delete looks whether everything is gone.
const poll = time.Second

// Delete asks for everything to be deleted, and waits until the running operator
// has done it. When ctx ends before, the error says what is left.
func (u *Uninstaller) Delete(ctx context.Context) error {
	if err := u.each(ctx, &v1alpha1.ENIPolicyList{}, u.delete); err != nil {
		return err
	}
	left := func(ctx context.Context) (int, error) {
		// Claims and ENIs of people may still be made while the pools go.
		if err := u.each(ctx, &v1alpha1.ENIClaimList{}, u.delete); err != nil {
			return 0, err
		}
		if err := u.each(ctx, &v1alpha1.ElasticNetworkInterfaceList{}, u.deleteOwn); err != nil {
			return 0, err
		}
		// A claim may be let go only after its pool; without the operator it would never be.
		return u.count(ctx, &v1alpha1.ENIPoolList{}, &v1alpha1.ElasticNetworkInterfaceList{}, &v1alpha1.ENIClaimList{})
	}
	remaining := -1
	err := wait.PollUntilContextCancel(ctx, poll, true, func(ctx context.Context) (bool, error) {
		count, err := left(ctx)
		if err == nil && count != remaining {
			u.Log.Info("Waiting for the operator to delete pools and ENIs and to let go of claims", "left", count)
			remaining = count
		}
		return count == 0, err
	})
	if err != nil && remaining > 0 {
		return fmt.Errorf("%d pools, ENIs and claims are left; is the operator running? See kubectl get enipool,eni,eniclaim -A: %w", remaining, err)
	}
	return err
}

// Abandon tags every ENI as retained and lets go of all resources. The operator
// must not run meanwhile: hold its lease.
func (u *Uninstaller) Abandon(ctx context.Context) error {
	return errors.Join(
		u.each(ctx, &v1alpha1.ElasticNetworkInterfaceList{}, u.abandonENI),
		u.each(ctx, &v1alpha1.ENIClaimList{}, u.letGo),
		u.each(ctx, &v1alpha1.ENIPoolList{}, u.letGo),
	)
}

// each calls act for every object of a list's kind, in all namespaces.
func (u *Uninstaller) each(ctx context.Context, list client.ObjectList, act func(context.Context, client.Object) error) error {
	if err := u.list(ctx, list); err != nil {
		return err
	}
	var failed []error
	for _, object := range objectsOf(list) {
		if err := client.IgnoreNotFound(act(ctx, object)); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", object.GetName(), err))
		}
	}
	return errors.Join(failed...)
}

// list reads all objects of a list's kind: none where its CRD is gone already.
func (u *Uninstaller) list(ctx context.Context, list client.ObjectList) error {
	err := u.Client.List(ctx, list)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func objectsOf(list client.ObjectList) []client.Object {
	var objects []client.Object
	switch list := list.(type) {
	case *v1alpha1.ENIPolicyList:
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	case *v1alpha1.ENIPoolList:
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	case *v1alpha1.ElasticNetworkInterfaceList:
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	case *v1alpha1.ENIClaimList:
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	}
	return objects
}

// count tells how many objects are left. A claim counts while it has our finalizer.
func (u *Uninstaller) count(ctx context.Context, lists ...client.ObjectList) (int, error) {
	count := 0
	for _, list := range lists {
		if err := u.list(ctx, list); err != nil {
			return 0, err
		}
		for _, object := range objectsOf(list) {
			if _, claim := object.(*v1alpha1.ENIClaim); !claim || controllerutil.ContainsFinalizer(object, v1alpha1.Finalizer) {
				count++
			}
		}
	}
	return count, nil
}

func (u *Uninstaller) delete(ctx context.Context, object client.Object) error {
	if !object.GetDeletionTimestamp().IsZero() {
		return nil
	}
	u.Log.Info("Deleting", "kind", fmt.Sprintf("%T", object), "namespace", object.GetNamespace(), "name", object.GetName())
	err := u.Client.Delete(ctx, object)
	if apierrors.IsForbidden(err) {
		return u.deleteInUse(ctx, object)
	}
	return err
}

// deleteInUse deletes what admission keeps while claims hold something of it: they are
// deleted next, and new ones may be made without end.
func (u *Uninstaller) deleteInUse(ctx context.Context, object client.Object) error {
	before := object.DeepCopyObject().(client.Object) //nolint:forcetypeassert // a copy has the same type
	annotations := maps.Clone(object.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.DeleteInUseAnnotation] = "true"
	object.SetAnnotations(annotations)
	if err := u.Client.Patch(ctx, object, client.MergeFrom(before)); err != nil {
		return err
	}
	return u.Client.Delete(ctx, object)
}

// deleteOwn deletes an ENI that a person made; those of pools go with them.
func (u *Uninstaller) deleteOwn(ctx context.Context, object client.Object) error {
	if eni, ok := object.(*v1alpha1.ElasticNetworkInterface); ok && eni.Spec.PoolName == "" {
		return u.delete(ctx, eni)
	}
	return nil
}

func (u *Uninstaller) letGo(ctx context.Context, object client.Object) error {
	return store.RemoveFinalizer(ctx, u.Client, events.Discard, object)
}

// abandonENI marks an ENI as retained before its resource is let go, so that
// nobody takes it for leaked.
func (u *Uninstaller) abandonENI(ctx context.Context, object client.Object) error {
	eni, ok := object.(*v1alpha1.ElasticNetworkInterface)
	if !ok {
		return nil
	}
	own, err := u.enisOf(ctx, eni)
	if err != nil {
		return fmt.Errorf("finding the ENIs of %s in EC2: %w", eni.Name, err)
	}
	for _, one := range own {
		u.Log.Info("Retaining ENI", "eni", eni.Name, "eniID", one.ID)
		if err := Retain(ctx, u.EC2, one); err != nil {
			return fmt.Errorf("retaining %s: %w", one.ID, err)
		}
	}
	return u.letGo(ctx, eni)
}

// Retain keeps an ENI in EC2 once no resource stands for it: from ending with its
// instance first, and then, by its tag, from being collected. One that is gone needs
// neither.
func Retain(ctx context.Context, api ec2.Client, eni ec2.NetworkInterface) error {
	if at := eni.Attachment; at != nil && at.DeleteOnTermination {
		err := api.SetDeleteOnTermination(ctx, eni.ID, at.ID, false)
		if err != nil && ec2.Classify(err) != ec2.ClassNotFound {
			return err
		}
	}
	err := api.CreateTags(ctx, eni.ID, map[string]string{ec2.TagDeletionPolicy: string(v1alpha1.DeletionPolicyRetain)})
	if ec2.Classify(err) == ec2.ClassNotFound {
		return nil
	}
	return err
}

// enisOf returns all ENIs in EC2 that carry the resource's UID: the one that its status
// names, and any that a creation made whose answer was lost. A primary ENI is not the
// operator's to tag, and neither is an ENI whose tags name another owner.
func (u *Uninstaller) enisOf(ctx context.Context, eni *v1alpha1.ElasticNetworkInterface) ([]ec2.NetworkInterface, error) {
	if eni.Primary() {
		return nil, nil
	}
	found, err := u.EC2.DescribeNetworkInterfaces(ctx, ec2.OwnedFilter(u.ClusterUID),
		ec2.Filter{Name: "tag:" + ec2.TagUID, Values: []string{string(eni.UID)}})
	id := eni.Status.NetworkInterfaceID
	named := func(one ec2.NetworkInterface) bool { return one.ID == id }
	if err != nil || id == "" || slices.ContainsFunc(found, named) {
		return found, err
	}
	shown, err := u.EC2.DescribeNetworkInterfaces(ctx, ec2.Filter{Name: "network-interface-id", Values: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(shown) == 0 { // Created a moment ago, or gone: tagging it shows which.
		found = append(found, ec2.NetworkInterface{ID: id})
	}
	return found, nil
}
