/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The keys of the Secret: tls.crt and tls.key are what is served, ca.crt is whom the
// API server trusts, and ca.key signs.
const (
	keyAuthorities = "ca.crt"
	keySigner      = "ca.key"
	keyServer      = corev1.TLSCertKey
	keyServerKey   = corev1.TLSPrivateKeyKey
)

const (
	blockCertificate = "CERTIFICATE"
	blockKey         = "PRIVATE KEY"
)

// read understands as much of a Secret as it can; what is missing or broken is made
// anew.
func read(data map[string][]byte) material {
	var m material
	m.authorities = certificatesIn(data[keyAuthorities])
	slices.SortStableFunc(m.authorities, func(a, b *x509.Certificate) int { return a.NotBefore.Compare(b.NotBefore) })
	if signer := keyIn(data[keySigner]); signer != nil && m.newest() != nil && sameKey(m.newest(), signer) {
		m.signer = signer
	}
	if pair, err := tls.X509KeyPair(data[keyServer], data[keyServerKey]); err == nil {
		m.server = pair.Leaf
	}
	return m
}

func certificatesIn(text []byte) []*x509.Certificate {
	var found []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return found
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			found = append(found, certificate)
		}
	}
}

func keyIn(text []byte) crypto.Signer {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	signer, _ := key.(crypto.Signer)
	return signer
}

func sameKey(certificate *x509.Certificate, signer crypto.Signer) bool {
	public, ok := signer.Public().(*ecdsa.PublicKey)
	return ok && public.Equal(certificate.PublicKey)
}

// take makes a step: it returns the Secret's data after it.
func take(s step, data map[string][]byte, now time.Time, name string, life Lifetimes) (map[string][]byte, error) {
	if data == nil {
		data = map[string][]byte{}
	}
	if s == stepBegin || s == stepAnnounce {
		if err := addAuthority(data, now, life.Authority); err != nil {
			return nil, err
		}
	}
	if s == stepBegin || s == stepServe {
		if err := replaceServer(data, now, name, life.Server); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// addAuthority adds an authority to the trusted ones, of which those stay that have
// not expired, and puts its key in the place of the last one's.
func addAuthority(data map[string][]byte, now time.Time, life time.Duration) error {
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "eni-operator webhook authority"},
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	made, key, err := issue(template, now, life, nil, nil)
	if err != nil {
		return fmt.Errorf("making a certificate authority: %w", err)
	}
	var trusted []byte
	for _, authority := range certificatesIn(data[keyAuthorities]) {
		if now.Before(authority.NotAfter) {
			trusted = append(trusted, encode(blockCertificate, authority.Raw)...)
		}
	}
	data[keyAuthorities], data[keySigner] = append(trusted, made...), key
	return nil
}

// replaceServer makes a server certificate for a DNS name.
func replaceServer(data map[string][]byte, now time.Time, name string, life time.Duration) error {
	m := read(data)
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	made, key, err := issue(template, now, life, m.newest(), m.signer)
	if err != nil {
		return fmt.Errorf("making a server certificate: %w", err)
	}
	data[keyServer], data[keyServerKey] = made, key
	return nil
}

// serialBits makes it unlikely enough that two certificates have the same number.
const serialBits = 120

// issue makes a key, and a certificate for it that a parent signs, or it itself.
func issue(template *x509.Certificate, now time.Time, life time.Duration, parent *x509.Certificate, signer crypto.Signer) (made, key []byte, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, signer = template, own
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits)); err != nil {
		return nil, nil, err
	}
	template.NotBefore, template.NotAfter = now.Add(-backdating), now.Add(life)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, own.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return nil, nil, err
	}
	return encode(blockCertificate, der), encode(blockKey, keyDER), nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
