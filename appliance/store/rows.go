package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
)

// Rows calls fn with each row of a table as one JSON object without a newline. The
// line is valid during the call. A configuration row has every column; an event is
// its document; a secret is in the clear, as base64 under "value". An error of fn
// ends the reading and is returned.
//
// The tables of a day are read in the order of Tables: after its last one the day
// is closed, so that an export holds one day's memory at a time.
func (p *Snapshot) Rows(ctx context.Context, t Table, fn func(line []byte) error) error {
	index := -1
	for i, listed := range p.tables {
		if listed == t {
			index = i
		}
	}
	if index < 0 {
		return fmt.Errorf("table %q of day %q is not in this snapshot", t.Name, t.Day)
	}
	if t.Day == "" {
		return p.configRows(ctx, t.Name, fn)
	}
	for _, day := range p.days {
		if day.name != t.Day {
			continue
		}
		if day.db == nil {
			return fmt.Errorf("events of %s were read to the end already", t.Day)
		}
		if err := readDocuments(ctx, day.conn, t.Name, fn); err != nil {
			return err
		}
		if index == day.last {
			return day.close()
		}
	}
	return nil
}

func (p *Snapshot) configRows(ctx context.Context, name string, fn func(line []byte) error) error {
	t, _ := lookupConfigTable(name)
	query := "SELECT " + t.names() + " FROM " + t.name
	if condition := p.where(name); condition != "" {
		query += " WHERE " + condition
	}
	rows, err := p.config.QueryContext(ctx, query+" ORDER BY "+t.order)
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]sql.RawBytes, len(t.columns))
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	var line []byte
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if line, err = p.appendLine(line[:0], t, values); err != nil {
			return err
		}
		if err := fn(line); err != nil {
			return err
		}
	}
	return rows.Err()
}

// appendLine appends a row as a JSON object.
func (p *Snapshot) appendLine(line []byte, t configTable, values []sql.RawBytes) ([]byte, error) {
	for i, c := range t.columns {
		separator, key := byte(','), c.name
		if i == 0 {
			separator = '{'
		}
		if c.form == sealed {
			key = "value"
		}
		line = append(line, separator)
		line = strconv.AppendQuote(line, key)
		line = append(line, ':')
		switch c.form {
		case integer, document:
			line = append(line, values[i]...)
		case verifier:
			if p.unseal == nil {
				line = append(line, `""`...)
				continue
			}
			fallthrough
		case text:
			quoted, err := encode(string(values[i]))
			if err != nil {
				return nil, err
			}
			line = append(line, quoted...)
		case sealed:
			plain, err := p.open(string(values[0]), values[i])
			if err != nil {
				return nil, err
			}
			line = append(line, '"')
			line = base64.StdEncoding.AppendEncode(line, plain)
			line = append(line, '"')
		}
	}
	return append(line, '}'), nil
}

// open unseals the secret of a row.
func (p *Snapshot) open(id string, column []byte) ([]byte, error) {
	box := make([]byte, base64.StdEncoding.DecodedLen(len(column)))
	n, err := base64.StdEncoding.Decode(box, column)
	if err != nil {
		return nil, fmt.Errorf("secret %q is damaged: %w", id, err)
	}
	return p.unseal(id, box[:n])
}

// lineOf reads a line of a configuration table into the values of its columns.
func (t configTable) lineOf(line []byte, seal func(id string, plaintext []byte) []byte) ([]any, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, fmt.Errorf("a line of table %s is no object: %w", t.name, notJSON(err))
	}
	values := make([]any, len(t.columns))
	for i, c := range t.columns {
		key := c.name
		if c.form == sealed {
			key = "value"
		}
		raw, ok := fields[key]
		if !ok {
			return nil, fmt.Errorf("a line of table %s has no %q: %w", t.name, key, ErrInvalid)
		}
		value, err := c.value(raw)
		if err != nil {
			return nil, fmt.Errorf("%q in a line of table %s: %w", key, t.name, notJSON(err))
		}
		if c.form == sealed {
			id, _ := values[0].(string)
			plain, _ := value.([]byte)
			value = base64.StdEncoding.EncodeToString(seal(id, plain))
		}
		values[i] = value
	}
	return values, nil
}

// value reads one field of a line.
func (c column) value(raw json.RawMessage) (any, error) {
	switch c.form {
	case integer:
		var n int64
		err := json.Unmarshal(raw, &n)
		return n, err
	case document:
		return string(raw), nil
	case sealed:
		var plain []byte
		err := json.Unmarshal(raw, &plain)
		return plain, err
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}
