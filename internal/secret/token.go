package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/manifest"
)

const tokenAdvice = "take it from a Secret that an operator creates or SOPS encrypts, take it out of Git history, and replace it"

// prefixed is a token that its issuer lets begin in a way of its own.
type prefixed struct {
	name     string
	prefixes []string
	letters  string // of what follows
	least    int    // how many follow at least
}

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
	hexes  = digits + "abcdef"
	alnum  = digits + lower + upper
	word   = alnum + "_-"
)

// prefixedTokens lists the forms that issuers document.
func prefixedTokens() []prefixed {
	return []prefixed{
		{"an AWS access key", []string{"AKIA", "ASIA"}, upper + "234567", 16},
		{"a Google API key", []string{"AIza"}, word, 35},
		{"a Google OAuth secret", []string{"GOCSPX-"}, word, 20},
		{"a Google OAuth token", []string{"ya29."}, word + ".", 30},
		{"an Azure client secret", []string{"8Q~", "7Q~"}, alnum + "_~.-", 31},
		{"a GitHub token", []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_"}, alnum, 36},
		{"a GitHub token", []string{"github_pat_"}, alnum + "_", 50},
		{"a GitLab token", []string{"glpat-", "glrt-", "gldt-", "glptt-", "glcbt-", "glft-", "glagent-", "gloas-", "glsoat-", "glimt-",
			"GR1348941"}, word + ".", 20},
		{"an npm token", []string{"npm_"}, alnum, 36},
		{"a Slack token", []string{"xoxb-", "xoxa-", "xoxp-", "xoxr-", "xoxs-", "xoxe-", "xoxe.xoxp-", "xapp-"}, alnum + "-", 20},
		{"a Slack webhook", []string{"hooks.slack.com/services/", "hooks.slack.com/workflows/", "hooks.slack.com/triggers/"}, alnum + "/", 30},
		{"a Discord webhook", []string{"discord.com/api/webhooks/", "discordapp.com/api/webhooks/"}, word + "/", 60},
		{"a Teams webhook", []string{"webhook.office.com/webhookb2/"}, word + "/@", 70},
		{"a Stripe key", []string{"sk_live_", "rk_live_", "sk_prod_", "rk_prod_", "whsec_"}, alnum, 16},
		{"a SendGrid key", []string{"SG."}, word + ".", 60},
		{"an OpenAI key", []string{"sk-proj-", "sk-svcacct-", "sk-admin-", "sk-"}, word, 40},
		{"an Anthropic key", []string{"sk-ant-"}, word, 40},
		{"a Hugging Face token", []string{"hf_"}, alnum, 30},
		{"a Vault token", []string{"hvs.", "hvb.", "hvr."}, word, 20},
		{"a Docker Hub token", []string{"dckr_pat_", "dckr_oat_"}, word, 20},
		{"a PyPI token", []string{"pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZw"}, word, 30},
		{"a RubyGems token", []string{"rubygems_"}, hexes, 40},
		{"a DigitalOcean token", []string{"dop_v1_", "doo_v1_", "dor_v1_"}, hexes, 60},
		{"a Grafana token", []string{"glsa_", "glc_"}, alnum + "_+/=", 32},
		{"a Terraform token", []string{".atlasv1."}, word, 60},
		{"a Shopify token", []string{"shpat_", "shpca_", "shppa_", "shpss_"}, alnum, 32},
		{"a Sentry token", []string{"sntrys_", "sntryu_"}, word + "=+/", 40},
		{"a New Relic key", []string{"NRAK-", "NRAA-", "NRJS-"}, upper + digits, 19},
		{"a Databricks token", []string{"dapi"}, hexes, 32},
		{"an Atlassian token", []string{"ATATT3", "ATBB", "ATCTT3"}, word + "=", 28},
		{"a Pulumi token", []string{"pul-"}, hexes, 40},
		{"an Artifactory key", []string{"AKCp"}, alnum, 60},
		{"an Artifactory token", []string{"cmVmdGtuOj"}, alnum, 50},
		{"a SonarQube token", []string{"sqp_", "squ_", "sqa_"}, hexes, 40},
		{"a Supabase token", []string{"sbp_"}, hexes, 40},
		{"a PlanetScale token", []string{"pscale_tkn_", "pscale_pw_", "pscale_oauth_"}, word + ".", 32},
		{"a Postman key", []string{"PMAK-"}, hexes + "-", 50},
		{"a Linear key", []string{"lin_api_"}, alnum, 40},
		{"a Doppler token", []string{"dp.pt.", "dp.st.", "dp.ct.", "dp.sa."}, alnum + ".", 40},
		{"a Heroku key", []string{"HRKU-"}, word, 36},
		{"a Mailgun key", []string{"key-"}, hexes, 32},
		{"a Telegram token", []string{":AA"}, word, 32},
		{"a Scaleway key", []string{"SCW"}, upper + digits, 17},
		{"an Azure storage key", []string{"AccountKey="}, alnum + "+/=", 60},
		{"an Azure shared access key", []string{"SharedAccessKey="}, alnum + "+/=", 40},
	}
}

// shaped is a secret that is known by its form. The group of the pattern is what must be a secret by itself.
type shaped struct {
	name    string
	hint    string // in lower case, on the first of the lines that match
	also    string // on the same line
	pattern *regexp.Regexp
	is      func(value string) bool
}

// shapes are compiled when a file is first looked at.
var shapes = sync.OnceValue(func() []shaped {
	compile := regexp.MustCompile
	return []shaped{
		{"a URL with a password", "://", "@",
			compile(`[a-zA-Z][a-zA-Z0-9+.-]{1,30}://[^\s/:@"'<>]{0,100}:([^\s/@"'<>]{3,200})@[^\s@:/"']+(?:[:/"'\s?,]|$)`), isLiteral},
		{"a data source with a password", "@tcp(", ":", compile(`[\w.-]+:([^\s:@/"']{3,})@tcp\(`), isLiteral},
		{"a data source with a password", "@unix(", ":", compile(`[\w.-]+:([^\s:@/"']{3,})@unix\(`), isLiteral},
		{"a JSON Web Token", "eyj", ".", compile(`\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,})`), isJWT},
		{"a registry's login", "auth", "", compile(`"?\b_?auth\\?"?\s*[:=]\s*\\?["']?([A-Za-z0-9+/]{8,}={0,2})`), isLogin},
		{"a login", "basic ", "", compile(`(?i)\bbasic\s+([A-Za-z0-9+/]{8,}={0,2})`), isLogin},
		{"a bearer token", "bearer ", "", compile(`(?i)\bbearer\s+([A-Za-z0-9._~+/-]{16,}=*)`), isRandom},
		{"an npm token", "_authtoken", "=", compile(`_authToken\s*=\s*["']?([^\s"'$]{8,})`), isLiteral},
		{"an npm password", ":_password", "=", compile(`:_password\s*=\s*["']?([^\s"'$]{4,})`), isLiteral},
		{"a login of netrc", "machine", "", compile(`\bmachine\s+\S+\s+login\s+\S+\s+password\s+(\S+)`), isLiteral},
		{"an AWS secret key", "aws", "",
			compile(`(?i)aws_?(?:secret_?)?(?:access_?)?key["']?\s*(?:[:=]|value:)\s*["']?([A-Za-z0-9/+]{40})(?:["'\s,;]|$)`), isRandom},
		{"an AWS secret key", "secretaccesskey", "",
			compile(`(?i)secretaccesskey["']?\s*(?:[:=]|value:)\s*["']?([A-Za-z0-9/+]{40})(?:["'\s,;]|$)`), isRandom},
		{"a password on a command line", "curl", ":", compile(`\bcurl\b.*?\s(?:-u|--user)\s+["']?[^\s:"'$]+:([^\s"'$]{3,})`), isLiteral},
		{"a signed Azure URL", "sig=", "sv=", compile(`sv=\d{4}-\d\d-\d\d\S*?sig=([A-Za-z0-9%/+]{40,})`), isRandom},
		{"a signed Azure URL", "sig=", "sv=", compile(`sig=([A-Za-z0-9%/+]{40,})\S*?sv=\d{4}-\d\d-\d\d`), isRandom},
	}
})

// tokens reports what is a secret by its form, wherever it is written. Folded is the same text in lower case.
func (s *Scanner) tokens(data, folded []byte, p position) {
	s.prefixes(data, p)
	for _, t := range shapes() {
		lines := counter{data: data}
		for from := 0; ; {
			at := bytes.Index(folded[from:], []byte(t.hint))
			if at < 0 {
				break
			}
			from = s.shaped(t, &lines, from+at, p)
		}
	}
	if bytes.Contains(data, []byte("kind: Config")) && bytes.Contains(data, []byte("current-context")) {
		s.kubeconfig(data, p)
	}
}

// shaped looks for a shape on the line with its hint and on the two after it: a name, its value, and one between them. It returns where
// to go on.
func (s *Scanner) shaped(t shaped, lines *counter, hint int, p position) (next int) {
	const far = 4096 // a minified file is one line
	data := lines.data
	begin := max(bytes.LastIndexByte(data[:hint], '\n')+1, hint-far)
	next = min(lineEnd(data, hint), hint+far)
	if !bytes.Contains(data[begin:next], []byte(t.also)) {
		return next
	}
	end := min(lineEnd(data, lineEnd(data, next)), next+far)
	for _, at := range t.pattern.FindAllSubmatchIndex(data[begin:end], maxKeys) {
		if value := data[begin+at[2] : begin+at[3]]; utf8.Valid(value) && t.is(string(value)) {
			s.token(t.name, p.line(lines.line(begin+at[2])))
		}
	}
	return next
}

// counter counts lines up to places that mostly come one after the other, so that a file full of findings is read a few times and not
// once for each of them.
type counter struct {
	data       []byte
	at, before int // line breaks before a place
}

func (c *counter) line(at int) int {
	if at < c.at {
		c.at, c.before = 0, 0
	}
	c.before += bytes.Count(c.data[c.at:at], []byte("\n"))
	c.at = at
	return c.before + 1
}

// lineEnd is where the line after the one at an offset begins.
func lineEnd(data []byte, at int) int {
	if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(data)
}

// fold makes capitals small, and leaves each byte where it is.
func fold(data []byte) []byte {
	out := bytes.Clone(data)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}

func hasAny(data []byte, words []string) bool {
	for _, w := range words {
		if bytes.Contains(data, []byte(w)) {
			return true
		}
	}
	return false
}

// starts finds prefixes by their first two letters, all of them in one pass over a text.
type starts struct {
	at   [1 << 16]uint8 // by the two letters, 1 more than the place in list
	list [][]candidate
}

var startsOnce = sync.OnceValue(func() *starts {
	table := &starts{}
	for _, t := range prefixedTokens() {
		for _, prefix := range t.prefixes {
			at := &table.at[int(prefix[0])<<8|int(prefix[1])]
			if *at == 0 {
				table.list = append(table.list, nil)
				*at = uint8(len(table.list))
			}
			table.list[*at-1] = append(table.list[*at-1], candidate{prefix, t})
		}
	}
	return table
})

type candidate struct {
	prefix string
	prefixed
}

func (s *Scanner) prefixes(data []byte, p position) {
	table, lines := startsOnce(), counter{data: data}
	for i := 1; i < len(data); i++ {
		n := table.at[int(data[i-1])<<8|int(data[i])]
		if n == 0 {
			continue
		}
		for _, c := range table.list[n-1] {
			at := i - 1
			if !bytes.HasPrefix(data[at:], []byte(c.prefix)) || !begins(data, at, c.prefix) {
				continue
			}
			if body := run(data[at+len(c.prefix):], c.letters); len(body) >= c.least && isBody(string(body)) {
				s.token(c.name, p.line(lines.line(at)))
			}
		}
	}
}

// begins reports whether a prefix is where a word begins. Some are marks within a token, behind digits or letters.
func begins(data []byte, at int, prefix string) bool {
	var before byte = ' '
	if at > 0 {
		before = data[at-1]
	}
	switch prefix {
	case ":AA":
		return strings.IndexByte(digits, before) >= 0
	case "8Q~", "7Q~", ".atlasv1.":
		return strings.IndexByte(word, before) >= 0
	}
	return strings.IndexByte(word, before) < 0
}

// isBody reports whether what follows a prefix was made by a machine. Names have dashes and no digits.
func isBody(text string) bool {
	name := strings.ContainsAny(text, "-_") && !strings.ContainsAny(text, digits)
	return !name && isLiteral(text) && !isCounting(text) && entropy(text) > 2.9
}

// run is how the text begins as far as it has these letters only.
func run(data []byte, letters string) []byte {
	for i, c := range data {
		if strings.IndexByte(letters, c) < 0 {
			return data[:i]
		}
	}
	return data
}

// token reports one secret a line: a key may look like the keys of several issuers.
func (s *Scanner) token(name string, line int) {
	if s.tokenLines[line] {
		return
	}
	s.tokenLines[line] = true
	s.report(finding.RuleToken, line, name+" in plain text", tokenAdvice)
}

// kubeconfig reports the tokens and passwords of users. Their keys are found as keys.
func (s *Scanner) kubeconfig(data []byte, p position) {
	for _, at := range regexp.MustCompile(`(?m)^\s+(?:token|password):\s*["']?([^\s"'#]+)`).FindAllSubmatchIndex(data, maxKeys) {
		if isLiteral(string(data[at[2]:at[3]])) {
			s.token("a login of a cluster", p.line(manifest.LineAt(data, at[2])))
		}
	}
}

// isLogin reports whether a text is a name and a password as HTTP's basic authentication encodes them.
func isLogin(text string) bool {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !utf8.Valid(decoded) {
		return false
	}
	_, password, ok := strings.Cut(string(decoded), ":")
	return ok && isText(decoded) && isLiteral(password)
}

// isJWT reports whether a text is a signed token that is not the sample of the documentation.
func isJWT(text string) bool {
	parts := strings.Split(text, ".")
	var header struct {
		Alg string `json:"alg"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(raw, &header) != nil || header.Alg == "" {
		return false
	}
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return !bytes.Contains(claims, []byte(`"John Doe"`))
}
