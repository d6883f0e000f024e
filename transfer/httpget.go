package transfer

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// http makes one attempt with GET, and with Range and If-Range where an earlier one came so far.
func (d *download) http(ctx context.Context) error {
	if d.o.User != "" && d.target.Protocol == "http" {
		d.notice("http has no TLS: the password and the file travel in the clear")
	}
	transport := d.httpTransport(ctx)
	defer transport.CloseIdleConnections()
	d.login = newLogin(d.target, d.o)
	to := d.target
	for range maxHops {
		answer, err := d.get(ctx, transport, to)
		switch {
		case err != nil || answer == nil:
			return err
		case d.proxySaid(to, answer.Response):
			return d.proxyRefused(answer.Response, to.addr())
		case answer.StatusCode/100 == 3 && answer.Header.Get("Location") != "":
			if to, err = d.follow(to, answer.Header.Get("Location"), false); err != nil {
				return err
			}
		case answer.StatusCode == http.StatusRequestedRangeNotSatisfiable && d.at > 0:
			if err := d.startAgain(); err != nil {
				return err
			}
		default:
			return d.statusFault(answer, OpReceive)
		}
	}
	return d.wrap(OpReceive, Refused, fmt.Errorf("the server redirected more than %d times", maxHops), "")
}

// get asks until the answer is no question for authorization that can be answered. It returns nothing once the file is
// here, else what the server has answered instead.
func (d *download) get(ctx context.Context, transport *http.Transport, to Target) (*httpAnswer, error) {
	for asked := 0; ; asked++ {
		answer, err := d.getOnce(ctx, transport, to)
		if err != nil || answer == nil || asked >= maxAsked || !d.learns(to, answer.Response) {
			return answer, err
		}
	}
}

func (d *download) getOnce(ctx context.Context, transport *http.Transport, to Target) (*httpAnswer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := d.request(ctx, http.MethodGet, to, nil)
	if err != nil {
		return nil, err
	}
	if d.at > 0 && d.mark != "" {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
		request.Header.Set("If-Range", d.mark)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, d.fault(ctx, OpReceive, err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		// Either the first attempt, or the server has another file by now, or it knows no ranges.
		if err := d.startAgain(); err != nil {
			return nil, err
		}
		d.size, d.mark = response.ContentLength, markOf(response.Header)
	case http.StatusPartialContent:
		if d.isAnother(response) {
			response.Body.Close()
			if err := d.startAgain(); err != nil {
				return nil, err
			}
			return d.getOnce(ctx, transport, to)
		}
		if err := d.goesOn(response); err != nil {
			return nil, err
		}
	default:
		return newAnswer(response, cancel), nil
	}
	_, err = d.ReadFrom(response.Body)
	return nil, d.received(ctx, err)
}

// isAnother says whether a part is of another file than what is here: some servers know Range and not If-Range.
func (d *download) isAnother(response *http.Response) bool {
	name := "Last-Modified"
	if strings.HasPrefix(d.mark, `"`) {
		name = "ETag"
	}
	mark := response.Header.Get(name)
	return d.at > 0 && mark != "" && mark != d.mark
}

// goesOn checks that a part is the one that was asked for.
func (d *download) goesOn(response *http.Response) error {
	var first, last, size int64
	said := response.Header.Get("Content-Range")
	n, err := fmt.Sscanf(said, "bytes %d-%d/%d", &first, &last, &size)
	if n != 3 || err != nil || d.at == 0 || first != d.at || last < first || last != size-1 || d.size >= 0 && size != d.size {
		return d.wrap(OpReceive, ProtocolBroken, fmt.Errorf("the server answered with the part %q of the file, from byte %d was asked for", said, d.at), "")
	}
	d.size = size
	return nil
}

// markOf is what If-Range may name: a strong entity tag, else the date of the last change, where the file cannot have
// changed once more within that second (RFC 9110, 8.8.2.2).
func markOf(header http.Header) string {
	if tag := header.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	said := header.Get("Last-Modified")
	changed, err := http.ParseTime(said)
	now, dateErr := http.ParseTime(header.Get("Date"))
	if err != nil || dateErr != nil || now.Sub(changed) < time.Second {
		return ""
	}
	return said
}

// ftpGateway has the proxy speak ftp for us: GET with an ftp URL. refused is what CONNECT gave.
func (d *download) ftpGateway(ctx context.Context, refused error) error {
	if err := d.withoutTLS(); err != nil {
		return err
	}
	d.notice("the proxy refuses CONNECT for ftp, so its FTP gateway is used: the password and the file travel in the clear")
	transport := d.httpTransport(ctx)
	defer transport.CloseIdleConnections()
	answer, err := d.get(ctx, transport, d.target)
	switch {
	case err != nil || answer == nil:
		return err
	case notAGateway(answer.Response):
		return refused
	case answer.StatusCode == http.StatusProxyAuthRequired:
		return d.proxyRefused(answer.Response, d.target.addr())
	}
	return d.gatewayFault(ctx, answer, OpReceive)
}
