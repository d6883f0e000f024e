package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
)

// String is the head as it is sent and kept.
func (h Head) String() string {
	if h.Seq == 0 {
		h.Hash = genesis
	}
	return fmt.Sprintf("record=%d sha256=%s", h.Seq, h.Hash)
}

// Line is what a witness keeps of the head of an appliance's log.
func (h Head) Line(appliance string) string {
	return fmt.Sprintf("audit head appliance=%s %s", appliance, h)
}

var (
	headText = regexp.MustCompile(`^record=([0-9]{1,20}) sha256=([0-9a-f]{64})\n`)
	headLine = regexp.MustCompile(`audit head appliance=([0-9A-Za-z-]{1,64}) record=([0-9]{1,20}) sha256=([0-9a-f]{64})\b`)
)

func parseHead(seq, hash string) (Head, error) {
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || n == 0 {
		return Head{}, err
	}
	return Head{n, hash}, nil
}

// readHead reads the head that is kept beside the files.
func readHead(dir string) (Head, error) {
	data, err := os.ReadFile(headFile(dir))
	if err != nil {
		return Head{}, err
	}
	m := headText.FindSubmatch(data)
	if m == nil {
		return Head{}, fmt.Errorf("%s is damaged", headFile(dir))
	}
	return parseHead(string(m[1]), string(m[2]))
}

// ParseLine finds the head, and of which appliance, in a line that Line wrote.
func ParseLine(line string) (appliance string, h Head, ok bool) {
	m := headLine.FindStringSubmatch(line)
	if m == nil {
		return "", Head{}, false
	}
	h, err := parseHead(m[2], m[3])
	return m[1], h, err == nil
}

// ReadHeads finds the heads of an appliance's log in what a witness kept, lines or
// JSON, whatever else stands in it.
func ReadHeads(r io.Reader, appliance string) ([]Head, error) {
	var heads []Head
	texts := bufio.NewScanner(r)
	texts.Split(untilQuote)
	for {
		if !texts.Scan() {
			return heads, texts.Err()
		}
		m := headLine.FindSubmatch(texts.Bytes())
		if m == nil || !bytes.Equal(m[1], []byte(appliance)) {
			continue
		}
		h, err := parseHead(string(m[2]), string(m[3]))
		if err != nil {
			return nil, err
		}
		heads = append(heads, h)
	}
}

// untilQuote cuts at the ends of lines and of JSON strings: neither is in a head.
func untilQuote(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexAny(data, "\n\""); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
