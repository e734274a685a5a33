/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

type instanceAttributeResult struct {
	reply
	ID               string             `xml:"instanceId"`
	Type             *attributeXML      `xml:"instanceType"`
	EBSOptimized     *attributeXML      `xml:"ebsOptimized"`
	SourceDestCheck  *attributeXML      `xml:"sourceDestCheck"`
	Groups           *set[groupXML]     `xml:"groupSet"`
	UserData         *optionalAttribute `xml:"userData"`
	ShutdownBehavior *attributeXML      `xml:"instanceInitiatedShutdownBehavior"`
	NoStop           *attributeXML      `xml:"disableApiStop"`
	NoTermination    *attributeXML      `xml:"disableApiTermination"`
	RootDevice       *attributeXML      `xml:"rootDeviceName"`
	Volumes          *set[string]       `xml:"blockDeviceMapping"`
	ProductCodes     *set[string]       `xml:"productCodes"`
}

// optionalAttribute is an attribute that has no value unless it was given.
type optionalAttribute struct {
	Value string `xml:"value,omitempty"`
}

// instanceAttributes fill in the attribute that DescribeInstanceAttribute asks for.
var instanceAttributes = map[string]func(*instance, *instanceAttributeResult){
	"instanceType": func(i *instance, res *instanceAttributeResult) { res.Type = &attributeXML{i.kind.id} },
	"ebsOptimized": func(i *instance, res *instanceAttributeResult) { res.EBSOptimized = ofBool(i.ebsOptimized) },
	"sourceDestCheck": func(i *instance, res *instanceAttributeResult) {
		res.SourceDestCheck = ofBool(i.primarySourceDestCheck())
	},
	"groupSet": func(i *instance, res *instanceAttributeResult) {
		groups := groupsXML(i.groups())
		res.Groups = &groups
	},
	"userData": func(i *instance, res *instanceAttributeResult) { res.UserData = &optionalAttribute{i.options.userData} },
	"instanceInitiatedShutdownBehavior": func(i *instance, res *instanceAttributeResult) {
		res.ShutdownBehavior = &attributeXML{i.options.onShutdown}
	},
	"disableApiStop": func(i *instance, res *instanceAttributeResult) { res.NoStop = ofBool(i.options.keptFromStop) },
	"disableApiTermination": func(i *instance, res *instanceAttributeResult) {
		res.NoTermination = ofBool(i.options.keptFromTermination)
	},
	"rootDeviceName":     func(_ *instance, res *instanceAttributeResult) { res.RootDevice = &attributeXML{rootDeviceName} },
	"blockDeviceMapping": func(_ *instance, res *instanceAttributeResult) { res.Volumes = &set[string]{} },
	"productCodes":       func(_ *instance, res *instanceAttributeResult) { res.ProductCodes = &set[string]{} },
}

func ofBool(b bool) *attributeXML { return &attributeXML{Value: formatBool(b)} }

// describeInstanceAttribute shows one attribute of an instance.
func describeInstanceAttribute(r *region, q *request) (result, error) {
	id := q.required("InstanceId")
	attribute := q.required("Attribute")
	if err := q.check(); err != nil {
		return nil, err
	}
	i, err := r.instance(id)
	if err != nil {
		return nil, err
	}
	fill, known := instanceAttributes[attribute]
	if !known {
		return nil, invalidValue("Value (%s) for parameter attribute is invalid. Unknown attribute.", attribute)
	}
	res := &instanceAttributeResult{ID: i.id}
	fill(i, res)
	return res, nil
}
