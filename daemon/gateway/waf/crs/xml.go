package crs

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
)

func init() {
	plugins.RegisterBodyProcessor("xml", func() plugintypes.BodyProcessor { return xmlProcessor{} })
}

// xmlProcessor takes the place of Coraza's, which forgets what it read before a fault,
// and takes a text apart where a comment is, as no server does.
type xmlProcessor struct{}

func (xmlProcessor) ProcessRequest(r io.Reader, v plugintypes.TransactionVariables, _ plugintypes.BodyProcessorOptions) error {
	d := xmlDocument{named: map[string][]string{}}
	err := d.read(r)
	all := v.RequestXML()
	all.Set("/*", d.texts)
	all.Set("//@*", d.attributes)
	for path, values := range d.named {
		all.Set(path, values)
	}
	return err
}

func (xmlProcessor) ProcessResponse(io.Reader, plugintypes.TransactionVariables, plugintypes.BodyProcessorOptions) error {
	return nil
}

// XMLTexts are the texts and attributes of XML, as far as it can be read.
func XMLTexts(r io.Reader) []string {
	var d xmlDocument
	_ = d.read(r) // what comes behind a fault is no document
	return append(d.texts, d.attributes...)
}

// XMLValues are the texts and attributes of a body of XML by the path of their names:
// order.item.price. No rule asks for them.
func (t *Transaction) XMLValues() []types.MatchData {
	return slices.DeleteFunc(t.Variables().RequestXML().FindAll(), func(d types.MatchData) bool { return strings.HasPrefix(d.Key(), "/") })
}

// xmlDocument is what is seen of one.
type xmlDocument struct {
	texts, attributes []string
	named             map[string][]string
	names             int             // bytes of the paths in named
	path              []byte          // of the element that is open
	above             []int           // lengths of the paths of those around it
	text              strings.Builder // since an element began or ended
	begun             bool            // with a declaration or anything else
}

// Bounds of names, in bytes: of one path, and of all.
const (
	longestPath = 1 << 10
	mostNames   = 1 << 20
)

var errNames = errors.New("the names of the document's elements are too long")

// errEntities refuses what servers may read as something else than stands there,
// errCharset what no server reads. A second charset would be one on top of the first.
var (
	errEntities = errors.New("the document declares entities, or names a file that may")
	errCharset  = errors.New("the document declares a charset after its begin")
)

func (d *xmlDocument) read(r io.Reader) error {
	in := xml.NewDecoder(r)
	in.Strict, in.AutoClose, in.Entity, in.CharsetReader = false, xml.HTMLAutoClose, xml.HTMLEntity, d.charset
	defer d.flush()
	for d.names < mostNames {
		token, err := in.Token()
		if wrong := (*xml.SyntaxError)(nil); err == io.EOF || errors.As(err, &wrong) && wrong.Msg == "unexpected EOF" {
			return nil // servers refuse a document without its end
		}
		if err != nil {
			return err
		}
		d.begun = true
		switch token := token.(type) {
		case xml.StartElement:
			d.flush()
			if err := d.open(token.Name.Local); err != nil {
				return err
			}
			for _, a := range token.Attr {
				d.attributes = append(d.attributes, a.Value)
				if err := d.open(a.Name.Local); err != nil {
					return err
				}
				d.note(a.Value)
				d.close()
			}
		case xml.EndElement:
			d.flush()
			d.close()
		case xml.CharData:
			d.text.Write(token)
		case xml.Comment:
			d.texts = append(d.texts, string(token))
		case xml.Directive:
			for _, word := range []string{"<!ENTITY", "SYSTEM", "PUBLIC"} {
				if bytes.Contains(token, []byte(word)) {
					return errEntities
				}
			}
		}
	}
	return errNames
}

func (d *xmlDocument) flush() {
	if text := strings.TrimSpace(d.text.String()); text != "" {
		d.texts = append(d.texts, text)
		d.note(text)
	}
	d.text.Reset()
}

func (d *xmlDocument) open(name string) error {
	d.above = append(d.above, len(d.path))
	if len(d.path) > 0 {
		d.path = append(d.path, '.')
	}
	d.path = append(d.path, name...)
	if len(d.path) > longestPath {
		return errNames
	}
	return nil
}

func (d *xmlDocument) close() {
	if last := len(d.above) - 1; last >= 0 {
		d.path, d.above = d.path[:d.above[last]], d.above[:last]
	}
}

// note notes a value at the path, where anybody wants to know it.
func (d *xmlDocument) note(value string) {
	if d.named == nil {
		return
	}
	known, ok := d.named[string(d.path)]
	if !ok {
		d.names += len(d.path)
	}
	d.named[string(d.path)] = append(known, value)
}

// charset reads what is not UTF-8. Of windows-1252 it is enough to read what is ISO
// 8859-1 too: no rule asks for the rest.
func (d *xmlDocument) charset(label string, in io.Reader) (io.Reader, error) {
	if d.begun {
		return nil, errCharset
	}
	switch strings.ToLower(label) {
	case "us-ascii", "iso-8859-1", "latin1", "windows-1252":
		return latin1{in}, nil
	}
	return nil, fmt.Errorf("the charset %q is not read", label)
}

// latin1 reads ISO 8859-1.
type latin1 struct{ in io.Reader }

func (l latin1) Read(p []byte) (int, error) {
	encoded := make([]byte, len(p)/2)
	n, err := l.in.Read(encoded)
	out := p[:0]
	for _, b := range encoded[:n] {
		out = utf8.AppendRune(out, rune(b))
	}
	return len(out), err
}
