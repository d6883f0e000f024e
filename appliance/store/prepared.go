package store

import (
	"context"
	"database/sql"
	"sync"
)

// prepared keeps the statements of a database: SQLite would parse the text of each
// query again, which takes longer than most of them do. There are as many as there
// are queries on objects in this package.
type prepared struct {
	db     *sql.DB
	mu     sync.Mutex
	known  map[string]*sql.Stmt
	wanted map[string]bool
}

func newPrepared(db *sql.DB) *prepared {
	return &prepared{db: db, known: make(map[string]*sql.Stmt), wanted: make(map[string]bool)}
}

// statement returns the statement of a query, or nil and remembers it for prepare.
func (p *prepared) statement(query string) *sql.Stmt {
	if p == nil {
		return nil // a database that is being made, whose schema still changes
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.known[query]
	if s == nil {
		p.wanted[query] = true
	}
	return s
}

// prepare makes the statements that were wanted; what cannot be made is done without.
// No transaction of the caller's may be open: it would wait for the connection that
// the transaction has.
func (p *prepared) prepare(ctx context.Context) {
	if p == nil {
		return
	}
	p.mu.Lock()
	if len(p.wanted) == 0 {
		p.mu.Unlock()
		return
	}
	wanted := p.wanted
	p.wanted = make(map[string]bool)
	p.mu.Unlock()
	// Unlocked: who has the connection that this waits for may ask for a statement.
	for query := range wanted {
		s, err := p.db.PrepareContext(context.WithoutCancel(ctx), query)
		if err != nil {
			continue
		}
		p.mu.Lock()
		if p.known[query] == nil {
			p.known[query], s = s, nil
		}
		p.mu.Unlock()
		if s != nil {
			_ = s.Close() // another was quicker
		}
	}
}

// statements runs queries in a transaction by their prepared statements.
type statements struct {
	*prepared
	tx *sql.Tx
}

func (s statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if known := s.statement(query); known != nil {
		return s.tx.StmtContext(ctx, known).QueryContext(ctx, args...)
	}
	return s.tx.QueryContext(ctx, query, args...)
}

func (s statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if known := s.statement(query); known != nil {
		return s.tx.StmtContext(ctx, known).QueryRowContext(ctx, args...)
	}
	return s.tx.QueryRowContext(ctx, query, args...)
}

func (s statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if known := s.statement(query); known != nil {
		return s.tx.StmtContext(ctx, known).ExecContext(ctx, args...)
	}
	return s.tx.ExecContext(ctx, query, args...)
}
