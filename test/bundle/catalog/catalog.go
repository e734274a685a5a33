/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

// Package catalog makes file-based OLM catalogs out of folders with bundles,
// without images and without a registry.
package catalog

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/operator-framework/operator-registry/alpha/declcfg"
	"github.com/operator-framework/operator-registry/pkg/image"
	"github.com/operator-framework/operator-registry/pkg/registry"
)

// Bundle is a folder in the layout registry+v1 (manifests/, metadata/).
type Bundle struct {
	Folder string
	// Replaces is the name of the ClusterServiceVersion that this one upgrades. Unset:
	// what its own says.
	Replaces string
}

// Build makes the catalog of one package, as it is after it was written and read
// again. All bundles are in their default channel.
func Build(bundles ...Bundle) (*declcfg.DeclarativeConfig, error) {
	config := declcfg.DeclarativeConfig{}
	for _, bundle := range bundles {
		if err := add(&config, bundle); err != nil {
			return nil, fmt.Errorf("%s: %w", bundle.Folder, err)
		}
	}
	var text bytes.Buffer
	if err := declcfg.WriteJSON(config, &text); err != nil {
		return nil, err
	}
	return declcfg.LoadReader(&text)
}

func add(config *declcfg.DeclarativeConfig, from Bundle) error {
	input, err := registry.NewImageInput(image.SimpleReference(""), from.Folder)
	if err != nil {
		return err
	}
	bundle := input.Bundle
	_, properties, err := registry.ObjectsAndPropertiesFromBundle(bundle)
	if err != nil {
		return err
	}
	if len(config.Packages) == 0 {
		config.Packages = []declcfg.Package{{
			Schema: declcfg.SchemaPackage, Name: bundle.Package, DefaultChannel: bundle.Annotations.DefaultChannelName,
		}}
		config.Channels = []declcfg.Channel{{
			Schema: declcfg.SchemaChannel, Package: bundle.Package, Name: bundle.Annotations.DefaultChannelName,
		}}
	}
	entry := declcfg.ChannelEntry{Name: bundle.Name, Replaces: from.Replaces}
	if entry.Replaces == "" {
		if entry.Replaces, err = bundle.Replaces(); err != nil {
			return err
		}
	}
	if entry.SkipRange, err = bundle.SkipRange(); err != nil {
		return err
	}
	config.Channels[0].Entries = append(config.Channels[0].Entries, entry)
	config.Bundles = append(config.Bundles, declcfg.Bundle{
		Schema: declcfg.SchemaBundle, Package: bundle.Package, Name: bundle.Name, Properties: slices.Clone(properties),
	})
	return nil
}
