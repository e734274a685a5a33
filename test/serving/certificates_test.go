/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package serving

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

const hookName = "eni-operator-webhook-service.default.svc"

// authority signs pairs as cert-manager does, or OLM.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	assert.NilError(t, err)
	a := &authority{t: t, key: key}
	a.cert = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, key)
	return a
}

func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	parent := a.cert
	if parent == nil {
		parent = template
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	assert.NilError(a.t, err)
	template.SerialNumber, template.NotBefore, template.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	assert.NilError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	assert.NilError(a.t, err)
	return cert
}

// mount writes a new pair into a folder as the kubelet does: into a folder of its own,
// to which a link is swapped.
func (a *authority) mount(folder string, turn int) *x509.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	assert.NilError(a.t, err)
	cert := a.sign(&x509.Certificate{DNSNames: []string{hookName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, key)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	assert.NilError(a.t, err)
	data := fmt.Sprintf("..%d", turn)
	assert.NilError(a.t, os.Mkdir(filepath.Join(folder, data), 0o700))
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: cert.Raw}, "tls.key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		assert.NilError(a.t, os.WriteFile(filepath.Join(folder, data, name), pem.EncodeToMemory(block), 0o600))
		if turn == 0 {
			assert.NilError(a.t, os.Symlink(filepath.Join("..data", name), filepath.Join(folder, name)))
		}
	}
	assert.NilError(a.t, os.Symlink(data, filepath.Join(folder, "..next")))
	assert.NilError(a.t, os.Rename(filepath.Join(folder, "..next"), filepath.Join(folder, "..data")))
	return cert
}

// shake makes a handshake as the API server does, and returns what was served.
func shake(ctx context.Context, address string, roots *x509.CertPool) (*x509.Certificate, error) {
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: hookName, MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	secured, ok := connection.(*tls.Conn)
	if !ok {
		return nil, errors.New("no TLS")
	}
	return secured.ConnectionState().PeerCertificates[0], nil
}

// crowd makes handshakes all the time, and notes those that fail.
type crowd struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	failed []error
	made   int
}

func newCrowd(t *testing.T, address string, roots *x509.CertPool) *crowd {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &crowd{stop: cancel}
	for range 4 {
		c.done.Go(func() {
			for ctx.Err() == nil {
				_, err := shake(ctx, address, roots)
				c.mu.Lock()
				c.made++
				if err != nil && ctx.Err() == nil {
					c.failed = append(c.failed, err)
				}
				c.mu.Unlock()
			}
		})
	}
	return c
}

// end returns how many handshakes were made, and those that failed.
func (c *crowd) end() (made int, failed error) {
	c.stop()
	c.done.Wait()
	return c.made, errors.Join(c.failed...)
}

// TestMountedPairIsRenewedUnderLoad: without a restart, and no request fails.
func TestMountedPairIsRenewedUnderLoad(t *testing.T) {
	w, folder, signer := newWorld(t), t.TempDir(), newAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(signer.cert)
	signer.mount(folder, 0)
	address := freeAddress(t)
	host, port, err := net.SplitHostPort(address)
	assert.NilError(t, err)
	o := w.start(plane.KubeconfigPath, "--enable-webhooks", "--webhook-host="+host, "--webhook-port="+port, "--webhook-cert-path="+folder)
	o.awaitReady()
	load := newCrowd(t, address, roots)
	for turn := 1; turn <= 5; turn++ {
		renewed := signer.mount(folder, turn)
		eventually(t, func() error {
			served, err := shake(t.Context(), address, roots)
			if err == nil && !served.Equal(renewed) {
				return errors.New("the pair before is served still")
			}
			return err
		})
	}
	made, failed := load.end()
	assert.NilError(t, failed)
	assert.Assert(t, made > 100, "%d handshakes", made)
	o.lives()
}

// TestMetricsHaveTheMountedPair: whoever scrapes can verify whom they ask, also after a
// renewal.
func TestMetricsHaveTheMountedPair(t *testing.T) {
	w, folder, signer := newWorld(t), t.TempDir(), newAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(signer.cert)
	signer.mount(folder, 0)
	address := freeAddress(t)
	o := w.start(plane.KubeconfigPath, "--metrics-bind-address="+address, "--metrics-cert-path="+folder)
	o.awaitReady()
	for turn := 1; turn <= 2; turn++ {
		renewed := signer.mount(folder, turn)
		eventually(t, func() error {
			served, err := shake(t.Context(), address, roots)
			if err == nil && !served.Equal(renewed) {
				return errors.New("the pair before is served still")
			}
			return err
		})
	}
	status, body := get(t, "https://"+address+"/metrics", "")
	assert.NilError(t, wants(http.StatusUnauthorized, status, body))
	o.lives()
}

// TestOwnCertificatesOnBothReplicas: of the two, one leads; both serve what is in one
// Secret, and the API server is told whom to trust.
func TestOwnCertificatesOnBothReplicas(t *testing.T) {
	w := newWorld(t)
	name := unique(t)
	assert.NilError(t, w.kube.Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "eniclaims.networking.eni-operator.dev", SideEffects: ptr.To(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: namespace, Name: "eni-operator-webhook-service"}},
		}},
	}))
	var addresses []string
	for range 2 {
		address := freeAddress(t)
		host, port, err := net.SplitHostPort(address)
		assert.NilError(t, err)
		w.start(plane.KubeconfigPath, "--leader-elect=true", "--enable-webhooks", "--webhook-host="+host, "--webhook-port="+port,
			"--webhook-secret="+name, "--webhook-configuration="+name).awaitReady()
		addresses = append(addresses, address)
	}
	told := &admissionv1.ValidatingWebhookConfiguration{}
	assert.NilError(t, w.kube.Get(t.Context(), types.NamespacedName{Name: name}, told))
	kept := &corev1.Secret{}
	assert.NilError(t, w.kube.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: name}, kept))
	assert.Assert(t, bytes.Equal(told.Webhooks[0].ClientConfig.CABundle, kept.Data["ca.crt"]))
	roots := x509.NewCertPool()
	assert.Assert(t, roots.AppendCertsFromPEM(told.Webhooks[0].ClientConfig.CABundle))
	var served []*x509.Certificate
	for _, address := range addresses {
		certificate, err := shake(t.Context(), address, roots)
		assert.NilError(t, err)
		served = append(served, certificate)
	}
	assert.Assert(t, served[0].Equal(served[1]))
}

// TestMissingPairIsTold: with the flag and the remedy.
func TestMissingPairIsTold(t *testing.T) {
	w := newWorld(t)
	for _, flag := range []string{"--webhook-cert-path", "--metrics-cert-path"} {
		o := w.start(plane.KubeconfigPath, "--enable-webhooks", flag+"="+t.TempDir(), "--webhook-secret="+unique(t))
		assert.Assert(t, o.process.Wait() != nil)
		assert.NilError(t, mentions(o.log(), flag))
		assert.NilError(t, mentions(o.log(), "tls.crt"))
	}
}

func mentions(log, text string) error {
	if !strings.Contains(log, text) {
		return fmt.Errorf("the log does not mention %s", text)
	}
	return nil
}
