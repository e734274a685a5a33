/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

// place is where a Region is.
type place struct {
	// name is that of consoles.
	name string
	// country and part are the geography and the sub-geography.
	country, part string
}

// places are those of the Regions that DescribeRegions lists.
var places = map[string]place{
	"ap-northeast-1": {"Asia Pacific (Tokyo)", "Japan", "Tokyo"},
	"ap-northeast-2": {"Asia Pacific (Seoul)", "Republic of Korea", "Seoul"},
	"ap-northeast-3": {"Asia Pacific (Osaka)", "Japan", "Osaka"},
	"ap-south-1":     {"Asia Pacific (Mumbai)", "India", "Maharashtra"},
	"ap-southeast-1": {"Asia Pacific (Singapore)", "Singapore", "Singapore"},
	"ap-southeast-2": {"Asia Pacific (Sydney)", "Australia", "New South Wales"},
	"ca-central-1":   {"Canada (Central)", "Canada", "Quebec"},
	"eu-central-1":   {"Europe (Frankfurt)", "Germany", "Hesse"},
	"eu-north-1":     {"Europe (Stockholm)", "Sweden", "Stockholm County"},
	"eu-west-1":      {"Europe (Ireland)", "Ireland", "Leinster"},
	"eu-west-2":      {"Europe (London)", "United Kingdom", "England"},
	"eu-west-3":      {"Europe (Paris)", "France", "Ile-de-France"},
	"sa-east-1":      {"South America (Sao Paulo)", "Brazil", "Sao Paulo"},
	"us-east-1":      {"US East (N. Virginia)", unitedStates, "Virginia"},
	"us-east-2":      {"US East (Ohio)", unitedStates, "Ohio"},
	"us-west-1":      {"US West (N. California)", unitedStates, "California"},
	"us-west-2":      {"US West (Oregon)", unitedStates, "Oregon"},
}

const unitedStates = "United States of America"

// placeOf returns where a Region is. One that DescribeRegions does not list is nowhere
// but in itself.
func placeOf(region string) place {
	if known, ok := places[region]; ok {
		return known
	}
	return place{name: region, country: region, part: region}
}
