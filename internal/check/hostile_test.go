package check

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestHostileText: the time of the scanners grows with the size of a file and not with its square.
func TestHostileText(t *testing.T) {
	const size = 1 << 20
	random := make([]byte, size)
	for i := range random {
		random[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[rand.IntN(64)]
	}
	for name, content := range map[string]string{
		"base64":     string(random),
		"markers":    strings.Repeat("U2VjcmV0", size/8),
		"mixed":      strings.Repeat("U2VjcmV0 NlY3JldA\n", size/18),
		"kinds":      strings.Repeat("kind: Secret\n", size/13) + "{{",
		"data":       strings.Repeat("kind: Secret\ndata:\n  a:\n", size/24) + "{{",
		"items":      strings.Repeat("- kind: Secret\n  data:\n    a: \n", size/32) + "{{",
		"deeper":     deeper(1400) + "{{",
		"PEM":        strings.Repeat("-----BEGIN "+"RSA PRIVATE"+" KEY-----\n", size/32),
		"dashes":     strings.Repeat("-----BEGIN ", size/11),
		"brackets":   strings.Repeat("[", size) + "Secret",
		"braces":     strings.Repeat("{{", size/2) + "Secret",
		"sequences":  strings.Repeat("- ", size/2) + "Secret",
		"merges":     "Secret: &a {kind: x}\nb: &b {" + strings.Repeat("<<: *a, ", 1000) + "}\nc: {" + strings.Repeat("<<: *b, ", 1000) + "}\n",
		"bomb":       aliasBomb() + "\nkind: Secret\ndata: *a11\n",
		"variables":  strings.Repeat("${A}\n", size/5),
		"open":       "#!\n" + strings.Repeat("${A", size/3),
		"templates":  "kind: Secret\ndata:\n  a: '" + strings.Repeat("{{x}}", size/5) + "'\n",
		"templates2": "kind: Secret\ndata:\n  a: '" + strings.Repeat("${", size/2) + "'\n",
		"nested":     nested(8),
		"zero":       strings.Repeat("\x00", size),
		"invalid":    strings.Repeat("\xff", size) + "Secret",
	} {
		t.Run(name, func(t *testing.T) {
			c := component(t, map[string]string{"a.yaml": content, "a.json": content, "a.txt": content})
			start := time.Now()
			findings := run(t, c, Options{})
			if took := time.Since(start); took > 2*time.Minute {
				t.Errorf("took %v", took)
			} else {
				t.Logf("took %v, %d findings", took, len(findings))
			}
		})
	}
}

func deeper(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "kind: Secret\n")
	}
	return b.String()
}

// nested is a document in a string in a string, deeper than anyone unwraps.
func nested(n int) string {
	text := secretYAML("hunter2")
	for range n {
		text = "kind: ConfigMap # Secret\nx: |\n" + indented(text)
	}
	return text
}

func FuzzRun(f *testing.F) {
	for _, seed := range []string{configMap, secretYAML("x"), aliasBomb(), everyField("x"), nested(3), "{{", "a: &a [*a]", b64(pem),
		"? {a: b}\n: c",
		"<<: &a\n  <<: *a\nkind: Secret\n", "data: {{ .x }}\nkind: Secret", "resources: [.., /, '']"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		c := component(t, map[string]string{"staging/kustomization.yaml": listsA, "staging/a.yaml": content, "base/Kustomization": content})
		if strings.Contains(content, "http") || strings.Contains(content, "git") {
			c.Variants = nil // nothing is fetched in a test
		}
		late := time.AfterFunc(2*time.Minute, func() { panic("this input hangs the gate") })
		defer late.Stop()
		run(t, c, Options{})
	})
}
