/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/pkg/index"
)

// indexKinds has the caches keep the indexes that the controllers list by.
func indexKinds(ctx context.Context, mgr ctrl.Manager) error {
	if err := requireKinds(mgr.GetRESTMapper()); err != nil {
		return err
	}
	return index.Register(ctx, mgr.GetFieldIndexer())
}

// requireKinds returns an error while one of our kinds is not served: the CRDs are
// not installed yet, or are on their way out.
func requireKinds(mapper meta.RESTMapper) error {
	for _, kind := range []string{"ENIPolicy", "ENIPool", "ElasticNetworkInterface", "ENIClaim"} {
		_, err := mapper.RESTMapping(v1alpha1.GroupVersion.WithKind(kind).GroupKind(), v1alpha1.GroupVersion.Version)
		if meta.IsNoMatchError(err) {
			return fmt.Errorf("kind %s of %s is not served: install the CRDs (make install), or, "+
				"if they were deleted to uninstall the operator, go on as docs/uninstall.md says: %w", kind, v1alpha1.GroupVersion, err)
		}
		if err != nil {
			return fmt.Errorf("asking Kubernetes for kind %s: %w", kind, err)
		}
	}
	return nil
}
