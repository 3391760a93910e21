package secret

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/stratio/keos-oci/internal/finding"
	"github.com/stratio/keos-oci/internal/manifest"
)

const (
	pemBegin  = "-----BEGIN "
	maxKeys   = 20 // per text: a file with more of them is no clearer for a longer list
	ageSecret = "AGE-SECRET-KEY-1"
	minBlob   = 24 // no key and no Secret fits into less base64
	keyAdvice = "take it out of the component and out of Git history, and replace the key"
)

// keys reports private keys in a text, whatever the text is.
func (s *Scanner) keys(data []byte, p position) {
	left := maxKeys
	for at := range indexes(data, []byte(pemBegin)) {
		if label := pemLabel(data[at+len(pemBegin):]); strings.Contains(label, "PRIVATE KEY") || strings.Contains(label, "Static key") {
			s.report(finding.RulePrivateKey, p.line(manifest.LineAt(data, at)), "a private key ("+label+")", keyAdvice)
			if left--; left == 0 {
				return
			}
		}
	}
	for at := range indexes(data, []byte(ageSecret)) {
		if isKeyBody(data[at+len(ageSecret):]) {
			s.report(finding.RulePrivateKey, p.line(manifest.LineAt(data, at)), "an age secret key", keyAdvice)
			if left--; left == 0 {
				return
			}
		}
	}
	if at := bytes.Index(data, []byte("PuTTY-User-Key-File-")); at >= 0 && bytes.Contains(data, []byte("Private-Lines:")) {
		s.report(finding.RulePrivateKey, p.line(manifest.LineAt(data, at)), "a private key (PuTTY)", keyAdvice)
	}
}

// pemLabel reads the label of a PEM header: the text before the closing dashes.
func pemLabel(rest []byte) string {
	label, _, ok := strings.Cut(string(rest[:min(len(rest), 64)]), "-----")
	if !ok || strings.ContainsAny(label, "\n\"") {
		return ""
	}
	return label
}

func isKeyBody(rest []byte) bool {
	const length = 20 // of 58: enough to tell a key from text about keys
	if len(rest) < length {
		return false
	}
	return !slices.ContainsFunc(rest[:length], func(c byte) bool {
		return (c < 'A' || c > 'Z') && (c < '0' || c > '9')
	})
}

// marker is a piece of base64 that appears wherever a word was encoded, in one of the three ways the word can lie on
// base64's groups of three bytes. skip is how many characters of its group are before it.
type marker struct {
	text string
	skip int
}

// markers are those of words that keys, Secrets and registries' logins have. To search for them costs far less than to decode
// everything that could be base64.
var markers = sync.OnceValue(func() []marker {
	var all []marker
	for _, word := range []string{"PRIVATE KEY", ageSecret, "Secret", `"auths"`} {
		for before, skip := range []int{0, 2, 3} {
			text := base64.StdEncoding.EncodeToString(append(make([]byte, before), word...))
			all = append(all, marker{text[skip : 8*(before+len(word))/6], skip})
		}
	}
	return all
})

// blobs decodes base64 of a key or a Secret, and looks at what comes out. A run of base64 may go over several
// lines, and a line may end anywhere.
func (s *Scanner) blobs(data []byte, p position, depth int) {
	if depth > maxWrap {
		return
	}
	all := markers()
	for at := 0; at < len(data); at++ {
		if !isBase64(data[at]) {
			continue
		}
		end := runEnd(data, at)
		if end-at >= minBlob {
			s.blob(data, at, end, all, p, depth)
		}
		at = end
	}
}

// blob decodes one run of base64, once for each alignment that its markers tell. Without any it may still be base64 of
// base64.
func (s *Scanner) blob(data []byte, begin, end int, all []marker, p position, depth int) {
	run := squeeze(data[begin:end])
	first := -1
	var starts [4]bool
	for _, m := range all {
		for at := range indexes(run, []byte(m.text)) {
			starts[((at-m.skip)%4+4)%4] = true
			if first < 0 || at < first {
				first = at
			}
		}
	}
	if first < 0 {
		inner := decode(run)
		if isDERKey(inner) {
			s.report(finding.RulePrivateKey, p.line(manifest.LineAt(data, begin)), "a private key (DER)", keyAdvice)
		}
		if len(run) >= 2*minBlob && isText(inner) {
			s.blobs(inner, position{base: p.line(manifest.LineAt(data, begin)), fixed: true}, depth+1)
		}
		return
	}
	where := position{base: p.line(manifest.LineAt(data, unsqueeze(data, begin, first))), fixed: true}
	for start, found := range starts {
		if found {
			s.decoded(decode(run[start:]), where, depth)
		}
	}
}

// unsqueeze finds the byte of data that became the n-th of a run.
func unsqueeze(data []byte, begin, n int) int {
	for ; n > 0 || !isBase64(data[begin]); begin++ {
		if isBase64(data[begin]) {
			n--
		}
	}
	return begin
}

func isText(data []byte) bool {
	return !slices.ContainsFunc(data, func(c byte) bool { return c >= 0x7f || c < ' ' && c != '\n' && c != '\r' && c != '\t' })
}

func (s *Scanner) decoded(data []byte, p position, depth int) {
	s.keys(data, p)
	s.tokens(data, fold(data), p)
	if mayHoldSecret(string(data)) {
		s.documents(string(data), p, "in base64: ", depth+1)
	}
	s.blobs(data, p, depth+1)
}

func decode(run []byte) []byte {
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(run)))
	n, _ := base64.RawStdEncoding.Decode(out, run) // only the last characters can be wrong: they may belong to what follows
	return out[:n]
}

// runEnd is the end of the base64 that begins at an offset, line breaks and indentation included.
func runEnd(data []byte, at int) int {
	for at < len(data) {
		if isBase64(data[at]) {
			at++
			continue
		}
		n := breakAfter(data[at:])
		if n == 0 {
			break
		}
		at += n
	}
	return at
}

// breakAfter measures a line break with the indentation after it, 0 when text does not begin with one.
func breakAfter(text []byte) int {
	trimmed := bytes.TrimLeft(text, "\r\n")
	if len(trimmed) == len(text) {
		return 0
	}
	return len(text) - len(bytes.TrimLeft(trimmed, " \t"))
}

// squeeze removes white space and turns the URL alphabet into the standard one.
func squeeze(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
		case '-':
			out = append(out, '+')
		case '_':
			out = append(out, '/')
		default:
			out = append(out, c)
		}
	}
	return out
}

func isBase64(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

// keyFile judges files by their names: a file that is called a key must show that it is a public one.
func (s *Scanner) keyFile(data []byte) {
	base := path.Base(s.name)
	isKey := slices.Contains([]string{".key", ".p12", ".pfx", ".kdbx"}, path.Ext(base)) ||
		slices.Contains([]string{"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"}, base)
	if !isKey && (path.Ext(base) != ".pem" || !isDERKey(data)) {
		return
	}
	if len(bytes.TrimSpace(data)) == 0 || isCiphertext(data) || isPublic(data) || IsEncryptedFile(data) ||
		bytes.Contains(data, []byte("PRIVATE KEY")) {
		return // a PEM block has its own finding, with its line
	}
	s.report(finding.RulePrivateKey, 0, fmt.Sprintf("%s is named like a private key and contains no public key", base), keyAdvice)
}

// isCiphertext reports whether a file is encrypted as a whole, by age, git-crypt, GnuPG, openssl or Ansible.
func isCiphertext(data []byte) bool {
	for _, begin := range []string{"age-encryption.org/", "-----BEGIN AGE ENCRYPTED FILE-----", "\x00GITCRYPT\x00",
		"-----BEGIN PGP MESSAGE-----", "Salted__", "$ANSIBLE_VAULT;"} {
		if bytes.HasPrefix(data, []byte(begin)) {
			return true
		}
	}
	return false
}

func isPublic(data []byte) bool {
	text := string(bytes.TrimSpace(data))
	for _, start := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"} {
		if strings.HasPrefix(text, start) {
			return true
		}
	}
	if !strings.Contains(text, pemBegin) {
		_, err := x509.ParsePKIXPublicKey(data)
		return err == nil
	}
	return !strings.Contains(text, "PRIVATE")
}

func isDERKey(data []byte) bool {
	if len(data) < 40 || data[0] != 0x30 { // a SEQUENCE of ASN.1
		return false
	}
	if _, err := x509.ParsePKCS8PrivateKey(data); err == nil {
		return true
	}
	if _, err := x509.ParsePKCS1PrivateKey(data); err == nil {
		return true
	}
	_, err := x509.ParseECPrivateKey(data)
	return err == nil
}

// dotenv refuses .env files, which exist to hold secrets, but not the samples that show their form.
func (s *Scanner) dotenv(data []byte) {
	if !IsDotenv(s.name) || IsEncryptedFile(data) {
		return
	}
	s.report(finding.RuleDotenv, 0, "an environment file in plain text", "keep it out of Git, or encrypt it with SOPS")
}

// IsDotenv reports whether a file is an environment file by its name, and no sample of one.
func IsDotenv(name string) bool {
	base := path.Base(name)
	switch base {
	case ".env.example", ".env.sample", ".env.template":
		return false
	}
	return base == ".env" || strings.HasPrefix(base, ".env.")
}

// indexes yields every place of a word in a text.
func indexes(data, word []byte) func(func(int) bool) {
	return func(yield func(int) bool) {
		for from := 0; ; {
			i := bytes.Index(data[from:], word)
			if i < 0 || !yield(from+i) {
				return
			}
			from += i + len(word)
		}
	}
}
