package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/test/emulator"
)

func TestStillThere(t *testing.T) {
	p, seen := testWorld()
	if got := stillThere(p.enis, seen); len(got) != 2 {
		t.Errorf("got %q", got)
	}
	seen.enis = seen.enis[:1] // the instance's own
	if got := stillThere(p.enis, seen); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestNotPristine(t *testing.T) {
	_, seen := testWorld()
	own := types.InstanceNetworkInterface{Attachment: &types.InstanceNetworkInterfaceAttachment{DeviceIndex: aws.Int32(0)}}
	more := types.InstanceNetworkInterface{Attachment: &types.InstanceNetworkInterfaceAttachment{DeviceIndex: aws.Int32(1)}}
	with := func(interfaces ...types.InstanceNetworkInterface) evidence {
		instance := testEC2Instance()
		instance.NetworkInterfaces = interfaces
		return evidence{enis: seen.enis[:1], instances: map[string]types.Instance{testInstance: instance}}
	}
	if got := notPristine(with(own), testCluster); got != nil {
		t.Errorf("got %q", got)
	}
	for name, seen := range map[string]evidence{"two ENIs": with(own, more), "no ENI": with(), "another ENI": with(more), "our tags": seen} {
		if notPristine(seen, testCluster) == nil {
			t.Errorf("%s: nothing found", name)
		}
	}
}

func TestNotReturned(t *testing.T) {
	p, _ := testWorld()
	var calls []emulator.Call
	for i := range p.enis {
		status := p.enis[i].Status
		calls = append(calls,
			emulator.Call{Caller: operatorKey, Action: "DetachNetworkInterface", ResourceIDs: []string{status.Attachment.ID}},
			emulator.Call{Caller: operatorKey, Action: "DeleteNetworkInterface", ResourceIDs: []string{status.NetworkInterfaceID}})
	}
	if got := notReturned(p.enis, byOperator(calls)); got != nil {
		t.Errorf("got %q", got)
	}
	tests := []struct {
		name   string
		change func([]emulator.Call)
	}{
		{"refused", func(calls []emulator.Call) { calls[1].ErrorCode = "InvalidParameterValue" }},
		{"never asked for", func(calls []emulator.Call) { calls[0].ResourceIDs = nil }},
		{"done by somebody else", func(calls []emulator.Call) { calls[3].Caller = ownKey }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			changed := append([]emulator.Call{}, calls...)
			test.change(changed)
			if got := notReturned(p.enis, byOperator(changed)); len(got) != 1 {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestTotals(t *testing.T) {
	calls := []emulator.Call{
		{Action: "DescribeInstances"},
		{Action: "CreateNetworkInterface", ErrorCode: "RequestLimitExceeded", Throttled: true},
		{Action: "CreateNetworkInterface"},
		{Action: "CreateNetworkInterface", ErrorCode: "InsufficientFreeAddressesInSubnet"},
	}
	got := strings.Join(report(totals(calls)), "\n")
	want := `
EC2 CALLS OF THE OPERATOR         CALLS  THROTTLED  FAILED
CreateNetworkInterface                3          1       1
DescribeInstances                     1          0       0
all                                   4          1       1`
	if "\n"+got != want {
		t.Errorf("got:\n%s", got)
	}
}
