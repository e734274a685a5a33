/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package integration

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eventually looks until check finds nothing missing, and fails with what it
// missed last.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	eventuallyWithin(t, patience, glance, what, check)
}

// eventuallyWithin is for what has more to do, and more to look at, than a scenario
// usually has.
func eventuallyWithin(t *testing.T, patience, glance time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never happened that %s: %v", what, err)
		}
		time.Sleep(glance)
	}
}

// differ is an error unless two values are equal.
func differ(what string, got, want any) error {
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return fmt.Errorf("%s is %v, not %v", what, got, want)
}

// conditionIs is an error unless a condition has this status and reason.
func conditionIs(conditions []metav1.Condition, kind string, status metav1.ConditionStatus, reason string) error {
	condition := meta.FindStatusCondition(conditions, kind)
	if condition == nil {
		return fmt.Errorf("there is no condition %s", kind)
	}
	if condition.Status != status || condition.Reason != reason {
		return fmt.Errorf("condition %s is %s, %s (%s), not %s, %s",
			kind, condition.Status, condition.Reason, condition.Message, status, reason)
	}
	return nil
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func key(object client.Object) client.ObjectKey { return client.ObjectKeyFromObject(object) }

func contains(list []string, value string) bool { return slices.Contains(list, value) }

func sorted(values ...string) []string {
	slices.Sort(values)
	return values
}

// inside says whether an address is in one of some networks.
func inside(networks []string, address string) bool {
	return slices.ContainsFunc(networks, func(network string) bool {
		return netip.MustParsePrefix(network).Contains(netip.MustParseAddr(address))
	})
}
