package aws

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		`<R xmlns="urn:x"><a>1</a><set><item><k>x</k></item></set></R>`:               `{"a":"1","set":[{"k":"x"}]}`,
		`<?xml version="1.0"?><R><L><member>a</member><member>b</member></L><e/></R>`: `{"L":["a","b"],"e":""}`,
		`<R><x>1</x><x>2</x><x>3</x></R>`:                                             `{"x":["1","2","3"]}`,
		`<R><L><member><L><member/></L></member></L></R>`:                             `{"L":[{"L":[""]}]}`,
	} {
		got, err := decode(strings.NewReader(in))
		data, _ := json.Marshal(got)
		if err != nil || string(data) != want {
			t.Errorf("%s is %s, %v", in, data, err)
		}
	}
}

// Whatever is answered, it is JSON or an error.
func FuzzDecode(f *testing.F) {
	f.Add(`<R xmlns="urn:x"><a>1</a><set><item><k>x</k></item></set></R>`)
	f.Add(`<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>`)
	f.Add(`<R><item>a</item><x/><item><item/></item></R>`)
	f.Add(`<a>&#x1b;<![CDATA[<]]></a>`)
	f.Fuzz(func(t *testing.T, in string) {
		content, err := decode(strings.NewReader(in))
		if err != nil {
			return
		}
		if _, err := json.Marshal(content); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		content.list("reservationSet")
		content.object("Error").text("Code")
	})
}
