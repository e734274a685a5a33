package controlplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// modulePattern recognises the operator's own go.mod among those of the tools.
var modulePattern = regexp.MustCompile(`(?m)^module github\.com/eni-operator/eni-operator$`)

// RepositoryRoot finds the repository from the working folder upwards.
func RepositoryRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		switch {
		case err == nil && modulePattern.Match(content):
			return dir, nil
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return "", err
		case dir == filepath.Dir(dir):
			return "", fmt.Errorf("%s is not inside the ENI Operator's repository", start)
		}
	}
}

// Binary finds etcd, kube-apiserver, kube-controller-manager or kubectl: first
// in KUBEBUILDER_ASSETS, then among what `make controlplane` built.
func Binary(name string) (string, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		if path := filepath.Join(assets, name); isFile(path) {
			return path, nil
		}
	}
	root, err := RepositoryRoot()
	if err != nil {
		return "", err
	}
	if path := filepath.Join(root, "build", "controlplane", name); isFile(path) {
		return path, nil
	}
	return "", fmt.Errorf("%s is missing: run `make controlplane`", name)
}

// crdPaths applies the default of Options.CRDs.
func crdPaths(paths []string) ([]string, error) {
	if paths != nil {
		return paths, nil
	}
	root, err := RepositoryRoot()
	if err != nil {
		return nil, err
	}
	return []string{filepath.Join(root, "config", "crd", "bases")}, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
