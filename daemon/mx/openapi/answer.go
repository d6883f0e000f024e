package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// answer writes a success: 200, and nil is an empty body.
func (a *API) answer(w http.ResponseWriter, r *http.Request, v any) {
	var body []byte
	switch v := v.(type) {
	case nil:
	case json.RawMessage:
		body = v
	default:
		var err error
		if body, err = model.AppendJSON(nil, v); err != nil {
			a.refuse(w, r, err)
			return
		}
	}
	send(w, http.StatusOK, body)
}

func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	if len(body) > 0 {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// The client is gone where this fails.
	_, _ = w.Write(body)
}

// fault is one entry of an answer's errors.
type fault struct {
	Code        string `json:"error-code"`
	Description string `json:"description"`
}

func sendErrors(w http.ResponseWriter, status int, faults ...fault) {
	body, err := model.AppendJSON(nil, map[string][]fault{"errors": faults})
	if err != nil {
		panic(err) // strings are always JSON
	}
	send(w, status, body)
}

func notFound(w http.ResponseWriter) {
	sendErrors(w, http.StatusNotFound, fault{"404", "there is no such URL; GET " + Base + "/v1/openapi.json lists all"})
}

// refuse answers a request that failed.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrNoSession) {
		sendErrors(w, http.StatusUnauthorized, fault{"401", "log in with POST " + Base + "/v1/auth/session: " + ErrNoSession.Error()})
		return
	}
	faults := faultsOf(err)
	if faults == nil {
		if errors.Is(err, context.Canceled) {
			a.log.Debug("a client left before its answer", "method", r.Method, "path", r.URL.EscapedPath())
		} else {
			a.log.Error("a request failed", "method", r.Method, "path", r.URL.EscapedPath(), "error", err)
		}
		faults = Faults{{Code: 10007, Description: "the management server failed at this; its log says why"}}
	}
	list := make([]fault, len(faults))
	for i, f := range faults {
		list[i] = fault{"IMP-" + strconv.Itoa(f.Code), f.Description}
	}
	sendErrors(w, http.StatusNotAcceptable, list...)
}

// faultsOf are the faults that an error stands for; nil is a failure of ours.
func faultsOf(err error) Faults {
	var faults Faults
	var one *Fault
	var used *store.InUseError
	switch {
	case errors.As(err, &faults):
		return faults
	case errors.As(err, &one):
		return Faults{*one}
	case errors.As(err, &used):
		return Faults{{Code: 10178, Description: fmt.Sprintf("%s %q is used by %s, so it cannot be deleted", model.Title(used.Kind), short(readable(used.Name)), users(used.By))}}
	case errors.Is(err, store.ErrDangling):
		return Faults{{Code: 10016, Description: "the object names what is not there any more (an import can leave certificates out); send that field too: " + err.Error()}}
	case errors.Is(err, store.ErrBusy):
		return Faults{{Code: 10001, Description: "another process is writing the configuration; try again"}}
	default:
		return nil
	}
}

// users names who uses something, the first few.
func users(list []store.Use) string {
	list = slices.CompactFunc(slices.Clone(list), func(a, b store.Use) bool { return a.ID == b.ID }) // by several of its fields
	const most = 10
	text := ""
	for i, use := range list {
		if i == most {
			return fmt.Sprintf("%s and %d more", text, len(list)-most)
		}
		if i > 0 {
			text += ", "
		}
		if text += model.Title(use.Kind); use.Name != use.Kind { // one of which there is one has no name to read
			text += fmt.Sprintf(" %q", short(readable(use.Name)))
		}
	}
	return text
}
