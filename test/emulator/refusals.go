/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
)

// refusals write UnauthorizedOperation.
type refusals struct {
	// plain leaves out what differs from call to call.
	plain bool
	ids   *identities
}

// encodedWords is the length of an encoded message, which STS would decode.
const encodedWords = 24

// unauthorized refuses an action. The text names what it was denied on, and
// carries a message that is another one each time, but for Describe actions: their
// permissions know no resources.
func (s refusals) unauthorized(q *request, action string) error {
	var on, encoded string
	if !strings.HasPrefix(action, "Describe") && !strings.HasPrefix(action, "Get") {
		on = " on resource: " + arnDenied(q)
		if !s.plain {
			encoded = ". Encoded authorization failure message: " + s.nonce()
		}
	}
	return &apiError{
		Code: "UnauthorizedOperation",
		Message: fmt.Sprintf("You are not authorized to perform this operation. "+
			"User: arn:aws:iam::%s:user/emulator is not authorized to perform: ec2:%s%s "+
			"because no identity-based policy allows the ec2:%s action%s", q.account, action, on, action, encoded),
		Status: http.StatusForbidden,
	}
}

func (s refusals) nonce() string {
	raw := make([]byte, 0, encodedWords*8)
	for range encodedWords {
		raw = binary.BigEndian.AppendUint64(raw, s.ids.scramble())
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// arnTypes are what ARNs call the kinds of resources, by the prefixes of their ids.
var arnTypes = map[string]string{
	"eni": "network-interface", "i": "instance", "subnet": "subnet", "sg": "security-group", "vpc": "vpc",
	"scr": reservationTagType,
}

// arnDenied is the ARN that a refusal names: that of a resource to be created, or of
// the first resource that the request names.
func arnDenied(q *request) string {
	kind, id := "network-interface", "*"
	if !strings.HasPrefix(q.action, "Create") || q.action == "CreateTags" {
		for _, named := range namedResources(q) {
			prefix, _, _ := strings.Cut(named, "-")
			kind, id = arnTypes[prefix], named
			break
		}
	}
	return fmt.Sprintf("arn:aws:ec2:%s:%s:%s/%s", q.region, q.account, kind, id)
}
