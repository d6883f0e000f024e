package model

import (
	"encoding/json"
	"fmt"
	"slices"
)

// DefaultObject is a default, ready to be stored.
type DefaultObject struct {
	ID, ParentID, Kind, Name string
	Document                 []byte
}

// Defaults are the objects of a fresh server, parents before children.
func Defaults() ([]DefaultObject, error) {
	var list []DefaultObject
	for _, k := range Kinds {
		for _, d := range k.Defaults {
			document, err := json.Marshal(d.Document)
			if err != nil {
				return nil, fmt.Errorf("default %s %q: %w", k.Name, d.Name, err)
			}
			o := DefaultObject{ParentID: RootID, Kind: k.Name, Name: d.Name, Document: document}
			o.ID = d.id(k.Name)
			if len(d.Under) > 0 {
				o.ParentID = DefaultID(k.Parent, d.Under...)
			}
			list = append(list, o)
		}
	}
	return list, nil
}

// object writes default documents down.
type object = map[string]any

func (d Default) id(kind string) string {
	return DefaultID(kind, append(slices.Clone(d.Under), d.Name)...)
}

var defaultIDs = func() map[string]bool {
	ids := make(map[string]bool)
	for _, k := range Kinds {
		for _, d := range k.Defaults {
			ids[d.id(k.Name)] = true
		}
	}
	return ids
}()

// IsDefault reports whether an id is a default object's. Defaults can be changed
// and renamed, but not deleted.
func IsDefault(id string) bool { return defaultIDs[id] }
