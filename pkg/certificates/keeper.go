/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package certificates keeps the webhook server's certificates where nobody else
// does: neither cert-manager nor OLM. All replicas share one Secret; each makes,
// renews and serves what is in it, and tells the API server whom to trust.
package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Options of a Keeper.
type Options struct {
	// Secret is where the certificates are kept. It is made if it is not there.
	Secret types.NamespacedName
	// Service is the name of the Service, in the Secret's namespace, by which the API
	// server calls.
	Service string
	// Configuration is the name of the ValidatingWebhookConfiguration that is told
	// whom to trust. Where there is none, nobody is told.
	Configuration string
	Lifetimes     Lifetimes
	// Interval is how often the Secret is looked at.
	Interval time.Duration
}

// Keeper keeps the certificates. What it may do is in config/own-certificates, and not
// among the markers: an install with cert-manager or OLM needs no right to any Secret.
type Keeper struct {
	client  client.Client
	clock   clock.WithTicker
	log     logr.Logger
	options Options
	served  atomic.Pointer[tls.Certificate]
}

// NewKeeper returns a keeper. Its client must read from the API server, not from a
// cache, which would need the right to list all Secrets.
func NewKeeper(direct client.Client, clk clock.WithTicker, log logr.Logger, options Options) *Keeper {
	return &Keeper{client: direct, clock: clk, log: log, options: options}
}

var _ manager.LeaderElectionRunnable = (*Keeper)(nil)

// NeedLeaderElection says that standbys serve webhooks too.
func (*Keeper) NeedLeaderElection() bool { return false }

// Start looks at the Secret from time to time until ctx ends. What fails is tried
// again; meanwhile what was served before is served.
func (k *Keeper) Start(ctx context.Context) error {
	ticker := k.clock.NewTicker(k.options.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			if err := k.Ensure(ctx); err != nil && ctx.Err() == nil {
				k.log.Error(err, "Keeping the webhooks' certificates failed; it is tried again", "secret", k.options.Secret)
			}
		}
	}
}

// GetCertificate is for tls.Config. It fails before the first Ensure.
func (k *Keeper) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if certificate := k.served.Load(); certificate != nil {
		return certificate, nil
	}
	return nil, errors.New("the webhooks have no certificate yet")
}

// writers is how many may write the Secret between our reading and our writing of it
// before it is left to the next time.
const writers = 5

// Ensure makes or renews the certificates if it is time to, serves what is in the
// Secret, and has the API server trust it.
func (k *Keeper) Ensure(ctx context.Context) error {
	var secret *corev1.Secret
	var err error
	for range writers {
		if secret, err = k.settle(ctx); err == nil || !lostRace(err) {
			break
		}
	}
	if err != nil {
		return err
	}
	if err := k.serve(secret.Data); err != nil {
		return err
	}
	_, err = k.announce(ctx, secret.Data[keyAuthorities])
	return err
}

// lostRace says that another replica wrote first.
func lostRace(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// settle reads the Secret and takes the steps that are due.
func (k *Keeper) settle(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := k.client.Get(ctx, k.options.Secret, secret)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return nil, fmt.Errorf("reading Secret %s: %w", k.options.Secret, err)
	}
	now, name := k.clock.Now(), k.dnsName()
	have := read(secret.Data)
	next := plan(have, now, name, k.options.Lifetimes)
	if next == stepServe {
		// Not before all trust the authority, however long announcing it has failed.
		fresh, err := k.announce(ctx, secret.Data[keyAuthorities])
		if err != nil {
			return nil, err
		}
		if fresh && have.serves(name, now) {
			return secret, nil
		}
	}
	if next == stepNone {
		return secret, nil
	}
	k.log.Info("Renewing the webhooks' certificates", "step", next, "secret", k.options.Secret, "dnsName", name)
	data, err := take(next, maps.Clone(secret.Data), now, name, k.options.Lifetimes)
	if err != nil {
		return nil, err
	}
	if missing {
		secret = k.newSecret(data)
		return secret, k.client.Create(ctx, secret)
	}
	secret.Data = data
	return secret, k.client.Update(ctx, secret)
}

func (k *Keeper) newSecret(data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: k.options.Secret.Namespace, Name: k.options.Secret.Name,
			Labels: map[string]string{
				"app.kubernetes.io/name": "eni-operator", "app.kubernetes.io/managed-by": "eni-operator",
				"velero.io/exclude-from-backup": "true",
			},
		},
		Type: corev1.SecretTypeTLS, Data: data,
	}
}

// dnsName is the name by which the API server calls the Service.
func (k *Keeper) dnsName() string {
	return fmt.Sprintf("%s.%s.svc", k.options.Service, k.options.Secret.Namespace)
}

// serve makes the handshakes from now on with what the Secret has.
func (k *Keeper) serve(data map[string][]byte) error {
	pair, err := tls.X509KeyPair(data[keyServer], data[keyServerKey])
	if err != nil {
		return fmt.Errorf("reading Secret %s: %w", k.options.Secret, err)
	}
	before := k.served.Swap(&pair)
	if before == nil || !bytes.Equal(before.Certificate[0], pair.Certificate[0]) {
		k.log.Info("Serving webhooks with a new certificate", "notAfter", pair.Leaf.NotAfter)
	}
	return nil
}

// announce has the API server trust the authorities, and says whether it had to.
func (k *Keeper) announce(ctx context.Context, authorities []byte) (fresh bool, err error) {
	configuration := &admissionv1.ValidatingWebhookConfiguration{}
	err = k.client.Get(ctx, types.NamespacedName{Name: k.options.Configuration}, configuration)
	if apierrors.IsNotFound(err) {
		k.log.V(1).Info("There is no webhook configuration to announce the certificate authority in", "configuration", k.options.Configuration)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading ValidatingWebhookConfiguration %s: %w", k.options.Configuration, err)
	}
	for i := range configuration.Webhooks {
		if trusts := &configuration.Webhooks[i].ClientConfig.CABundle; !bytes.Equal(*trusts, authorities) {
			*trusts, fresh = authorities, true
		}
	}
	if !fresh {
		return false, nil
	}
	k.log.Info("Announcing the certificate authority of the webhooks", "configuration", k.options.Configuration)
	if err := k.client.Update(ctx, configuration); err != nil && !lostRace(err) { // The other replica announces the same.
		return false, fmt.Errorf("announcing the certificate authority in ValidatingWebhookConfiguration %s: %w", k.options.Configuration, err)
	}
	return true, nil
}
