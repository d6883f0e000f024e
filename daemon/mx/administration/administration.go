// Package administration is the operations of the REST API that are about the
// management server itself: version, log level, challenge, licences, and tokens that
// let gateways register.
package administration

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"sealgate/appliance"
	"sealgate/appliance/certificate"
	"sealgate/appliance/licence"
	"sealgate/appliance/model"
	"sealgate/appliance/seal"
	"sealgate/appliance/store"
	"sealgate/appliance/token"
	"sealgate/control"
	"sealgate/daemon/mx/openapi"
)

// Codes of faults.
const (
	codeIllegal  = 10016
	codeMissing  = 10056
	codeNotYours = 10151
	codeInvalid  = 12101
	codeOther    = 12102 // another management server's
	codeProduct  = 12103
	codeExpired  = 12104
	codeLoaded   = 12107
	codeNothing  = 12108 // it grants nothing to a management server
)

// Config is what the operations work on.
type Config struct {
	Home  appliance.Home
	Store *store.Store
	Level *slog.LevelVar // of the role's log
	Log   *slog.Logger
}

// Operations are what a router needs.
func (c Config) Operations() []openapi.Operation {
	const base = "/v1/administration/"
	return []openapi.Operation{
		{Method: http.MethodGet, Path: base + "version", Out: []model.Field{{Name: "serverVersion", Type: model.Text}}, Do: version},
		{Method: http.MethodGet, Path: base + "adc/timestamp", Out: []model.Field{{Name: "adcTimestamp", Type: model.Int}}, Do: timestamp},
		{Method: http.MethodPut, Path: base + "log/level", In: levelFields, Codes: []int{codeIllegal}, Do: c.level},
		{Method: http.MethodGet, Path: base + "challenge", Out: []model.Field{{Name: "challenge", Type: model.Text}}, Do: c.challenge},
		{Method: http.MethodPost, Path: base + "license", In: licenseFields, Do: c.license,
			Codes: []int{codeMissing, codeInvalid, codeOther, codeProduct, codeExpired, codeLoaded, codeNothing}},
		{Method: http.MethodGet, Path: base + "gatewayRegistrationToken", Out: []model.Field{{Name: "registration-token", Type: model.Text}}, Codes: []int{codeNotYours}, Do: c.registrationToken},
	}
}

func version(context.Context, *openapi.Call) (any, error) {
	return map[string]string{"serverVersion": control.Version}, nil
}

// timestamp is the time of the content that inspection comes with: it is part of the
// program, so that of the sources that the program was built from. 0 is unknown.
func timestamp(context.Context, *openapi.Call) (any, error) {
	at := int64(0)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key != "vcs.time" {
				continue
			}
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil {
				at = t.UnixMilli()
			}
		}
	}
	return map[string]int64{"adcTimestamp": at}, nil
}

// levelFields have the one type of log that there is: the management server's.
var levelFields = []model.Field{
	{Name: "level", OneOf: []string{"debug", "info", "warn", "error"}, Code: codeIllegal, Required: codeIllegal},
	{Name: "type", OneOf: []string{"server"}, Code: codeIllegal},
}

var licenseFields = []model.Field{{Name: "licenseContent", Required: codeMissing, Code: codeInvalid}}

// level sets how much the management server logs, until it ends.
func (c Config) level(ctx context.Context, call *openapi.Call) (any, error) {
	sent, err := call.Read(ctx, levelFields)
	if err != nil {
		return nil, err
	}
	name := sent["level"].(string)
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return nil, err
	}
	if err := c.Store.Note(ctx, store.Change{Author: call.Caller.Name, Summary: "set the log level " + name}); err != nil {
		return nil, err
	}
	c.Level.Set(level)
	c.Log.Warn("the log level was changed", "level", level.String(), "user", call.Caller.Name)
	return nil, nil
}

func (c Config) challenge(context.Context, *openapi.Call) (any, error) {
	id, err := licence.ReadIdentity(c.Home)
	return map[string]string{"challenge": id.Challenge}, err
}

// license loads a licence. What it says is checked again at each look.
func (c Config) license(ctx context.Context, call *openapi.Call) (any, error) {
	sent, err := call.Read(ctx, licenseFields)
	if err != nil {
		return nil, err
	}
	text := sent["licenseContent"].(string)
	key := strings.Join(strings.Fields(text), "") // mail breaks lines
	if key == "" {
		return nil, openapi.Faultf(codeMissing, "field licenseContent is missing: the line that the vendor sent, which begins with %s", seal.Prefix)
	}
	l, err := c.accept(ctx, key)
	if err != nil {
		return nil, err
	}
	says, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	change := store.Change{Author: call.Caller.Name, Summary: "load licence " + l.ID}
	_, err = c.Store.Write(ctx, change, func(tx *store.Tx) error {
		return tx.AddLicence(ctx, store.Licence{ID: l.ID, Key: key}, says)
	})
	if errors.Is(err, store.ErrExists) {
		err = openapi.Faultf(codeLoaded, "licence %s is loaded already", l.ID)
	}
	return nil, err
}

func (c Config) accept(ctx context.Context, key string) (*seal.Licence, error) {
	id, err := licence.ReadIdentity(c.Home)
	if err != nil {
		return nil, err
	}
	at, err := licence.Now(ctx, c.Store, time.Now())
	if err != nil {
		return nil, err
	}
	l, err := seal.Accept(c.Home, key, id.Challenge, id.Deployment, at)
	if err != nil {
		return nil, refusal(err)
	}
	if n, _ := l.Count(seal.Gateways); n == 0 && len(licence.Features([]licence.Held{{Licence: l}})) == 0 {
		return nil, openapi.Faultf(codeNothing, "licence %s lets no gateway register and has no feature of a management server: %s", l.ID, strings.Join(l.Features, ", "))
	}
	return l, nil
}

// refusal gives a refused licence its code, and the reader what to do.
func refusal(err error) error {
	code := codeInvalid
	for kind, its := range map[error]int{seal.ErrBinding: codeOther, seal.ErrProduct: codeProduct, seal.ErrExpired: codeExpired} {
		if errors.Is(err, kind) {
			code = its
		}
	}
	text := err.Error()
	if fault, ok := errors.AsType[*appliance.Fault](err); ok && fault.Hint != "" {
		text += "; " + fault.Hint
	}
	return openapi.Faultf(code, "%s", text)
}

// registrationToken makes a fresh token: a GET that gives rights, so it is for who
// may everything.
func (c Config) registrationToken(ctx context.Context, call *openapi.Call) (any, error) {
	if call.Caller.ReadOnly || call.Caller.Sites != nil {
		return nil, openapi.Faultf(codeNotYours, "a registration token is for an administrator of all sites, and user %q is none", call.Caller.Name)
	}
	pin, err := certificate.LinkPin(c.Home)
	if err != nil {
		return nil, err
	}
	t := token.New(pin)
	change := store.Change{Author: call.Caller.Name, Summary: "make a registration token"}
	_, err = c.Store.Write(ctx, change, func(tx *store.Tx) error {
		return tx.AddRegistrationToken(ctx, call.Caller.Name, t.Verifier(), time.Now().Add(token.Life))
	})
	return map[string]string{"registration-token": t.String()}, err
}
