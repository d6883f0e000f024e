package openapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sealgate/appliance/model"
	"sealgate/control"
)

// The OpenAPI document is written by hand because it is about all the others.
func (a *API) documentOperations() []Operation {
	once := sync.OnceValues(func() ([]byte, error) { return model.AppendJSON(nil, a.document()) })
	return []Operation{{
		Method: http.MethodGet, Path: "/v1/openapi.json", Open: true, Summary: "read this document",
		Do: func(context.Context, *Call) (any, error) {
			text, err := once()
			return json.RawMessage(text), err
		},
	}}
}

type object = map[string]any

// document describes all operations as OpenAPI 3.1.
func (a *API) document() object {
	paths := make(object)
	for _, op := range a.all {
		item, _ := paths[op.Path].(object)
		if item == nil {
			item = object{"parameters": pathParameters(op.Path)}
			paths[op.Path] = item
		}
		item[strings.ToLower(op.Method)] = describe(op)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{"title": "Sealgate management server", "version": control.Version,
			"description": "Every success is 200, every fault of a request 406 with one entry in errors for each, 401 says that there is no session, and 404 that there is no such URL."},
		"servers": []object{{"url": Base}},
		"paths":   paths,
		"components": object{
			"schemas": object{"errors": object{
				"type": "object", "required": []string{"errors"},
				"properties": object{"errors": object{"type": "array", "items": object{
					"type": "object", "required": []string{"error-code", "description"},
					"properties": object{"error-code": object{"type": "string"}, "description": object{"type": "string"}},
				}}},
			}},
			"securitySchemes": object{
				"session": object{"type": "apiKey", "in": "cookie", "name": "JSESSIONID"},
				"login":   object{"type": "http", "scheme": "basic"},
			},
		},
	}
}

func pathParameters(path string) []object {
	list := []object{}
	for _, name := range braces(path) {
		list = append(list, object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	return list
}

func describe(op Operation) object {
	success := object{"description": "done"}
	if op.Out != nil {
		success["content"] = jsonContent(op.Out, op.BareOut)
	}
	o := object{
		"operationId": operationID(op), "summary": op.Summary,
		"responses": object{"200": success, "406": refusal(faultWords(slices.Concat(op.Codes, model.Codes(op.In)))), "401": refusal("there is no session")},
		"security":  []object{{"session": []string{}}},
	}
	if op.Open {
		o["security"] = []object{}
	}
	if tag := op.Resource; tag != "" {
		o["tags"] = []string{tag}
	}
	if op.In != nil {
		o["requestBody"] = object{"content": jsonContent(op.In, op.BareIn)}
	}
	var query []object
	for _, name := range op.Query {
		query = append(query, object{"name": name, "in": "query", "schema": object{"type": "string"}})
	}
	if query != nil {
		o["parameters"] = query
	}
	return o
}

func operationID(op Operation) string {
	return strings.ToLower(op.Method) + strings.NewReplacer("/", "-", "{", "", "}", "", ".", "-").Replace(op.Path)
}

func faultWords(codes []int) string {
	slices.Sort(codes)
	words := []string{}
	for _, code := range slices.Compact(codes) {
		words = append(words, "IMP-"+strconv.Itoa(code))
	}
	if len(words) == 0 {
		return "the request is at fault"
	}
	return "the request is at fault: " + strings.Join(words, ", ") + " and what any request may have"
}

func refusal(words string) object {
	return object{"description": words, "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/errors"}}}}
}

func jsonContent(fields []model.Field, bare bool) object {
	schema := recordSchema(fields)
	if len(fields) == 1 && fields[0].Name == "" {
		schema = schemaOf(fields[0])
	}
	if bare {
		schema = object{"type": "array", "items": schema}
	}
	return object{"application/json": object{"schema": schema}}
}

func recordSchema(fields []model.Field) object {
	properties := make(object, len(fields))
	for _, f := range fields {
		properties[f.Name] = schemaOf(f)
		if f.Operations() {
			properties[f.Name].(object)["items"].(object)["properties"].(object)["operation"] = object{"type": "string", "enum": []string{model.OpAdd, model.OpUpdate, model.OpRemove}}
		}
	}
	return object{"type": "object", "properties": properties}
}

func schemaOf(f model.Field) object {
	var s object
	switch f.Type {
	case model.Int:
		s = object{"type": "integer", "minimum": f.Min, "maximum": f.Max}
	case model.Bool:
		s = object{"type": "boolean"}
	case model.List:
		s = object{"type": "array", "items": schemaOf(*f.Of)}
	case model.Record, model.Place:
		s = recordSchema(f.Fields)
	case model.Map:
		s = object{"type": "object", "additionalProperties": schemaOf(*f.Of)}
	case model.Any:
		s = object{}
	default:
		s = object{"type": "string"}
		if len(f.OneOf) > 0 {
			s["enum"] = f.OneOf
		}
		if f.Type == model.Secret {
			s["writeOnly"] = true
		}
	}
	if f.Default != nil {
		s["default"] = f.Default
	}
	if f.ReadOnly {
		s["readOnly"] = true
	}
	if f.Null {
		s["type"] = []string{"string", "null"}
	}
	return s
}
