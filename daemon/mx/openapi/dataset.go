package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Data sets are written by hand: their names come in the body, they are deleted by
// POST, and their records have columns of the client's choice.

const dataSetPath = "/v1/conf/dataSets/{dataSetName}"

type dataSets struct{ resource }

func (a *API) dataSetOperations() []Operation {
	d := dataSets{a.at(model.DataSet, dataSetPath)}
	columns := []model.Field{d.kind.Fields[0], {Name: "dataset-name"}, {Name: "number-of-columns", Type: model.Int, Max: 64}}
	records := model.Field{Name: "records", Type: model.List, Of: &model.Field{Type: model.Map, Of: &model.Field{Type: model.Any}}}
	shown := []model.Field{{Name: "dataset-name"}, {Name: "number-of-records", Type: model.Int, Max: model.MaxList}, records}
	changed := []model.Field{{Name: "action", OneOf: []string{"add", "delete"}}, records}
	operation := func(method, path, summary string, in, out []model.Field, do func(context.Context, *Call) (any, error), codes ...int) Operation {
		return Operation{Method: method, Path: path, Resource: model.DataSet, Summary: summary, In: in, Out: out, Codes: codes, Do: do}
	}
	create := operation(http.MethodPost, "/v1/conf/dataSets/createDataset", "create a data set", columns, nil, d.create, 10005, 10015, 10095)
	create.Query = []string{"caseSensitive"}
	read := operation(http.MethodGet, dataSetPath+"/data", "read records", nil, shown, d.data, 10016, 10094)
	read.Query = []string{"from", "to"}
	list := operation(http.MethodGet, "/v1/conf/dataSets", "list the data sets", nil, []model.Field{{}}, d.names)
	list.BareOut = true
	return []Operation{
		list, create, read,
		operation(http.MethodGet, dataSetPath+"/columns", "read the columns of a data set", nil, columns, d.columns, 10094),
		operation(http.MethodPost, dataSetPath+"/data", "replace the records", []model.Field{records}, nil, d.replace, 10094, 10096, 10097, 10098),
		operation(http.MethodPut, dataSetPath+"/data", "add or delete records", changed, nil, d.change, 10094, 10096, 10097, 10098, 10099),
		operation(http.MethodDelete, dataSetPath+"/data", "delete all records", nil, nil, d.empty, 10094),
		operation(http.MethodPost, dataSetPath+"/deleteDataset", "delete a data set", nil, nil, d.remove, 10094),
	}
}

func (d dataSets) names(ctx context.Context, _ *Call) (any, error) {
	names := []string{}
	err := d.store.Read(ctx, func(q *store.Reader) error {
		list, err := q.Names(ctx, model.RootID, model.DataSet)
		names = append(names, list...)
		return err
	})
	return names, err
}

func (d dataSets) create(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	name := textIn(body, "dataset-name")
	if name == "" {
		return nil, Faultf(10015, "dataset-name is missing")
	}
	columns, _ := body["columns"].([]any)
	if n, ok := body["number-of-columns"]; ok && n != nil && fmt.Sprint(n) != strconv.Itoa(len(columns)) {
		return nil, Faultf(10095, "number-of-columns is %q, and columns has %d", short(fmt.Sprint(n)), len(columns))
	}
	sent := without(body, "dataset-name", "number-of-columns", "records")
	if c.Query.Has("caseSensitive") {
		sent["caseSensitive"] = c.Query.Get("caseSensitive")
	}
	c.Path = map[string]string{"dataSetName": name}
	return nil, d.write(ctx, c, d.summary("create", c), func(tx *store.Tx) error {
		_, err := d.add(ctx, c, tx, nil, name, sent, map[string]any{"records": []any{}})
		return err
	})
}

// set is a data set's document.
type set struct {
	Columns []struct {
		Name string `json:"name"`
		Key  bool   `json:"key"`
	} `json:"columns"`
	CaseSensitive *bool            `json:"caseSensitive,omitempty"`
	Records       []map[string]any `json:"records"`
}

func (d dataSets) read(ctx context.Context, c *Call, q reader) (store.Object, set, error) {
	var s set
	chain, err := c.locate(ctx, q, d.steps)
	if err != nil {
		return store.Object{}, s, err
	}
	decoder := json.NewDecoder(bytes.NewReader(chain[0].Document))
	decoder.UseNumber()
	err = decoder.Decode(&s)
	return chain[0], s, err
}

func (d dataSets) columns(ctx context.Context, c *Call) (any, error) {
	var answer any
	err := d.store.Read(ctx, func(q *store.Reader) error {
		o, s, err := d.read(ctx, c, q)
		answer = map[string]any{"columns": s.Columns, "dataset-name": o.Name, "number-of-columns": len(s.Columns)}
		return err
	})
	return answer, err
}

func (d dataSets) data(ctx context.Context, c *Call) (any, error) {
	var answer any
	err := d.store.Read(ctx, func(q *store.Reader) error {
		o, s, err := d.read(ctx, c, q)
		if err != nil {
			return err
		}
		from, to, err := window(c, len(s.Records))
		if err != nil {
			return err
		}
		answer = map[string]any{"dataset-name": o.Name, "number-of-records": len(s.Records), "records": append([]map[string]any{}, s.Records[from:to]...)}
		return err
	})
	return answer, err
}

// window reads from and to, which count from 1 and are both part of it.
func window(c *Call, length int) (from, to int, err error) {
	limits := map[string]int{"from": 1, "to": length}
	for name := range limits {
		if !c.Query.Has(name) {
			continue
		}
		n, err := strconv.Atoi(c.Query.Get(name))
		if err != nil || n < 1 {
			return 0, 0, Faultf(10016, "query parameter %s is %q, must be a whole number from 1", name, short(c.Query.Get(name)))
		}
		limits[name] = n
	}
	to = min(limits["to"], length)
	return min(limits["from"]-1, to), to, nil
}

func (d dataSets) replace(ctx context.Context, c *Call) (any, error) {
	return d.edit(ctx, c, func(s *set, records []map[string]any, _ string) error {
		s.Records = nil
		return s.put(records)
	})
}

func (d dataSets) change(ctx context.Context, c *Call) (any, error) {
	return d.edit(ctx, c, func(s *set, records []map[string]any, action string) error {
		switch action {
		case "add":
			return s.put(records)
		case "delete":
			return s.take(records)
		default:
			return Faultf(10099, "action is %q, must be add or delete", short(action))
		}
	})
}

func (d dataSets) empty(ctx context.Context, c *Call) (any, error) {
	return nil, d.write(ctx, c, d.summary("empty", c), func(tx *store.Tx) error {
		o, s, err := d.read(ctx, c, tx)
		if err != nil {
			return err
		}
		s.Records = []map[string]any{}
		return d.keep(ctx, tx, o, s)
	})
}

func (d dataSets) keep(ctx context.Context, tx *store.Tx, o store.Object, s set) error {
	text, err := model.AppendJSON(nil, s)
	if err != nil {
		return err
	}
	return tx.Update(ctx, o.ID, text)
}

func (d dataSets) edit(ctx context.Context, c *Call, change func(s *set, records []map[string]any, action string) error) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	sent, ok := body["records"].([]any)
	if !ok {
		return nil, Faultf(10096, "records must be a list of objects")
	}
	records := make([]map[string]any, len(sent))
	for i, entry := range sent {
		if records[i], ok = entry.(map[string]any); !ok {
			return nil, Faultf(10096, "records[%d] must be an object with a value for each column", i)
		}
	}
	return nil, d.write(ctx, c, d.summary("change", c), func(tx *store.Tx) error {
		o, s, err := d.read(ctx, c, tx)
		if err != nil {
			return err
		}
		if err := s.check(records); err != nil {
			return err
		}
		if err := change(&s, records, textIn(body, "action")); err != nil {
			return err
		}
		if len(s.Records) > model.MaxList {
			return Faultf(10098, "the data set would have %d records, at most %d are allowed", len(s.Records), model.MaxList)
		}
		return d.keep(ctx, tx, o, s)
	})
}

// check wants records of the set's columns, with values that are no lists or
// objects.
func (s *set) check(records []map[string]any) error {
	known := make(map[string]bool, len(s.Columns))
	for _, column := range s.Columns {
		known[column.Name] = true
	}
	var faults Faults
	for i, record := range records {
		for name, value := range record {
			if len(faults) > maxFaults {
				return faults
			}
			switch value.(type) {
			case []any, map[string]any:
				faults = append(faults, Fault{Code: 10096, Description: fmt.Sprintf("records[%d].%s must be a string, a number, true or false", i, short(name))})
			}
			if !known[name] {
				faults = append(faults, Fault{Code: 10097, Description: fmt.Sprintf("records[%d] has %q, which is no column of the data set", i, short(name))})
			}
		}
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// key tells records apart: the values of the key columns, or of all where there is
// no key.
func (s *set) key(record map[string]any) string {
	var words []string
	for _, keysOnly := range []bool{true, false} {
		for _, column := range s.Columns {
			if column.Key || !keysOnly {
				words = append(words, fmt.Sprintf("%q", fmt.Sprint(record[column.Name])))
			}
		}
		if len(words) > 0 {
			break
		}
	}
	key := strings.Join(words, ",")
	if s.CaseSensitive != nil && !*s.CaseSensitive {
		key = strings.ToLower(key)
	}
	return key
}

// put adds records; one with a key that is there takes the other's place.
func (s *set) put(records []map[string]any) error {
	index := make(map[string]int, len(s.Records)+len(records))
	list := []map[string]any{}
	for _, record := range append(s.Records, records...) {
		key := s.key(record)
		if i, ok := index[key]; ok {
			list[i] = record
			continue
		}
		index[key] = len(list)
		list = append(list, record)
	}
	s.Records = list
	return nil
}

func (s *set) take(records []map[string]any) error {
	gone := make(map[string]bool, len(records))
	for _, record := range records {
		gone[s.key(record)] = true
	}
	list := []map[string]any{}
	for _, record := range s.Records {
		if !gone[s.key(record)] {
			list = append(list, record)
		}
	}
	s.Records = list
	return nil
}
