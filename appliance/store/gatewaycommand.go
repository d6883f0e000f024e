package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// CommandState says how a gateway's command stands.
type CommandState string

// How commands stand. One is given once: a gateway that ends in the middle does not
// do it again, and nobody knows whether it did it.
const (
	CommandWaits  CommandState = "waits"
	CommandGiven  CommandState = "given"
	CommandDone   CommandState = "done"
	CommandFailed CommandState = "failed"
)

// GatewayCommand is something that a gateway is asked to do.
type GatewayCommand struct {
	ID        string
	GatewayID string
	Kind      string
	Argument  string
	Author    string
	State     CommandState
	Result    string // of one that ended: a file's name, or why it failed
	Created   time.Time
	Finished  time.Time // zero until it ended
}

// A command that a gateway did not take in this time is not for it any more: what
// comes back after days must not restart by surprise.
const commandLife = 10 * time.Minute

const maxCommands = 1000 // are kept

const commandColumns = "id, gateway_id, kind, argument, author, state, result, created, finished"

func scanCommand(scan func(...any) error, c *GatewayCommand) error {
	var created, finished int64
	err := scan(&c.ID, &c.GatewayID, &c.Kind, &c.Argument, &c.Author, &c.State, &c.Result, &created, &finished)
	c.Created = time.UnixMilli(created).UTC()
	if finished != 0 {
		c.Finished = time.UnixMilli(finished).UTC()
	}
	return err
}

// AskGateway asks a gateway to do something: of c it takes the gateway, the kind, the
// argument and the author. A gateway without a key is ErrNotFound.
func (s *Store) AskGateway(ctx context.Context, c GatewayCommand) (id string, err error) {
	id = NewID()
	return id, s.transaction(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM gateway_commands WHERE id IN (SELECT id FROM gateway_commands ORDER BY created DESC, id DESC LIMIT 1000000 OFFSET $1)", maxCommands-1)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, "INSERT INTO gateway_commands ("+commandColumns+") SELECT $1, gateway_id, $2, $3, $4, $5, '', $6, 0 FROM gateway_keys WHERE gateway_id = $7",
			id, c.Kind, c.Argument, c.Author, string(CommandWaits), s.milliseconds(), c.GatewayID)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("the key of a gateway: %w", ErrNotFound))
		}
		return nil
	})
}

// GatewayCommand returns the command with an id.
func (s *Store) GatewayCommand(ctx context.Context, id string) (GatewayCommand, error) {
	var c GatewayCommand
	err := scanCommand(s.reader.QueryRowContext(ctx, "SELECT "+commandColumns+" FROM gateway_commands WHERE id = $1", id).Scan, &c)
	return c, notFound(err, "command", id)
}

// GatewaysAsked are those for which commands wait.
func (s *Store) GatewaysAsked(ctx context.Context) ([]string, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT DISTINCT gateway_id FROM gateway_commands WHERE state = $1", string(CommandWaits))
	if err != nil {
		return nil, err
	}
	return collect(rows, func(id *string) error { return rows.Scan(id) })
}

// GiveCommands returns the commands that wait for a gateway, and that nobody is
// given again. Those that waited for too long end.
func (s *Store) GiveCommands(ctx context.Context, gatewayID string) (list []GatewayCommand, err error) {
	now := s.milliseconds()
	return list, s.transaction(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE gateway_commands SET state = $1, result = 'the gateway did not take it in time', finished = $2 WHERE gateway_id = $3 AND state = $4 AND created < $5",
			string(CommandFailed), now, gatewayID, string(CommandWaits), now-commandLife.Milliseconds())
		if err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, "SELECT "+commandColumns+" FROM gateway_commands WHERE gateway_id = $1 AND state = $2 ORDER BY created, id", gatewayID, string(CommandWaits))
		if err != nil {
			return err
		}
		if list, err = collect(rows, func(c *GatewayCommand) error { return scanCommand(rows.Scan, c) }); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE gateway_commands SET state = $1 WHERE gateway_id = $2 AND state = $3", string(CommandGiven), gatewayID, string(CommandWaits))
		return err
	})
}

// EndCommand records how a command that was given to a gateway ended. One that ended
// already, or is another gateway's, is ErrNotFound.
func (s *Store) EndCommand(ctx context.Context, gatewayID, id string, state CommandState, result string) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "UPDATE gateway_commands SET state = $1, result = $2, finished = $3 WHERE id = $4 AND gateway_id = $5 AND state = $6",
			string(state), result, s.milliseconds(), id, gatewayID, string(CommandGiven))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("command %q: %w", id, ErrNotFound))
		}
		return nil
	})
}

// Gateways lists the gateways that have a key here, with the group that each is in.
func (s *Store) Gateways(ctx context.Context) ([]Object, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+objectColumns+" FROM objects WHERE id IN (SELECT gateway_id FROM gateway_keys) ORDER BY name")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(o *Object) error { return scanObject(rows.Scan, o) })
}

// DropCommand takes back a command that no gateway was given.
func (s *Store) DropCommand(ctx context.Context, id string) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM gateway_commands WHERE id = $1 AND state = $2", id, string(CommandWaits))
		return err
	})
}
