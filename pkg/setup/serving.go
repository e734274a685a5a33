/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package setup

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/eni-operator/eni-operator/pkg/certificates"
	"github.com/eni-operator/eni-operator/pkg/election"
	"github.com/eni-operator/eni-operator/pkg/options"
)

// certificateInterval is how often each replica looks whether the Secret with the
// webhooks' certificates has changed: more often than anybody waits for that.
const certificateInterval = time.Minute

// The files of a mounted pair, as in every Secret of type kubernetes.io/tls.
const (
	certName = "tls.crt"
	keyName  = "tls.key"
)

// onlyHTTP1 leaves out HTTP/2, in which one client can keep a server busy with streams
// that it cancels (CVE-2023-44487).
func onlyHTTP1(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }

// webhookServer returns the server of the webhooks, and what keeps its certificates
// where they are not mounted.
func webhookServer(ctx context.Context, config *rest.Config, o options.Options) (webhook.Server, *certificates.Keeper, error) {
	serving := webhook.Options{
		Host: o.WebhookHost, Port: o.WebhookPort,
		CertDir: o.WebhookCertPath, CertName: certName, KeyName: keyName,
		TLSOpts: []func(*tls.Config){onlyHTTP1},
	}
	if o.WebhookCertPath != "" {
		return webhook.NewServer(serving), nil, mounted("webhook-cert-path", o.WebhookCertPath)
	}
	keeper, err := newKeeper(config, o)
	if err != nil {
		return nil, nil, err
	}
	if err := keeper.Ensure(ctx); err != nil {
		return nil, nil, fmt.Errorf("keeping the webhooks' certificates (--webhook-cert-path names mounted ones): %w", err)
	}
	serving.TLSOpts = append(serving.TLSOpts, func(c *tls.Config) { c.GetCertificate = keeper.GetCertificate })
	return webhook.NewServer(serving), keeper, nil
}

// mounted says whether the folder that a flag names has the pair.
func mounted(flag, path string) error {
	for _, name := range []string{certName, keyName} {
		if _, err := os.Stat(filepath.Join(path, name)); err != nil {
			return fmt.Errorf("--%s: %w (mount the Secret that cert-manager or OLM writes, or unset the flag)", flag, err)
		}
	}
	return nil
}

func newKeeper(config *rest.Config, o options.Options) (*certificates.Keeper, error) {
	namespace, err := operatorNamespace(o)
	if err != nil {
		return nil, err
	}
	direct, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("connecting to Kubernetes: %w", err)
	}
	return certificates.NewKeeper(direct, clock.RealClock{}, ctrl.Log.WithName("certificates"), certificates.Options{
		Secret:  types.NamespacedName{Namespace: namespace, Name: o.WebhookSecret},
		Service: o.WebhookService, Configuration: o.WebhookConfiguration,
		Lifetimes: certificates.DefaultLifetimes, Interval: certificateInterval,
	}), nil
}

// newServingManager returns a manager whose metrics and webhooks are served as the
// options say, unless its settings name a webhook server.
func newServingManager(
	ctx context.Context, config *rest.Config, fence *election.Fence, settings ctrl.Options, o options.Options,
) (ctrl.Manager, error) {
	if o.MetricsCertPath != "" {
		if err := mounted("metrics-cert-path", o.MetricsCertPath); err != nil {
			return nil, err
		}
	}
	if !o.EnableWebhooks || settings.WebhookServer != nil {
		return newManager(config, fence, settings, o)
	}
	server, keeper, err := webhookServer(ctx, config, o)
	if err != nil {
		return nil, err
	}
	settings.WebhookServer = server
	mgr, err := newManager(config, fence, settings, o)
	if err != nil || keeper == nil {
		return mgr, err
	}
	return mgr, mgr.Add(keeper)
}
