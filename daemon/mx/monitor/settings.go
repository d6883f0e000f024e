package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"sealgate/appliance/model"
	"sealgate/appliance/store"
	"sealgate/daemon/errand"
	"sealgate/daemon/mx/openapi"
)

// Codes of faults of settings.
const (
	codeIllegalText = 10016
	codeEmpty       = 10071
	codeLength      = 10145
	codeNoActionSet = 10701
)

// settings are operations by hand: their POST changes what is there already, which
// that of a declared resource refuses.
func (c Config) settings() []openapi.Operation {
	const archive, export = "/experimental/archive-settings/{archiveSettingsName}", "/experimental/system-export"
	return []openapi.Operation{
		{Method: http.MethodGet, Path: archive, Out: archiveFields, Codes: []int{codeIllegalText}, Do: c.readArchive},
		{Method: http.MethodPost, Path: archive, In: archiveFields, Codes: []int{codeIllegalText, codeEmpty, codeLength}, Do: c.writeArchive},
		{Method: http.MethodPost, Path: export, Codes: []int{codeBusy}, Do: c.export},
		{Method: http.MethodGet, Path: export + "/config", Out: exportFields, Do: c.readExport},
		{Method: http.MethodPost, Path: export + "/config", In: exportFields, Codes: []int{codeIllegalText, codeNoActionSet}, Do: c.writeExport},
	}
}

var (
	archiveFields = []model.Field{
		{Name: "am-archive-file-name-format"}, {Name: "audit-archive-file-name-format"}, {Name: "signature-key-alias"}, {Name: "encryption-key-alias"},
	}
	exportFields = []model.Field{{Name: "action-set"}}
)

func (c Config) readArchive(ctx context.Context, call *openapi.Call) (any, error) {
	name := call.Path["archiveSettingsName"]
	o, err := c.Store.Find(ctx, model.RootID, model.ArchiveSettings, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, openapi.Faultf(codeIllegalText, "archiveSettingsName is %q, and there are no such archive settings", short(name))
	}
	return o.Document, err
}

func (c Config) writeArchive(ctx context.Context, call *openapi.Call) (any, error) {
	sent, err := call.Read(ctx, archiveFields)
	if err != nil {
		return nil, err
	}
	return nil, c.merge(ctx, call, model.ArchiveSettings, call.Path["archiveSettingsName"], sent)
}

// readExport answers the name of the action set, whatever it is by now.
func (c Config) readExport(ctx context.Context, _ *openapi.Call) (any, error) {
	var document struct {
		ActionSet string `json:"action-set"`
	}
	o, err := c.Store.Find(ctx, model.RootID, model.SystemExport, model.SystemExport)
	if errors.Is(err, store.ErrNotFound) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(o.Document, &document); err != nil || document.ActionSet == "" {
		return map[string]string{}, err
	}
	set, err := c.Store.Get(ctx, document.ActionSet)
	return map[string]string{"action-set": set.Name}, err
}

func (c Config) writeExport(ctx context.Context, call *openapi.Call) (any, error) {
	sent, err := call.Read(ctx, exportFields)
	if err != nil {
		return nil, err
	}
	if name, _ := sent["action-set"].(string); name != "" {
		set, err := c.Store.Find(ctx, model.RootID, model.ActionSet, name)
		if errors.Is(err, store.ErrNotFound) {
			return nil, openapi.Faultf(codeNoActionSet, "action-set is %q, and there is no such action set", short(name))
		}
		if err != nil {
			return nil, err
		}
		sent["action-set"] = set.ID
	}
	return nil, c.merge(ctx, call, model.SystemExport, model.SystemExport, sent)
}

// merge changes the fields that were sent of an object, which it makes where it is
// missing.
func (c Config) merge(ctx context.Context, call *openapi.Call, kind, name string, sent map[string]any) error {
	if name == "" {
		return openapi.Faultf(codeEmpty, "the name must not be empty")
	}
	_, err := c.Store.Write(ctx, store.Change{Author: call.Caller.Name, Summary: "change " + kind + " " + name}, func(tx *store.Tx) error {
		o, err := tx.Find(ctx, model.RootID, kind, name)
		missing := errors.Is(err, store.ErrNotFound)
		if err != nil && !missing {
			return err
		}
		document := make(map[string]any)
		if !missing {
			if err := json.Unmarshal(o.Document, &document); err != nil {
				return err
			}
		}
		maps.Copy(document, sent)
		raw, err := json.Marshal(document)
		if err != nil {
			return err
		}
		if missing {
			_, err = tx.Create(ctx, store.Object{ParentID: model.RootID, Kind: kind, Name: name, Document: raw})
			return err
		}
		return tx.Update(ctx, o.ID, raw)
	})
	if errors.Is(err, store.ErrInvalid) {
		return openapi.Faultf(codeLength, "name %q: %s", short(name), err)
	}
	return err
}

// export starts an export without secrets into the export folder. It is done when
// GET /v1/management/jobs has it no more.
func (c Config) export(ctx context.Context, call *openapi.Call) (any, error) {
	if err := c.Store.Note(ctx, store.Change{Author: call.Caller.Name, Summary: "ask for an export"}); err != nil {
		return nil, err
	}
	err := c.Daemon.StartExport(ctx)
	if errors.Is(err, errand.ErrBusy) {
		return nil, openapi.Faultf(codeBusy, "%s", err)
	}
	return nil, err
}
