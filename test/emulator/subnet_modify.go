/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

// subnetAttributes are the attributes of ModifySubnetAttribute with the only value that
// a subnet can have here. The others come with public or IPv6 addresses.
var subnetAttributes = []struct{ name, only string }{
	{"AssignIpv6AddressOnCreation.Value", "false"},
	{"EnableDns64.Value", "false"},
	{"EnableResourceNameDnsAAAARecordOnLaunch.Value", "false"},
	{"EnableResourceNameDnsARecordOnLaunch.Value", "false"},
	{"MapCustomerOwnedIpOnLaunch.Value", "false"},
	{"MapPublicIpOnLaunch.Value", "false"},
	{"PrivateDnsHostnameTypeOnLaunch", hostnameType},
}

// modifySubnetAttribute sets one attribute to what it is already, and refuses what is
// not emulated.
func modifySubnetAttribute(r *region, q *request) (result, error) {
	_, err := r.subnet(q.required("SubnetId"))
	given := 0
	for _, attribute := range subnetAttributes {
		value, ok := q.lookup(attribute.name)
		if !ok {
			continue
		}
		given++
		q.rejectUnless(value == attribute.only, unsupported("The value '%s' of %s is not supported", value, attribute.name))
	}
	q.rejectUnless(given > 0, missingParameter("attribute"))
	q.rejectUnless(given < 2, invalidCombination("Only one subnet attribute may be modified at a time"))
	if err := firstError(q.check(), err); err != nil {
		return nil, err
	}
	if err := q.proceed(); err != nil {
		return nil, err
	}
	return succeeded()
}
