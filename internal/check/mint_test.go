package check

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	pemfile "encoding/pem"
	"fmt"
	"hash/crc32"
	"math/big"
	"math/rand/v2"
	"strings"
	"time"
)

// mint makes values that look like secrets at run time, so that no scanner stops at this file. They are the same in every run.
type mint struct {
	*rand.Rand
	source *rand.ChaCha8
}

func newMint() mint {
	source := rand.NewChaCha8([32]byte{20, 26, 11, 27})
	return mint{rand.New(source), source}
}

const (
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
	base62 = digits + upper + lower
	hexes  = digits + "abcdef"
)

func (m mint) chars(alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[m.IntN(len(alphabet))]
	}
	return string(out)
}

func (m mint) hex(n int) string   { return m.chars(hexes, n) }
func (m mint) alnum(n int) string { return m.chars(base62, n) }

func (m mint) bytes(n int) []byte {
	out := make([]byte, n)
	_, _ = m.source.Read(out)
	return out
}

func (m mint) base64(n int) string { return base64.StdEncoding.EncodeToString(m.bytes(n)) }
func (m mint) url64(n int) string  { return base64.RawURLEncoding.EncodeToString(m.bytes(n)) }

func (m mint) uuid() string {
	return strings.Join([]string{m.hex(8), m.hex(4), "4" + m.hex(3), "a" + m.hex(3), m.hex(12)}, "-")
}

// phrase is a password as people make them up.
func (m mint) phrase() string {
	words := strings.Fields("harbor Quartz maple Delta Kafka winter Orbit tango Falcon copper Bronze raven")
	one, two := words[m.IntN(len(words))], words[m.IntN(len(words))]
	return one + m.chars("-_.", 1) + two + m.chars(digits, 3)
}

// strong is a password as password managers make them, with nothing that YAML, URLs or shells take for their own.
func (m mint) strong() string { return m.alnum(9) + "_" + m.alnum(10) + "-" + m.alnum(4) }

// checked is a token that ends with a checksum of itself, as those of GitHub and npm do.
func (m mint) checked(prefix string) string {
	body, sum, tail := m.alnum(30), uint32(0), ""
	for sum = crc32.ChecksumIEEE([]byte(body)); len(tail) < 6; sum /= 62 {
		tail = string(base62[sum%62]) + tail
	}
	return prefix + "_" + body + tail
}

func (m mint) jwt(payload string) string {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"` + m.url64(30) + `"}`))
	return head + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + m.url64(256)
}

func (m mint) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(m.bytes(32)) }

func armoured(kind string, der []byte) string {
	return string(pemfile.EncodeToMemory(&pemfile.Block{Type: kind, Bytes: der}))
}

func private(kind string) string { return strings.TrimSpace(kind + " PRIVATE" + " KEY") }

func (m mint) pkcs8() string {
	der, err := x509.MarshalPKCS8PrivateKey(m.key())
	if err != nil {
		panic(err)
	}
	return armoured(private(""), der)
}

func (m mint) publicKey() string {
	der, err := x509.MarshalPKIXPublicKey(m.key().Public())
	if err != nil {
		panic(err)
	}
	return armoured("PUBLIC KEY", der)
}

func (m mint) certificate() string {
	key := m.key()
	template := &x509.Certificate{SerialNumber: big.NewInt(m.Int64()), Subject: pkix.Name{CommonName: "ca.example.com"},
		NotAfter: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true}
	der, err := x509.CreateCertificate(m.source, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return armoured("CERTIFICATE", der)
}

// shift puts n spaces before each line of a text.
func shift(n int, text string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+pad) + "\n"
}

// manifest are the files of a component whose only resource is a manifest.
func kept(name, content string, more ...string) map[string]string {
	files := map[string]string{"staging/kustomization.yaml": "resources:\n  - " + name + "\n", "staging/" + name: content}
	return with(files, more...)
}

// plain are the files of a component with some file beside a harmless manifest.
func plain(more ...string) map[string]string {
	return with(kept("namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: web\n"), more...)
}

// generated are the files of a component that makes a ConfigMap of a file below staging.
func generated(name, content string) map[string]string {
	return map[string]string{"staging/" + name: content,
		"staging/kustomization.yaml": "configMapGenerator:\n  - name: web-config\n    files:\n      - " + name + "\n"}
}

func with(files map[string]string, more ...string) map[string]string {
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	return files
}

// release is a HelmRelease with values, and chart what it installs.
func release(chart, values string) string {
	return fmt.Sprintf(`apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: %[1]s
  namespace: apps
spec:
  interval: 30m
  chart:
    spec:
      chart: %[1]s
      version: 14.x
      sourceRef:
        kind: HelmRepository
        name: charts
  values:
%[2]s`, chart, shift(4, values))
}

func config(name, key, content string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: apps\ndata:\n  %s: |\n%s", name, key,
		shift(4, content))
}
