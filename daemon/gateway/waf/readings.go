package waf

import (
	"bytes"
	"encoding/json"
	"mime"
	"regexp"
	"strings"

	"sealgate/daemon/gateway/waf/crs"
)

// readings looks at a body as servers may read it that do so in another way than its
// parser here: what they may find is looked at too, and where nobody can tell what that
// is, the body is unreadable.
func (t *transaction) readings() {
	if t.view.length == 0 {
		return
	}
	kind := strings.Join(t.request.Header.Values("Content-Type"), ",")
	if oddCharset(kind) {
		t.unreadable()
	}
	also := finds{tx: t.tx}
	switch t.tx.Variables().RequestBodyProcessor().Get() {
	case "JSON", "XML":
	case "MULTIPART":
		t.readParts(kind, &also)
	default:
		t.readDisguised(&also)
	}
	also.end()
}

// finds are values that some servers find in a body, and others do not. What says no to
// bodies that are merely large, or to files, has no reason to: there are few of them, none
// is long, and none has null characters.
type finds struct {
	tx   *crs.Transaction
	n    int
	rest []byte
}

const (
	mostFinds   = 500
	longestFind = 32 << 10
	findOverlap = 1 << 10
)

// add has the rules look at a name and a value. Arguments of the path are arguments that
// nothing in a body can take the place of.
func (f *finds) add(name, value string) {
	value = strings.ReplaceAll(value, "\x00", "")
	if f.n++; f.n > mostFinds {
		f.rest = append(append(append(append(f.rest, name...), '\n'), value...), '\n')
		return
	}
	f.put(name, value)
}

// put adds a value in pieces.
func (f *finds) put(name, value string) {
	for len(value) > longestFind {
		f.tx.AddPathRequestArgument(name, value[:longestFind])
		value = value[longestFind-findOverlap:]
	}
	f.tx.AddPathRequestArgument(name, value)
}

// end adds what is left of the values that are too many, in one.
func (f *finds) end() {
	if len(f.rest) > 0 {
		f.put("rest", string(f.rest))
	}
}

var (
	charset      = regexp.MustCompile(`(?i)charset[^=;]{0,8}=`)
	knownCharset = regexp.MustCompile(`(?i);[ \t]*charset=` + asciiCharset + `[ \t]*(?:;|,|$)`)
	charsetName  = regexp.MustCompile(`(?i)^` + asciiCharset + `$`)
)

// asciiCharset is one in which ASCII is what it is everywhere: the rules read it.
const asciiCharset = `["']?(?:utf-?8|(?:us-)?ascii|iso-8859-[0-9]{1,2}|latin-?1|windows-(?:125[0-8]|874|31j)|koi8-[ru]|gb2312|gbk|gb18030|big5|euc-(?:jp|kr|tw)|shift_jis|tis-620)["']?`

// oddCharset says whether a content type names a charset in which a server would read
// other words than stand there: UTF-7, UTF-16, EBCDIC.
func oddCharset(kind string) bool {
	said := len(charset.FindAllString(kind, 2))
	return said > 1 || said == 1 && !knownCharset.MatchString(kind)
}

// readDisguised looks at the values of JSON and of XML that come as something else: many
// servers never ask for the type. Their other reading, as text, is looked at as well.
func (t *transaction) readDisguised(also *finds) {
	switch t.view.begins {
	case '{', '[', '"':
		readJSON(strings.TrimPrefix(t.view.body(), "\ufeff"), also)
	case '<':
		for _, text := range crs.XMLTexts(strings.NewReader(t.view.body())) {
			also.add("xml", text)
		}
	}
}

// readJSON finds names and values as far as the text is JSON. Of what is no text the name
// is enough, once.
func readJSON(text string, also *finds) {
	in := json.NewDecoder(strings.NewReader(text))
	var objects []bool // of what is open, whether it is an object
	name, isName, told := "", false, ""
	for {
		token, err := in.Token()
		if err != nil {
			return
		}
		last := len(objects) - 1
		switch token := token.(type) {
		case json.Delim:
			if token == '{' || token == '[' {
				objects = append(objects, token == '{')
			} else {
				objects = objects[:last]
			}
			isName = len(objects) > 0 && objects[len(objects)-1]
			continue
		case string:
			if isName {
				name, isName = token, false
				continue
			}
			also.add("json."+name, token)
		default:
			if name != told {
				also.add("json."+name, "")
				told = name
			}
		}
		isName = last >= 0 && objects[last]
	}
}

// readParts looks at a multipart body. Servers agree about one whose boundary stands
// where it has to and nowhere else; of a part they agree that it is a file where that is
// said plainly. Every other file may be a value to some of them, and is looked at.
func (t *transaction) readParts(kind string, also *finds) {
	_, parameters, err := mime.ParseMediaType(kind)
	if err != nil {
		t.unreadable()
		return
	}
	parts, clear := split(t.view.body(), parameters["boundary"], t.cut())
	if len(parts) > crs.ArgumentLimit {
		t.tx.TooManyParts()
		for _, part := range parts {
			also.add("part", part)
		}
	}
	for i, part := range parts {
		clear = readPart(part, t.cut() && i == len(parts)-1, also) && clear
	}
	if !clear {
		t.unreadable()
	}
}

// split takes a multipart body apart, and says whether every server would do so alike.
// One that was cut lacks its end.
func split(body, boundary string, cut bool) (parts []string, clear bool) {
	pieces := strings.Split(body, "--"+boundary)
	last := len(pieces) - 1
	if boundary == "" || last < 1 {
		return nil, false
	}
	parts, clear = pieces[1:last], pieces[0] == "" || pieces[0] == "\r\n"
	end := pieces[last]
	switch over, ended := strings.CutPrefix(end, "--"); {
	case ended:
		clear = clear && strings.Trim(over, "\r\n") == ""
	case !cut:
		clear = false
	case len(end) >= len("\r\n"):
		parts = append(parts, end+"\r\n")
	}
	for i, part := range parts {
		inner, begun := strings.CutPrefix(part, "\r\n")
		inner, ended := strings.CutSuffix(inner, "\r\n")
		parts[i], clear = inner, clear && begun && ended
	}
	return parts, clear
}

var (
	// plainFile is how a file is announced that is one to every server.
	plainFile = regexp.MustCompile(`(?i)^form-data; ?name=(?:"[^"\\]*"|[a-z0-9_.\[\]-]+); ?filename=(?:"[^"\\]*"|[^"'\\;= ]+)(?:; ?filename\*=utf-8'[a-z-]*'[^"'\\;= ]*)?$`)
	// fieldName is a part's name, or what may be.
	fieldName = regexp.MustCompile(`(?i)name="?([^";]*)`)
	// charsetField says the charset of all fields.
	charsetField = regexp.MustCompile(`(?i)name="?_charset_`)
)

// readPart says whether every server reads a part alike. The end of the last one may be
// missing.
func readPart(part string, last bool, also *finds) (clear bool) {
	head, value, found := strings.Cut("\r\n"+part, "\r\n\r\n")
	if !found {
		return last
	}
	disposition, kind := "", ""
	clear = true
	for line := range strings.SplitSeq(strings.TrimPrefix(head, "\r\n"), "\r\n") {
		name, said, ok := strings.Cut(line, ":")
		if line != "" && (!ok || !isToken(name)) || strings.ContainsAny(line, "\r\n\x00") {
			clear = false
		}
		said = strings.Trim(said, " \t")
		switch strings.ToLower(name) {
		case "content-disposition":
			disposition = said
		case "content-type":
			kind = said
		case "content-transfer-encoding":
			switch strings.ToLower(said) {
			case "7bit", "8bit", "binary":
			default: // some servers decode it
				clear = false
			}
		}
	}
	if plainFile.MatchString(disposition) {
		return clear
	}
	if named := fieldName.FindStringSubmatch(disposition); named != nil && strings.Contains(strings.ToLower(disposition), "filename") {
		also.add(named[1], value)
	}
	return clear && !oddCharset(kind) && !strings.HasPrefix(strings.ToLower(kind), "multipart/") &&
		(!charsetField.MatchString(disposition) || charsetName.MatchString(strings.TrimSpace(value)))
}

// firstByte is the first of a text that is no white space, 0 where there is none.
func firstByte(text []byte) byte {
	if text = bytes.TrimLeft(text, "\ufeff \t\r\n"); len(text) > 0 {
		return text[0]
	}
	return 0
}
