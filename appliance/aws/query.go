package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"sealgate/appliance"
)

const (
	requestTime = 30 * time.Second
	// maxAnswer bounds one answer, in bytes: a page of a hundred events is 200 KiB.
	maxAnswer = 8 << 20
	// tries of a request that is refused for now, with waits that double from firstWait
	// on, half of each at random.
	tries     = 6
	firstWait = 250 * time.Millisecond
)

// versions are those of the services' APIs.
var versions = map[string]string{"ec2": "2016-11-15", "autoscaling": "2011-01-01", "cloudformation": "2010-05-15", classicELB: "2012-06-01", newELB: "2015-12-01"}

// The two generations of load balancers are one service with two APIs.
const (
	classicELB = "elasticloadbalancing"
	newELB     = "elasticloadbalancing/v2"
)

// client asks the services.
type client struct {
	endpoints   Endpoints
	region      string
	credentials aws.Credentials
	transport   *http.Transport
	http        *http.Client
}

func newClient(o Options, region string, credentials aws.Credentials) *client {
	transport := &http.Transport{
		DialContext:            o.Dial,
		TLSHandshakeTimeout:    requestTime,
		ResponseHeaderTimeout:  requestTime,
		MaxResponseHeaderBytes: maxMetadata,
		ForceAttemptHTTP2:      true,
	}
	return &client{o.Endpoints, region, credentials, transport, bounded(transport, maxAnswer)}
}

func (c *client) close() { c.transport.CloseIdleConnections() }

// bounded is a client that follows no redirect, which could lead anywhere, and reads no
// more than limit bytes of an answer.
func bounded(transport http.RoundTripper, limit int64) *http.Client {
	return &http.Client{
		Transport:     limited{transport, limit},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type limited struct {
	http.RoundTripper
	limit int64
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = &limitedBody{answer.Body, l.limit}
	}
	return answer, err
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

var errTooLong = errors.New("the answer is longer than is read")

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// refusal is an error that a service has answered.
type refusal struct {
	action        string // as permissions name it, ec2:DescribeInstances
	code, message string
	status        int
}

// errCredentials is a refusal that every other question would meet as well.
var errCredentials = errors.New("AWS refuses the credentials")

var (
	deniedCodes     = []string{"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
	credentialCodes = []string{"AuthFailure", "SignatureDoesNotMatch", "InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException", "MissingAuthenticationToken", "IncompleteSignature", "OptInRequired"}
	expiredCodes    = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
	busyCodes       = []string{"Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled", "TooManyRequestsException", "InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable"}
)

func (r *refusal) Error() string {
	switch {
	case slices.Contains(deniedCodes, r.code):
		return "the credentials lack the permission " + r.action
	case r.message == "":
		return fmt.Sprintf("AWS answers %q to %s", r.code, r.action)
	default:
		return fmt.Sprintf("AWS answers %q to %s: %.200q", r.code, r.action, r.message)
	}
}

func (r *refusal) denied() bool { return slices.Contains(deniedCodes, r.code) }
func (r *refusal) busy() bool {
	return slices.Contains(busyCodes, r.code) || r.status >= http.StatusInternalServerError
}

// ask asks a service one question until it is answered or refused for good.
func (c *client) ask(ctx context.Context, service, action string, form url.Values) (object, error) {
	for try := 1; ; try++ {
		answer, err := c.once(ctx, service, action, form)
		refused, isRefusal := errors.AsType[*refusal](err)
		switch {
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !isRefusal, !refused.busy():
			return nil, c.fault(err)
		case try == tries:
			return nil, fmt.Errorf("%w, %d times", err, tries)
		}
		wait := firstWait << (try - 1)
		select {
		case <-time.After(wait - rand.N(wait/2)):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// fault tells refusals of the credentials, with what to do.
func (c *client) fault(err error) error {
	refused, ok := errors.AsType[*refusal](err)
	switch {
	case !ok:
		return appliance.Faultf("this appliance must reach AWS, if need be through --proxy", "ask AWS: %w", err)
	case slices.Contains(expiredCodes, refused.code):
		return appliance.Faultf("look at this machine's clock, and give keys that are still valid", "%w: they have expired (%s)", errCredentials, refused.code)
	case !slices.Contains(credentialCodes, refused.code):
		return err
	case c.credentials.SessionToken == "":
		return appliance.Faultf("check --access-key and --secret-key, and this machine's clock", "%w (%s)", errCredentials, refused.code)
	default:
		return appliance.Faultf("look at the role that is attached to this instance, and at this machine's clock", "%w of the instance's role (%s)", errCredentials, refused.code)
	}
}

// once is one request.
func (c *client) once(ctx context.Context, service, action string, form url.Values) (object, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTime, fmt.Errorf("no answer within %v", requestTime))
	defer cancel()
	name, _, _ := strings.Cut(service, "/")
	body := url.Values{"Action": {action}, "Version": {versions[service]}}
	for key, values := range form {
		body[key] = values
	}
	encoded := body.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoints.of(name, c.region)+"/", strings.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	request.Header.Set("User-Agent", "sealgate")
	sum := sha256.Sum256([]byte(encoded))
	if err := signer.NewSigner().SignHTTP(ctx, c.credentials, request, hex.EncodeToString(sum[:]), name, c.region, time.Now()); err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if in, ok := errors.AsType[*url.Error](err); ok {
			err = in.Err // without the URL, which whoever dials names too
		}
		return nil, err
	}
	defer answer.Body.Close()
	content, err := decode(answer.Body)
	if answer.StatusCode == http.StatusOK {
		return content, err
	}
	return nil, c.refused(answer.StatusCode, name+":"+action, content)
}

// refused reads the two shapes of errors, of EC2 and of everything else.
func (c *client) refused(status int, action string, content object) error {
	from := content
	if list, ok := content["Errors"].(object); ok {
		from = list
	}
	what, _ := from["Error"].(object)
	r := &refusal{action: action, code: what.text("Code"), message: what.text("Message"), status: status}
	if r.code == "" {
		r.code = http.StatusText(status)
	}
	for _, secret := range []string{c.credentials.SecretAccessKey, c.credentials.SessionToken} {
		if secret != "" {
			r.message = strings.ReplaceAll(r.message, secret, "***")
		}
	}
	return r
}
