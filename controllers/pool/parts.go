/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package pool

import (
	"net/netip"
	"slices"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
)

// part is what an ENI takes and gives back as one: an address, or a prefix with
// all of its addresses.
type part struct {
	name      v1alpha1.AddressOrPrefix
	addresses []v1alpha1.Address
	prefix    bool
}

// partsOf are the parts that an ENI carries.
func partsOf(eni *v1alpha1.ElasticNetworkInterface) []part {
	parts := make([]part, 0, len(eni.Status.Addresses)+len(eni.Status.Prefixes))
	for i, address := range eni.Status.Addresses {
		parts = append(parts, part{name: v1alpha1.AddressOrPrefix(address), addresses: eni.Status.Addresses[i : i+1]})
	}
	for _, prefix := range eni.Status.Prefixes {
		parts = append(parts, part{name: v1alpha1.AddressOrPrefix(prefix), addresses: addressesIn(prefix), prefix: true})
	}
	return parts
}

func addressesIn(prefix v1alpha1.Prefix) []v1alpha1.Address {
	parsed, err := netip.ParsePrefix(string(prefix))
	if err != nil {
		return nil
	}
	addresses := make([]v1alpha1.Address, 0, v1alpha1.AddressesPerPrefix)
	for ip := parsed.Masked().Addr(); parsed.Contains(ip); ip = ip.Next() {
		addresses = append(addresses, v1alpha1.Address(ip.String()))
	}
	return addresses
}

// offered are the addresses of an ENI for claims, those of its prefixes included.
func offered(eni *v1alpha1.ElasticNetworkInterface) []v1alpha1.Address {
	var addresses []v1alpha1.Address
	for _, p := range partsOf(eni) {
		addresses = append(addresses, p.addresses...)
	}
	return addresses
}

// covers says whether a name, of an address or a prefix, stands for an address.
func covers(name v1alpha1.AddressOrPrefix, address v1alpha1.Address) bool {
	if string(name) == string(address) {
		return true
	}
	prefix, err := netip.ParsePrefix(string(name))
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(string(address))
	return err == nil && prefix.Contains(ip)
}

// covered says whether any of the names stands for an address.
func covered(names []v1alpha1.AddressOrPrefix, address v1alpha1.Address) bool {
	return slices.ContainsFunc(names, func(name v1alpha1.AddressOrPrefix) bool { return covers(name, address) })
}

// carries says whether an ENI's status shows a name.
func carries(eni *v1alpha1.ElasticNetworkInterface, name v1alpha1.AddressOrPrefix) bool {
	return slices.Contains(eni.Status.Addresses, v1alpha1.Address(name)) || slices.Contains(eni.Status.Prefixes, v1alpha1.Prefix(name))
}
