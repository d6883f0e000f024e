package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Snapshot is all that the gateways of one group are told: one JSON object of at
// most MaxSnapshot bytes, delivered whole and used whole. Objects name each other by
// name, never by id, and their fields are those that the OpenAPI answers, so that a
// gateway needs no database and whoever reads the file understands it.
//
// Private keys travel sealed to the gateway (SealedKeys) and lie in the gateway's
// spool folder opened (PrivateKey), readable for its account alone. They, the aliases
// and the sum are one gateway's; the rest is the same for all of the group.
type Snapshot struct {
	Format   int           `json:"format"` // SnapshotFormat
	Revision int64         `json:"revision"`
	SHA256   string        `json:"sha256,omitempty"` // what the management server knows it by, whatever the revision
	Group    SnapshotGroup `json:"gatewayGroup"`

	// Aliases are addresses by gateway name and alias name.
	Aliases map[string]map[string]netip.Addr `json:"aliases,omitempty"`

	// SealedKeys are private keys by the ids of the secrets.
	SealedKeys map[string][]byte `json:"sealedKeys,omitempty"`

	IPGroups          map[string][]IPEntry           `json:"ipGroups,omitempty"`
	SSLSettings       map[string]TLSSettings         `json:"sslSettings,omitempty"`
	ActionSets        map[string]ActionSetSettings   `json:"actionSets,omitempty"`
	ErrorPages        map[string]Page                `json:"webErrorPages,omitempty"`
	ErrorPagePolicies map[string][]ErrorPageRule     `json:"webErrorPagePolicies,omitempty"`
	URLRewriteGroups  map[string][]RewriteRule       `json:"urlRewriteGroups,omitempty"`
	DataMaskingGroups map[string][]DataMask          `json:"dataMaskingGroups,omitempty"`
	ParameterTypes    map[string]string              `json:"parameterTypes,omitempty"` // regular expressions
	Dictionaries      map[string][]SignatureSettings `json:"dictionaries,omitempty"`
	DataSets          map[string][]map[string]string `json:"dataSets,omitempty"` // records
	Policies          []SnapshotPolicy               `json:"policies,omitempty"`
	Services          []SnapshotService              `json:"webServices"`
	Authorities       []string                       `json:"certificateAuthorities,omitempty"` // PEM; for servers that are validated, beside the system's
}

// SnapshotFormat is the format that this release writes. It reads this one alone.
const SnapshotFormat = 1

// Bounds of a snapshot.
const (
	MaxSnapshot         = 64 << 20 // bytes
	MaxSnapshotServices = 1000
	maxSnapshotRules    = 1000      // of one web service: inbound, and outbound of each
	maxSnapshotObjects  = 25_000    // as many as the API takes: mostShared of each kind
	maxSnapshotEntries  = 1_000_000 // of all IP groups
)

// SnapshotGroup is the gateway group.
type SnapshotGroup struct {
	Name                  string        `json:"gatewayGroupName"`
	FailMode              string        `json:"failMode"`                        // open or closed
	AdvancedConfiguration string        `json:"advancedConfiguration,omitempty"` // XML
	Limits                GatewayLimits `json:"limits,omitzero"`
	Metrics               string        `json:"metrics,omitempty"` // loopback ADDR:PORT of the metrics; empty: none
}

// FailClosed is the fail mode that refuses what could not be inspected.
const FailClosed = "closed"

// GatewayLimits bound what a gateway's clients may use. Zero is the default.
type GatewayLimits struct {
	HeaderBytes           int   `json:"headerBytes,omitempty" xml:"headerBytes"`                     // 32768, of request line and headers
	Headers               int   `json:"headers,omitempty" xml:"headers"`                             // 128
	URLBytes              int   `json:"urlBytes,omitempty" xml:"urlBytes"`                           // 16384
	BodyBytes             int64 `json:"bodyBytes,omitempty" xml:"bodyBytes"`                         // any
	InspectedBytes        int64 `json:"inspectedBytes,omitempty" xml:"inspectedBytes"`               // 1 MiB, of a body
	SlowSeconds           int   `json:"slowSeconds,omitempty" xml:"slowSeconds"`                     // 30: for a head, and between two pieces of a body
	BodyRate              int64 `json:"bodyRate,omitempty" xml:"bodyRate"`                           // 100 bytes a second that bodies come with after that
	ServerSeconds         int   `json:"serverSeconds,omitempty" xml:"serverSeconds"`                 // 60: until a server begins to answer
	Connections           int   `json:"connections,omitempty" xml:"connections"`                     // 20000, of clients
	ConnectionsPerAddress int   `json:"connectionsPerAddress,omitempty" xml:"connectionsPerAddress"` // 1000
	Streams               int   `json:"streams,omitempty" xml:"streams"`                             // 100, of one HTTP/2 connection
	HeldBytes             int64 `json:"heldBytes,omitempty" xml:"heldBytes"`                         // 64 MiB, of all bodies that wait for a verdict
}

// IPEntry is an entry of an IP group.
type IPEntry struct {
	Type           string `json:"type"` // single, range or network
	IPAddressFrom  string `json:"ipAddressFrom,omitempty"`
	IPAddressTo    string `json:"ipAddressTo,omitempty"`
	NetworkAddress string `json:"networkAddress,omitempty"`
	CIDRMask       int    `json:"cidrMask,omitempty"`
}

// TLSSettings say how TLS is spoken.
type TLSSettings struct {
	Versions       []string `json:"sslProtocolVersions"`
	ServerPriority bool     `json:"enforceRPServerSideCipherPriority"`
	Ciphers        []string `json:"activeCiphers"`
	EllipticCurves []string `json:"activeEllipticCurves"`
}

// ActionSetSettings are an action set's followed actions.
type ActionSetSettings struct {
	Type    string   `json:"type"`
	Actions []Action `json:"actions"`
}

// Action is one action: a block for Seconds, or a message to a syslog server.
type Action struct {
	Name            string `json:"name"`
	Type            string `json:"type"`                      // ipBlock, sessionBlock, userBlock, syslog; others are not the gateway's
	Seconds         int    `json:"seconds,omitempty"`         // of a block
	RunOnEveryEvent *bool  `json:"runOnEveryEvent,omitempty"` // false: once for each alert
	Protocol        string `json:"protocol,omitempty"`        // UDP, TCP or TLS
	Host            string `json:"host,omitempty"`
	Port            int    `json:"port,omitempty"`
	SecondaryHost   string `json:"secondaryHost,omitempty"`
	SecondaryPort   int    `json:"secondaryPort,omitempty"`
	LogLevel        string `json:"syslogLogLevel,omitempty"`
	Facility        string `json:"syslogFacility,omitempty"`
	Interface       string `json:"actionInterface,omitempty"` // with the word JSON: JSON, else CEF
	Message         string `json:"message,omitempty"`         // instead of either, with MessagePlaceholders
}

// Page is what a client gets instead of an answer: exactly one of the two.
type Page struct {
	RedirectURL string `json:"redirectUrl,omitempty"`
	Content     string `json:"errorPageContent,omitempty"`
	Status      string `json:"httpResponseCode,omitempty"`
}

// ErrorPageRule chooses an error page.
type ErrorPageRule struct {
	Priority int               `json:"priority"`
	Name     string            `json:"name"`
	Page     string            `json:"errorPageName"`
	Enabled  bool              `json:"enabled"`
	Criteria []json.RawMessage `json:"matchCriteria,omitempty"`
}

// RewriteRule changes a request's host and path, or the redirects of its answer.
type RewriteRule struct {
	Priority      int               `json:"priority"`
	Name          string            `json:"name"`
	Criteria      []json.RawMessage `json:"matchCriteria,omitempty"`
	HostToFind    string            `json:"hostToFind,omitempty"` // regular expressions
	PathToFind    string            `json:"pathToFind,omitempty"`
	HostToReplace string            `json:"hostToReplace,omitempty"` // with $1 for groups
	PathToReplace string            `json:"pathToReplace,omitempty"`
	ApplyTo       string            `json:"applyTo,omitempty"`  // request or response
	Redirect      string            `json:"redirect,omitempty"` // none, 301, 302, 307 or 308
	Enabled       bool              `json:"enabled"`
}

// DataMask says what is replaced before an event is logged or sent.
type DataMask struct {
	Name         string `json:"name"`
	Match        string `json:"match"` // regular expression: a name that fits masks its value, a value that fits is masked where it does
	InParameters bool   `json:"searchInHttpParameters"`
	InHeaders    bool   `json:"searchInHttpHeaders"`
	InCookies    bool   `json:"searchInHttpCookies"`
	Enabled      bool   `json:"enabled"`
}

// SignatureSettings is one signature of a dictionary.
type SignatureSettings struct {
	Name      string   `json:"name"`
	Pattern   string   `json:"pattern"`
	Protocols []string `json:"protocols,omitempty"`
	SearchIn  []string `json:"searchIn,omitempty"`
	Status    string   `json:"status,omitempty"`
}

// SnapshotPolicy is one security policy. Document is what the OpenAPI's GET of the
// kind answers, without applyTo.
type SnapshotPolicy struct {
	Kind     string          `json:"kind"` // such as FirewallPolicy
	Name     string          `json:"name"`
	Document json.RawMessage `json:"document"`
	ApplyTo  []ApplyTo       `json:"applyTo"`
}

// FirewallSettings are the part of a firewall policy that a reverse proxy enforces.
type FirewallSettings struct {
	Enabled        bool   `json:"enabled"`
	Severity       string `json:"severity"`
	Action         string `json:"action"`
	FollowedAction string `json:"followedAction"`
	Inbound        string `json:"inboundOperation"`
	Rules          []struct {
		Direction string `json:"direction"`
		Protocol  string `json:"protocol"`
		IPGroup   string `json:"ipGroup"`
	} `json:"rules"`
}

// SnippetSettings are a snippet injection policy.
type SnippetSettings struct {
	Enabled        bool              `json:"enabled"`
	Frequency      string            `json:"invocationFrequency"`
	Seconds        int               `json:"invocationFrequencyInSec"` // instead of Frequency
	Location       string            `json:"snippetLocation"`
	CustomLocation string            `json:"snippetCustomLocation"`
	Content        string            `json:"snippetContent"`
	Criteria       []json.RawMessage `json:"matchCriteria"`
}

// How often snippets come, and where they go: behind an element's beginning, or behind
// a text.
const (
	SnippetAlways  = "always"
	SnippetSession = "session" // once for each
	SnippetInHead  = "head"
	SnippetInBody  = "body"
	SnippetCustom  = "custom"
)

// ApplyTo names what a policy is for; an empty name stands for all below.
type ApplyTo struct {
	Site        string `json:"siteName"`
	ServerGroup string `json:"serverGroupName,omitempty"`
	Service     string `json:"webServiceName,omitempty"`
	Application string `json:"webApplicationName,omitempty"`
}

// Covers says whether a policy is for something of this web service.
func (p SnapshotPolicy) Covers(s *SnapshotService) bool {
	for _, a := range p.ApplyTo {
		if a.Site == s.Site && (a.ServerGroup == "" || a.ServerGroup == s.ServerGroup) && (a.Service == "" || a.Service == s.Name) {
			return true
		}
	}
	return false
}

// Applications are the web applications of a web service that a policy is for; none
// is all of them.
func (p SnapshotPolicy) Applications(s *SnapshotService) (names []string) {
	for _, a := range p.ApplyTo {
		if a.Site != s.Site || a.ServerGroup != "" && a.ServerGroup != s.ServerGroup || a.Service != "" && a.Service != s.Name {
			continue
		}
		if a.Application == "" {
			return nil
		}
		names = append(names, a.Application)
	}
	return names
}

// SnapshotService is a web service with the server group that it lies under.
type SnapshotService struct {
	Site             string `json:"siteName"`
	ServerGroup      string `json:"serverGroupName"`
	Name             string `json:"name"`
	Mode             string `json:"operationMode"`
	IgnoreIPGroup    string `json:"ignoreIpGroup,omitempty"`
	LimitIPGroup     string `json:"limitMonitoringToIpGroup,omitempty"`
	HTTP2            bool   `json:"http2"`
	InspectResponses bool   `json:"inspectResponses,omitempty"`

	Keys               []SnapshotKey                  `json:"sslCertificates,omitempty"`
	Inbound            []SnapshotInbound              `json:"inboundKrpRules"`
	DefaultApplication string                         `json:"default-application,omitempty"`
	HostMappings       []SnapshotMapping              `json:"hostToAppMappings,omitempty"`
	Profiles           map[string]json.RawMessage     `json:"webProfiles,omitempty"`     // by web application
	Applications       map[string]SnapshotApplication `json:"webApplications,omitempty"` // those of which not all URLs are inspected

	UseForwardingHeader  bool                  `json:"useHttpForwardingHeader"`
	ForwardedConnections []ForwardedConnection `json:"forwardedConnections,omitempty"`
	ForwardClientIP      bool                  `json:"forwardClientIP"`
	ForwardHeaderName    string                `json:"forwardHeaderName,omitempty"`

	UseDefaultErrorPage bool     `json:"useDefaultErrorPage"`
	ErrorRedirectURL    string   `json:"defaultErrorPageRedirectURL,omitempty"`
	ErrorBody           string   `json:"defaultErrorPageBody,omitempty"`
	ErrorStatus         string   `json:"defaultErrorPageResponseCode,omitempty"`
	ErrorPagePolicies   []string `json:"webErrorPagePolicies,omitempty"`

	URLRewriteGroups  []string `json:"urlRewriteGroups,omitempty"`
	DataMaskingGroup  string   `json:"dataMaskingGroup,omitempty"`
	ConnectionTimeout int      `json:"connectionTimeout,omitempty"` // seconds that an idle connection stays; 0: 300

	// CaseSensitiveURLs is there only when it is false, as gateways of earlier releases
	// refuse what they do not know.
	CaseSensitiveURLs *bool `json:"caseSensitiveUrls,omitempty"`
}

// SnapshotApplication says which URLs of a web application are inspected, as a URLList
// each: all, unless there are some in Only, but for Ignored.
type SnapshotApplication struct {
	Only    string `json:"restrictMonitoringToUrls,omitempty"`
	Ignored string `json:"ignoreUrlsDirectories,omitempty"`
}

// SnapshotKey is a certificate with its private key, PEM.
type SnapshotKey struct {
	Name        string `json:"sslKeyName"`
	Certificate string `json:"certificate"` // the leaf first
	PrivateKey  string `json:"privateKey,omitempty"`
	Secret      string `json:"secret,omitempty"` // until it is opened: the private key's place in SealedKeys
}

// SnapshotInbound is where a web service is reached.
type SnapshotInbound struct {
	Alias       string             `json:"aliasName"`
	Ports       []int              `json:"gatewayPorts"`
	Certificate string             `json:"serverCertificate,omitempty"` // empty: no TLS
	SSLSettings string             `json:"clientSideSslSettings,omitempty"`
	Authority   string             `json:"clientAuthenticationAuthorities,omitempty"` // a certificate by which those of clients are signed
	ClientRules map[string]string  `json:"clientAuthenticationRules,omitempty"`       // regular expressions of subjects
	Outbound    []SnapshotOutbound `json:"outboundRules"`
}

// SnapshotOutbound is where requests go. The lowest priority number that fits wins.
type SnapshotOutbound struct {
	Priority          int    `json:"priority"`
	ExternalHost      string `json:"externalHost,omitempty"` // exact, *.suffix, or empty or Any
	URLPrefix         string `json:"urlPrefix,omitempty"`
	Host              string `json:"internalIpHost"`
	Port              int    `json:"serverPort"`
	Encrypt           bool   `json:"encrypt"`
	Validate          bool   `json:"validateServerCertificate"`
	ClientRule        string `json:"clientAuthenticationRules,omitempty"` // of the inbound rule's: whom requests must come from
	ClientCertificate string `json:"clientCertificate,omitempty"`
	SSLSettings       string `json:"serverSideSslSettings,omitempty"`
}

// SnapshotMapping says which application a host is.
type SnapshotMapping struct {
	Host        string `json:"host"`
	MatchType   string `json:"hostMatchType"` // Exact, Prefix, Suffix or Regex
	Application string `json:"application"`
	Priority    int    `json:"priority"`
}

// ForwardedConnection names a header that trusted proxies say the client's address
// in. No group is any address.
type ForwardedConnection struct {
	Header  string `json:"headerName"`
	IPGroup string `json:"proxyIpGroup"`
}

// ReadSnapshot reads one and validates it.
func ReadSnapshot(r io.Reader) (*Snapshot, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSnapshot+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxSnapshot {
		return nil, fmt.Errorf("the configuration is larger than %d MiB", MaxSnapshot>>20)
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, errors.New("the configuration is not JSON")
	}
	if version.Format != SnapshotFormat {
		return nil, fmt.Errorf("the configuration has format %d, this release reads format %d", version.Format, SnapshotFormat)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields() // what is not understood is not enforced
	s := new(Snapshot)
	if err := decoder.Decode(s); err != nil {
		return nil, fmt.Errorf("the configuration is not of the declared shape: %s", shape(err))
	}
	return s, s.Validate()
}

// shape says where JSON does not fit, without a Go type.
func shape(err error) string {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return "field " + mismatch.Field + " must not be a " + mismatch.Value
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// TakeKeys removes the private keys, and returns them.
func (s *Snapshot) TakeKeys() (keys [][]byte) {
	for i := range s.Services {
		for j := range s.Services[i].Keys {
			k := &s.Services[i].Keys[j]
			keys = append(keys, []byte(k.PrivateKey))
			k.PrivateKey = ""
		}
	}
	return keys
}
