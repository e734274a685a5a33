package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// webhookTimeout bounds how long the API server takes to know the webhooks.
const webhookTimeout = 30 * time.Second

// webhooks are the operator's, as the API server calls them here: those that ship, on
// loopback, since no Service is reached without nodes, and with a certificate that is made
// for it.
type webhooks struct{ envtest.WebhookInstallOptions }

// installWebhooks tells the API server of them. From now on it asks the operator.
func installWebhooks(config *rest.Config) (*webhooks, error) {
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	w := &webhooks{envtest.WebhookInstallOptions{
		Paths:            []string{filepath.Join(root, "config", "webhook", "manifests.yaml")},
		LocalServingHost: "127.0.0.1", MaxTime: webhookTimeout,
	}}
	if err := w.Install(config); err != nil {
		return w, fmt.Errorf("installing the webhooks: %w", err)
	}
	return w, nil
}

// flags have the operator serve them.
func (w *webhooks) flags() []string {
	return []string{
		"--enable-webhooks", "--webhook-host=" + w.LocalServingHost, "--webhook-port=" + strconv.Itoa(w.LocalServingPort),
		"--webhook-cert-path=" + w.LocalServingCertDir,
	}
}

func (w *webhooks) stop() error {
	if w == nil || w.LocalServingCertDir == "" {
		return nil
	}
	return os.RemoveAll(w.LocalServingCertDir)
}

// mistake is a policy that would fight with policy.yaml over every node.
const mistake = `apiVersion: networking.eni-operator.dev/v1alpha1
kind: ENIPolicy
metadata:
  name: larger-pools
spec:
  nodeSelector:
    matchLabels: {pool: general}
  shared: {minimumIPs: 12, maximumIPs: 20}
`

// refuse applies a mistake as a person does, and shows what kubectl has to say.
func (s *story) refuse(ctx context.Context) error {
	s.screen.line("A colleague applies a second policy for the same nodes:\n\n%s", mistake)
	s.screen.line("\n$ kubectl apply -f larger-pools.yaml")
	said, err := s.kubectlApply(ctx, mistake)
	if err == nil {
		return fmt.Errorf("it was not refused: %s", said)
	}
	s.screen.text(said)
	if !strings.Contains(said, "spec.priority") || !strings.Contains(said, s.policy.Name) {
		return errors.New("it was refused, but not because the policies are at odds")
	}
	s.screen.done("Refused by the operator's webhook: the message has the field, the nodes and the remedy")
	return nil
}

// kubectlApply returns what kubectl wrote, and an error if it failed.
func (s *story) kubectlApply(ctx context.Context, manifest string) (string, error) {
	kubectl, err := controlplane.Binary("kubectl")
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, kubectl, "apply", "-f", "-")
	command.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.controlPlane.KubeconfigPath)
	command.Stdin = strings.NewReader(manifest)
	output, err := command.CombinedOutput()
	return string(output), err
}
