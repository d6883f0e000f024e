package openapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
)

// Two parts of a web profile are written by hand: a header is put without its name
// in the path, and directories, a bare list, are those that the URLs lie in.

const profilePath = "/v1/conf/webProfile/{siteName}/{serverGroupName}/{webServiceName}/{webApplicationName}"

func (a *API) profileOperations() []Operation {
	r := a.at(model.WebProfile, profilePath)
	return []Operation{
		{Method: http.MethodPut, Path: profilePath + "/headers", Resource: model.WebProfile, Summary: "put a header into a web profile",
			In: model.ProfileHeader, Codes: append(r.missingCodes(), 10015), Do: r.putHeader},
		{Method: http.MethodGet, Path: profilePath + "/directories", Resource: model.WebProfile, Summary: "list the directories of a web profile",
			Out: model.ProfileDirectory, BareOut: true, Codes: r.missingCodes(), Do: r.directories},
		{Method: http.MethodPut, Path: profilePath + "/directories", Resource: model.WebProfile, Summary: "lock and unlock directories of a web profile",
			In: model.ProfileDirectory, BareIn: true, Codes: append(r.missingCodes(), 10135), Do: r.putDirectories},
	}
}

// field is a declared field of the kind.
func (r resource) field(name string) model.Field {
	i := slices.IndexFunc(r.kind.Fields, func(f model.Field) bool { return f.Name == name })
	return r.kind.Fields[i]
}

func (r resource) putHeader(ctx context.Context, c *Call) (any, error) {
	body, err := c.Object()
	if err != nil {
		return nil, err
	}
	return nil, r.write(ctx, c, "put a header into a web profile", func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, r.steps)
		if err != nil {
			return err
		}
		return r.update(ctx, c, tx, chain, []model.Field{r.field("headers")}, map[string]any{"headers": []any{body}}, false)
	})
}

type directory struct {
	FullPath string `json:"fullPath"`
	Locked   bool   `json:"locked"`
}

// directoriesOf are the directories of the URLs of a profile, by path.
func directoriesOf(profile store.Object) ([]directory, error) {
	document, err := documentOf(profile)
	if err != nil {
		return nil, err
	}
	locked := make(map[string]bool)
	kept, _ := document["directories"].([]any)
	for _, entry := range kept {
		d, _ := entry.(map[string]any)
		locked[textIn(d, "fullPath")] = d["locked"] == true
	}
	urls, _ := document["webProfileUrls"].([]any)
	for _, entry := range urls {
		u, _ := entry.(map[string]any)
		path := textIn(u, "urlFullPath")
		for i := strings.LastIndex(path, "/"); i >= 0; i = strings.LastIndex(path[:i], "/") {
			if _, ok := locked[path[:i+1]]; !ok {
				locked[path[:i+1]] = false
			}
		}
	}
	list := make([]directory, 0, len(locked))
	for path, l := range locked {
		list = append(list, directory{path, l})
	}
	slices.SortFunc(list, func(a, b directory) int { return strings.Compare(a.FullPath, b.FullPath) })
	return list, nil
}

func (r resource) directories(ctx context.Context, c *Call) (any, error) {
	var list []directory
	err := r.store.Read(ctx, func(q *store.Reader) error {
		chain, err := c.locate(ctx, q, r.steps)
		if err != nil {
			return err
		}
		list, err = directoriesOf(chain[len(chain)-1])
		return err
	})
	return list, err
}

func (r resource) putDirectories(ctx context.Context, c *Call) (any, error) {
	body, err := c.JSON()
	if err != nil {
		return nil, err
	}
	sent, ok := body.([]any)
	if !ok {
		return nil, Faultf(10002, "the body must be a list of objects with fullPath and locked")
	}
	return nil, r.write(ctx, c, "change the directories of a web profile", func(tx *store.Tx) error {
		chain, err := c.locate(ctx, tx, r.steps)
		if err != nil {
			return err
		}
		list, err := directoriesOf(chain[len(chain)-1])
		if err != nil {
			return err
		}
		var faults Faults
		for i, entry := range sent {
			if len(faults) > maxFaults {
				return faults
			}
			d, _ := entry.(map[string]any)
			path := textIn(d, "fullPath")
			if !slices.ContainsFunc(list, func(d directory) bool { return d.FullPath == path }) {
				faults = append(faults, Fault{Code: 10135, Description: fmt.Sprintf("[%d].fullPath is %q, which is no directory of the profile's URLs", i, short(path))})
			}
		}
		if len(faults) > 0 {
			return faults
		}
		return r.update(ctx, c, tx, chain, []model.Field{r.field("directories")}, map[string]any{"directories": sent}, false)
	})
}
