/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package eni

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/eni-operator/eni-operator/pkg/ec2"
)

// codeAttachmentLimit refuses one more ENI on an instance or a network card.
const codeAttachmentLimit = "AttachmentLimitExceeded"

// refusedCards are the network cards that EC2 said are full, by instance.
type refusedCards struct {
	mu sync.Mutex
	of map[string]map[int32]cardRefusal
}

// note remembers a refusal, and drops what was refused long ago.
func (r *refusedCards) note(instanceID string, index, attached int32, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of = map[string]map[int32]cardRefusal{}
	}
	maps.DeleteFunc(r.of, func(_ string, cards map[int32]cardRefusal) bool {
		maps.DeleteFunc(cards, func(_ int32, refusal cardRefusal) bool { return now.Sub(refusal.until) > longestCardPause })
		return len(cards) == 0
	})
	if r.of[instanceID] == nil {
		r.of[instanceID] = map[int32]cardRefusal{}
	}
	r.of[instanceID][index] = r.of[instanceID][index].again(now, attached)
}

// forget drops what was refused on an instance, which took an ENI.
func (r *refusedCards) forget(instanceID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, instanceID)
}

// cardsOf returns what is known of an instance's network cards.
func (r *refusedCards) cardsOf(instance ec2.Instance, limits ec2.InstanceType) map[int32]card {
	r.mu.Lock()
	defer r.mu.Unlock()
	cards := map[int32]card{}
	for at, limit := range limits.CardENIs {
		index := int32(at) //nolint:gosec // a handful of cards
		cards[index] = card{limit: limit, refusal: r.of[instance.ID][index]}
	}
	for _, at := range instance.Interfaces {
		on := cards[at.NetworkCardIndex]
		on.attached++
		cards[at.NetworkCardIndex] = on
	}
	return cards
}

// openAmong are the slots on cards that may take another ENI, the best first.
func (r *refusedCards) openAmong(slots []ec2.Slot, instance ec2.Instance, limits ec2.InstanceType, now time.Time) (open []ec2.Slot, refused bool) {
	places := make([]slot, 0, len(slots))
	for _, at := range slots {
		places = append(places, slot{card: at.NetworkCardIndex, index: at.DeviceIndex})
	}
	best, refused := openSlots(places, r.cardsOf(instance, limits), now)
	for _, at := range best {
		open = append(open, ec2.Slot{NetworkCardIndex: at.card, DeviceIndex: at.index})
	}
	return slices.Clip(open), refused
}
