package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"sealgate/appliance/model"
)

// maxRecorded bounds the documents in the difference of a merge's revision, in
// bytes: the rest is there by name.
const maxRecorded = 8 << 20

// Merged is what a merge did.
type Merged struct {
	Taken   []Taken
	Cleared []Cleared
}

// merger adds what one store holds to another.
type merger struct {
	from, to *Store
	tx       *Tx
	ids      map[string]string // of objects, keys and credentials: there to here
	taken    map[Kind]*Taken
	late     []string // objects whose document is to be redirected: ids there
	cleared  []Cleared
	recorded int
	archives []string // names of files to bring along
}

// merge adds rows of configuration that are missing, in one revision. An object
// of both, by id or by name under the same parent, takes the form that was written
// later; users, SSL keys, credentials and archives of both stay as they are. Jobs and
// revisions stay each with their own store.
func (m *merger) merge(ctx context.Context, change Change) error {
	m.ids, m.taken = map[string]string{model.RootID: model.RootID}, map[Kind]*Taken{}
	_, err := m.to.Write(ctx, change, func(tx *Tx) error {
		m.tx = tx
		for _, step := range []func(context.Context) error{m.objects, m.sslKeys, m.credentials, m.redirect, m.users, m.addArchives, m.systemEvents} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func (m *merger) of(kind Kind) *Taken {
	if m.taken[kind] == nil {
		m.taken[kind] = &Taken{Kind: kind}
	}
	return m.taken[kind]
}

// report lists what was done, in the order of Kinds.
func (m *merger) report() []Taken {
	var list []Taken
	for _, kind := range Kinds {
		if t := m.taken[kind]; t != nil {
			list = append(list, *t)
		}
	}
	return list
}

// mergeOrder is all kinds, parents before children, and those whose names have ids, with
// what lies below them, after all others.
func mergeOrder() []model.Kind {
	marked := map[string]bool{}
	var first, then []model.Kind
	for _, k := range model.Kinds {
		if k.MarkedName || marked[k.Parent] {
			marked[k.Name] = true
			then = append(then, k)
		} else {
			first = append(first, k)
		}
	}
	return append(first, then...)
}

// named is the name that an object has here.
func (m *merger) named(kind model.Kind, name string) string {
	if readable, id, ok := model.CutID(name); ok && kind.MarkedName && m.ids[id] != "" {
		return readable + model.IDMark + m.ids[id]
	}
	return name
}

// objects matches objects, parents first, and adds those that are missing.
func (m *merger) objects(ctx context.Context) error {
	for _, kind := range mergeOrder() {
		rows, err := m.from.reader.QueryContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE kind = $1 ORDER BY id", kind.Name)
		if err != nil {
			return err
		}
		for rows.Next() {
			var o Object
			err := scanObject(rows.Scan, &o)
			if err == nil {
				o.Name = m.named(kind, o.Name)
				err = m.object(ctx, o)
			}
			if err != nil {
				return errors.Join(err, rows.Close())
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) object(ctx context.Context, o Object) error {
	parent, ok := m.ids[o.ParentID]
	if !ok {
		return fmt.Errorf("parent of %s %q: %w", o.Kind, o.Name, ErrNotFound)
	}
	here, err := m.tx.Get(ctx, o.ID)
	if errors.Is(err, ErrNotFound) {
		here, err = m.tx.Find(ctx, parent, o.Kind, o.Name)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		m.ids[o.ID] = o.ID
		m.late = append(m.late, o.ID)
		m.of(Config).Added++
		_, err = m.tx.tx.ExecContext(ctx, "INSERT INTO objects ("+objectColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			o.ID, parent, o.Kind, o.Name, string(o.Document), o.Created.UnixMilli(), o.Updated.UnixMilli(), m.tx.number)
		return err
	case err != nil:
		return err
	case here.Kind != o.Kind:
		return fmt.Errorf("%s %q has the id of a %s: %w", o.Kind, o.Name, here.Kind, ErrInvalid)
	}
	m.ids[o.ID] = here.ID
	if o.Updated.After(here.Updated) {
		m.late = append(m.late, o.ID)
		return nil // counted when it is known what its document becomes
	}
	m.of(Config).Kept++
	return nil
}

// redirect gives the documents of objects that were added or are newer the ids
// that things have here.
func (m *merger) redirect(ctx context.Context) error {
	for _, id := range m.late {
		o, err := m.from.Get(ctx, id)
		if err != nil {
			return err
		}
		kind, err := model.Lookup(o.Kind)
		if err != nil {
			return err
		}
		o.Name = m.named(kind, o.Name)
		if o.Document, err = m.document(ctx, kind, o); err != nil {
			return err
		}
		here, err := m.tx.Get(ctx, m.ids[id])
		if err != nil {
			return err
		}
		if err := m.put(ctx, kind, here, o); err != nil {
			return err
		}
	}
	return nil
}

// document is an object's document with the ids of this store, and without those
// that it does not have.
func (m *merger) document(ctx context.Context, kind model.Kind, o Object) ([]byte, error) {
	refs, err := kind.Refs(o.Document)
	if err != nil {
		return nil, err
	}
	other := map[string]string{}
	for _, ref := range refs {
		to, ok := m.ids[ref.ID]
		if !ok {
			what, err := m.tx.kindOf(ctx, ref.ID)
			if err != nil {
				return nil, err
			}
			if to = ref.ID; !slices.Contains(ref.To, what) {
				to = ""
				m.cleared = noted(m.cleared, o, ref.To[0])
			}
		}
		if to != ref.ID {
			other[ref.ID] = to
		}
	}
	if len(other) == 0 {
		return o.Document, nil
	}
	return kind.Redirect(o.Document, func(id string) string {
		if to, ok := other[id]; ok {
			return to
		}
		return id
	})
}

// put makes here, an object of this store, what o is.
func (m *merger) put(ctx context.Context, kind model.Kind, here, o Object) error {
	added := here.Revision == m.tx.number
	before := m.state(here)
	if added {
		before = nil
	}
	name := here.Name
	if name != o.Name {
		if _, err := m.tx.Find(ctx, here.ParentID, o.Kind, o.Name); errors.Is(err, ErrNotFound) {
			name = o.Name
		}
	}
	if !added {
		if name == here.Name && string(here.Document) == string(o.Document) {
			m.of(Config).Kept++
			return nil
		}
		m.of(Config).Changed++
	}
	here.Name, here.Document = name, o.Document
	_, err := m.tx.tx.ExecContext(ctx, "UPDATE objects SET name = $1, document = $2, updated = $3, revision = $4 WHERE id = $5",
		here.Name, string(here.Document), o.Updated.UnixMilli(), m.tx.number, here.ID)
	if err != nil {
		return err
	}
	m.tx.record(here.Kind, here.ID, before, m.state(here))
	return m.tx.refer(ctx, kind, here)
}

// state is an object in the difference of the revision.
func (m *merger) state(o Object) *State {
	s := stateOf(o)
	if m.recorded += len(o.Document); m.recorded > maxRecorded {
		s.Document = nil
	}
	return s
}

// exists looks for a row by two conditions in turn.
func (m *merger) exists(ctx context.Context, table, id, condition string, args ...any) (string, error) {
	var found string
	err := m.tx.tx.QueryRowContext(ctx, "SELECT id FROM "+table+" WHERE id = $1", id).Scan(&found)
	if err = notFound(err, table, id); errors.Is(err, ErrNotFound) {
		err = notFound(m.tx.tx.QueryRowContext(ctx, "SELECT id FROM "+table+" WHERE "+condition, args...).Scan(&found), table, id)
	}
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return found, err
}

func (m *merger) sslKeys(ctx context.Context) error {
	rows, err := m.from.reader.QueryContext(ctx, "SELECT "+sslKeyColumns+" FROM ssl_keys ORDER BY id")
	if err != nil {
		return err
	}
	keys, err := collect(rows, func(k *SSLKey) error { return scanSSLKey(rows.Scan, k) })
	if err != nil {
		return err
	}
	for _, k := range keys {
		k.ServiceID = m.ids[k.ServiceID]
		here, err := m.exists(ctx, "ssl_keys", k.ID, "service_id = $1 AND name = $2", k.ServiceID, k.Name)
		if err != nil {
			return err
		}
		if m.ids[k.ID] = here; here != "" {
			m.of(SSLKeys).Kept++
			continue
		}
		m.ids[k.ID] = k.ID
		m.of(SSLKeys).Added++
		_, err = m.tx.tx.ExecContext(ctx, "INSERT INTO ssl_keys ("+sslKeyColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
			k.ID, k.ServiceID, k.Name, k.Certificate, k.Issuer, k.ValidFrom.UnixMilli(), k.ValidTo.UnixMilli(), bit(k.HSM), k.SecretID, k.Created.UnixMilli())
		if err := errors.Join(err, m.secret(ctx, k.SecretID)); err != nil {
			return err
		}
		m.tx.recordSecret(model.SSLKey, k.ID, false, true)
	}
	return nil
}

func (m *merger) credentials(ctx context.Context) error {
	list, err := m.from.Credentials(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		here, err := m.exists(ctx, "credentials", c.ID, "kind = $1 AND name = $2", c.Kind, c.Name)
		if err != nil {
			return err
		}
		if m.ids[c.ID] = here; here != "" {
			m.of(Credentials).Kept++
			continue
		}
		m.ids[c.ID] = c.ID
		m.of(Credentials).Added++
		_, err = m.tx.tx.ExecContext(ctx, "INSERT INTO credentials ("+credentialColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
			c.ID, c.Kind, c.Name, c.UserName, string(c.Document), c.SecretID, c.Created.UnixMilli())
		if err := errors.Join(err, m.secret(ctx, c.SecretID)); err != nil {
			return err
		}
		m.tx.recordSecret(model.Credential, c.ID, false, true)
	}
	return nil
}

// secret brings a secret along, sealed as it is: both stores are this appliance's.
func (m *merger) secret(ctx context.Context, id string) error {
	var owner, sealed string
	err := m.from.reader.QueryRowContext(ctx, "SELECT owner, sealed FROM secrets WHERE id = $1", id).Scan(&owner, &sealed)
	if err = notFound(err, "secret", id); errors.Is(err, ErrNotFound) {
		return nil // the dump has none
	}
	if err != nil {
		return err
	}
	_, err = m.tx.tx.ExecContext(ctx, "INSERT INTO secrets (id, owner, sealed) VALUES ($1, $2, $3)", id, owner, sealed)
	if isDuplicate(err) {
		return fmt.Errorf("secret %q: %w", id, ErrExists)
	}
	return err
}

func (m *merger) users(ctx context.Context) error {
	list, err := m.from.Users(ctx)
	if err != nil {
		return err
	}
	for _, u := range list {
		here, err := m.exists(ctx, "users", u.ID, "name = $1", u.Name)
		if err != nil {
			return err
		}
		if here != "" {
			m.of(Users).Kept++
			continue
		}
		m.of(Users).Added++
		_, err = m.tx.tx.ExecContext(ctx, "INSERT INTO users ("+userColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
			u.ID, u.Name, u.Role, u.Verifier, string(u.Document), u.Created.UnixMilli(), u.Updated.UnixMilli())
		if err != nil {
			return err
		}
		m.tx.record(userKind, u.ID, nil, &State{Name: u.Name, Document: u.Document})
	}
	return nil
}

func (m *merger) addArchives(ctx context.Context) error {
	list, err := m.from.ListArchives(ctx)
	if err != nil {
		return err
	}
	for _, a := range list {
		kind := Archives
		if a.Status == ArchiveFailed {
			kind = FailedArchives
		}
		here, err := m.exists(ctx, "archives", a.ID, "name = $1", a.Name)
		if err != nil {
			return err
		}
		if here != "" {
			m.of(kind).Kept++
			continue
		}
		m.of(kind).Added++
		_, err = m.tx.tx.ExecContext(ctx, "INSERT INTO archives ("+archiveColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
			a.ID, a.Name, string(a.Status), a.Size, a.SHA256, a.Error, a.Created.UnixMilli())
		if err != nil {
			return err
		}
		m.archives = append(m.archives, a.Name)
	}
	return nil
}

// events adds the events of one day that are missing.
func (m *merger) events(ctx context.Context, name string) error {
	day, err := beginDay(ctx, m.from.data, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, t := range eventTables {
		if err := m.eventRows(ctx, day, t); err != nil {
			return errors.Join(err, day.close())
		}
	}
	return day.close()
}

// mergedAtATime events are added in one transaction.
const mergedAtATime = 2000

func (m *merger) eventRows(ctx context.Context, day *daySnapshot, t eventTable) error {
	taken := m.of(t.kind)
	var rows []row
	flush := func() error {
		added, err := m.to.keepEvents(ctx, day.name, t, rows)
		taken.Added += added
		taken.Kept += int64(len(rows)) - added
		rows = rows[:0]
		return err
	}
	err := readDocuments(ctx, day.conn, t.name, func(document []byte) error {
		r, err := eventRow(t, document)
		if err != nil {
			return err
		}
		if rows = append(rows, r); len(rows) < mergedAtATime {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}
