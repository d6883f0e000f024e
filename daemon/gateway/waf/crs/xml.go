package crs

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/corazawaf/coraza/v3/experimental/plugins"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
)

func init() {
	plugins.RegisterBodyProcessor("xml", func() plugintypes.BodyProcessor { return xmlProcessor{} })
}

// xmlProcessor takes the place of Coraza's, which forgets what it read before a fault,
// and takes a text apart where a comment is, as no server does.
type xmlProcessor struct{}

func (xmlProcessor) ProcessRequest(r io.Reader, v plugintypes.TransactionVariables, _ plugintypes.BodyProcessorOptions) error {
	var d xmlDocument
	err := d.read(r)
	all := v.RequestXML()
	all.Set("/*", d.texts)
	all.Set("//@*", d.attributes)
	return err
}

func (xmlProcessor) ProcessResponse(io.Reader, plugintypes.TransactionVariables, plugintypes.BodyProcessorOptions) error {
	return nil
}

// xmlDocument is what the rules see of one.
type xmlDocument struct {
	texts, attributes []string
	text              strings.Builder // since an element began or ended
}

// errEntities refuses what servers may read as something else than stands there.
var errEntities = errors.New("the document declares entities")

func (d *xmlDocument) read(r io.Reader) error {
	in := xml.NewDecoder(r)
	in.Strict, in.AutoClose, in.Entity, in.CharsetReader = false, xml.HTMLAutoClose, xml.HTMLEntity, charset
	defer d.flush()
	for {
		token, err := in.Token()
		if wrong := (*xml.SyntaxError)(nil); err == io.EOF || errors.As(err, &wrong) && wrong.Msg == "unexpected EOF" {
			return nil // servers refuse a document without its end
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			d.flush()
			for _, a := range token.Attr {
				d.attributes = append(d.attributes, a.Value)
			}
		case xml.EndElement:
			d.flush()
		case xml.CharData:
			d.text.Write(token)
		case xml.Comment:
			d.texts = append(d.texts, string(token))
		case xml.Directive:
			if bytes.Contains(token, []byte("<!ENTITY")) {
				return errEntities
			}
		}
	}
}

func (d *xmlDocument) flush() {
	if text := strings.TrimSpace(d.text.String()); text != "" {
		d.texts = append(d.texts, text)
	}
	d.text.Reset()
}

// charset reads what is not UTF-8. Of windows-1252 it is enough to read what is ISO
// 8859-1 too: no rule asks for the rest.
func charset(label string, in io.Reader) (io.Reader, error) {
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
