package secret

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/stratio/keos-oci/internal/finding"
)

const passwordAdvice = "take it from a Secret (valuesFrom, secretKeyRef, existingSecret)"

// hints are in lower case. Each line with a password or the name of one has at least one of them.
func hints() []string {
	return []string{"pass", "pwd", "bindpw", "secret", "token", "key", "identified by", "masterauth", "psk", "mc alias", "chpasswd", "$apr1$", "$2"}
}

// assignment is a key, perhaps in quotes, and the sign between it and its value.
var assignment = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_.\-/]*)\\?["']?\s*(?::=|=>|[:=])[ \t]*`)
})

// spoken are forms in which no sign is between a key and its value.
var spoken = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:\b(?:identified\s+by|password)\s+'([^']{3,})'|^\s*(?:requirepass|masterauth|masteruser)\s+["']?([^\s"']{3,})|` +
		`\bPSK\s+"([^"]{6,})"|\bmc\s+(?:alias\s+set|config\s+host\s+add)\s+\S+\s+\S+\s+\S+\s+["']?([^\s"']{8,})|` +
		`(?:^|[\s"'\[])--?(?:password|passwd|token|api-key)["']?[\s,]+["']?([^\s"',-][^\s"',]{2,})|` +
		`<(?:\w*password|passphrase|apikey|token)>([^<>\s]{3,})</|` +
		`^\s*-?\s*["']?[\w.@-]{1,64}:(\$(?:2[aby]|apr1|6)\$[^\s"']{20,}))`)
})

// passwords reports literal values of keys that are called like a secret: an assignment in whatever format, or a name and a value
// that are neighbours.
func (s *Scanner) passwords(data, folded []byte) {
	const maxLines = 200_000 // more have generated files only
	if !isConfiguration(s.name) || !hasAny(folded, hints()) || bytes.Count(data, []byte("\n")) > maxLines {
		return
	}
	lines, low := strings.Split(string(data), "\n"), strings.Split(string(folded), "\n")
	for first := 0; first < len(lines); {
		last := first + 1
		for last < len(lines) && !strings.HasPrefix(lines[last], "---") {
			last++
		}
		if !isExempt(lines[first:last]) {
			s.passwordsIn(lines[first:last], low[first:last], first)
		}
		first = last
	}
	if path.Ext(s.name) == ".csv" {
		s.columns(lines)
	}
	if hasAny(folded, []string{"chpasswd"}) {
		s.logins(lines)
	}
}

// columns looks below the head of a table for passwords.
func (s *Scanner) columns(lines []string) {
	const maxColumns = 100
	for column, key := range strings.SplitN(lines[0], ",", maxColumns) {
		for i, line := range lines[1:] {
			cells := strings.Split(line, ",")
			if column < len(cells) && isSecretOf(strings.Trim(key, "\" \r"), strings.Trim(cells[column], "\" \r")) {
				s.report(finding.RulePassword, i+2, lastOf(key)+" has a literal value", passwordAdvice)
				return
			}
		}
	}
}

// logins looks for users with their passwords, as chpasswd of cloud-init takes them.
func (s *Scanner) logins(lines []string) {
	for i, line := range lines {
		user, password, ok := strings.Cut(strings.Trim(line, " -\"'\r"), ":")
		if ok && strings.Trim(user, lower+digits+"_-") == "" && password != "" && !strings.ContainsAny(password, " :") && len(password) > 5 &&
			isLiteral(password) {
			s.report(finding.RulePassword, i+1, "a login of "+user+" is in plain text", passwordAdvice)
			return
		}
	}
}

// isConfiguration reports whether a file is one in which keys have values: prose has not.
func isConfiguration(name string) bool {
	switch path.Ext(name) {
	case ".md", ".rst", ".adoc", ".html", ".proto", ".graphql", ".svg", ".css", ".lock", ".sum", ".png", ".tgz", ".gz":
		return false
	}
	return true
}

// isExempt reports whether a document is of a kind whose keys are called like secrets and have none: what is sealed, what says where a
// secret is, and types. What SOPS encrypts is not exempt: it may be encrypted in part.
func isExempt(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		switch strings.TrimRight(line, " \r") {
		case "kind: SealedSecret", "kind: ExternalSecret", "kind: ClusterExternalSecret", "kind: SecretStore", "kind: ClusterSecretStore",
			"kind: CustomResourceDefinition":
			return true
		}
		return false
	})
}

// passwordsIn looks at the lines of one document. Low are the same lines in lower case.
func (s *Scanner) passwordsIn(lines, low []string, before int) {
	words := hints()
	for i, line := range lines {
		if !strings.Contains(low[i], "value") && !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(low[i], w) }) {
			continue
		}
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "//") || strings.HasPrefix(trimmed, ";") {
			continue
		}
		if key := s.passwordOf(lines, i); key != "" {
			s.report(finding.RulePassword, before+i+1, key+" has a literal value", passwordAdvice)
		}
	}
}

// passwordOf is the key on a line that has a literal secret, "" for none.
func (s *Scanner) passwordOf(lines []string, i int) string {
	line := lines[i]
	for _, at := range assignment().FindAllStringSubmatchIndex(line, 8) {
		if isWithin(line[:at[2]]) {
			continue
		}
		key, rest := line[at[2]:at[3]], line[at[1]:]
		tight := !strings.HasSuffix(line[:at[1]], " ") && strings.HasSuffix(line[:at[1]], "=")
		value := valueOf(rest, tight)
		if value == "" || value[0] == '|' || value[0] == '>' {
			value = blockAfter(lines, i, value)
		}
		if key == "value" || key == "Value" {
			key = neighbour(lines, i)
		}
		if isCode(path.Ext(s.name)) && !isQuoted(rest) {
			continue
		}
		if isSecretOf(key, value) {
			return lastOf(key)
		}
	}
	if m := spoken().FindStringSubmatch(line); m != nil {
		if value := strings.Join(m[1:], ""); isLiteral(value) {
			return "a password"
		}
	}
	return spaced(lines, i)
}

// spaced is the key of a value that only space or a new line is before: a directive of a config file, or an argument.
func spaced(lines []string, i int) string {
	words := strings.Fields(lines[i])
	switch {
	case len(words) == 2 && !strings.HasPrefix(words[0], "-") && !strings.ContainsAny(words[0], ":=#") &&
		strings.ContainsAny(words[1], digits) && isSecretOf(words[0], words[1]):
		return lastOf(words[0])
	case len(words) == 2 && words[0] == "-" && strings.HasPrefix(strings.Trim(words[1], `"'`), "--") && i+1 < len(lines):
		next := strings.Fields(lines[i+1])
		flag := strings.Trim(words[1], `"'`)
		if len(next) == 2 && next[0] == "-" && !strings.HasPrefix(next[1], "-") && isSecretOf(flag, strings.Trim(next[1], `"'`)) {
			return flag
		}
	}
	return ""
}

// isWithin reports whether what follows a text is a part of an address or of the name of a cloud's resource.
func isWithin(before string) bool {
	token := before[strings.LastIndexAny(before, " \t\"'")+1:]
	return strings.Contains(token, "arn:") || strings.HasSuffix(token, "/") || strings.HasSuffix(token, "@")
}

// valueOf reads the value that a text begins with. A tight one, as in a connection string, ends at a space or a separator.
func valueOf(rest string, tight bool) string {
	rest = strings.TrimRight(rest, " \r\t,")
	if strings.HasPrefix(rest, "!") && !strings.HasPrefix(rest, "!!") { // a tag of a program, which reads the value from elsewhere
		return ""
	}
	for strings.HasPrefix(rest, "&") || strings.HasPrefix(rest, "!!") { // an anchor or a tag
		_, after, ok := strings.Cut(rest, " ")
		if !ok {
			return ""
		}
		rest = strings.TrimLeft(after, " ")
	}
	rest = strings.TrimPrefix(rest, `\`)
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		value, _, _ := strings.Cut(rest[1:], rest[:1])
		return strings.TrimSuffix(value, `\`)
	}
	if tight {
		rest, _, _ = strings.Cut(rest, " ")
	}
	for _, end := range []string{" #", " //", ";", "&", ", ", "}"} {
		if !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, "$") {
			rest, _, _ = strings.Cut(rest, end)
		}
	}
	return strings.TrimSpace(rest)
}

// blockAfter is the first line of a block scalar that begins on a line, "" where none does.
func blockAfter(lines []string, i int, indicator string) string {
	if indicator == "" || strings.Trim(indicator, "|>+-0123456789") != "" || i+1 >= len(lines) {
		return ""
	}
	return strings.TrimSpace(lines[i+1])
}

// neighbour is the name, or the end of the path, that is written beside a value on one of the lines around it.
func neighbour(lines []string, i int) string {
	for _, at := range []int{i, i - 1, i + 1, i - 2} {
		if at < 0 || at >= len(lines) {
			continue
		}
		if m := neighbours().FindStringSubmatch(lines[at]); m != nil {
			return m[1]
		}
	}
	return ""
}

var neighbours = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[\s{,-])["']?(?:name|path|key)["']?\s*[:=]\s*["']?([A-Za-z0-9_./-]+)`)
})

// isCode reports whether values without quotes are expressions in a file of this kind.
func isCode(ext string) bool {
	return slices.Contains([]string{".tf", ".hcl", ".tfvars", ".py", ".js", ".ts", ".go", ".rb", ".groovy", ".lua", ".toml", ".jsonnet",
		".java", ".ps1", ".psm1", ".kt", ".cs"}, ext)
}

func isQuoted(text string) bool {
	return strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "'") || strings.HasPrefix(text, `\"`)
}

func lastOf(key string) string { return key[strings.LastIndexAny(key, "/")+1:] }

// isSecretOf reports whether a value is a secret of a key by its name. A password may be anything that people choose; a token or a key
// is made by a machine, and everything else that is called so is a name.
func isSecretOf(key, value string) bool {
	words := wordsOf(lastOf(key))
	password := isPasswordKey(words)
	if !password && !isTokenKey(words) || slices.ContainsFunc(wordsOf(key), isSum) {
		return false
	}
	if len(value) < 3 || len(value) > 4096 || !isLiteral(value) || isPlace(value) || isLabel(key, value) || isReferring(value) ||
		isHash(value) && !isHashed(key) {
		return false
	}
	return password || isRandom(value)
}

// isLabel reports whether a value is what a person reads: words of letters, of which there are several or one is the last of the key.
func isLabel(key, value string) bool {
	if strings.ContainsAny(value, digits+"@#$%&*+=/\\") {
		return false
	}
	words, of := wordsOf(value), wordsOf(key)
	if len(of) == 0 || strings.HasSuffix(of[len(of)-1], "passphrase") {
		return false
	}
	return len(words) > 1 && strings.Contains(value, " ") || slices.Contains(words, of[len(of)-1])
}

// isSum reports whether a word of a key says that its value is computed from something that is no secret.
func isSum(word string) bool {
	return slices.Contains([]string{"checksum", "sha256", "sha512", "digest", "hash", "fingerprint", "revision", "public"}, word)
}

func isHashed(key string) bool { return strings.Contains(strings.ToLower(key), "pass") }

// isPlace reports whether a value is a file, a folder or an address.
func isPlace(value string) bool {
	return strings.Contains(value, "://") || strings.HasPrefix(value, "/") || strings.HasPrefix(value, "./") ||
		strings.HasPrefix(value, "~/") || strings.HasPrefix(value, "../")
}

// isReferring reports whether a value is the name of an object or of a key: words, of which the last one is called like a secret.
func isReferring(value string) bool {
	words := wordsOf(value)
	if strings.Trim(value, alnum+"-_./") != "" || len(words) < 2 {
		return false
	}
	return slices.Contains([]string{"password", "passwd", "secret", "secrets", "token", "credentials", "creds", "key", "auth", "login", "pwd",
		"pass"}, words[len(words)-1])
}
