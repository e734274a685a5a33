/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// faultJSON is a Fault on the control interface.
type faultJSON struct {
	// ID is given by the server.
	ID          string            `json:"id,omitempty"`
	Name        string            `json:"name,omitempty"`
	Action      string            `json:"action"`
	Caller      string            `json:"caller,omitempty"`
	Params      map[string]string `json:"params,omitempty"`
	YoungENI    textDuration      `json:"youngENI,omitzero"`
	Count       int               `json:"count,omitempty"`
	Probability float64           `json:"probability,omitempty"`
	Code        string            `json:"code,omitempty"`
	Message     string            `json:"message,omitempty"`
	Status      int               `json:"status,omitempty"`
	Delay       textDuration      `json:"delay,omitzero"`
	LoseAnswer  bool              `json:"loseAnswer,omitempty"`
	Discard     bool              `json:"discard,omitempty"`
	Stale       textDuration      `json:"stale,omitzero"`
}

func (f faultJSON) fault() (Fault, error) {
	switch {
	case f.Action == "":
		return Fault{}, errors.New("a fault needs an action, or \"*\" for any")
	case f.Probability < 0 || f.Probability > 1:
		return Fault{}, errors.New("a probability lies between 0 and 1")
	case f.Count < 0:
		return Fault{}, errors.New("a count cannot be negative")
	}
	return Fault{
		Name: f.Name, Action: f.Action, Caller: f.Caller, Params: f.Params, YoungENI: time.Duration(f.YoungENI),
		Count: f.Count, Probability: f.Probability,
		Code: f.Code, Message: f.Message, Status: f.Status,
		Delay: time.Duration(f.Delay), LoseAnswer: f.LoseAnswer, Discard: f.Discard, Stale: time.Duration(f.Stale),
	}, nil
}

func (a activeFault) json() faultJSON {
	return faultJSON{
		ID: a.id, Name: a.Name, Action: a.Action, Caller: a.Caller, Params: a.Params, YoungENI: textDuration(a.YoungENI),
		Count: a.Count, Probability: a.Probability,
		Code: a.Code, Message: a.Message, Status: a.Status,
		Delay: textDuration(a.Delay), LoseAnswer: a.LoseAnswer, Discard: a.Discard, Stale: textDuration(a.Stale),
	}
}

func (s *Server) controlFaults(*http.Request) (any, error) {
	return setOf(s.faults.list(), activeFault.json).Items, nil
}

func (s *Server) controlAddFault(r *http.Request) (any, error) {
	var wanted faultJSON
	if err := readJSON(r, &wanted); err != nil {
		return nil, err
	}
	fault, err := wanted.fault()
	if err != nil {
		return nil, err
	}
	return map[string]string{"id": s.faults.add(fault)}, nil
}

func (s *Server) controlClearFaults(*http.Request) (any, error) {
	s.ClearFaults()
	return nil, nil
}

func (s *Server) controlRemoveFault(r *http.Request) (any, error) {
	if id := r.PathValue("id"); !s.faults.remove(id) {
		return nil, fmt.Errorf("fault %s: %w", id, errUnknown)
	}
	return nil, nil
}

// staleReadsJSON is StaleReads on the control interface.
type staleReadsJSON struct {
	NewENIs      textDuration `json:"newENIs"`
	NewAddresses textDuration `json:"newAddresses"`
	Detachments  textDuration `json:"detachments"`
	Terminations textDuration `json:"terminations"`
}

func (s *Server) controlStaleReads(*http.Request) (any, error) {
	return toText(s.stale.get()), nil
}

func (s *Server) controlSetStaleReads(r *http.Request) (any, error) {
	var wanted staleReadsJSON
	if err := readJSON(r, &wanted); err != nil {
		return nil, err
	}
	s.SetStaleReads(StaleReads{
		NewENIs:      time.Duration(wanted.NewENIs),
		NewAddresses: time.Duration(wanted.NewAddresses),
		Detachments:  time.Duration(wanted.Detachments),
		Terminations: time.Duration(wanted.Terminations),
	})
	return nil, nil
}

func toText(stale StaleReads) staleReadsJSON {
	return staleReadsJSON{
		NewENIs:      textDuration(stale.NewENIs),
		NewAddresses: textDuration(stale.NewAddresses),
		Detachments:  textDuration(stale.Detachments),
		Terminations: textDuration(stale.Terminations),
	}
}
