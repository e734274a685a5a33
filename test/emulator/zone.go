/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"fmt"
	"slices"
	"strings"
)

// zone is an Availability Zone.
type zone struct {
	// name is the Region's name and a letter.
	name string
	// id is the same in all accounts, such as use1-az1.
	id string
}

// zoneLetters are the zones of Regions that have not three.
var zoneLetters = map[string]string{
	"us-east-1": "abcdef",
	"us-west-2": "abcd",
}

// regionNames are the Regions that DescribeRegions lists. Any other may be
// called as well.
var regionNames = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
	"ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
	"us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

func zonesOf(regionName string) []zone {
	letters, ok := zoneLetters[regionName]
	if !ok {
		letters = "abc"
	}
	var zones []zone
	for i, letter := range letters {
		zones = append(zones, zone{
			name: regionName + string(letter),
			id:   fmt.Sprintf("%s-az%d", shortRegionName(regionName), i+1),
		})
	}
	return zones
}

// directions are how zone ids shorten the parts of a Region's name.
var directions = map[string]string{
	"north": "n", "south": "s", "east": "e", "west": "w", "central": "c", "gov": "g",
	"northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw",
}

// shortRegionName turns ap-southeast-2 into apse2.
func shortRegionName(name string) string {
	var short strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		if direction, ok := directions[part]; ok {
			part = direction
		}
		short.WriteString(part)
	}
	return short.String()
}

// zone finds a zone by its name.
func (r *region) zone(name string) (zone, error) {
	return r.findZone(func(z zone) bool { return z.name == name }, name)
}

// zoneByID finds a zone by its id.
func (r *region) zoneByID(id string) (zone, error) {
	return r.findZone(func(z zone) bool { return z.id == id }, id)
}

func (r *region) findZone(match func(zone) bool, value string) (zone, error) {
	i := slices.IndexFunc(r.zones, match)
	if i < 0 {
		return zone{}, invalidValue("Value (%s) for parameter availabilityZone is invalid. "+
			"Subnets can currently only be created in the following availability zones: %s.",
			value, strings.Join(r.zoneNames(), ", "))
	}
	return r.zones[i], nil
}

func (r *region) zoneNames() []string {
	var names []string
	for _, z := range r.zones {
		names = append(names, z.name)
	}
	return names
}

var zoneFilters = filterSet[zone]{
	"region-name":     func(r *region, _ zone) []string { return []string{r.name} },
	"group-long-name": func(r *region, _ zone) []string { return []string{r.groupLongName()} },
	"group-name":      func(r *region, _ zone) []string { return []string{r.groupName()} },
	"state":           constant[zone]("available"),
	"opt-in-status":   constant[zone](optInNotRequired),
	"zone-type":       constant[zone](availabilityZoneType),
	"zone-id":         func(_ *region, z zone) []string { return []string{z.id} },
	"zone-name":       func(_ *region, z zone) []string { return []string{z.name} },

	"message":          nil,
	"parent-zone-id":   nil,
	"parent-zone-name": nil,
}

const (
	optInNotRequired     = "opt-in-not-required"
	availabilityZoneType = "availability-zone"
)

// groupLongName is what consoles call the zone group.
func (r *region) groupLongName() string { return placeOf(r.name).name + " 1" }

// groupName is the zone group of a Region's Availability Zones.
func (r *region) groupName() string { return r.name + "-zg-1" }

type zoneXML struct {
	GroupName          string       `xml:"groupName"`
	NetworkBorderGroup string       `xml:"networkBorderGroup"`
	OptInStatus        string       `xml:"optInStatus"`
	RegionName         string       `xml:"regionName"`
	ZoneID             string       `xml:"zoneId"`
	ZoneName           string       `xml:"zoneName"`
	ZoneState          string       `xml:"zoneState"`
	ZoneType           string       `xml:"zoneType"`
	Messages           set[string]  `xml:"messageSet"`
	GroupLongName      string       `xml:"groupLongName"`
	Geography          set[nameXML] `xml:"geographySet"`
	SubGeography       set[nameXML] `xml:"subGeographySet"`
}

type nameXML struct {
	Name string `xml:"name"`
}

func named(name string) set[nameXML] { return set[nameXML]{Items: []nameXML{{Name: name}}} }

type describeAvailabilityZonesResult struct {
	reply
	Zones set[zoneXML] `xml:"availabilityZoneInfo"`
}

func describeAvailabilityZones(r *region, q *request) (result, error) {
	names, ids := q.list("ZoneName"), q.list("ZoneId")
	q.boolean("AllAvailabilityZones", false)
	match := readFilters(r, q, zoneFilters)
	for _, name := range names {
		if _, err := r.zone(name); err != nil {
			q.reject(invalidValue("Invalid availability zone: [%s]", name))
		}
	}
	for _, id := range ids {
		if _, err := r.zoneByID(id); err != nil {
			q.reject(invalidValue("Invalid availability zone-id: [%s]", id))
		}
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	res := &describeAvailabilityZonesResult{}
	for _, z := range r.zones {
		named := len(names)+len(ids) == 0 || slices.Contains(names, z.name) || slices.Contains(ids, z.id)
		if named && match(z) {
			res.Zones.add(r.zoneXML(z))
		}
	}
	return res, nil
}

func (r *region) zoneXML(z zone) zoneXML {
	place := placeOf(r.name)
	return zoneXML{
		GroupName:          r.groupName(),
		NetworkBorderGroup: r.name,
		OptInStatus:        optInNotRequired,
		RegionName:         r.name,
		ZoneID:             z.id,
		ZoneName:           z.name,
		ZoneState:          "available",
		ZoneType:           availabilityZoneType,
		GroupLongName:      r.groupLongName(),
		Geography:          named(place.country),
		SubGeography:       named(place.part),
	}
}

var regionFilters = filterSet[string]{
	"endpoint":      func(_ *region, name string) []string { return []string{endpointOf(name)} },
	"opt-in-status": constant[string](optInNotRequired),
	"region-name":   func(_ *region, name string) []string { return []string{name} },
}

func endpointOf(regionName string) string { return "ec2." + regionName + ".amazonaws.com" }

type regionXML struct {
	Name        string       `xml:"regionName"`
	Endpoint    string       `xml:"regionEndpoint"`
	OptInStatus string       `xml:"optInStatus"`
	Geography   set[nameXML] `xml:"geographySet"`
}

type describeRegionsResult struct {
	reply
	Regions set[regionXML] `xml:"regionInfo"`
}

func describeRegions(r *region, q *request) (result, error) {
	wanted := q.list("RegionName")
	q.boolean("AllRegions", false)
	match := readFilters(r, q, regionFilters)
	for _, name := range wanted {
		if !slices.Contains(regionNames, name) {
			q.reject(invalidValue("Invalid region: [%s]", name))
		}
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	res := &describeRegionsResult{}
	for _, name := range regionNames {
		if (len(wanted) == 0 || slices.Contains(wanted, name)) && match(name) {
			res.Regions.add(regionXML{Name: name, Endpoint: endpointOf(name), OptInStatus: optInNotRequired, Geography: named(placeOf(name).country)})
		}
	}
	return res, nil
}
