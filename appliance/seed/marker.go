package seed

// Markers: every row and file of a kind holds its marker, and nothing of another
// kind does, so a dump that leaves the kind out does not hold the marker anywhere.
// (Revisions, which are configuration, name the users that were made.)
const (
	MarkConfig         = "seed-config-"
	MarkUser           = "seed-user-"
	MarkSSLKey         = "seed-ssl-"
	MarkCredential     = "seed-credential-"
	MarkArchive        = "seed-archive-good-"   // in the name and in the file's first bytes
	MarkFailedArchive  = "seed-archive-failed-" // likewise
	MarkJob            = "seed-job-"
	MarkSystemEvent    = "seed-system-event-"
	MarkAlert          = "seed-alert-"
	MarkViolation      = "seed-violation-"
	MarkAudit          = "seed-audit-"
	MarkSSLSecret      = "c2VlZC1zc2wt"         // base64 of MarkSSLKey: how private keys begin in lines of secrets
	MarkCredentialPass = "c2VlZC1jcmVkZW50aWFs" // base64 of MarkCredential's first 15 bytes: how passwords begin there
)
