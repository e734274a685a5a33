/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package simulation

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eni-operator/eni-operator/api/v1alpha1"
	"github.com/eni-operator/eni-operator/test/simulation/apiserver"
)

// backups are tools and people that take objects away and put them back, with no regard
// for their finalizers.
func backups() []adversary {
	return []adversary{
		{"backups", "an object is restored from a backup", 4, restoreObject},
		{"backups", "the objects of a node are restored from a backup", 2, restoreNode},
		{"backups", "an ENI resource is torn away", 2, tearAway},
	}
}

// backup is an object that was deleted, as it is made again.
type backup struct {
	object client.Object
	status map[string]any // nil for none
}

// tearOff deletes an object at once.
func (w *world) tearOff(object client.Object) {
	w.ignore(client.IgnoreNotFound(w.Delete(w.ctx, object)))
	w.ignore(client.IgnoreNotFound(w.patch(object, map[string]any{"metadata": map[string]any{"finalizers": nil}})))
}

// Which status a restored object has.
var restoredStatuses = []string{"no status", "its status", "an older status"}

// backUp copies an object with one of its statuses.
func (w *world) backUp(object client.Object, which string, rng *rand.Rand) *backup {
	var content struct {
		Status map[string]any `json:"status"`
	}
	raw, err := json.Marshal(object)
	w.ignore(err)
	if which == "an older status" {
		w.mu.Lock()
		past := slices.Clone(w.past[resourceOf(object)+"/"+object.GetNamespace()+"/"+object.GetName()])
		w.mu.Unlock()
		if older, ok := choose(rng, past); ok {
			raw = older
		}
	}
	w.ignore(json.Unmarshal(raw, &content))
	copied, _ := object.DeepCopyObject().(client.Object)
	copied.SetUID("")
	copied.SetResourceVersion("")
	copied.SetDeletionTimestamp(nil)
	if which == "no status" {
		content.Status = nil
	}
	return &backup{object: copied, status: content.Status}
}

// takeAndRestore deletes objects and makes them again after a while.
func (w *world) takeAndRestore(objects []client.Object, which string, rng *rand.Rand) time.Duration {
	var taken []*backup
	for _, object := range objects {
		taken = append(taken, w.backUp(object, which, rng))
	}
	for _, object := range objects {
		w.tearOff(object)
	}
	w.backups = append(w.backups, taken...)
	wait := time.Duration(rng.Int64N(int64(30 * time.Second)))
	if rng.IntN(3) == 0 {
		wait = 0
	}
	w.later(wait, func() { w.restore(taken) })
	return wait
}

// restore makes objects again, unless the operator or somebody else has by now.
func (w *world) restore(taken []*backup) {
	for _, b := range taken {
		i := slices.Index(w.backups, b)
		if i < 0 {
			continue
		}
		w.backups = slices.Delete(w.backups, i, i+1)
		if err := w.Create(w.ctx, b.object); err != nil {
			w.ignore(err)
			continue
		}
		if b.status != nil {
			w.ignore(client.IgnoreNotFound(w.tamper(b.object, b.status)))
		}
	}
}

// restoreBackups makes what was deleted and is still missing.
func (w *world) restoreBackups() { w.restore(slices.Clone(w.backups)) }

// standing are the subjects that are not being deleted.
func (w *world) standing() []client.Object {
	return slices.DeleteFunc(w.subjects(), func(o client.Object) bool { return o.GetDeletionTimestamp() != nil })
}

func restoreObject(w *world, rng *rand.Rand) string {
	object, ok := choose(rng, w.standing())
	if !ok {
		return ""
	}
	which := restoredStatuses[rng.IntN(len(restoredStatuses))]
	wait := w.takeAndRestore([]client.Object{object}, which, rng)
	return fmt.Sprintf("%s is torn away and restored %s later with %s", named(object), wait.Round(time.Second), which)
}

func restoreNode(w *world, rng *rand.Rand) string {
	name, ok := choose(rng, w.nodeNames())
	if !ok {
		return ""
	}
	of := slices.DeleteFunc(w.standing(), func(object client.Object) bool {
		switch o := object.(type) {
		case *v1alpha1.ENIClaim:
			return o.Spec.NodeName != name
		case *v1alpha1.ElasticNetworkInterface:
			return o.Spec.NodeName != name
		default:
			return o.GetName() != name
		}
	})
	if len(of) == 0 {
		return ""
	}
	which := restoredStatuses[rng.IntN(len(restoredStatuses))]
	wait := w.takeAndRestore(of, which, rng)
	var all []string
	for _, object := range of {
		all = append(all, named(object))
	}
	text := fmt.Sprintf("all objects of %s are torn away and restored %s later with %s: %s", name, wait.Round(time.Second), which, strings.Join(all, ", "))
	if rng.IntN(3) > 0 {
		text += w.lagBehind(rng)
	}
	return text
}

// lagBehind has each replica see each kind late by a time of its own, as after many objects
// changed at once.
func (w *world) lagBehind(rng *rand.Rand) string {
	text := "; kinds are seen late by"
	for _, r := range w.replicas {
		lags := map[string]time.Duration{}
		for _, resource := range watched {
			lags[resource] = time.Duration(rng.Int64N(int64(40 * time.Second)))
		}
		r.disturb(func(t *apiserver.Trouble) { t.Lag = lags })
		text += " " + r.name
	}
	wait := time.Minute + aWhile(rng)
	w.disturbed(wait)
	w.later(wait, func() {
		for _, r := range w.replicas {
			r.disturb(func(t *apiserver.Trouble) { t.Lag = nil })
		}
	})
	return fmt.Sprintf("%s for %s", text, wait.Round(time.Second))
}

func tearAway(w *world, rng *rand.Rand) string {
	eni, ok := choose(rng, w.enis())
	if !ok {
		return ""
	}
	w.tearOff(&eni)
	return fmt.Sprintf("the resource %s of %s is torn away; its ENI %s stays", eni.Name, eni.Spec.NodeName, eni.Status.NetworkInterfaceID)
}
