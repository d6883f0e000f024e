package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sealgate/appliance"
	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/commands"
	"sealgate/control"
)

// history reads revisions, whether the role runs or not.
func history(ctx context.Context, home appliance.Home, x commands.History) (_ []commands.Revision, err error) {
	db, err := store.Open(ctx, string(home), store.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer closing(db)
	before, limit := int64(0), x.Limit
	if x.Number != 0 {
		before, limit = x.Number+1, 1
	}
	revisions, err := db.Revisions(ctx, before, limit)
	if err != nil {
		return nil, err
	}
	if x.Number != 0 && (len(revisions) == 0 || revisions[0].Number != x.Number) {
		return nil, noRevision(x.Number)
	}
	list := []commands.Revision{}
	for _, r := range revisions {
		list = append(list, shown(r, x.Number != 0))
		if err := leaveOut(list[len(list)-1].Difference); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// maxDocuments is how much of documents goes into the one answer of a job, in bytes as
// JSON.
const maxDocuments = control.MaxEvent / 2

// leaveOut takes the documents that are beyond it out.
func leaveOut(list []commands.Difference) error {
	size := 0
	for i, d := range list {
		text, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if size+len(text) > maxDocuments {
			list[i].Before, list[i].After, list[i].LeftOut = "", "", true
			continue
		}
		size += len(text)
	}
	return nil
}

func noRevision(number int64) error {
	return &commands.Failure{Exit: control.ExitFailed, Text: fmt.Sprintf("there is no revision %d", number), Hint: "impctl server history lists them"}
}

func shown(r store.Revision, whole bool) commands.Revision {
	out := commands.Revision{Number: r.Number, At: r.At, Author: r.Author, Summary: r.Summary, Changes: len(r.Difference)}
	if !whole {
		return out
	}
	for _, d := range r.Difference {
		out.Difference = append(out.Difference, difference(d))
	}
	return out
}

func difference(d store.Difference) commands.Difference {
	out := commands.Difference{Kind: model.Title(d.Kind), What: "changed"}
	if d.Before != nil {
		out.Name, out.Before = d.Before.Name, string(d.Before.Document)
	}
	if d.After != nil {
		out.Name, out.After = d.After.Name, string(d.After.Document)
	}
	switch {
	case d.Before == nil:
		out.What = "created"
	case d.After == nil:
		out.What = "deleted"
	case d.Before.Name != d.After.Name:
		out.Was = d.Before.Name
	}
	return out
}

func revert(ctx context.Context, home appliance.Home, x commands.Revert) (commands.RevertResult, error) {
	db, err := store.Open(ctx, string(home), store.Options{})
	if err != nil {
		return commands.RevertResult{}, err
	}
	defer closing(db)
	made, err := db.Revert(ctx, x.Number, x.Author)
	var refused *store.RevertError
	if errors.As(err, &refused) {
		hint := "impctl server history NUMBER shows what each revision did; deleted certificates and passwords must be given anew"
		return commands.RevertResult{}, &commands.Failure{Exit: control.ExitFailed, Text: err.Error(), Hint: hint}
	}
	return commands.RevertResult{To: x.Number, Revision: made}, err
}
