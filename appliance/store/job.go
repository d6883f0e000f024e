package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// JobState says how a job stands.
type JobState string

// How jobs stand.
const (
	JobRunning     JobState = "running"
	JobDone        JobState = "done"
	JobFailed      JobState = "failed"
	JobCancelled   JobState = "cancelled"
	JobInterrupted JobState = "interrupted" // its process ended without saying how
)

// Job is a piece of work with a beginning and an end: an export, an import.
type Job struct {
	ID        string
	Number    int64 // small, for people
	Name      string
	Author    string
	Abortable bool
	State     JobState
	Message   string // how it ended, in words; never a secret
	Started   time.Time
	Finished  time.Time // zero while it runs
}

const jobColumns = "id, number, name, author, abortable, state, message, started, finished"

func scanJob(scan func(...any) error, j *Job) error {
	var abortable, started, finished int64
	if err := scan(&j.ID, &j.Number, &j.Name, &j.Author, &abortable, &j.State, &j.Message, &started, &finished); err != nil {
		return err
	}
	j.Abortable, j.Started = abortable != 0, time.UnixMilli(started).UTC()
	if finished != 0 {
		j.Finished = time.UnixMilli(finished).UTC()
	}
	return nil
}

// StartJob records that a job begins. Of j it takes the name, the author, whether
// it can be aborted and, where they are given, the id and the start.
func (s *Store) StartJob(ctx context.Context, j Job) (Job, error) {
	if j.ID == "" {
		j.ID = NewID()
	}
	if j.Started.IsZero() {
		j.Started = s.now()
	}
	j.State = JobRunning
	err := s.transaction(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT COALESCE(MAX(number), 0) + 1 FROM jobs").Scan(&j.Number); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO jobs ("+jobColumns+") VALUES ($1, $2, $3, $4, $5, $6, '', $7, 0)",
			j.ID, j.Number, j.Name, j.Author, bit(j.Abortable), string(j.State), j.Started.UnixMilli())
		return err
	})
	return j, err
}

// FinishJob records how a running job ended, at a time or, when that is zero, now.
func (s *Store) FinishJob(ctx context.Context, id string, state JobState, message string, at time.Time) error {
	if at.IsZero() {
		at = s.now()
	}
	return s.transaction(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE jobs SET state = $1, message = $2, finished = $3 WHERE id = $4 AND state = $5",
			string(state), message, at.UnixMilli(), id, string(JobRunning))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return fmt.Errorf("running job %q: %w", id, ErrNotFound)
		}
		return nil
	})
}

// InterruptJobs marks the jobs that are recorded as running as interrupted. The
// daemon calls it when it starts, before any job can run.
func (s *Store) InterruptJobs(ctx context.Context) error {
	return s.transaction(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE jobs SET state = $1, finished = $2 WHERE state = $3",
			string(JobInterrupted), s.milliseconds(), string(JobRunning))
		return err
	})
}

// Jobs lists up to limit jobs, newest first.
func (s *Store) Jobs(ctx context.Context, limit int) ([]Job, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT "+jobColumns+" FROM jobs ORDER BY number DESC LIMIT $1", limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(j *Job) error { return scanJob(rows.Scan, j) })
}
