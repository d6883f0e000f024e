package store

import "path/filepath"

func dataFolder(home string) string     { return filepath.Join(home, "data") }
func currentLink(home string) string    { return filepath.Join(home, "data", "current") }
func configFile(home string) string     { return filepath.Join(home, "data", "current", "config.db") }
func eventsFolder(home string) string   { return filepath.Join(home, "events") }
func archivesFolder(home string) string { return filepath.Join(home, "archives") }

func eventsFile(home, day string) string { return filepath.Join(home, "events", day+".db") }
