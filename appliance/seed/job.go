package seed

import (
	"context"
	"fmt"
	"time"

	"sealgate/appliance/store"
)

const maxJobs = 400

// jobs adds jobs that ended, some of them badly.
func (f *filler) jobs(ctx context.Context) error {
	s := newStream(f.options.Seed, "jobs")
	for n := range grown(f.options.Scale, maxJobs/4, 5, maxJobs) {
		started := f.options.Base.Add(time.Duration(n) * 97 * time.Minute)
		j, err := f.store.StartJob(ctx, store.Job{
			ID: s.uuid(started), Name: fmt.Sprintf("%s%04d %s", MarkJob, n+1, pick(s, []string{"export", "archive", "purge", "report"})),
			Author: "scheduler", Abortable: true, Started: started,
		})
		if err != nil {
			return err
		}
		state, message := store.JobDone, "done"
		if s.chance(10) {
			state, message = store.JobFailed, "the server closed the connection"
		}
		if err := f.store.FinishJob(ctx, j.ID, state, message, started.Add(time.Duration(s.in(1, 3600))*time.Second)); err != nil {
			return err
		}
		f.made(store.Jobs, 1, 0)
	}
	return nil
}
