/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package certificates

import (
	"crypto"
	"crypto/x509"
	"time"
)

// Lifetimes say how long certificates are valid. Each is renewed when a third of its
// life is left.
type Lifetimes struct {
	Authority time.Duration
	Server    time.Duration
	// Settle is how long an authority is announced to the API server before anything
	// is signed by it: longer than every API server takes to see the announcement.
	Settle time.Duration
}

// DefaultLifetimes are for years without anybody looking.
var DefaultLifetimes = Lifetimes{Authority: 10 * 365 * 24 * time.Hour, Server: 365 * 24 * time.Hour, Settle: 5 * time.Minute}

// material is what is there to serve with.
type material struct {
	// authorities are those that the API server is told to trust, the newest last.
	authorities []*x509.Certificate
	// signer is the newest authority's key.
	signer crypto.Signer
	// server is the certificate that is served, if its key is there too.
	server *x509.Certificate
}

// step is what to do next about the certificates.
type step string

const (
	stepNone step = ""
	// stepBegin makes an authority and a server certificate: there is nothing to keep.
	stepBegin step = "begin"
	// stepAnnounce adds an authority to those that are trusted. What is served stays.
	stepAnnounce step = "announce"
	// stepServe makes a server certificate, signed by the newest authority.
	stepServe step = "serve"
)

// plan decides on the next step. Served is always what every API server trusts
// already, so that no request fails while anything is renewed.
func plan(m material, now time.Time, name string, life Lifetimes) step {
	newest := m.newest()
	if newest == nil || m.signer == nil || now.After(newest.NotAfter) {
		return stepBegin
	}
	settled := now.Sub(issued(newest)) >= life.Settle
	switch {
	case !m.serves(name, now):
		return stepServe // There is nothing to break.
	case due(newest, now):
		return stepAnnounce
	case settled && (due(m.server, now) || m.server.CheckSignatureFrom(newest) != nil):
		return stepServe
	default:
		return stepNone
	}
}

func (m material) newest() *x509.Certificate {
	if len(m.authorities) == 0 {
		return nil
	}
	return m.authorities[len(m.authorities)-1]
}

// serves says whether the API server would accept the certificate now.
func (m material) serves(name string, now time.Time) bool {
	if m.server == nil {
		return false
	}
	trusted := x509.NewCertPool()
	for _, authority := range m.authorities {
		trusted.AddCert(authority)
	}
	_, err := m.server.Verify(x509.VerifyOptions{DNSName: name, Roots: trusted, CurrentTime: now})
	return err == nil
}

// backdating is how far before its making a certificate begins to be valid, for API
// servers whose clocks are behind.
const backdating = time.Hour

func issued(certificate *x509.Certificate) time.Time { return certificate.NotBefore.Add(backdating) }

// due says whether only a third of a certificate's life is left.
func due(certificate *x509.Certificate, now time.Time) bool {
	life := certificate.NotAfter.Sub(issued(certificate))
	return now.After(certificate.NotAfter.Add(-life / 3))
}
