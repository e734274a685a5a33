/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Command bundle writes the operator's OLM bundle (registry+v1): the folder bundle
// and bundle.Dockerfile. It makes them from what kustomize makes of
// config/manifests, so the same sources give the same bytes. `make bundle` runs it.
package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
)

// packageName is the operator's name in catalogs.
const packageName = "eni-operator"

// release is what tells this bundle from that of another release.
type release struct {
	// version is a semantic version, as in 0.1.0.
	version string
	// replaces is the version that this one upgrades, if any.
	replaces string
	// upgradesFrom is the oldest version that may be upgraded to this one at once, without
	// one in between that migrates something.
	upgradesFrom string
	// image is the operator's, by tag or, as mirrors need it, by digest.
	image string
	// channel is the catalog channel that offers it.
	channel string
}

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(arguments []string, manifests io.Reader) error {
	var r release
	flags := pflag.NewFlagSet("bundle", pflag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "Semantic version of the bundle, as in 0.1.0.")
	flags.StringVar(&r.replaces, "replaces", "", "Version that this one upgrades; unset for the first.")
	flags.StringVar(&r.upgradesFrom, "upgrades-from", "0.1.0", "Oldest version that may be upgraded to this one at once.")
	flags.StringVar(&r.image, "image", "", "The operator's image; by digest for clusters that install from a mirror.")
	flags.StringVar(&r.channel, "channel", "candidate", "Catalog channel of the bundle.")
	iconPath := flags.String("icon", "config/manifests/bases/icon.svg", "The operator's icon.")
	output := flags.String("output", ".", "Folder to write bundle/ and bundle.Dockerfile into.")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if err := r.validate(); err != nil {
		return err
	}
	icon, err := os.ReadFile(*iconPath)
	if err != nil {
		return err
	}
	sources, err := readSources(manifests)
	if err != nil {
		return fmt.Errorf("the manifests on standard input: %w", err)
	}
	files, err := generate(sources, r, icon)
	if err != nil {
		return err
	}
	return files.write(*output)
}

var semanticVersion = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$`)

// byDigest tells that the image cannot change any more under its name.
func (r release) byDigest() bool { return strings.Contains(r.image, "@sha256:") }

func (r release) validate() error {
	switch {
	case !semanticVersion.MatchString(r.version):
		return fmt.Errorf("--version: %q is no semantic version, as in 0.1.0", r.version)
	case r.replaces != "" && !semanticVersion.MatchString(r.replaces):
		return fmt.Errorf("--replaces: %q is no semantic version, as in 0.1.0", r.replaces)
	case !semanticVersion.MatchString(r.upgradesFrom):
		return fmt.Errorf("--upgrades-from: %q is no semantic version, as in 0.1.0", r.upgradesFrom)
	case r.image == "":
		return fmt.Errorf("--image is required: the operator's image, as in ghcr.io/eni-operator/eni-operator:v%s", r.version)
	}
	return nil
}

// csvName is the name of a version's ClusterServiceVersion.
func csvName(version string) string { return packageName + ".v" + version }
