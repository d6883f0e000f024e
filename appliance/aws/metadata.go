package aws

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"sealgate/appliance"
)

const (
	// metadataAddress is the same on every instance.
	metadataAddress = "http://169.254.169.254"
	// metadataTime bounds a question to it. It answers within milliseconds, or is not there.
	metadataTime = 5 * time.Second
	// metadataTries are few, as it is near.
	metadataTries = 2
	// maxMetadata bounds its answers, in bytes.
	maxMetadata = 64 << 10
)

// identity is what the metadata service says of the instance.
type identity struct {
	Account          string `json:"account"`
	Region           string `json:"region"`
	AvailabilityZone string `json:"availability_zone"`
	InstanceID       string `json:"instance_id"`
	InstanceType     string `json:"instance_type"`
	Image            string `json:"image"`
}

// Both become part of requests, the region of host names.
var (
	validRegion   = regexp.MustCompile(`^[a-z]{2,8}(-[a-z]{1,12}){1,4}-[0-9]{1,2}$`)
	validInstance = regexp.MustCompile(`^i-[0-9a-f]{8,32}$`)
)

// identify asks the metadata service who this is, and for the role's credentials where
// none were given.
func identify(ctx context.Context, o Options) (identity, aws.Credentials, error) {
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: metadataTime}).DialContext,
		ResponseHeaderTimeout:  metadataTime,
		MaxResponseHeaderBytes: maxMetadata,
	}
	defer transport.CloseIdleConnections()
	heard := &lastStatus{RoundTripper: transport}
	client := imds.New(imds.Options{
		Endpoint:          o.Endpoints.metadata(),
		HTTPClient:        bounded(heard, maxMetadata),
		EnableFallback:    aws.FalseTernary, // version 1 answers whoever can make this machine send a GET
		ClientEnableState: imds.ClientEnabled,
		Retryer:           awsretry.AddWithMaxAttempts(awsretry.NewStandard(), metadataTries),
	})
	document, err := client.GetInstanceIdentityDocument(ctx, nil)
	if err != nil {
		return identity{}, aws.Credentials{}, noMetadata(ctx, heard.status)
	}
	about := identity{document.AccountID, document.Region, document.AvailabilityZone, document.InstanceID, document.InstanceType, document.ImageID}
	if !validRegion.MatchString(about.Region) || !validInstance.MatchString(about.InstanceID) {
		return identity{}, aws.Credentials{}, appliance.Faultf("aws-logs-remote is for appliances on EC2",
			"the metadata service names no instance of EC2: %.60q in %.60q", about.InstanceID, about.Region)
	}
	if o.AccessKey != "" {
		return about, aws.Credentials{AccessKeyID: o.AccessKey, SecretAccessKey: o.SecretKey}, nil
	}
	role := ec2rolecreds.New(func(r *ec2rolecreds.Options) { r.Client = client })
	credentials, err := role.Retrieve(ctx)
	switch {
	case err == nil && credentials.HasKeys():
		return about, credentials, nil
	case ctx.Err() != nil:
		return identity{}, aws.Credentials{}, context.Cause(ctx)
	default:
		return identity{}, aws.Credentials{}, appliance.Faultf("attach an IAM role to it, docs/ADMIN.md has its policy; or give --access-key and --secret-key",
			"instance %s has no role that gives credentials", about.InstanceID)
	}
}

// lastStatus remembers the status of the last answer, 0 where none came: the errors of
// the SDK do not tell.
type lastStatus struct {
	http.RoundTripper
	status int
}

func (l *lastStatus) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		l.status = answer.StatusCode
	}
	return answer, err
}

// noMetadata says why the metadata service told nothing.
func noMetadata(ctx context.Context, status int) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case status == 0:
		return appliance.Faultf("aws-logs-remote is for appliances on EC2; there, a container needs the instance's metadata with a hop limit of 2",
			"this is not AWS: the metadata service at %s does not answer", metadataAddress)
	default:
		return appliance.Faultf("on EC2, enable the instance's metadata with tokens: aws ec2 modify-instance-metadata-options --http-endpoint enabled --http-tokens required",
			"the metadata service tells nothing (HTTP status %d), and without a token it is not asked", status)
	}
}
