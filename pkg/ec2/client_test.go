/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package ec2

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"gotest.tools/v3/assert"
	"k8s.io/utils/clock"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// TestCallsGoThroughTheWire follows an ENI through every call.
func TestCallsGoThroughTheWire(t *testing.T) {
	_, client := newEmulator(t)
	ctx, subnet := t.Context(), aSubnet(t, client)
	ran, err := client.api.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: types.InstanceTypeM5Large, SubnetId: &subnet.ID,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
	})
	assert.NilError(t, err)
	instanceID := *ran.Instances[0].InstanceId

	tags := Ownership{Cluster: "c", ClusterUID: "uid", Name: "n", UID: "u", Node: "node", DeletionPolicy: "Delete", NoManage: true}.Tags(map[string]string{"team": "a"})
	input := CreateInput{SubnetID: subnet.ID, AddressCount: 2, Description: "text", Tags: tags, ClientToken: "token"}
	eni, err := client.CreateNetworkInterface(ctx, input)
	assert.NilError(t, err)
	again, err := client.CreateNetworkInterface(ctx, input)
	assert.NilError(t, err)
	assert.Equal(t, again.ID, eni.ID)
	assert.Equal(t, len(eni.Addresses), 2)
	assert.DeepEqual(t, eni.Tags, tags)
	assert.Equal(t, eni.Description, "text")
	assert.Assert(t, eni.Attachment == nil && len(eni.SecurityGroups) == 1 && eni.VPCID == subnet.VPCID)

	attachmentID, err := client.AttachNetworkInterface(ctx, eni.ID, instanceID, Slot{DeviceIndex: 2})
	assert.NilError(t, err)
	assert.NilError(t, client.SetDeleteOnTermination(ctx, eni.ID, attachmentID, true))
	assigned, err := client.AssignPrivateAddresses(ctx, eni.ID, AssignInput{PrefixCount: 1})
	assert.NilError(t, err)
	assert.Equal(t, len(assigned.Prefixes), 1)
	named, err := client.AssignPrivateAddresses(ctx, eni.ID, AssignInput{Addresses: []string{"172.31.0.100"}})
	assert.NilError(t, err)
	assert.DeepEqual(t, named.Addresses, []string{"172.31.0.100"})
	assert.NilError(t, client.UnassignPrivateAddresses(ctx, eni.ID, Assigned{Addresses: eni.Addresses[:1], Prefixes: assigned.Prefixes}))
	assert.NilError(t, client.CreateTags(ctx, eni.ID, map[string]string{"team": "b"}))
	assert.NilError(t, client.DeleteTags(ctx, eni.ID, []string{TagNode}))
	assert.NilError(t, client.SetSecurityGroups(ctx, eni.ID, eni.SecurityGroups))

	enis, err := client.DescribeNetworkInterfaces(ctx, OwnedFilter("uid"))
	assert.NilError(t, err)
	assert.Equal(t, len(enis), 1)
	assert.DeepEqual(t, enis[0].Addresses, sorted([]string{eni.Addresses[1], "172.31.0.100"}))
	assert.Equal(t, enis[0].Tags["team"]+enis[0].Tags[TagNode], "b")
	assert.DeepEqual(t, enis[0].Attachment, &Attachment{
		ID: attachmentID, InstanceID: instanceID, Slot: Slot{DeviceIndex: 2}, Status: AttachmentAttached, DeleteOnTermination: true,
	})
	instances, err := client.DescribeInstances(ctx, Filter{Name: "instance-id", Values: []string{instanceID}})
	assert.NilError(t, err)
	assert.Equal(t, len(instances), 1)
	assert.Equal(t, instances[0].Interfaces[eni.ID], Slot{DeviceIndex: 2})
	assert.Equal(t, len(instances[0].Interfaces), 2)
	assert.Equal(t, instances[0].SubnetID, subnet.ID)
	assert.Equal(t, instances[0].AvailabilityZone, "us-east-1a")
	assert.Assert(t, !instances[0].Gone() && len(instances[0].SecurityGroups) == 1)

	assert.NilError(t, client.DetachNetworkInterface(ctx, attachmentID, true))
	assert.NilError(t, client.DeleteNetworkInterface(ctx, eni.ID))
	enis, err = client.DescribeNetworkInterfaces(ctx, OwnedFilter("uid"))
	assert.NilError(t, err)
	assert.Equal(t, len(enis), 0)
}

// TestFiltersTakeValuesLiterally: a value is no pattern.
func TestFiltersTakeValuesLiterally(t *testing.T) {
	_, client := newEmulator(t)
	subnet := aSubnet(t, client)
	for n, team := range []string{"a*", "abc", `a\b`, "a?"} {
		_, err := client.CreateNetworkInterface(t.Context(), CreateInput{
			SubnetID: subnet.ID, Tags: map[string]string{"team": team}, ClientToken: fmt.Sprint(n),
		})
		assert.NilError(t, err)
	}
	for _, team := range []string{"a*", "abc", `a\b`, "a?"} {
		enis, err := client.DescribeNetworkInterfaces(t.Context(), Filter{Name: "tag:team", Values: []string{team}})
		assert.NilError(t, err)
		assert.Equal(t, len(enis), 1, team)
		assert.Equal(t, enis[0].Tags["team"], team)
	}
}

// TestPagesAreFollowed has more instance types than a page may hold.
func TestPagesAreFollowed(t *testing.T) {
	server, client := newEmulator(t)
	var names []string
	for _, family := range []string{"m5", "m5a", "m5d", "m5n", "c5", "c5a", "c5d", "c5n", "r5", "r5a", "r5d", "r5n", "m6i", "m6a", "c6i", "r6i", "m7i", "c7i"} {
		for _, size := range []string{"large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"} {
			names = append(names, family+"."+size)
		}
	}
	found, err := client.DescribeInstanceTypes(t.Context(), append(names, "no.such"))
	assert.NilError(t, err)
	assert.Assert(t, len(found) > instanceTypesPageSize, "%d types", len(found))
	assert.Equal(t, server.Counts()["DescribeInstanceTypes"].Calls, 2)
}

func TestInstanceTypes(t *testing.T) {
	_, client := newEmulator(t)
	found, err := client.DescribeInstanceTypes(t.Context(), []string{"m5.large", "p4d.24xlarge", "t2.micro", "m5.metal"})
	assert.NilError(t, err)
	byName := map[string]InstanceType{}
	for _, each := range found {
		byName[each.Name] = each
	}
	assert.DeepEqual(t, byName["m5.large"], InstanceType{Name: "m5.large", MaxENIs: 3, IPv4PerENI: 10, CardENIs: []int32{3}, Nitro: true})
	assert.DeepEqual(t, byName["p4d.24xlarge"], InstanceType{Name: "p4d.24xlarge", MaxENIs: 60, IPv4PerENI: 50, CardENIs: []int32{15, 15, 15, 15}, Nitro: true})
	assert.Assert(t, !byName["t2.micro"].Nitro && byName["m5.metal"].Nitro)
}

// TestOneAttempt: the SDK repeats nothing, whatever its variables say.
func TestOneAttempt(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "5")
	t.Setenv("AWS_RETRY_MODE", "adaptive")
	server, client := newEmulator(t)
	for n, fault := range []emulator.Fault{{Code: "InternalError", Status: 500}, {Code: "RequestLimitExceeded", Status: 503}, {LoseAnswer: true}, {Discard: true}} {
		fault.Action = "AssignPrivateIpAddresses"
		remove := server.AddFault(fault)
		_, err := client.AssignPrivateAddresses(t.Context(), "eni-0123456789abcdef0", AssignInput{AddressCount: 1})
		assert.Assert(t, err != nil)
		assert.Equal(t, server.Counts()["AssignPrivateIpAddresses"].Calls, n+1)
		remove()
	}
}

// TestOneActionDoesNotHoldUpAnother: who waits, waits for its own action.
func TestOneActionDoesNotHoldUpAnother(t *testing.T) {
	server := emulator.New(emulator.Options{Throttling: emulator.Throttling{Off: true}})
	client := connect(t, server, Limits{
		Default:  Limit{Bucket: 10, PerSecond: 10},
		ByAction: map[string]Limit{"DeleteNetworkInterface": {Bucket: 1, PerSecond: 1e-9}},
	})
	remove := func(ctx context.Context) error { return client.DeleteNetworkInterface(ctx, "eni-0123456789abcdef0") }
	assert.Equal(t, Classify(remove(t.Context())), ClassNotFound)
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() { waited <- remove(ctx) }()
	for waiting(client) == 0 {
		_, err := client.DescribeNetworkInterfaces(t.Context())
		assert.NilError(t, err)
	}
	assert.Equal(t, Classify(client.DetachNetworkInterface(t.Context(), "eni-attach-0123456789abcdef0", false)), ClassNotFound)
	cancel()
	assert.Assert(t, Cancelled(<-waited))
	assert.Equal(t, waiting(client), 0)
	assert.Equal(t, server.Counts()["DeleteNetworkInterface"].Calls, 1)
}

func TestDefaultLimitsAreEC2s(t *testing.T) {
	l := newLimiter(t.Context(), DefaultLimits(), clock.RealClock{})
	for action, want := range map[string]Limit{
		"CreateNetworkInterface": {100, 5}, "DeleteNetworkInterface": {100, 5}, "ModifyNetworkInterfaceAttribute": {100, 5},
		"AssignPrivateIpAddresses": {100, 5}, "UnassignPrivateIpAddresses": {100, 5}, "CreateTags": {100, 10}, "DeleteTags": {100, 10},
		"AttachNetworkInterface": {50, 5}, "DetachNetworkInterface": {50, 5},
		"DescribeNetworkInterfaces": {100, 20}, "DescribeInstances": {100, 20}, "DescribeSubnets": {100, 20},
		"DescribeInstanceTypes": {100, 20}, "DescribeSecurityGroups": {100, 20},
	} {
		want.Bucket -= reserve
		assert.Equal(t, l.queue(action).full, want, action)
	}
	assert.Assert(t, l.queue("AttachNetworkInterface") != l.queue("DetachNetworkInterface"))
}

func TestNoRegion(t *testing.T) {
	for _, key := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(key, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	_, err := NewClient(t.Context(), plenty)
	assert.ErrorContains(t, err, "AWS_REGION")
}

// TestConfigIsPassedIn: two clients of one process may be for different Regions and
// accounts, and need nothing of the process's environment.
func TestConfigIsPassedIn(t *testing.T) {
	for _, key := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(key, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	server := emulator.New(emulator.Options{})
	endpoint := httptest.NewServer(server)
	defer endpoint.Close()
	for _, region := range []string{"us-west-2", "eu-central-1"} {
		client, err := NewClient(t.Context(), plenty, WithConfig(
			config.WithRegion(region), config.WithBaseEndpoint(endpoint.URL),
			config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("key-"+region, "secret", "")),
		))
		assert.NilError(t, err)
		_, err = client.DescribeSubnets(t.Context())
		assert.NilError(t, err)
		calls := server.Calls()
		last := calls[len(calls)-1]
		assert.Equal(t, last.Region+" "+last.Caller, region+" key-"+region)
	}
}

// windowOf is a batcher's window of so many milliseconds.
func windowOf(ms int) func() Window {
	d := time.Duration(ms) * time.Millisecond
	return func() Window { return Window{Idle: d, Most: d} }
}

// TestBatcher runs in bubbles, whose clock moves when all are waiting.
func TestBatcher(t *testing.T) {
	type fetches struct{ keys [][]string }
	echo := func(f *fetches) func(context.Context, []string) (map[string]string, error) {
		return func(_ context.Context, keys []string) (map[string]string, error) {
			f.keys = append(f.keys, keys)
			found := map[string]string{}
			for _, key := range keys {
				if key != "absent" {
					found[key] = "value of " + key
				}
			}
			return found, nil
		}
	}
	// ask asks for keys one after the other, and waits for all.
	ask := func(b *Batcher[string], keys ...string) {
		results := make(chan string, len(keys))
		for _, key := range keys {
			go func() {
				value, found, err := b.Get(context.Background(), key)
				results <- fmt.Sprint(key, ": ", value, found, err)
			}()
			synctest.Wait()
		}
		for range keys {
			<-results
		}
	}
	t.Run("joins within the window, sorted, each key once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fetches{}
			b := NewBatcher(windowOf(50), 10, echo(f))
			ask(b, "c", "a", "b", "a", "absent")
			assert.DeepEqual(t, f.keys, [][]string{{"a", "absent", "b", "c"}})
			value, found, err := b.Get(t.Context(), "absent")
			assert.Assert(t, value == "" && !found && err == nil)
			value, found, err = b.Get(t.Context(), "a")
			assert.Assert(t, value == "value of a" && found && err == nil)
			assert.Equal(t, len(f.keys), 3, "an answer is not older than its question")
		})
	})
	t.Run("does not wait for more than fit", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fetches{}
			b := NewBatcher(windowOf(3600_000), 2, echo(f))
			began := time.Now()
			ask(b, "a", "b", "c", "d")
			assert.DeepEqual(t, f.keys, [][]string{{"a", "b"}, {"c", "d"}})
			assert.Equal(t, time.Since(began), time.Duration(0), "in the bubble's time")
		})
	})
	t.Run("a question during a read is read anew", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var reads atomic.Int32
			hold := make(chan struct{})
			b := NewBatcher(windowOf(50), 10, func(context.Context, []string) (map[string]int32, error) {
				n := reads.Add(1)
				if n == 1 {
					<-hold
				}
				return map[string]int32{"a": n}, nil
			})
			early := make(chan int32)
			go func() {
				n, _, _ := b.Get(context.Background(), "a")
				early <- n
			}()
			time.Sleep(time.Second) // in the bubble: the first read is on its way
			n, _, err := b.Get(t.Context(), "a")
			assert.NilError(t, err)
			assert.Equal(t, n, int32(2))
			close(hold)
			assert.Equal(t, <-early, int32(1))
		})
	})
	t.Run("who gives up leaves the others", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fetches{}
			b := NewBatcher(windowOf(50), 10, echo(f))
			ctx, cancel := context.WithCancel(t.Context())
			gaveUp := make(chan error)
			go func() {
				_, _, err := b.Get(ctx, "a")
				gaveUp <- err
			}()
			synctest.Wait()
			stayed := make(chan string)
			go func() {
				value, _, _ := b.Get(context.Background(), "b")
				stayed <- value
			}()
			synctest.Wait()
			cancel()
			assert.Assert(t, Cancelled(<-gaveUp))
			assert.Equal(t, <-stayed, "value of b")
		})
	})
	t.Run("an error is everybody's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := NewBatcher(windowOf(50), 10, func(context.Context, []string) (map[string]int, error) {
				return nil, fmt.Errorf("EC2 is down")
			})
			failed := make(chan error)
			for _, key := range []string{"a", "b"} {
				go func() {
					_, _, err := b.Get(context.Background(), key)
					failed <- err
				}()
			}
			assert.ErrorContains(t, <-failed, "EC2 is down")
			assert.ErrorContains(t, <-failed, "EC2 is down")
		})
	})
	t.Run("a read that hangs ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := NewBatcher(windowOf(50), 10, func(ctx context.Context, _ []string) (map[string]int, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
			_, _, err := b.Get(t.Context(), "a")
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
	})
}
