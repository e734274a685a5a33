/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package shipped gives tests what users install: the manifests as kustomize builds them,
// and the operator's own account with the rights that they grant.
package shipped

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/test/controlplane"
)

// Namespace and Account are the operator's, and User is the name by which the API server
// knows it.
const (
	Namespace = "eni-operator-system"
	Account   = "eni-operator-controller-manager"
	User      = "system:serviceaccount:" + Namespace + ":" + Account
)

// Manifests returns what kustomize builds of a folder: one below the repository's root, or
// one that is named by its absolute path.
func Manifests(folder string) ([]*unstructured.Unstructured, error) {
	root, err := controlplane.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(root, folder)
	}
	var trouble bytes.Buffer
	command := exec.Command(filepath.Join(root, "build", "tools", "kustomize"), "build", folder)
	command.Stderr = &trouble
	output, err := command.Output()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, errors.New("kustomize is missing: run `make tools`")
	case err != nil:
		return nil, fmt.Errorf("building %s: %w: %s", folder, err, trouble.String())
	}
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(output), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading what was built of %s: %w", folder, err)
		}
		all = append(all, object)
	}
}

// Webhooks returns the webhooks as a folder ships them.
func Webhooks(folder string) (*admissionregistrationv1.ValidatingWebhookConfiguration, error) {
	all, err := Manifests(folder)
	if err != nil {
		return nil, err
	}
	for _, object := range all {
		if object.GetKind() != "ValidatingWebhookConfiguration" {
			continue
		}
		configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
		return configuration, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, configuration)
	}
	return nil, fmt.Errorf("%s has no ValidatingWebhookConfiguration", folder)
}

// rights are the kinds that say what accounts may do.
var rights = []string{
	"Namespace", "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding",
	"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}

// Grant makes the operator's account with its roles, the policies that bound it, and the roles
// for people, as a folder ships them.
func Grant(ctx context.Context, api client.Client, folder string) error {
	all, err := Manifests(folder)
	if err != nil {
		return err
	}
	for _, object := range all {
		if !slices.Contains(rights, object.GetKind()) {
			continue
		}
		if err := api.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// AsOperator returns a configuration that acts with the rights of the operator's account.
func AsOperator(config *rest.Config) *rest.Config {
	return As(config, User, "system:serviceaccounts", "system:serviceaccounts:"+Namespace)
}

// As returns a configuration that acts with the rights of a user and of what all users may.
func As(config *rest.Config, user string, groups ...string) *rest.Config {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append([]string{"system:authenticated"}, groups...)}
	return config
}
