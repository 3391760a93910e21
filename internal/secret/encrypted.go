package secret

import (
	"bytes"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
)

// isEncrypted reports whether a document has SOPS metadata with a MAC over its values.
func isEncrypted(doc *yaml.Node) bool {
	return IsCipher(manifest.Text(manifest.Field(manifest.Field(doc, "sops"), "mac")))
}

// IsCipher reports whether a value is encrypted by SOPS.
func IsCipher(value string) bool {
	value = strings.TrimSpace(value)
	return strings.HasPrefix(value, "ENC[") && strings.HasSuffix(value, "]") && strings.Contains(value, "data:") &&
		strings.Contains(value, "tag:")
}

// IsEncryptedFile reports whether SOPS encrypted a file in any of its formats: YAML, JSON, binary (JSON too), dotenv, ini.
func IsEncryptedFile(data []byte) bool {
	if bytes.Contains(data, []byte("sops_mac=ENC[")) {
		return dotenvEncrypted(data)
	}
	if !bytes.Contains(data, []byte("sops")) || !bytes.Contains(data, []byte("ENC[")) {
		return false
	}
	docs, err := manifest.Parse(data)
	if err != nil {
		return bytes.Contains(data, []byte("[sops]")) && bytes.Contains(data, []byte("mac"))
	}
	for _, doc := range docs {
		if !isEncrypted(doc) {
			return false
		}
	}
	return len(docs) > 0
}

// HasEncrypted reports whether SOPS encrypted a file or one of its documents, if only in part: Flux then needs the key.
func HasEncrypted(data []byte) bool {
	if bytes.Contains(data, []byte("sops_mac=ENC[")) { // a file of assignments
		return true
	}
	if !bytes.Contains(data, []byte("sops")) || !bytes.Contains(data, []byte("ENC[")) {
		return false
	}
	docs, _ := manifest.Parse(data)
	return slices.ContainsFunc(docs, isEncrypted)
}

// AreReferences reports whether no assignment in a file of them has a value of its own.
func AreReferences(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		_, value, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(strings.TrimSpace(line), "#") && !IsReferenceOnly(value) {
			return false
		}
	}
	return true
}

// dotenvEncrypted checks that no assignment of a SOPS dotenv file is in plain text.
func dotenvEncrypted(data []byte) bool {
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, "sops_") || value == "" {
			continue
		}
		if !IsCipher(value) {
			return false
		}
	}
	return true
}
