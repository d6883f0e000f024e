package proxy

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sealgate/daemon/gateway/http1"
)

// forward sends the request to a server and its answer to the client.
func (x *exchange) forward(to *upstream) {
	begin := time.Now()
	snippet := x.chooseSnippet()
	r, upgrade := x.outgoing(to)
	if snippet != nil || x.judge != nil && x.service.InspectResponses {
		r.Header.Del("Accept-Encoding") // pages are read, and changed, as they are
	}
	resp, err := to.roundTrip(r, x.grpc)
	x.p.metrics.upstream.Observe(time.Since(begin))
	if err != nil {
		x.unanswered(to, err)
		return
	}
	x.p.answered(to)
	defer resp.Body.Close()
	// Later it may be filled in while the body is read ahead.
	announced := slices.Collect(maps.Keys(resp.Trailer))
	x.status = resp.StatusCode
	if x.judge != nil {
		if x.judgeResponse(resp) {
			return
		}
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		x.tunnel(resp, upgrade)
		return
	}
	if snippet != nil {
		if err := x.inject(snippet, resp); err != nil {
			x.plain(http.StatusBadGateway, "the server broke off its answer")
			return
		}
	}
	x.copyResponse(resp, announced)
}

// judgeResponse says whether the answer is kept back; then another one was sent.
func (x *exchange) judgeResponse(resp *http.Response) (answered bool) {
	if x.judge.response(resp.StatusCode, resp.Header) {
		x.judge.answer()
		return true
	}
	blocked, err := x.judge.responseBody(resp)
	switch {
	case err != nil:
		x.plain(http.StatusBadGateway, "the server broke off its answer")
		return true
	case blocked:
		x.judge.answer()
		return true
	}
	// Nothing more is judged: events need not wait for the end of a stream.
	x.judge.finish()
	x.judge.letGo(resp)
	return false
}

// outgoing is the request as the server gets it.
func (x *exchange) outgoing(to *upstream) (r *http.Request, upgrade bool) {
	header := x.r.Header
	if x.judge != nil {
		header = header.Clone() // the engine may look at it still
	}
	upgrade = x.r.ProtoMajor == 1 && http1.HasOption(header["Connection"], "upgrade") && http1.HasOption(header["Upgrade"], "websocket")
	trailers := http1.HasOption(header["Te"], "trailers")
	dropHops(header)
	x.binding.forward.apply(header, x.client, x.trusted)
	x.binding.forward.applyTrailer(x.r.Trailer)
	if upgrade {
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	if trailers {
		header["Te"] = []string{"trailers"}
	}
	if header["User-Agent"] == nil {
		header["User-Agent"] = nil // else the transport names itself
	}
	out := http.Request{Method: x.r.Method, URL: targetURL(to, x.target), Host: x.host, Header: header, Body: x.r.Body, GetBody: x.r.GetBody,
		ContentLength: x.r.ContentLength, Trailer: x.r.Trailer, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if out.ContentLength == 0 {
		out.Body = nil
	}
	return out.WithContext(x.trace()), upgrade
}

// trace passes interim answers on, and sees which server is reached.
func (x *exchange) trace() context.Context {
	return httptrace.WithClientTrace(x.r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			// 100 is said when the body is wanted, by who reads it.
			if code == http.StatusContinue {
				return nil
			}
			h := x.w.Header()
			for name, values := range header {
				h[name] = values
			}
			x.w.WriteHeader(code)
			clear(h)
			return nil
		},
		GotConn: func(info httptrace.GotConnInfo) {
			if a, ok := info.Conn.RemoteAddr().(*net.TCPAddr); ok {
				x.server = a.AddrPort()
			}
		},
	})
}

// targetURL is the target byte by byte. Opaque would take one that begins with two
// slashes for an authority.
func targetURL(to *upstream, target string) *url.URL {
	if !strings.HasPrefix(target, "//") {
		return &url.URL{Scheme: to.scheme, Host: to.address, Opaque: target}
	}
	path, query, hasQuery := strings.Cut(target, "?")
	u := &url.URL{Scheme: to.scheme, Host: to.address, Path: path, RawQuery: query, ForceQuery: hasQuery && query == ""}
	if decoded, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = decoded, path
	}
	return u
}

// hops are headers between two neighbours.
var hops = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// dropHops removes them, and what Connection names.
func dropHops(header http.Header) {
	for _, line := range header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				header.Del(name)
			}
		}
	}
	for _, name := range hops {
		delete(header, name)
	}
}

// unanswered is what becomes of a request that no server answered.
func (x *exchange) unanswered(to *upstream, err error) {
	var refusal *http1.Refusal
	var tooLong *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &refusal), errors.As(err, &tooLong):
		x.broken(err)
	case x.r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the client has gone
	case errors.As(err, &network) && network.Timeout():
		x.plain(http.StatusGatewayTimeout, "the server does not answer in time")
		x.serverEvent(to, err)
	default:
		x.plain(http.StatusBadGateway, "the server does not answer")
		x.serverEvent(to, err)
	}
}

// broken answers a request whose body broke off.
func (x *exchange) broken(err error) {
	var refusal *http1.Refusal
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &refusal):
		x.p.refusalEvent(x.binding, x.peer, refusal)
		x.w.Header().Set("Connection", "close")
		x.status = refusal.Status
		sendBody(x.w, x.r, refusal.Status, "text/plain; charset=utf-8", refusal.Reason+"\r\n")
	case errors.As(err, &tooLong):
		x.plain(http.StatusRequestEntityTooLarge, "the body is longer than allowed")
	default:
		panic(http.ErrAbortHandler)
	}
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// copyResponse sends the answer on, each piece when it comes. What its trailer holds is
// known when all has come, announced are the names from its head.
func (x *exchange) copyResponse(resp *http.Response, announced []string) {
	dropHops(resp.Header)
	if len(x.rewrites) > 0 {
		x.rewriteResponse(resp.Header)
	}
	header := x.w.Header()
	for name, values := range resp.Header {
		header[name] = values
	}
	for _, name := range announced {
		header.Add("Trailer", name)
	}
	x.w.WriteHeader(resp.StatusCode)
	if err := x.copyBody(resp); err != nil {
		panic(http.ErrAbortHandler) // so that the client sees that it is not whole
	}
	if len(resp.Trailer) == len(announced) {
		for name, values := range resp.Trailer {
			header[name] = values
		}
		return
	}
	for name, values := range resp.Trailer {
		header[http.TrailerPrefix+name] = values
	}
}

func (x *exchange) copyBody(resp *http.Response) error {
	if resp.Body == http.NoBody || x.r.Method == http.MethodHead {
		return nil
	}
	flusher, _ := x.w.(interface{ FlushError() error })
	if resp.ContentLength < 0 && flusher != nil {
		// Its head may be long before its body.
		if err := flusher.FlushError(); err != nil {
			return err
		}
	}
	buffer := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buffer)
	for left := resp.ContentLength; ; {
		n, err := resp.Body.Read(*buffer)
		if n > 0 {
			if _, err := x.w.Write((*buffer)[:n]); err != nil {
				return err
			}
			// A body of known length that is through goes with the end of the answer.
			if left -= int64(n); left != 0 && err == nil && flusher != nil {
				if err := flusher.FlushError(); err != nil {
					return err
				}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// tunnel connects client and server, after both have agreed to it.
func (x *exchange) tunnel(resp *http.Response, upgrade bool) {
	server, ok := resp.Body.(io.ReadWriteCloser)
	hijacker, can := x.w.(http.Hijacker)
	if !upgrade || !ok || !can || !http1.HasOption(resp.Header["Upgrade"], "websocket") {
		x.plain(http.StatusBadGateway, "the server changes the protocol unasked")
		return
	}
	header := x.w.Header()
	for name, values := range resp.Header {
		header[name] = values
	}
	x.w.WriteHeader(http.StatusSwitchingProtocols)
	client, buffered, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	client.SetDeadline(time.Time{})
	closeBoth := sync.OnceFunc(func() {
		client.Close()
		server.Close()
	})
	stop := context.AfterFunc(x.r.Context(), closeBoth)
	defer stop()
	var both sync.WaitGroup
	both.Go(func() {
		defer closeBoth()
		io.Copy(server, buffered)
	})
	both.Go(func() {
		defer closeBoth()
		io.Copy(client, server)
	})
	both.Wait()
}
