package transfer

import (
	"strconv"
	"strings"
)

// ParseURL reads SCHEME://HOST[:PORT]/path of a file that is fetched: the scheme is
// ftp, http, https, scp or sftp, and the path names a file.
func ParseURL(raw string) (Target, error) {
	scheme, _, found := strings.Cut(raw, "://")
	if !found || strings.ContainsAny(scheme, "/@?[") {
		return Target{}, badTarget("begin it with ftp://, http://, https:// or scp://, as in scp://HOST[:PORT]/path", "the URL has no scheme")
	}
	protocol := strings.ToLower(scheme)
	if protocol == "sftp" {
		protocol = "scp"
	}
	if _, ok := defaultPorts[protocol]; !ok {
		return Target{}, badTarget("use ftp://, http://, https:// or scp://", "there is no protocol %s", strconv.Quote(scheme))
	}
	path, _, _ := strings.Cut(raw, "?")
	if strings.HasSuffix(path, "/") {
		return Target{}, badTarget("end it with the name of a file", "the URL names a folder")
	}
	return ParseTarget(protocol, raw, "")
}
