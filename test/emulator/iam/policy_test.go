/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package iam

import (
	"testing"

	"gotest.tools/v3/assert"
)

const eni = "arn:aws:ec2:us-east-1:123456789012:network-interface/eni-1"

func TestAllows(t *testing.T) {
	for name, row := range map[string]struct {
		condition string
		keys      map[string][]string
		matches   bool
	}{
		"no condition":                  {`{}`, nil, true},
		"equal":                         {`{"StringEquals": {"a": "1"}}`, map[string][]string{"a": {"1"}}, true},
		"the key's case is ignored":     {`{"StringEquals": {"A": "1"}}`, map[string][]string{"a": {"1"}}, true},
		"one of several values":         {`{"StringEquals": {"a": ["0", "1"]}}`, map[string][]string{"a": {"1"}}, true},
		"the value's case is not":       {`{"StringEquals": {"a": "x"}}`, map[string][]string{"a": {"X"}}, false},
		"equals knows no patterns":      {`{"StringEquals": {"a": "*"}}`, map[string][]string{"a": {"x"}}, false},
		"without the key":               {`{"StringEquals": {"a": "1"}}`, nil, false},
		"without the key, if it exists": {`{"StringEqualsIfExists": {"a": "1"}}`, nil, true},
		"a negation without the key":    {`{"StringNotEquals": {"a": "1"}}`, nil, true},
		"a negation":                    {`{"StringNotEquals": {"a": ["0", "1"]}}`, map[string][]string{"a": {"1"}}, false},
		"like":                          {`{"StringLike": {"a": "x/*?z"}}`, map[string][]string{"a": {"x/yz"}}, true},
		"not like":                      {`{"StringLike": {"a": "x/*?z"}}`, map[string][]string{"a": {"x/z"}}, false},
		"an ARN":                        {`{"ArnEquals": {"a": "arn:*:vpc/1"}}`, map[string][]string{"a": {"arn:aws:vpc/1"}}, true},
		"all conditions":                {`{"StringEquals": {"a": "1", "b": "1"}}`, map[string][]string{"a": {"1"}, "b": {"2"}}, false},
		"a key that must be missing":    {`{"Null": {"a": "true"}}`, map[string][]string{"a": {"1"}}, false},
		"a key that must be there":      {`{"Null": {"a": "false"}}`, map[string][]string{"a": {"1"}}, true},
		"any value":                     {`{"ForAnyValue:StringLike": {"a": "x*"}}`, map[string][]string{"a": {"1", "x1"}}, true},
		"any value of none":             {`{"ForAnyValue:StringLike": {"a": "x*"}}`, nil, false},
		"all values":                    {`{"ForAllValues:StringLike": {"a": "x*"}}`, map[string][]string{"a": {"1", "x1"}}, false},
		"all values of none":            {`{"ForAllValues:StringLike": {"a": "x*"}}`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			for effect, allowed := range map[string]bool{"Allow": row.matches, "Deny": !row.matches} {
				policy, err := Parse([]byte(`{"Version": "2012-10-17", "Statement": [
					{"Sid": "One", "Effect": "` + effect + `", "Action": "ec2:Delete*", "Resource": "arn:aws:ec2:*:*:network-interface/*", "Condition": ` + row.condition + `},
					{"Sid": "Two", "Effect": "Allow", "Action": ["ec2:` + map[string]string{"Allow": "Other", "Deny": "DeleteNetworkInterface"}[effect] + `"], "Resource": "*"}]}`))
				assert.NilError(t, err)
				assert.Equal(t, policy.Allows(Call{Action: "ec2:DeleteNetworkInterface", Resource: eni, Keys: row.keys}), allowed, effect)
			}
		})
	}
}

func TestWhatIsNotEvaluatedIsRefused(t *testing.T) {
	for document, text := range map[string]string{
		`{"Statement": [{"Effect": "Perhaps"}]}`:                                           `Effect is "Perhaps"`,
		`{"Statement": [{"Effect": "Allow", "NotAction": "*"}]}`:                           "NotAction",
		`{"Statement": [{"Effect": "Allow", "Condition": {"NumericEquals": {"a": "1"}}}]}`: "NumericEquals",
	} {
		_, err := Parse([]byte(document))
		assert.ErrorContains(t, err, text)
	}
}

func TestMistakes(t *testing.T) {
	for statement, mistakes := range map[string][]string{
		`"Action": "ec2:DescribeSubnets", "Resource": "*"`: nil,
		`"Action": "ec2:CreateNetworkInterface", "Resource": "arn:aws:ec2:*:*:subnet/*", "Condition": {"ArnEquals": {"ec2:Vpc": "x"}}`: nil,
		`"Action": "ec2:CreateNetworkInterface", "Resource": "arn:aws:ec2:*:*:subnet/*", "Condition": {"StringEquals": {"aws:RequestTag/a": "x"}}`: {
			"S: no request has aws:RequestTag/a for arn:aws:ec2:*:*:subnet/*",
		},
		`"Action": "ec2:AttachNetworkInterface", "Resource": "arn:aws:ec2:*:*:instance/*", "Condition": {"ArnEquals": {"ec2:Vpc": "x"}}`: {
			"S: no request has ec2:Vpc for arn:aws:ec2:*:*:instance/*",
		},
		`"Action": "ec2:Describe*", "Resource": "*"`: {"S: ec2:Describe* is not in the reference", "S: none of its actions acts on *"},
		`"Action": "ec2:DeleteNetworkInterface", "Resource": ["arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:network-interface/*"]`: {
			"S: none of its actions acts on arn:aws:ec2:*:*:instance/*",
		},
	} {
		policy, err := Parse([]byte(`{"Statement": [{"Sid": "S", "Effect": "Allow", ` + statement + `}]}`))
		assert.NilError(t, err)
		assert.DeepEqual(t, policy.Mistakes(), mistakes)
	}
}
