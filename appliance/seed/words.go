package seed

var businesses = []string{"Shop", "Bank", "Forum", "Portal", "Intranet", "Booking", "News", "Learning", "Health", "Maps"}

var hosts = []string{"shop", "banking", "forum", "portal", "my", "booking", "news", "learn", "care", "maps"}

var givenNames = []string{"anna", "ben", "chloe", "david", "elif", "farid", "grace", "hugo", "ines", "jonas", "kenji", "lena", "mateo", "nadia", "oskar", "priya", "quentin", "rosa", "samir", "tove", "umar", "vera", "wei", "yara", "zoe"}

var familyNames = []string{"almeida", "becker", "costa", "dubois", "eriksson", "fischer", "garcia", "haddad", "ivanova", "jansen", "kim", "lopez", "meyer", "nakamura", "okafor", "patel", "rossi", "schmidt", "tanaka", "usman", "virtanen", "weber", "yilmaz", "zhang"}

var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
	"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
	"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
	"okhttp/4.12.0", "python-requests/2.32.3", "curl/8.14.1", "Go-http-client/2.0", "Apache-HttpClient/5.4 (Java/21.0.5)",
}

var scanners = []string{
	"sqlmap/1.8.11#stable (https://sqlmap.org)", "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:007342)", "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)",
	"masscan/1.3 (https://github.com/robertdavidgraham/masscan)", "WPScan v3.8.28 (https://wpscan.com/wordpress-security-scanner)", "gobuster/3.6", "Wget/1.21.4",
}

var languages = []string{"en-US,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9,en-US;q=0.8", "es-ES,es;q=0.9", "ja,en-US;q=0.9,en;q=0.8", "pt-BR,pt;q=0.9,en;q=0.8", "he-IL,he;q=0.9,en;q=0.8"}

var methods = []string{"GET", "GET", "GET", "GET", "GET", "GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD"}

var sections = []string{"products", "orders", "accounts", "search", "cart", "checkout", "profile", "messages", "reports", "articles", "events", "tickets", "invoices", "payments", "admin/users", "api/v1/items", "api/v1/sessions", "api/v2/quotes", "static/js", "static/css", "images", "downloads"}

var words = []string{"amber", "basket", "candle", "delta", "ember", "forest", "garden", "harbour", "island", "jacket", "kettle", "lantern", "meadow", "needle", "orchard", "pepper", "quartz", "river", "saddle", "timber", "umbrella", "velvet", "willow", "yellow", "zephyr", "anchor", "bridge", "copper", "dragon", "engine", "feather", "glacier", "hammer", "ivory", "jungle", "koala", "ladder", "marble", "nectar", "ocean", "pillow", "ribbon", "silver", "tunnel", "valley", "window"}

var parameterNames = []string{"q", "page", "sort", "id", "category", "lang", "ref", "utm_source", "filter", "limit", "offset", "token", "name", "email", "quantity", "price", "from", "to", "view", "tab"}

var extensions = []string{"", "", "", "", ".html", ".php", ".aspx", ".jsp", ".json", ".js", ".css", ".png"}

var statuses = []int{200, 200, 200, 200, 200, 200, 200, 201, 204, 301, 302, 304, 304, 400, 401, 403, 404, 404, 500, 503}

var servers = []string{"nginx", "nginx/1.26.3", "Apache/2.4.65 (Debian)", "Microsoft-IIS/10.0", "gunicorn", "Kestrel"}
