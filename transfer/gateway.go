package transfer

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
)

// mayUseGateway says whether the proxy refused the control connection itself, so that its own FTP client may do.
func (s *session) mayUseGateway(err error) bool {
	refused, ok := errors.AsType[*proxyRefusal](err)
	fault, _ := errors.AsType[*Error](err)
	return ok && fault.Op == OpProxy && fault.Kind == Refused && refused.address == s.target.addr()
}

// ftpGateway has the proxy speak ftp for us: PUT with an ftp URL. It knows no TLS, no renames and no deletes, so
// the file grows under its final name; its size is compared where the proxy tells it. refused is what CONNECT gave.
func (u *upload) ftpGateway(ctx context.Context, refused error) error {
	if err := u.withoutTLS(); err != nil {
		return err
	}
	u.notice("the proxy refuses CONNECT for ftp, so its FTP gateway is used: the password and the file travel in the clear, and the file grows under its final name")
	transport := u.httpTransport(ctx)
	defer transport.CloseIdleConnections()
	answer, err := u.exchange(ctx, transport, u.target, false)
	switch {
	case err != nil:
		return u.mayHaveStayed(err)
	case answer.StatusCode/100 == 2:
		return u.verifyGateway(ctx, transport)
	case notAGateway(answer.Response):
		return refused
	case answer.StatusCode == http.StatusProxyAuthRequired:
		return u.proxyRefused(answer.Response, u.target.addr())
	}
	fault := u.gatewayFault(ctx, answer, OpWrite)
	if u.reader.count() > 0 {
		return u.mayHaveStayed(fault)
	}
	return fault
}

// gatewayFault is the server's own answer where the gateway repeats it; its status then says no more than that there was
// one, and not whether time may heal it.
func (s *session) gatewayFault(ctx context.Context, answer *httpAnswer, op Op) error {
	if answer.StatusCode/100 == 5 && answer.reply != nil {
		return s.ftpFault(ctx, op, answer.reply)
	}
	return s.statusFault(answer, op)
}

var ftpReplyLine = regexp.MustCompile(`<pre>([45][0-9]{2})[ -]([^<]*)</pre>`)

// ftpReply is the server's refusal in squid's page about it, nil when there is none.
func ftpReply(page string) *textproto.Error {
	found := ftpReplyLine.FindAllStringSubmatch(page, -1)
	if len(found) == 0 {
		return nil
	}
	last := found[len(found)-1] // what the user sent stands before it
	code, _ := strconv.Atoi(last[1])
	return &textproto.Error{Code: code, Msg: strings.TrimSpace(html.UnescapeString(last[2]))}
}

func (u *upload) mayHaveStayed(err error) error {
	if u.reader == nil || u.reader.count() == 0 {
		return err
	}
	return addHint(err, fmt.Sprintf("an unfinished %s may have stayed on the server", u.target.name()))
}

// notAGateway says whether the proxy refuses ftp URLs too, or does not know them.
func notAGateway(answer *http.Response) bool {
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	case http.StatusForbidden:
		return !strings.HasPrefix(answer.Header.Get("X-Squid-Error"), "ERR_FTP")
	}
	return false
}

// verifyGateway compares the size that the proxy tells, when it does.
func (u *upload) verifyGateway(ctx context.Context, transport *http.Transport) error {
	answer, err := u.head(ctx, transport, u.target)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || answer.ContentLength < 0 {
		u.notice("the proxy does not tell the size of what the server holds")
		return nil
	}
	return u.verify(answer.ContentLength)
}
