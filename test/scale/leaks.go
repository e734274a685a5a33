/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	opec2 "github.com/eni-operator/eni-operator/pkg/ec2"
)

// findLeaks fails unless each ENI in EC2 with our tags has its resource, and each
// resource its ENI.
func (b *bench) findLeaks(ctx context.Context) error {
	owned, named, err := b.bothSides(ctx)
	if err != nil {
		return err
	}
	say("Leak check: %d ENIs in EC2 carry our tags, and there are %d resources", len(owned), len(named))
	if leaked := missingFrom(named, owned); len(leaked) > 0 {
		return fmt.Errorf("leaked: no resource stands for %d ENIs, such as %s", len(leaked), leaked[0])
	}
	if lost := missingFrom(owned, named); len(lost) > 0 {
		return fmt.Errorf("lost: %d resources name an ENI that EC2 does not have, such as %q", len(lost), lost[0])
	}
	return nil
}

// bothSides are the ids of the ENIs with our tags, and those that resources name:
// primary ENIs, which are not ours, apart.
func (b *bench) bothSides(ctx context.Context) (owned, named []string, err error) {
	if owned, err = b.cloud.owned(ctx, b.cluster.uid); err != nil {
		return nil, nil, err
	}
	list := &v1alpha1.ElasticNetworkInterfaceList{}
	if err := b.cluster.List(ctx, list); err != nil {
		return nil, nil, err
	}
	for i := range list.Items {
		if !list.Items[i].Primary() {
			named = append(named, list.Items[i].Status.NetworkInterfaceID)
		}
	}
	return owned, named, nil
}

// addLeaks reports how many ENIs no resource stands for.
func (b *bench) addLeaks(ctx context.Context, s *sheet, metric string) error {
	owned, named, err := b.bothSides(ctx)
	if err != nil {
		return err
	}
	s.goal(metric, float64(len(missingFrom(named, owned))), "ENIs", 0)
	return nil
}

// owned are the ids of the ENIs with our tags.
func (c *cloud) owned(ctx context.Context, clusterUID string) ([]string, error) {
	c.emulator.SetThrottling(false)
	pages := ec2.NewDescribeNetworkInterfacesPaginator(c.Client, &ec2.DescribeNetworkInterfacesInput{
		Filters:    []types.Filter{{Name: aws.String("tag:" + opec2.TagClusterUID), Values: []string{clusterUID}}},
		MaxResults: aws.Int32(1000),
	})
	var ids []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for i := range page.NetworkInterfaces {
			ids = append(ids, aws.ToString(page.NetworkInterfaces[i].NetworkInterfaceId))
		}
	}
	return ids, nil
}

// missingFrom are the entries of the second list that the first lacks.
func missingFrom(list, entries []string) []string {
	has := map[string]bool{}
	for _, entry := range list {
		has[entry] = true
	}
	var missing []string
	for _, entry := range entries {
		if !has[entry] {
			missing = append(missing, entry)
		}
	}
	return missing
}
