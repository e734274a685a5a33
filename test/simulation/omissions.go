/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/eni-operator/eni-operator/test/emulator"
)

// omissions are answers of EC2 that lack some of what exists.
func omissions() []adversary {
	return []adversary{
		{"omissions", "EC2 leaves something out", 1, leaveOut},
	}
}

// blindness is what EC2 does not show to a replica.
type blindness struct {
	// empty are the actions that are answered by an account that has nothing.
	empty map[string]bool
	// gap is what is left out of the answers of one action.
	gap *gap
}

// gap leaves items out of the answers of one action.
type gap struct {
	action string
	// ids are left out of every answer.
	ids []string
	// part of the items is left out of each answer, drawn for each answer alone.
	part float64
	// direct leaves the items out of answers to questions by id, too.
	direct bool
	// unknown has EC2 answer NotFound to questions by one of ids, while something else in
	// EC2 contradicts that.
	unknown bool
}

// itemsOf are the XML elements of the items of an action's answer, and of their ids.
var itemsOf = map[string]struct{ set, id string }{
	"DescribeNetworkInterfaces": {set: "networkInterfaceSet", id: "networkInterfaceId"},
	"DescribeInstances":         {set: "instancesSet", id: "instanceId"},
}

// parameterOf are the parameters with which an action is asked for an id.
var parameterOf = map[string]string{"DescribeNetworkInterfaces": "NetworkInterfaceId.1", "DescribeInstances": "InstanceId.1"}

// concerns reports whether the answer to a call lacks something.
func (g *gap) concerns(form url.Values) bool {
	if g == nil || form.Get("Action") != g.action {
		return false
	}
	return g.direct || !form.Has(parameterOf[g.action])
}

// filter takes out of an answer what the gap leaves out.
func (g *gap) filter(answer *http.Response, rng *rand.Rand) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	items := itemsOf[g.action]
	body = withoutItems(body, items.set, items.id, func(id string) bool {
		return slices.Contains(g.ids, id) || rng.Float64() < g.part
	})
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// withoutItems returns an XML document without some of the items of all sets of a name.
// An item is known by an element directly in it.
func withoutItems(document []byte, set, key string, omitted func(id string) bool) []byte {
	c := &cutter{document: document, set: set, key: key, omitted: omitted}
	decoder := xml.NewDecoder(bytes.NewReader(document))
	for {
		before := decoder.InputOffset()
		token, err := decoder.Token()
		if err != nil {
			return append(c.kept, document[c.copied:]...)
		}
		switch token := token.(type) {
		case xml.StartElement:
			c.enter(token.Name.Local, before)
		case xml.CharData:
			c.read(string(token))
		case xml.EndElement:
			c.leave(decoder.InputOffset())
		}
	}
}

// cutter copies an XML document but for some items.
type cutter struct {
	document []byte
	set, key string
	omitted  func(id string) bool

	kept []byte
	// copied is how much of the document was looked at, and begin where the item begins.
	copied, begin int64
	path          []string
	// depth is that of the item, 0 outside of items.
	depth int
	id    string
}

func (c *cutter) enter(name string, at int64) {
	inSet := len(c.path) > 0 && c.path[len(c.path)-1] == c.set
	c.path = append(c.path, name)
	if c.depth == 0 && inSet {
		c.depth = len(c.path)
		c.begin = at
		c.id = ""
	}
}

func (c *cutter) read(text string) {
	if c.depth > 0 && len(c.path) == c.depth+1 && c.path[c.depth] == c.key {
		c.id = text
	}
}

func (c *cutter) leave(at int64) {
	if len(c.path) == c.depth {
		if c.omitted(c.id) {
			c.kept = append(c.kept, c.document[c.copied:c.begin]...)
			c.copied = at
		}
		c.depth = 0
	}
	c.path = c.path[:len(c.path)-1]
}

// leaveOut has EC2 leave ENIs or instances out, as an answer that lags behind does, and
// a resource that is hidden from listings.
func leaveOut(w *world, rng *rand.Rand) string {
	if w.blinded() {
		return ""
	}
	wait := aWhile(rng)
	hole := &gap{action: reads[rng.IntN(2)], direct: rng.IntN(3) == 0}
	var what string
	if rng.IntN(2) == 0 {
		hole.part = 0.05 + 0.5*rng.Float64()
		what = fmt.Sprintf("%.0f %% of what it has, others each time", 100*hole.part)
	} else {
		hole.ids = w.someIDs(hole.action, rng)
		hole.unknown = rng.IntN(3) == 0
		what = strings.Join(hole.ids, ", ")
	}
	if len(hole.ids) == 0 && hole.part == 0 {
		return ""
	}
	w.disturbed(wait + 2*time.Minute)
	w.blind(func(b *blindness) { b.gap = hole })
	w.later(wait, func() { w.blind(func(b *blindness) { b.gap = nil }) })
	return fmt.Sprintf("for %s %s leaves out %s (by id too: %t, NotFound by id: %t)",
		wait.Round(time.Second), hole.action, what, hole.direct, hole.unknown)
}

// blind changes what EC2 does not show to the replicas.
func (w *world) blind(change func(*blindness)) {
	for _, r := range w.replicas {
		r.mu.Lock()
		change(&r.blind)
		r.mu.Unlock()
	}
}

// blinded reports whether EC2 leaves something out already: two kinds of answers never
// lie at the same time, so that one of them can contradict the other.
func (w *world) blinded() bool {
	found := false
	w.blind(func(b *blindness) { found = found || b.gap != nil || b.empty != nil })
	return found
}

// someIDs draws some of the ENIs of instances, or of the instances. A detached ENI is
// not among them: nothing else in EC2 tells that it exists.
func (w *world) someIDs(action string, rng *rand.Rand) []string {
	var all []string
	state := w.cloud.Look(region)
	for _, eni := range state.ENIs {
		if action == "DescribeNetworkInterfaces" && eni.InstanceID != "" {
			all = append(all, eni.ID)
		}
	}
	for _, instance := range state.Instances {
		if action == "DescribeInstances" && instance.State != "terminated" {
			all = append(all, instance.ID)
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:min(len(all), 1+rng.IntN(4))]
}

// denied is the answer to a question by id about what EC2 knows nothing of, or nil.
func (w *world) denied(hole *gap, form url.Values) *http.Response {
	if hole == nil || !hole.unknown || form.Get("Action") != hole.action {
		return nil
	}
	id := form.Get(parameterOf[hole.action])
	if !slices.Contains(hole.ids, id) || !w.contradicted(id) {
		return nil
	}
	code := map[string]string{"DescribeNetworkInterfaces": "InvalidNetworkInterfaceID.NotFound", "DescribeInstances": "InvalidInstanceID.NotFound"}[hole.action]
	body := fmt.Sprintf("<Response><Errors><Error><Code>%s</Code><Message>The ID '%s' does not exist</Message></Error></Errors><RequestID>r</RequestID></Response>",
		code, id)
	return &http.Response{
		Status: "400 Bad Request", StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"text/xml"}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// contradicted reports whether something else in EC2 shows that an id exists: an ENI is
// attached to an instance, and an instance has its primary ENI.
func (w *world) contradicted(id string) bool {
	return slices.ContainsFunc(w.cloud.Look(region).ENIs, func(eni emulator.ENIState) bool {
		return eni.InstanceID != "" && (eni.ID == id || eni.InstanceID == id)
	})
}
