/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package webhooks

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// Options of the webhooks.
type Options struct {
	// MinDeviceIndex is for policies and ENIs that have none; see --min-device-index.
	MinDeviceIndex int32
	// StartupTaintPrefix begins the keys of the taints that the operator removes; see
	// --startup-taint-prefix.
	StartupTaintPrefix string
	// InstanceType tells the limits of an instance type, if they are known without
	// asking EC2.
	InstanceType func(name string) (ec2.InstanceType, bool)
}

// SetupWithManager serves the webhooks of all kinds. Every replica does, whether it
// leads or not.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, options Options) error {
	// Asked for now, so that no request waits for them on a replica that does not lead.
	for _, kind := range []client.Object{&corev1.Node{}, &corev1.Namespace{}, &v1alpha1.ENIPolicy{}} {
		if _, err := mgr.GetCache().GetInformer(ctx, kind); err != nil {
			return fmt.Errorf("watching what the webhooks read: %w", err)
		}
	}
	operator, err := ownUser(ctx, mgr)
	if err != nil {
		return fmt.Errorf("asking the API server who the operator is: %w", err)
	}
	w := &world{
		cached: mgr.GetCache(), live: mgr.GetAPIReader(), options: options,
		confirmations: rate.NewLimiter(confirmationsPerSecond, confirmationsAtOnce),
	}
	return errors.Join(
		serve(mgr, &v1alpha1.ENIPolicy{}, &policyValidator{w}),
		serve(mgr, &v1alpha1.ENIPool{}, &poolValidator{w}),
		serve(mgr, &v1alpha1.ElasticNetworkInterface{}, &eniValidator{world: w, operator: operator}),
		serve(mgr, &v1alpha1.ENIClaim{}, &claimValidator{w}),
	)
}

func serve[T runtime.Object](mgr ctrl.Manager, kind T, validator admission.Validator[T]) error {
	return ctrl.NewWebhookManagedBy(mgr, kind).WithValidator(validator).Complete()
}

// ownUser returns the name by which the API server knows the operator. Every user may ask
// for their own (ClusterRole system:basic-user).
func ownUser(ctx context.Context, mgr ctrl.Manager) (string, error) {
	api, err := authenticationclient.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return "", err
	}
	review, err := api.SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return review.Status.UserInfo.Username, nil
}

// askedBy reports whether a user made the request that is being judged.
func askedBy(ctx context.Context, user string) bool {
	request, err := admission.RequestFromContext(ctx)
	return err == nil && user != "" && request.UserInfo.Username == user
}
