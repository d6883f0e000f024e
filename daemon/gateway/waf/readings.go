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
	rest strings.Builder
	told string // the name that rest has last
}

const (
	mostFinds   = 500
	longestFind = 32 << 10
	findOverlap = 1 << 10
	longestName = 256
)

// name is what values get for their name, once for all of them: one that is long is a
// value itself, and its begin stands for it.
func (f *finds) name(name string) string {
	if len(name) <= longestName {
		return name
	}
	f.add("name", name)
	return name[:longestName]
}

// add has the rules look at a name and a value. Arguments of the path are arguments that
// nothing in a body can take the place of. Of those that are too many each text is
// written once: they grow with the body alone.
func (f *finds) add(name, value string) {
	f.tx.Spend(len(value) + 1)
	value = strings.ReplaceAll(value, "\x00", "")
	if f.n++; f.n <= mostFinds {
		f.put(name, value)
		return
	}
	if name != f.told {
		f.rest.WriteString(name + "\n")
		f.told = name
	}
	f.rest.WriteString(value + "\n")
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
	if f.rest.Len() > 0 {
		f.put("rest", f.rest.String())
	}
}

var (
	charset = regexp.MustCompile(`(?i)charset([^=;,]*)=[ \t]*["']?([^;,"']*)["']?[ \t]*([^;,]*)`)
	// asciiCharset is one in which ASCII is what it is everywhere: the rules read it. Of
	// what is unknown nobody can tell: Python reads even unicode_escape.
	asciiCharset = regexp.MustCompile(`^(?:x|cs)?(?:(?:unicode11)?utf8(?:mb[34]|sig)?|cesu8|(?:us)?ascii|ansix341968|iso646us|` +
		`(?:iso)?8859(?:[0-9]{1,2})?[ei]?(?:1[0-9]{3})?|(?:iso)?latin[0-9]{0,2}|l[1-9]|` +
		`(?:windows|win|cp|ms)?(?:125[0-8]|874|31j|93[26]|949|950)|(?:cp|ibm)?(?:437|720|737|775|85[02578]|86[0-356]|869)|` +
		`koi8(?:r|u|ru|t)?|gb2312(?:80)?|gbk|gb18030|euc(?:cn|jp|kr|tw)(?:ms|win)?|big5(?:hkscs)?|cnbig5|` +
		`shiftjis|sjis(?:win)?|mskanji|ujis|ksc5601(?:19[0-9]{2})?|uhc|tis620|viscii|` +
		`macintosh|mac(?:roman|cyrillic|ce|latin2|greek|turkish|iceland|ukrainian)|undefined|null|none)?$`)
	spelling = strings.NewReplacer("-", "", "_", "", ".", "", ":", "")
)

func isASCIICharset(name string) bool {
	return asciiCharset.MatchString(spelling.Replace(strings.ToLower(strings.TrimSpace(name))))
}

// oddCharset says whether a content type names a charset in which a server would read
// other words than stand there: UTF-7, UTF-16, EBCDIC.
func oddCharset(kind string) bool {
	said := charset.FindAllStringSubmatch(kind, 2)
	return len(said) > 1 || len(said) == 1 && (strings.TrimSpace(said[0][1])+said[0][3] != "" || !isASCIICharset(said[0][2]))
}

// readDisguised looks at the values of JSON and of XML that come as something else: many
// servers never ask for the type. Their other reading, as text, is looked at as well.
func (t *transaction) readDisguised(also *finds) {
	switch t.view.begins {
	case '{', '[', '"':
		t.tx.Spend(len(t.view.body()))
		readJSON(strings.TrimPrefix(t.view.body(), "\ufeff"), also)
	case '<':
		t.tx.Spend(len(t.view.body()))
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
	name, isName, told := "json.", false, ""
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
				name, isName = "json."+also.name(token), false
				continue
			}
			also.add(name, token)
		default:
			if name != told {
				also.add(name, "")
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
	body, boundary := t.view.body(), parameters["boundary"]
	if boundary == "" {
		t.unreadable()
		return
	}
	t.tx.Spend(len(body) + partWork*strings.Count(body, "--"+boundary))
	parts, clear := split(body, boundary, t.cut())
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

// partWork is what looking at a part's head costs, whatever it says.
const partWork = 500

// split takes a multipart body apart, and says whether every server would do so alike.
// One that was cut lacks its end.
func split(body, boundary string, cut bool) (parts []string, clear bool) {
	pieces := strings.Split(body, "--"+boundary)
	last := len(pieces) - 1
	if last < 1 {
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
	if isPlainFile(disposition) {
		return clear
	}
	if named := fieldName.FindStringSubmatch(disposition); named != nil && strings.Contains(strings.ToLower(disposition), "filename") {
		also.add(also.name(named[1]), value)
	}
	return clear && !oddCharset(kind) && !strings.HasPrefix(strings.ToLower(kind), "multipart/") &&
		(!charsetField.MatchString(disposition) || isASCIICharset(value))
}

var (
	// dispositionPart is a parameter of a Content-Disposition: a name, and a value in
	// quotes or not.
	dispositionPart = regexp.MustCompile(`^; *([A-Za-z0-9_.*-]+)=(?:"((?:[^"\\]|\\+[^"\\]|(?:\\\\)*\\")*)"|([^"\\;= \t]+))`)
	// fileName is what filename* may say beside filename: no server takes it for empty.
	fileName = regexp.MustCompile(`(?i)^(?:utf-8|iso-8859-1|us-ascii)'[a-z-]*'(?:[^'"\\;= %]|%[0-9a-f]{2})+$`)
)

// isPlainFile says whether every server takes a part for a file: it has one name and one
// filename that is not empty. Go takes an empty one for a value, PHP one in filename*
// alone; to PHP, a single quote begins a quotation. An escaped quote ends one for some,
// which is all the same at the end of a filename, and before it is not.
func isPlainFile(disposition string) bool {
	const kind = "form-data"
	if len(disposition) < len(kind) || !strings.EqualFold(disposition[:len(kind)], kind) {
		return false
	}
	rest, names := disposition[len(kind):], map[string]bool{}
	for strings.Trim(rest, " ") != "" && strings.Trim(rest, " ") != ";" {
		found := dispositionPart.FindStringSubmatch(rest)
		if found == nil {
			return false
		}
		rest = strings.TrimLeft(rest[len(found[0]):], " ")
		name, quoted, plain := strings.ToLower(found[1]), found[2], found[3]
		_, behind, escapes := strings.Cut(quoted, `\"`)
		switch {
		case names[name]:
			return false
		case name == "filename*":
			if !fileName.MatchString(plain) {
				return false
			}
		case strings.ContainsRune(name, '*'), strings.ContainsRune(plain, '\''):
			return false
		case name == "filename":
			if quoted+plain == "" || strings.ContainsRune(behind, ';') {
				return false
			}
		case escapes:
			return false
		}
		names[name] = true
	}
	return names["name"] && names["filename"]
}

// firstByte is the first of a text that is no white space, 0 where there is none.
func firstByte(text []byte) byte {
	if text = bytes.TrimLeft(text, "\ufeff \t\r\n"); len(text) > 0 {
		return text[0]
	}
	return 0
}
