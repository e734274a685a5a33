/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// knownFilters are the filters that EC2 documents, by action, but for those of
// DescribeInstanceTypes on what is not emulated.
var knownFilters = map[string]string{
	"DescribeAvailabilityZones": `group-long-name group-name message opt-in-status parent-zone-id parent-zone-name region-name state zone-id
		zone-name zone-type`,
	"DescribeInstances": `affinity architecture availability-zone availability-zone-id block-device-mapping.attach-time
		block-device-mapping.delete-on-termination block-device-mapping.device-name block-device-mapping.status
		block-device-mapping.volume-id boot-mode capacity-reservation-id
		capacity-reservation-specification.capacity-reservation-preference client-token current-instance-boot-mode dns-name ebs-optimized
		ena-support enclave-options.enabled hibernation-options.configured host-id hypervisor iam-instance-profile.arn
		iam-instance-profile.id image-id instance-id instance-lifecycle instance-state-code instance-state-name instance-type
		instance.group-id instance.group-name ip-address ipv6-address kernel-id key-name launch-index launch-time
		maintenance-options.auto-recovery metadata-options.http-endpoint metadata-options.http-protocol-ipv4
		metadata-options.http-protocol-ipv6 metadata-options.http-put-response-hop-limit metadata-options.http-tokens
		metadata-options.instance-metadata-tags metadata-options.state monitoring-state
		network-interface.addresses.association.allocation-id network-interface.addresses.association.association-id
		network-interface.addresses.association.carrier-ip network-interface.addresses.association.customer-owned-ip
		network-interface.addresses.association.ip-owner-id network-interface.addresses.association.public-dns-name
		network-interface.addresses.association.public-ip network-interface.addresses.primary network-interface.addresses.private-dns-name
		network-interface.addresses.private-ip-address network-interface.association.allocation-id
		network-interface.association.association-id network-interface.association.carrier-ip
		network-interface.association.customer-owned-ip network-interface.association.ip-owner-id
		network-interface.association.public-dns-name network-interface.association.public-ip network-interface.attachment.attach-time
		network-interface.attachment.attachment-id network-interface.attachment.delete-on-termination
		network-interface.attachment.device-index network-interface.attachment.instance-id
		network-interface.attachment.instance-owner-id network-interface.attachment.network-card-index
		network-interface.attachment.status network-interface.availability-zone network-interface.deny-all-igw-traffic
		network-interface.description network-interface.group-id network-interface.group-name network-interface.ipv4-prefixes.ipv4-prefix
		network-interface.ipv6-address network-interface.ipv6-addresses.ipv6-address network-interface.ipv6-addresses.is-primary-ipv6
		network-interface.ipv6-native network-interface.ipv6-prefixes.ipv6-prefix network-interface.mac-address
		network-interface.network-interface-id network-interface.operator.managed network-interface.operator.principal
		network-interface.outpost-arn network-interface.owner-id network-interface.private-dns-name network-interface.private-ip-address
		network-interface.public-dns-name network-interface.requester-id network-interface.requester-managed network-interface.status
		network-interface.source-dest-check network-interface.subnet-id network-interface.tag-key network-interface.tag-value
		network-interface.vpc-id network-performance-options.bandwidth-weighting operator.managed operator.principal outpost-arn owner-id
		placement-group-name placement-partition-number platform platform-details private-dns-name
		private-dns-name-options.enable-resource-name-dns-a-record private-dns-name-options.enable-resource-name-dns-aaaa-record
		private-dns-name-options.hostname-type private-ip-address product-code product-code.type ramdisk-id reason requester-id
		reservation-id root-device-name root-device-type source-dest-check spot-instance-request-id state-reason-code
		state-reason-message subnet-id tag:a tag-key tenancy tpm-support usage-operation usage-operation-update-time virtualization-type
		vpc-id`,
	"DescribeInstanceStatus": `application-status.status attached-ebs-status.status availability-zone availability-zone-id event.code
		event.description event.instance-event-id event.not-after event.not-before event.not-before-deadline instance-state-code
		instance-state-name instance-status.reachability instance-status.status operator.managed operator.principal
		system-status.reachability system-status.status`,
	"DescribeNetworkInterfaces": `association.allocation-id association.association-id addresses.association.owner-id
		addresses.association.public-ip addresses.primary addresses.private-ip-address association.ip-owner-id association.public-ip
		association.public-dns-name attachment.attach-time attachment.attachment-id attachment.delete-on-termination attachment.device-index
		attachment.instance-id attachment.instance-owner-id attachment.status availability-zone availability-zone-id description group-id
		ipv6-addresses.ipv6-address interface-type mac-address network-interface-id operator.managed operator.principal owner-id
		private-dns-name private-ip-address requester-id requester-managed source-dest-check status subnet-id tag:a tag-key vpc-id`,
	"DescribeRegions": "endpoint opt-in-status region-name",
	"DescribeSecurityGroups": `description egress.ip-permission.cidr egress.ip-permission.from-port egress.ip-permission.group-id
		egress.ip-permission.group-name egress.ip-permission.ipv6-cidr egress.ip-permission.prefix-list-id egress.ip-permission.protocol
		egress.ip-permission.to-port egress.ip-permission.user-id group-id group-name ip-permission.cidr ip-permission.from-port
		ip-permission.group-id ip-permission.group-name ip-permission.ipv6-cidr ip-permission.prefix-list-id ip-permission.protocol
		ip-permission.to-port ip-permission.user-id owner-id tag:a tag-key vpc-id`,
	"DescribeSubnets": `availability-zone availability-zone-id available-ip-address-count cidr-block customer-owned-ipv4-pool default-for-az
		enable-dns64 enable-lni-at-device-index ipv6-cidr-block-association.ipv6-cidr-block ipv6-cidr-block-association.association-id
		ipv6-cidr-block-association.state ipv6-native map-customer-owned-ip-on-launch map-public-ip-on-launch outpost-arn owner-id
		private-dns-name-options-on-launch.hostname-type private-dns-name-options-on-launch.enable-resource-name-dns-a-record
		private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record state subnet-arn subnet-id tag:a tag-key vpc-id`,
	"DescribeTags": "key resource-id resource-type tag:a value",
	"DescribeVpcs": `cidr cidr-block-association.cidr-block cidr-block-association.association-id cidr-block-association.state dhcp-options-id
		ipv6-cidr-block-association.ipv6-cidr-block ipv6-cidr-block-association.ipv6-pool ipv6-cidr-block-association.association-id
		ipv6-cidr-block-association.state is-default owner-id state tag:a tag-key vpc-id`,
	"DescribeInstanceTypes": `bare-metal burstable-performance-supported current-generation hypervisor instance-type network-info.ena-support
		network-info.ipv4-addresses-per-interface network-info.ipv6-addresses-per-interface network-info.ipv6-supported
		network-info.maximum-network-cards network-info.maximum-network-interfaces processor-info.supported-architecture`,
}

// TestFiltersOfEC2AreKnown asserts that no filter is refused that EC2 documents.
func TestFiltersOfEC2AreKnown(t *testing.T) {
	server := emulator.New(unthrottled())
	for action, names := range knownFilters {
		for _, name := range strings.Fields(names) {
			t.Run(action+"/"+name, func(t *testing.T) {
				status, got := post(server, "", form(action, "Filter.1.Name", name, "Filter.1.Value.1", "nothing-like-it"))
				assert.Equal(t, got.Message, "")
				assert.Equal(t, status, http.StatusOK)
			})
		}
	}
}

// TestFiltersOfInstances looks for one of two instances by what only it has.
func TestFiltersOfInstances(t *testing.T) {
	w := newWorld(t, unthrottled())
	subnetID := w.subnet("10.0.0.0/24")
	plain := *w.run(subnetID, types.InstanceTypeM3Large).InstanceId
	special := *must(w.RunInstances(w.ctx(), &ec2.RunInstancesInput{
		ImageId: aws.String(image), InstanceType: types.InstanceTypeM5Large, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		Placement: &types.Placement{AvailabilityZone: aws.String("us-east-1a"), GroupName: aws.String("near")},
		MetadataOptions: &types.InstanceMetadataOptionsRequest{
			HttpTokens: types.HttpTokensStateOptional, HttpPutResponseHopLimit: aws.Int32(1), HttpEndpoint: types.InstanceMetadataEndpointStateDisabled,
			HttpProtocolIpv6: types.InstanceMetadataProtocolStateEnabled, InstanceMetadataTags: types.InstanceMetadataTagsStateEnabled,
		},
	})).Instances[0].InstanceId
	must(w.StopInstances(w.ctx(), &ec2.StopInstancesInput{InstanceIds: []string{special}}))
	for _, test := range []struct {
		filter, value string
		want          []string
	}{
		{"root-device-type", "ebs", []string{plain, special}},
		{"platform-details", "Linux/UNIX", []string{plain, special}},
		{"private-dns-name-options.hostname-type", "ip-name", []string{plain, special}},
		{"block-device-mapping.volume-id", "*", nil},
		{"ena-support", "true", []string{special}},
		{"current-instance-boot-mode", "legacy-bios", []string{plain}},
		{"metadata-options.http-tokens", "optional", []string{special}},
		{"metadata-options.http-put-response-hop-limit", "1", []string{special}},
		{"metadata-options.http-endpoint", "disabled", []string{special}},
		{"metadata-options.http-protocol-ipv6", "enabled", []string{special}},
		{"metadata-options.instance-metadata-tags", "disabled", []string{plain}},
		{"placement-group-name", "near", []string{special}},
		{"state-reason-message", "*User initiated*", []string{special}},
		{"network-interface.addresses.private-dns-name", "ip-172-*", []string{special}},
	} {
		t.Run(test.filter, func(t *testing.T) {
			var found []string
			out := must(w.DescribeInstances(w.ctx(), &ec2.DescribeInstancesInput{Filters: []types.Filter{by(test.filter, test.value)}}))
			for _, reservation := range out.Reservations {
				found = append(found, *reservation.Instances[0].InstanceId)
			}
			slices.Sort(found)
			slices.Sort(test.want)
			assert.DeepEqual(t, found, test.want)
		})
	}
}

// TestFiltersOfGroups looks at rules: only a default group lets something in.
func TestFiltersOfGroups(t *testing.T) {
	w := newWorld(t, unthrottled())
	vpcID := *must(w.CreateVpc(w.ctx(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})).Vpc.VpcId
	other := w.group(vpcID, "other")
	for _, test := range []struct {
		filter, value, want string
	}{
		{"ip-permission.protocol", "-1", "default"},
		{"ip-permission.user-id", emulator.DefaultAccount, "default"},
		{"ip-permission.group-name", "default", "default"},
		{"ip-permission.group-id", other, ""},
		{"ip-permission.cidr", "*", ""},
		{"group-id", other, "other"},
	} {
		t.Run(test.filter, func(t *testing.T) {
			var found string
			for _, group := range must(w.DescribeSecurityGroups(w.ctx(), &ec2.DescribeSecurityGroupsInput{
				Filters: []types.Filter{by("vpc-id", vpcID), by(test.filter, test.value)},
			})).SecurityGroups {
				found += *group.GroupName
			}
			assert.Equal(t, found, test.want)
		})
	}
}
