package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"
)

const (
	maxBody     = 8 << 20 // bytes
	largeBody   = 64 << 10
	largeBodies = 3                // that are read and worked on at once; others wait
	bodyTimeout = 60 * time.Second // a body that takes longer is cut
	maxDepth    = 32               // of objects and lists in each other
)

// read reads a call's body. What it returns is called when the call is done: large
// bodies take turns, so that their number does not set how much memory is used.
func (a *API) read(w http.ResponseWriter, call *Call) (release func(), err error) {
	r := call.Request
	release = func() {}
	if r.ContentLength == 0 {
		return release, nil
	}
	most, stranger := int64(maxBody), call.Caller.Name == ""
	if stranger { // who logs in says little, and takes no turn from who is in
		most = largeBody
	}
	if r.ContentLength > most {
		w.Header().Set("Connection", "close")
		return release, tooLarge(most)
	}
	if !stranger && (r.ContentLength < 0 || r.ContentLength > largeBody) {
		select {
		case a.large <- struct{}{}:
			release = func() { <-a.large }
		case <-r.Context().Done():
			return release, r.Context().Err()
		}
	}
	// A deadline that cannot be set is one of a test's recorder.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	call.Body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		err = tooLarge(most)
	} else if err != nil {
		err = Faultf(10002, "the body did not arrive whole")
	}
	if err != nil {
		release()
		return func() {}, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return release, nil
}

func tooLarge(most int64) error {
	return Faultf(10002, "the body is larger than %d bytes, which is the most that is read", most)
}

// Object reads a body that is a JSON object; an empty one is an empty object.
func (c *Call) Object() (map[string]any, error) {
	value, err := c.JSON()
	if err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case nil:
		return map[string]any{}, nil
	case map[string]any:
		return v, nil
	default:
		return nil, Faultf(10002, "the body must be a JSON object, in braces")
	}
}

// JSON reads a body into map[string]any, []any, string, json.Number, bool or nil.
// An object that names a property twice, bytes that are not UTF-8 and nesting
// deeper than any resource's are faults.
func (c *Call) JSON() (any, error) {
	if len(bytes.TrimSpace(c.Body)) == 0 {
		return nil, nil
	}
	if !utf8.Valid(c.Body) {
		return nil, Faultf(10002, "the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(c.Body))
	d.UseNumber()
	value, err := decode(d, 0)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return value, nil
		}
		err = errors.New("there is more after its end")
	}
	return nil, Faultf(10002, "the body is not JSON at byte %d: %v", d.InputOffset(), plainError(err))
}

// plainError words what the decoder says without the program's names.
func plainError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return errors.New(syntax.Error())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	default:
		return err
	}
}

func decode(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	if delim == '{' {
		return decodeObject(d, depth+1)
	}
	return decodeList(d, depth+1)
}

func decodeObject(d *json.Decoder, depth int) (any, error) {
	object := make(map[string]any)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		key := token.(string) // the decoder takes nothing else there
		if _, twice := object[key]; twice {
			return nil, fmt.Errorf("property %q is there twice", short(key))
		}
		if object[key], err = decode(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return object, err
}

func decodeList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		value, err := decode(d, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.Token()
	return list, err
}
