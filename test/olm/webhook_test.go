/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package olm

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gotest.tools/v3/assert"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/flow"
)

// webhookService is the Service that OLM makes for the webhooks of a Deployment;
// its certificate is in the Secret of that name and -cert.
const webhookService = "eni-operator-controller-manager-service"

// serveWebhooks are the flags by which a process on this machine serves the
// webhooks, with the certificate that OLM wrote, where the API server finds it.
func (w *world) serveWebhooks() []string {
	w.t.Helper()
	host := w.machineAddress()
	_, port, err := net.SplitHostPort(flow.FreeAddress(w.t))
	assert.NilError(w.t, err)
	w.pointServiceAt(host, port)
	return []string{
		"--enable-webhooks", "--webhook-host=" + host, "--webhook-port=" + port, "--webhook-cert-path=" + w.mountCertificate(),
	}
}

// machineAddress is an address of this machine that is not its loopback: the API
// server calls no webhook there.
func (w *world) machineAddress() string {
	w.t.Helper()
	addresses, err := net.InterfaceAddrs()
	assert.NilError(w.t, err)
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	w.t.Fatal("this machine has no IPv4 address but its loopback, and the API server calls no webhook there")
	return ""
}

// mountCertificate writes OLM's certificate where the kubelet would.
func (w *world) mountCertificate() string {
	w.t.Helper()
	folder := w.t.TempDir()
	w.eventually("OLM writes the webhooks' certificate", func() error {
		secret := &corev1.Secret{}
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: webhookService + "-cert"}, secret); err != nil {
			return err
		}
		for _, file := range []string{"tls.crt", "tls.key"} {
			if len(secret.Data[file]) == 0 {
				return fmt.Errorf("the Secret has no %s", file)
			}
			if err := os.WriteFile(filepath.Join(folder, file), secret.Data[file], 0o600); err != nil {
				return err
			}
		}
		return nil
	})
	return folder
}

// pointServiceAt stands in for the endpoints of pods.
func (w *world) pointServiceAt(host, port string) {
	w.t.Helper()
	service := &corev1.Service{}
	assert.NilError(w.t, w.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: webhookService}, service))
	number, err := strconv.ParseInt(port, 10, 32)
	assert.NilError(w.t, err)
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: webhookService, Labels: map[string]string{discoveryv1.LabelServiceName: webhookService},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{host}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}},
		Ports: []discoveryv1.EndpointPort{{
			Name: ptr.To(service.Spec.Ports[0].Name), Port: ptr.To(int32(number)), Protocol: ptr.To(corev1.ProtocolTCP),
		}},
	}
	assert.NilError(w.t, client.IgnoreNotFound(w.Delete(w.t.Context(), slice.DeepCopy())))
	w.create(slice)
}

// checkWebhooks has the API server ask the operator: a second policy of the same
// priority for the same Nodes is refused by name.
func (w *world) checkWebhooks() {
	w.t.Helper()
	w.eventually("the API server calls the webhooks", func() error {
		rival := flow.Policy()
		rival.Name = "rival"
		err := w.Create(w.t.Context(), rival, client.DryRunAll)
		switch {
		case err == nil:
			return errors.New("a rival policy is taken")
		case !strings.Contains(err.Error(), "admission webhook") || !strings.Contains(err.Error(), "denied the request") ||
			!strings.Contains(err.Error(), "general"):
			return err
		}
		w.t.Logf("refused: %v", err)
		return nil
	})
	claim := &v1alpha1.ENIClaim{ObjectMeta: metav1.ObjectMeta{Namespace: flow.Namespace, Name: "asked"}}
	claim.Spec.NodeName = "flow-0.ec2.internal"
	assert.NilError(w.t, w.Create(w.t.Context(), claim, client.DryRunAll), "what is right passes")
}
