/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package certificates

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"gotest.tools/v3/assert"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

const (
	day           = 24 * time.Hour
	configuration = "hooks"
	dnsName       = "service.ns.svc"
)

var (
	secretKey = types.NamespacedName{Namespace: "ns", Name: "certificate"}
	lives     = Lifetimes{Authority: 45 * day, Server: 9 * day, Settle: 12 * time.Hour}
)

// world is a Kubernetes and two replicas on one fake clock.
type world struct {
	t     *testing.T
	clock *testingclock.FakeClock
	kube  client.WithWatch
	// writes counts them, refuse refuses some.
	writes   int
	refuse   func(client.Object) error
	replicas []*Keeper
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	w := &world{t: t, clock: testingclock.NewFakeClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))}
	w.kube = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if err := w.write(o); err != nil {
				return err
			}
			return c.Create(ctx, o, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			if err := w.write(o); err != nil {
				return err
			}
			return c.Update(ctx, o, options...)
		},
	}).Build()
	for range 2 {
		w.replicas = append(w.replicas, NewKeeper(w.kube, w.clock, logr.Discard(), Options{
			Secret: secretKey, Service: "service", Configuration: configuration, Lifetimes: lives, Interval: time.Minute,
		}))
	}
	return w
}

func (w *world) write(o client.Object) error {
	w.writes++
	if w.refuse != nil {
		return w.refuse(o)
	}
	return nil
}

func hooks() *admissionv1.ValidatingWebhookConfiguration {
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: configuration},
		Webhooks:   []admissionv1.ValidatingWebhook{{Name: "a"}, {Name: "b"}},
	}
}

// ensure has all replicas look.
func (w *world) ensure() {
	w.t.Helper()
	for _, replica := range w.replicas {
		assert.NilError(w.t, replica.Ensure(w.t.Context()))
	}
}

// trusted is what the API server is told to trust, the same for each webhook.
func (w *world) trusted() []byte {
	w.t.Helper()
	found := &admissionv1.ValidatingWebhookConfiguration{}
	assert.NilError(w.t, w.kube.Get(w.t.Context(), types.NamespacedName{Name: configuration}, found))
	assert.DeepEqual(w.t, found.Webhooks[0].ClientConfig.CABundle, found.Webhooks[1].ClientConfig.CABundle)
	return found.Webhooks[0].ClientConfig.CABundle
}

func (w *world) secret() *corev1.Secret {
	w.t.Helper()
	found := &corev1.Secret{}
	assert.NilError(w.t, w.kube.Get(w.t.Context(), secretKey, found))
	return found
}

// call makes a handshake with a replica as an API server does that trusts these.
func (w *world) call(replica *Keeper, trusted []byte) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted)
	here, there := net.Pipe()
	defer func() { _ = here.Close() }()
	served := make(chan error, 1)
	go func() {
		served <- tls.Server(there, &tls.Config{GetCertificate: replica.GetCertificate, MinVersion: tls.VersionTLS12, Time: w.clock.Now}).Handshake()
		_ = there.Close()
	}()
	caller := tls.Client(here, &tls.Config{RootCAs: roots, ServerName: dnsName, MinVersion: tls.VersionTLS12, Time: w.clock.Now})
	return errors.Join(caller.Handshake(), <-served)
}

// accepts is what a handshake decides, without its cost.
func (w *world) accepts(replica *Keeper, trusted []byte) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted)
	served, err := replica.GetCertificate(nil)
	if err != nil {
		return err
	}
	_, err = served.Leaf.Verify(x509.VerifyOptions{DNSName: dnsName, Roots: roots, CurrentTime: w.clock.Now()})
	return err
}

func TestReplicasShareOneSecret(t *testing.T) {
	w := newWorld(t, hooks())
	_, err := w.replicas[0].GetCertificate(nil)
	assert.ErrorContains(t, err, "no certificate yet")
	w.ensure()
	for _, replica := range w.replicas {
		assert.NilError(t, w.call(replica, w.trusted()))
	}
	assert.Equal(t, w.secret().Type, corev1.SecretTypeTLS)
	assert.Equal(t, w.secret().Labels["velero.io/exclude-from-backup"], "true")
	assert.Equal(t, w.writes, 2, "the Secret and the configuration")
	for range 10 {
		w.clock.Step(time.Hour / 2)
		w.ensure()
	}
	assert.Equal(t, w.writes, 2, "nothing is written at rest")
}

// TestRenewalFailsNoRequest lets months go by. All the time every API server, also one
// that is nearly as far behind as Settle allows, trusts every replica, also one that
// has not looked for as long.
func TestRenewalFailsNoRequest(t *testing.T) {
	w := newWorld(t, hooks())
	w.ensure()
	last, behind := w.replicas[1], w.trusted()
	first := w.secret().Data
	servers, authorities := map[string]bool{}, map[string]bool{}
	for range int(70 * day / (lives.Settle / 2)) {
		w.clock.Step(lives.Settle / 2)
		assert.NilError(t, w.replicas[0].Ensure(t.Context()))
		for _, trusted := range [][]byte{w.trusted(), behind} {
			assert.NilError(t, w.accepts(w.replicas[0], trusted), "%s", w.clock.Now())
			assert.NilError(t, w.accepts(last, trusted), "%s", w.clock.Now())
		}
		behind = w.trusted()
		assert.NilError(t, last.Ensure(t.Context()))
		data := w.secret().Data
		servers[string(data[keyServer])], authorities[string(data[keySigner])] = true, true
		assert.Assert(t, len(certificatesIn(data[keyAuthorities])) <= 3, "expired authorities go")
	}
	assert.Assert(t, len(servers) > 70/9 && len(servers) < 2*70/9, "%d server certificates in 70 days", len(servers))
	assert.Assert(t, len(authorities) > 70/45 && len(authorities) < 3*70/45, "%d authorities in 70 days", len(authorities))
	assert.Assert(t, !bytes.Equal(first[keySigner], w.secret().Data[keySigner]))
}

// TestUnannouncedAuthoritySignsNothing: however long announcing it fails.
func TestUnannouncedAuthoritySignsNothing(t *testing.T) {
	w := newWorld(t, hooks())
	w.ensure()
	trusted := w.trusted()
	w.refuse = func(o client.Object) error {
		if _, announcing := o.(*admissionv1.ValidatingWebhookConfiguration); announcing {
			return apierrors.NewForbidden(schema.GroupResource{}, configuration, errors.New("no"))
		}
		return nil
	}
	failures := 0
	for range 45 - 10 {
		w.clock.Step(day)
		for _, replica := range w.replicas {
			if err := replica.Ensure(t.Context()); err != nil {
				assert.ErrorContains(t, err, configuration)
				failures++
			}
			if w.clock.Now().Before(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Add(33 * day)) {
				assert.NilError(t, w.accepts(replica, trusted), "%s", w.clock.Now())
			}
		}
	}
	assert.Assert(t, failures > 0)
	w.refuse = nil
	w.ensure()
	w.ensure()
	for _, replica := range w.replicas {
		assert.NilError(t, w.call(replica, w.trusted()))
	}
}

func TestWhatIsBrokenIsMadeAnew(t *testing.T) {
	for name, damage := range map[string]func(data map[string][]byte){
		"nothing in it":      func(data map[string][]byte) { clear(data) },
		"no authority":       func(data map[string][]byte) { delete(data, keyAuthorities) },
		"no authority's key": func(data map[string][]byte) { delete(data, keySigner) },
		"no certificate":     func(data map[string][]byte) { data[keyServer] = nil },
		"no key":             func(data map[string][]byte) { data[keyServerKey] = []byte("x") },
		"an empty bundle": func(data map[string][]byte) {
			data[keyAuthorities] = []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
		},
		"another's key": func(data map[string][]byte) { data[keySigner] = data[keyServerKey] },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, hooks())
			w.ensure()
			secret := w.secret()
			damage(secret.Data)
			assert.NilError(t, w.kube.Update(t.Context(), secret))
			w.ensure()
			for _, replica := range w.replicas {
				assert.NilError(t, w.call(replica, w.trusted()))
			}
		})
	}
}

// TestServiceUnderAnotherName: the certificate follows the Service.
func TestServiceUnderAnotherName(t *testing.T) {
	w := newWorld(t, hooks())
	w.ensure()
	w.replicas[0].options.Service = "renamed"
	assert.NilError(t, w.replicas[0].Ensure(t.Context()))
	certificate, err := w.replicas[0].GetCertificate(nil)
	assert.NilError(t, err)
	assert.DeepEqual(t, certificate.Leaf.DNSNames, []string{"renamed.ns.svc"})
}

func TestRacesAreSettled(t *testing.T) {
	w := newWorld(t, hooks())
	w.refuse = func(client.Object) error {
		w.refuse = nil
		assert.NilError(t, w.replicas[1].Ensure(t.Context()))
		return nil
	}
	assert.NilError(t, w.replicas[0].Ensure(t.Context()), "the other made the Secret between our reading and writing")
	mine, err := w.replicas[0].GetCertificate(nil)
	assert.NilError(t, err)
	others, err := w.replicas[1].GetCertificate(nil)
	assert.NilError(t, err)
	assert.DeepEqual(t, mine.Certificate, others.Certificate)
}

// TestOutageServesOn: what was served is served while Kubernetes cannot be reached.
func TestOutageServesOn(t *testing.T) {
	w := newWorld(t, hooks())
	w.ensure()
	trusted := w.trusted()
	assert.NilError(t, w.kube.Delete(t.Context(), w.secret()))
	w.refuse = func(client.Object) error { return apierrors.NewServiceUnavailable("down") }
	assert.ErrorContains(t, w.replicas[0].Ensure(t.Context()), "down")
	assert.NilError(t, w.call(w.replicas[0], trusted))
}

func TestNoConfigurationIsNoFailure(t *testing.T) {
	w := newWorld(t)
	w.ensure()
	assert.Equal(t, w.writes, 1)
}

func TestStartLooksFromTimeToTime(t *testing.T) {
	w := newWorld(t, hooks())
	assert.Assert(t, !w.replicas[0].NeedLeaderElection())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.replicas[0].Start(ctx) }()
	for w.replicas[0].served.Load() == nil {
		if w.clock.HasWaiters() {
			w.clock.Step(time.Minute)
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	assert.NilError(t, <-ended)
}
