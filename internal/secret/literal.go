package secret

import (
	"math"
	"regexp"
	"strings"
	"sync"
)

// placeholders are what people write where a secret is to be filled in.
var placeholders = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)change|replace|your|xxx|\*\*\*|\.\.\.|example|placeholder|dummy|redacted|todo|tbd|fixme|insert|fill|sample|` +
		`^<.*>$|^\[.*\]$|^_+[a-z_]+_+$|^@.*@$|^%.*%$|^-+$|^#`)
})

// isName reports whether a text is a word that people and schemas write in the place of a secret.
func isName(text string) bool {
	switch strings.ToLower(text) {
	case "", "null", "nil", "~", "none", "true", "false", "yes", "no", "on", "off", "string", "password", "passwd", "pass", "pwd", "secret", "token",
		"key", "apikey", "credentials", "value", "optional", "required", "default", "empty", "unset", "undefined", "enabled", "disabled", "auto", "random", "generated",
		"plain", "plaintext", "text", "file", "env", "user", "username", "object", "array", "boolean", "integer", "{}", "[]", "|", ">", "basic", "bearer", "always", "never",
		"passwort", "kennwort", "contraseña", "senha", "wachtwoord", "hasło", "lösenord", "adgangskode", "heslo", "parola", "пароль":
		return true
	}
	return false
}

// isLiteral reports whether a text is a secret itself: not a reference to one, and not what people write in its place.
func isLiteral(text string) bool {
	text = strings.TrimSpace(text)
	if isName(text) || isReference(text) || IsCipher(text) || placeholders().MatchString(text) {
		return false
	}
	return strings.Trim(text, text[:1]) != "" // one letter over and over
}

// isReference reports whether a text says where a value comes from, by the means of templates, shells, programs and Kubernetes.
func isReference(text string) bool {
	if IsReferenceOnly(text) {
		return true
	}
	for _, begin := range []string{"$", "<", "{", "[", "#{", "%(", "%s", "%v", "ENC[", "ref+", "vault:", "secret:", "env:", "file:", "arn:",
		"projects/",
		"@Microsoft.KeyVault", "process.env", "os.environ", "var.", "local.", "data.", "module."} {
		if strings.HasPrefix(text, begin) && !isHash(text) {
			return true
		}
	}
	return call().MatchString(text) || strings.Contains(text, "${") || strings.Contains(text, "$(") || strings.Contains(text, "{{") ||
		strings.HasSuffix(text, ")")
}

// call is how a call of a function begins, or a verb of PowerShell.
var call = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z_][\w.]*\(|^(?:ConvertTo|ConvertFrom|Get|Read|New)-[A-Z]\w+`)
})

// isHash reports whether a text is a hashed password as htpasswd and crypt write it.
func isHash(text string) bool {
	return len(text) > 20 && (strings.HasPrefix(text, "$2") || strings.HasPrefix(text, "$apr1$") || strings.HasPrefix(text, "$6$") ||
		strings.HasPrefix(text, "$argon2"))
}

// isRandom reports whether a text looks as if a machine made it: it is long, has digits and letters, and repeats little.
func isRandom(text string) bool {
	if len(text) < 12 || strings.ContainsAny(text, " \t") || !isLiteral(text) || isCounting(text) {
		return false
	}
	digit, letter := strings.ContainsAny(text, digits), strings.ContainsAny(text, lower+upper)
	return digit && letter && entropy(text) > 2.9
}

// isCounting reports whether a text is the alphabet or the digits in their order.
func isCounting(text string) bool {
	steps := 0
	for i := 1; i < len(text); i++ {
		if text[i] == text[i-1]+1 || text[i] == text[i-1] {
			steps++
		}
	}
	return steps*2 > len(text)
}

// entropy is Shannon's, in bits for each letter.
func entropy(text string) float64 {
	counts := map[byte]int{}
	for i := range len(text) {
		counts[text[i]]++
	}
	sum := 0.0
	for _, n := range counts {
		share := float64(n) / float64(len(text))
		sum -= share * math.Log2(share)
	}
	return sum
}
