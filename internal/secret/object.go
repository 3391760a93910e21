package secret

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Value is a plaintext value of a Secret.
type Value struct {
	Field string // such as data.password
	Text  string // decoded
}

// InSecret lists the plaintext values of a Secret as it is built.
func InSecret(object map[string]any) []Value {
	var found []Value
	for _, field := range []string{"data", "stringData"} {
		values, _ := object[field].(map[string]any)
		_, dotenv := values["sops_mac"] // generated from a file of assignments that SOPS encrypted
		for _, key := range slices.Sorted(maps.Keys(values)) {
			text := fmt.Sprint(values[key])
			if decoded, err := base64.StdEncoding.DecodeString(text); field == "data" && err == nil {
				text = string(decoded)
			}
			if values[key] == nil || isSafe(text) || dotenv && strings.HasPrefix(key, "sops_") {
				continue
			}
			found = append(found, Value{field + "." + key, text})
		}
	}
	return found
}

// isSafe reports whether a value may be published: it is empty, made of references, or encrypted by SOPS, as a value or as a file.
func isSafe(text string) bool {
	return IsReferenceOnly(text) || IsCipher(text) || IsEncryptedFile([]byte(text))
}
