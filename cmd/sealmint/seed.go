package main

import (
	"context"
	"errors"
	"fmt"

	"sealgate/appliance/secret"
	"sealgate/appliance/seed"
	"sealgate/appliance/store"
)

type seedCmd struct {
	Home       string  `required:"" placeholder:"DIR" help:"the appliance's folder; it may run meanwhile"`
	Scale      float64 `default:"0.1" placeholder:"N" help:"how much: 1 is a dump's content of 1 GiB (default 0.1)"`
	Violations int     `placeholder:"N" help:"fill a fresh store with N violations in ten days, and nothing else; the appliance must not run"`
	Seed       uint64  `default:"1" placeholder:"N" help:"the same seed and scale make the same data (default 1)"`
}

func (c *seedCmd) Run(ctx context.Context) (err error) {
	keys, err := secret.Open(c.Home)
	if err != nil {
		return err
	}
	if c.Violations > 0 {
		if err := seed.Violations(ctx, c.Home, keys, c.Violations, seed.Options{Seed: c.Seed, Scale: c.Scale}); err != nil {
			return err
		}
		fmt.Printf("%d violations in %d days\n", c.Violations/seed.DefaultDays*seed.DefaultDays, seed.DefaultDays)
		return nil
	}
	db, err := store.Open(ctx, c.Home, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	report, err := seed.Fill(ctx, db, keys, seed.Options{Seed: c.Seed, Scale: c.Scale})
	if err != nil {
		return err
	}
	for _, kind := range store.Kinds {
		fmt.Printf("%-16s %9d rows\n", kind, report.Rows[kind])
	}
	fmt.Printf("%d MiB of events and archives\n", report.Total>>20)
	return nil
}
