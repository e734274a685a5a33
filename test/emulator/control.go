/*
Copyright The ENI Operator Authors.

SPDX-License-Identifier: Apache-2.0
*/

package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// controlPrefix is the path of the control interface.
const controlPrefix = "/_emulator/"

// controlHandler answers a request of the control interface with JSON. A nil
// answer stands for success without a body.
type controlHandler func(*http.Request) (answer any, err error)

// newControl serves what Server's methods do, for an emulator that runs as a
// process of its own. README.md describes the paths.
func newControl(s *Server) http.Handler {
	mux := http.NewServeMux()
	handle := func(method, path string, serve controlHandler) {
		mux.HandleFunc(method+" "+controlPrefix+path, func(w http.ResponseWriter, r *http.Request) {
			answer, err := serve(r)
			writeJSON(w, answer, err)
		})
	}
	handle("GET", "healthz", s.controlHealth)
	handle("GET", "calls", s.controlCalls)
	handle("DELETE", "calls", s.controlResetCalls)
	handle("GET", "counts", s.controlCounts)
	handle("GET", "throttling", s.controlThrottling)
	handle("PUT", "throttling", s.controlSetThrottling)
	handle("POST", "refill", s.controlRefill)
	handle("GET", "faults", s.controlFaults)
	handle("POST", "faults", s.controlAddFault)
	handle("DELETE", "faults", s.controlClearFaults)
	handle("DELETE", "faults/{id}", s.controlRemoveFault)
	handle("GET", "denied", s.controlDenied)
	handle("PUT", "denied/{action}", s.controlDeny)
	handle("DELETE", "denied/{action}", s.controlAllow)
	handle("GET", "stale-reads", s.controlStaleReads)
	handle("PUT", "stale-reads", s.controlSetStaleReads)
	handle("PUT", "sick/{region}/{instance}", s.controlSick(true))
	handle("DELETE", "sick/{region}/{instance}", s.controlSick(false))
	handle("PUT", "hanging/{region}/{instance}", s.controlHanging(true))
	handle("DELETE", "hanging/{region}/{instance}", s.controlHanging(false))
	handle("PUT", "managed/{region}/{id}", s.controlManaged)
	handle("DELETE", "managed/{region}/{id}", s.controlUnmanaged)
	handle("PUT", "account/{caller}/{account}", s.controlAccount)
	handle("DELETE", "account/{caller}", s.controlAccount)
	handle("PUT", "past", s.controlKeepPast)
	return mux
}

// errUnknown is answered with 404.
var errUnknown = errors.New("no such thing")

func writeJSON(w http.ResponseWriter, answer any, err error) {
	switch {
	case errors.Is(err, errUnknown):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // a client that went away is no error of ours
	}
}

// readJSON decodes a body and refuses fields that it does not know.
func readJSON(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// textDuration is a duration that JSON writes as in "1.5s".
type textDuration time.Duration

// MarshalText is for encoding/json.
func (d textDuration) MarshalText() ([]byte, error) {
	return []byte(time.Duration(d).String()), nil
}

// UnmarshalText is for encoding/json.
func (d *textDuration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = textDuration(parsed)
	return err
}

func (s *Server) controlHealth(*http.Request) (any, error) {
	return map[string]string{"status": "ok"}, nil
}

// controlCalls serves the call log, after the sequence number "since" and for
// one "action", where they are given.
func (s *Server) controlCalls(r *http.Request) (any, error) {
	query := r.URL.Query()
	var since uint64
	if text := query.Get("since"); text != "" {
		var err error
		if since, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, fmt.Errorf("parsing since: %w", err)
		}
	}
	action := query.Get("action")
	calls := []Call{}
	for _, call := range s.Calls() {
		if call.Seq > since && (action == "" || action == call.Action) {
			calls = append(calls, call)
		}
	}
	return calls, nil
}

func (s *Server) controlResetCalls(*http.Request) (any, error) {
	s.ResetCalls()
	return nil, nil
}

func (s *Server) controlCounts(*http.Request) (any, error) {
	return s.Counts(), nil
}

type throttlingJSON struct {
	Enabled bool `json:"enabled"`
}

func (s *Server) controlThrottling(*http.Request) (any, error) {
	return throttlingJSON{Enabled: s.throttle.enabled()}, nil
}

func (s *Server) controlSetThrottling(r *http.Request) (any, error) {
	var wanted throttlingJSON
	if err := readJSON(r, &wanted); err != nil {
		return nil, err
	}
	s.SetThrottling(wanted.Enabled)
	return nil, nil
}

func (s *Server) controlRefill(*http.Request) (any, error) {
	s.RefillBuckets()
	return nil, nil
}

func (s *Server) controlDenied(*http.Request) (any, error) {
	return s.denials.list(), nil
}

func (s *Server) controlDeny(r *http.Request) (any, error) {
	s.Deny(r.PathValue("action"))
	return nil, nil
}

func (s *Server) controlAllow(r *http.Request) (any, error) {
	s.Allow(r.PathValue("action"))
	return nil, nil
}

func (s *Server) controlHanging(hanging bool) controlHandler {
	return func(r *http.Request) (any, error) {
		id := r.PathValue("instance")
		if !s.SetHanging(r.PathValue("region"), id, hanging) {
			return nil, fmt.Errorf("instance %s: %w", id, errUnknown)
		}
		return nil, nil
	}
}

type managedJSON struct {
	Principal string `json:"principal"`
	Hidden    bool   `json:"hiddenByDefault"`
}

func (s *Server) controlManaged(r *http.Request) (any, error) {
	var by managedJSON
	if err := readJSON(r, &by); err != nil {
		return nil, err
	}
	if by.Principal == "" {
		return nil, errors.New("a managed resource needs a principal")
	}
	return nil, s.setManaged(r, by)
}

func (s *Server) controlUnmanaged(r *http.Request) (any, error) {
	return nil, s.setManaged(r, managedJSON{})
}

func (s *Server) setManaged(r *http.Request, by managedJSON) error {
	id := r.PathValue("id")
	if !s.SetManaged(r.PathValue("region"), id, by.Principal, by.Hidden) {
		return fmt.Errorf("resource %s: %w", id, errUnknown)
	}
	return nil
}

// accountNumber is the form of an account's id.
var accountNumber = regexp.MustCompile(`^([0-9]{12})?$`)

func (s *Server) controlAccount(r *http.Request) (any, error) {
	account := r.PathValue("account")
	if !accountNumber.MatchString(account) {
		return nil, errors.New("an account is a number of 12 digits")
	}
	s.SetAccount(r.PathValue("caller"), account)
	return nil, nil
}

type keepPastJSON struct {
	Span textDuration `json:"span"`
}

func (s *Server) controlKeepPast(r *http.Request) (any, error) {
	var wanted keepPastJSON
	if err := readJSON(r, &wanted); err != nil {
		return nil, err
	}
	s.SetKeepPast(time.Duration(wanted.Span))
	return nil, nil
}

func (s *Server) controlSick(sick bool) controlHandler {
	return func(r *http.Request) (any, error) {
		id := r.PathValue("instance")
		if !s.SetSick(r.PathValue("region"), id, sick) {
			return nil, fmt.Errorf("instance %s: %w", id, errUnknown)
		}
		return nil, nil
	}
}
