package user

import (
	"errors"
	"strings"

	"sealgate/appliance/model"
)

// maxRoles is more than anybody has sites.
const maxRoles = 1000

// fields are what clients send of an account, a fresh one or one that is there.
func fields(fresh bool) []model.Field {
	password, roles := model.Field{Name: "password", Code: codePassword}, texts("roles", maxRoles)
	if fresh {
		password.Required, roles.Required = codePasswordMissing, codeRolesMissing
	}
	list := []model.Field{
		{Name: "authenticator", OneOf: []string{internal}, Code: codeAuthenticator},
		password, roles,
		{Name: "email", Max: maxText, Valid: validEmail, Code: codeEmail},
	}
	for _, name := range []string{"enabled", "locked", "readOnly"} { // the API has them as texts
		list = append(list, model.Field{Name: name, OneOf: []string{"true", "false"}})
	}
	for _, name := range []string{"fullName", "phone", "title", "location", "department"} {
		list = append(list, model.Field{Name: name, Max: maxText, Code: codeLength})
	}
	return list
}

func texts(name string, most int64) model.Field {
	return model.Field{Name: name, Type: model.List, Of: &model.Field{}, Max: most}
}

func validEmail(s string) error {
	if s != "" && !strings.Contains(s, "@") {
		return errors.New("must be an address NAME@HOST")
	}
	return nil
}
