package seal

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sealgate/appliance"
)

// Product is what a licence must be for.
const Product = "sealgate"

// Features that the appliance itself looks at.
const (
	Unseal   = "unseal"   // unseals an appliance
	Gateways = "gateways" // =NUMBER: so many gateways may register at a management server
)

// Licence is what a vendor signs.
type Licence struct {
	ID         string   `json:"id"`
	Product    string   `json:"product"`
	Features   []string `json:"features"`             // "unseal", "gateways=5", …
	Issued     int64    `json:"issued"`               // seconds since 1970
	NotAfter   int64    `json:"not_after,omitempty"`  // the last second; 0: it does not expire
	Challenge  string   `json:"challenge,omitempty"`  // bound to the appliance that shows it
	Deployment string   `json:"deployment,omitempty"` // bound to the appliances created with it
}

const (
	maxFeatures = 16
	// clockSkew is how far an appliance's clock may be behind the vendor's.
	clockSkew = 24 * time.Hour
)

var (
	idForm         = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	featureForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}(=[0-9]{1,9})?$`)
	challengeForm  = regexp.MustCompile(`^[A-Z2-7]{4}(-[A-Z2-7]{4}){4}$`)
	deploymentForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
)

// validate says which rule l breaks, whoever signed it.
func (l *Licence) validate() error {
	switch {
	case !idForm.MatchString(l.ID):
		return fmt.Errorf("id %q is not 1 to 64 letters, digits or '-'", l.ID)
	case len(l.Features) == 0 || len(l.Features) > maxFeatures:
		return fmt.Errorf("it has %d features, not 1 to %d", len(l.Features), maxFeatures)
	case l.Challenge != "" && l.Deployment != "":
		return fmt.Errorf("it is bound to a challenge and to a deployment, and may be to one of them")
	case l.Challenge != "" && !challengeForm.MatchString(l.Challenge):
		return fmt.Errorf("challenge %q is not five groups of four letters and digits", l.Challenge)
	case l.NotAfter < 0 || l.Issued <= 0 || l.NotAfter != 0 && l.NotAfter < l.Issued:
		return fmt.Errorf("it ends before it begins")
	}
	names := map[string]bool{}
	for _, f := range l.Features {
		name, _, _ := strings.Cut(f, "=")
		if !featureForm.MatchString(f) || names[name] {
			return fmt.Errorf("feature %q is not NAME or NAME=NUMBER, or is there twice", f)
		}
		names[name] = true
	}
	if l.Deployment != "" {
		return CheckDeployment(l.Deployment)
	}
	return nil
}

// CheckDeployment says what is wrong with a deployment id.
func CheckDeployment(id string) error {
	if !deploymentForm.MatchString(id) {
		return fmt.Errorf("deployment %q: it is 1 to 63 letters, digits, '-', '.' or '_', and begins with a letter or digit", id)
	}
	return nil
}

// Has says whether l grants a feature.
func (l *Licence) Has(feature string) bool { return slices.Contains(l.Features, feature) }

// Count is the number of a feature NAME=NUMBER, and whether l has it.
func (l *Licence) Count(feature string) (int, bool) {
	for _, f := range l.Features {
		if name, value, ok := strings.Cut(f, "="); ok && name == feature {
			n, err := strconv.Atoi(value)
			return n, err == nil
		}
	}
	return 0, false
}

// Until says when l ends, for people.
func (l *Licence) Until() string {
	if l.NotAfter == 0 {
		return "without an end"
	}
	return "until " + date(l.NotAfter)
}

func date(seconds int64) string {
	return time.Unix(seconds, 0).UTC().Format("2006-01-02 15:04:05 UTC")
}

// ours checks the product.
func (l *Licence) ours() error {
	if l.Product != Product {
		return because(ErrProduct, "ask the vendor for a licence of "+Product, "it is for another product, %q", l.Product)
	}
	return nil
}

// unseals checks that a licence is for that.
func (l *Licence) unseals() error {
	if !l.Has(Unseal) {
		return refused("ask the vendor for a licence with the feature "+Unseal,
			"it does not unseal: its features are %s", strings.Join(l.Features, ", "))
	}
	return nil
}

// fits checks the binding. An appliance without identity has an empty
// challenge, one without deployment an empty deployment.
func (l *Licence) fits(challenge, deployment string) error {
	switch {
	case l.Challenge != "" && challenge == "":
		return because(ErrBinding, "create the appliance without it, and unlock it afterwards",
			"it is bound to the challenge of one appliance, %s", l.Challenge)
	case l.Challenge != "" && l.Challenge != challenge:
		return because(ErrBinding, "send the vendor this appliance's challenge, "+challenge,
			"it is bound to another appliance, whose challenge is %s", l.Challenge)
	case l.Deployment != "" && l.Deployment != deployment:
		return because(ErrBinding, "the deployment is decided when an appliance is created: sealgated init --deployment ID",
			"it is bound to the deployment %q, and this appliance's is %s", l.Deployment, orNone(deployment))
	}
	return nil
}

// valid checks the times.
func (l *Licence) valid(at time.Time) error {
	switch {
	case l.ended(at.Unix()):
		return because(ErrExpired, "ask the vendor for a new one", "licence %s expired on %s", l.ID, date(l.NotAfter))
	case at.Add(clockSkew).Unix() < l.Issued:
		return refused("set the appliance's clock", "licence %s was issued on %s, which the appliance's clock has not reached", l.ID, date(l.Issued))
	}
	return nil
}

func (l *Licence) ended(at int64) bool { return l.NotAfter != 0 && at > l.NotAfter }

func orNone(deployment string) string {
	if deployment == "" {
		return "none"
	}
	return strconv.Quote(deployment)
}

// refused is an error that carries [ErrRefused] and a hint.
func refused(hint, format string, args ...any) error {
	return because(ErrRefused, hint, format, args...)
}

func because(kind error, hint, format string, args ...any) error {
	return appliance.Faultf(hint, "%w: %s", kind, fmt.Sprintf(format, args...))
}
