package secret

import (
	"slices"
	"strings"
	"unicode"
)

// isPasswordKey reports whether the words of a key end with one for a password.
func isPasswordKey(words []string) bool {
	if len(words) == 0 {
		return false
	}
	last := words[len(words)-1]
	for _, end := range []string{"password", "passwd", "passphrase", "passcode"} {
		if strings.HasSuffix(last, end) {
			return !slices.ContainsFunc(words[:len(words)-1], func(w string) bool {
				return slices.Contains([]string{"no", "allow", "use", "enable", "disable", "require", "has", "existing", "reset", "change", "forgot",
					"min", "max", "random", "generate"}, w)
			})
		}
	}
	return len(words) > 1 && slices.Contains([]string{"pass", "pwd", "pw"}, last) ||
		slices.Contains([]string{"pgpass", "bindpw", "psk", "presharedkey"}, last)
}

// isTokenKey reports whether the words of a key end with one for a token or a key that is secret.
func isTokenKey(words []string) bool {
	if len(words) == 0 {
		return false
	}
	last, before := words[len(words)-1], ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	switch last {
	case "token", "apikey", "secretkey", "accesskey", "authtoken", "accesstoken", "secret", "credentials", "credential", "salt", "pepper", "pat":
		return !slices.Contains([]string{"existing", "pull", "tls", "continue", "page", "next", "csrf", "cancellation"}, before)
	case "key":
		return slices.Contains([]string{"api", "secret", "access", "private", "encryption", "encrypt", "signing", "sign", "master", "account",
			"auth", "routing", "service", "integration",
			"app", "application", "shared", "storage", "subscription", "session", "registration", "admin", "fernet", "hmac", "jwt", "cookie", "webhook",
			"write", "ingest", "license", "base", "preshared"}, before)
	}
	return false
}

// wordsOf takes a name apart at signs and where small letters become capitals, and makes all letters small.
func wordsOf(name string) []string {
	var words []string
	var one []rune
	end := func() {
		if len(one) > 0 {
			words, one = append(words, strings.ToLower(string(one))), nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsUpper(runes[i-1]) && i+1 < len(runes) &&
			unicode.IsLower(runes[i+1])):
			end()
		}
		one = append(one, r)
	}
	end()
	return words
}
