package check

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

func TestSecret(t *testing.T) {
	refused := func(where string) []string { return []string{"error secret " + where} }
	helm := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  values.yaml: |\n    extraDeploy:\n      secret: |-\n" +
		indented(indented(secretYAML("aHVudGVyMg==")))
	copyFrom := "apiVersion: fluxcd.controlplane.io/v1\nkind: ResourceSet\nspec:\n  resources:\n  - apiVersion: v1\n    kind: Secret\n" +
		"    metadata:\n      name: << inputs.tenant >>\n      annotations:\n        fluxcd.controlplane.io/copyFrom: flux-system/x\n" +
		"    type: kubernetes.io/dockerconfigjson\n"
	templated := "spec:\n  resourcesTemplate: |\n    <<- range $i := inputs >>\n    ---\n    apiVersion: v1\n    kind: Secret\n" +
		"    metadata:\n      name: x\n    stringData:\n      token: hunter2\n      user: << $i.user >>\n    <<- end >>\n"
	testRules(t, []rule{
		{name: "data", files: map[string]string{"a.yaml": secretYAML("aHVudGVyMg==")}, want: refused("a.yaml:6")},
		{name: "stringData", files: map[string]string{"a.yaml": "kind: Secret\nstringData: {a: hunter2, b: ''}\n"}, want: refused("a.yaml:2")},
		{name: "JSON", files: map[string]string{"a.json": "{\"kind\": \"Secret\",\n\"data\": {\"a\": \"hunter2\"}}"}, want: refused("a.json:2")},
		{name: "escaped", files: map[string]string{"a.yaml": "\"kind\": \"\\x53ecret\"\ndata: {a: hunter2}\n"}, want: refused("a.yaml:2")},
		{name: "UTF-16", files: map[string]string{"a.yaml": utf16LE(secretYAML("hunter2"))}, want: refused("a.yaml:6")},
		{name: "any file name", files: map[string]string{"notes.txt": secretYAML("hunter2")}, want: refused("notes.txt:6")},
		{name: "second document", files: map[string]string{"a.yaml": configMap + "---\n" + secretYAML("hunter2")}, want: refused("a.yaml:13")},
		{name: "in a List", files: map[string]string{"a.yaml": "kind: List\nitems:\n- kind: Secret\n  data:\n    a: hunter2\n"},
			want: refused("a.yaml:5")},
		{name: "behind an alias", files: map[string]string{"a.yaml": "x: &x\n  a: hunter2\ny:\n  kind: Secret\n  data: *x\n"},
			want: refused("a.yaml:2")},
		{name: "behind a merge key", files: map[string]string{"a.yaml": "x: &x\n  data: {a: hunter2}\ny:\n  <<: *x\n  kind: Secret\n"},
			want: refused("a.yaml:2")},
		{name: "in Helm values", files: map[string]string{"a.yaml": helm}, want: refused("a.yaml:14")},
		{name: "in a quoted string", files: map[string]string{"a.yaml": "a:\n  b: \"kind: Secret\\ndata:\\n  a: hunter2\\n\"\n"},
			want: refused("a.yaml:2")},
		{name: "in base64", files: map[string]string{"a.yaml": "x: y\nbundle: " + b64("\n"+secretYAML("hunter2")) + "\n"},
			want: refused("a.yaml:2")},
		{name: "in wrapped base64", files: map[string]string{"a.yaml": "bundle: |\n" + indented(wrap(b64("xy"+secretYAML("hunter2"))))},
			want: refused("a.yaml:3")},
		{name: "in base64 twice", files: map[string]string{"a.yaml": "x:\n  y: " + b64(b64("a"+pem)) + "\n"},
			want: []string{"error private-key a.yaml:2"}},
		{name: "in a template", files: map[string]string{"a.yaml": templated}, want: refused("a.yaml:10")},
		{name: "in a Helm chart's template",
			files: map[string]string{"t.yaml": "{{ if .x }}\n- kind: ConfigMap\n  data:\n    a: b\n- data:\n    a: hunter2\n    b: {{ .y }}\n" +
				"  kind: Secret\n- kind: Other\n  data:\n    a: b\n{{ end }}\n"}, want: refused("t.yaml:6")},
		{name: "in broken JSON", files: map[string]string{"a.json": "{\"x\":\n{\"kind\":\"Secret\",\"data\":{\"a\":\"hunter2\"}}"},
			want: refused("a.json:2")},
		{name: "in a broken file", files: map[string]string{"a.yaml": secretYAML("hunter2") + "x: y: z\n"}, want: refused("a.yaml:6")},
		{name: "default in a template", files: map[string]string{"a.yaml": secretYAML("'{{ .x | default \"hunter2\" }}'")},
			want: refused("a.yaml:6")},
		{name: "default in a variable", files: map[string]string{"a.yaml": secretYAML("${X:=hunter2}")}, want: refused("a.yaml:6")},
		{name: "a template and more", files: map[string]string{"a.yaml": secretYAML("user:${X}")}, want: refused("a.yaml:6")},
		{name: "half encrypted", files: map[string]string{"a.yaml": secretYAML(cipher) + "stringData:\n  b: hunter2\n" + sops},
			want: refused("a.yaml:8")},
		{name: "encrypted without metadata", files: map[string]string{"a.yaml": secretYAML(cipher)}, want: refused("a.yaml:6")},
		{name: "encrypted", files: map[string]string{"a.yaml": secretYAML(cipher) + sops}},
		{name: "encrypted in part by nature", files: map[string]string{"a.yaml": secretYAML("''") + "type: Opaque\n" + sops}},
		{name: "no values", files: map[string]string{"a.yaml": "kind: Secret\ntype: Opaque\ndata: {a: '', b: }\n"}},
		{name: "copied by reference", files: map[string]string{"a.yaml": copyFrom}},
		{name: "only references", files: map[string]string{"a.yaml": secretYAML("${X}") +
			"  b: << inputs.x >>\n  c: '{{ .Values.x | b64enc }}'\n  d: {{ .x }}\n"}},
		{name: "a mention", files: map[string]string{"a.yaml": "valuesFrom:\n- kind: Secret\n  name: x\ndata: {a: b}\n"}},
		{name: "generator with literals",
			files: map[string]string{"kustomization.yaml": "secretGenerator:\n- name: x\n  literals:\n  - a=\n  - b=hunter2\n  - c=${C}\n"},
			want:  refused("kustomization.yaml:5")},
		{name: "generator with files",
			files: map[string]string{"kustomization.yaml": "secretGenerator:\n- files: [k=plain]\n  envs:\n  - enc\n  - .env\n",
				"plain": "hunter2", "enc": "a=" + cipher + "\nsops_mac=" + cipher + "\n", ".env": "a=" + cipher + "\nsops_mac=" + cipher + "\n"},
			want: refused("plain:0")},
		{name: "generator with encrypted files", files: map[string]string{"kustomization.yaml": "secretGenerator:\n- files: [a.yaml, b.json]\n",
			"a.yaml": "token: " + cipher + "\n" + sops, "b.json": `{"data":"` + cipher + `","sops":{"mac":"` + cipher + `"}}`}},
		{name: "JSON patch of a Secret",
			files: map[string]string{"kustomization.yaml": "resources: [s.yaml]\npatches:\n- target: {kind: Secret}\n  patch: |\n" +
				"    - op: add\n      path: /data/a\n      value: aHVudGVyMg==\n- target: {kind: Secret}\n  path: p.yaml\n",
				"s.yaml": "kind: Secret\n", "p.yaml": "metadata: {name: x}\nstringData:\n  a: hunter2\n"},
			want: []string{"error secret kustomization.yaml:7", "error secret p.yaml:3"}},
		{name: "no values in build errors",
			files: map[string]string{"staging/kustomization.yaml": "secretGenerator:\n- name: x\n  literals: [hunter2]\n"},
			want:  []string{"error build staging/kustomization.yaml:0"}},
		{name: "allowed by folder", files: map[string]string{"a/b/c.yaml": secretYAML("hunter2"), "d.yaml": secretYAML("hunter2")},
			o: Options{Allow: []Allowance{{Path: "components/web/a/**"}}}, want: refused("d.yaml:6")},
		{name: "allowed by name", files: map[string]string{"a/b/c.yaml": secretYAML("hunter2"), "d.yaml": secretYAML("hunter2")},
			o: Options{Allow: []Allowance{{Path: "c.yaml"}, {Path: "**/d.yaml"}}}},
	})
}

func utf16LE(s string) string {
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return string(out)
}

// wrap breaks a text at 16 characters, so that every word of it is broken somewhere.
func wrap(s string) string {
	var lines []string
	for len(s) > 16 {
		lines, s = append(lines, s[:16]), s[16:]
	}
	return strings.Join(append(lines, s), "\n")
}

func TestSecretFixIsReadyToCopy(t *testing.T) {
	c := component(t, map[string]string{"a.yaml": secretYAML("hunter2")})
	got := run(t, c, Options{})
	if want := `secrets: {allow: [{path: "components/web/a.yaml", reason: "…"}]}`; len(got) != 1 || !strings.Contains(got[0].Fix, want) {
		t.Error(show(got))
	}
	if want := "data.password"; !strings.Contains(got[0].Message, want) {
		t.Error(got[0].Message)
	}
}

func TestPrivateKey(t *testing.T) {
	refused := func(where string) []string { return []string{"error private-key " + where} }
	public := strings.ReplaceAll(pem, "RSA PRIVATE", "PUBLIC")
	testRules(t, []rule{
		{name: "PEM", files: map[string]string{"tls.pem": "x\n" + pem}, want: refused("tls.pem:2")},
		{name: "in a string", files: map[string]string{"a.yaml": "a: |\n" + indented("x\n"+pem)}, want: refused("a.yaml:3")},
		{name: "in a JSON string", files: map[string]string{"a.json": `{"a":` + fmt.Sprintf("%q", pem) + `}`}, want: refused("a.json:1")},
		{name: "PGP", files: map[string]string{"x.asc": strings.ReplaceAll(pem, "RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK")},
			want: refused("x.asc:1")},
		{name: "age", files: map[string]string{"a.txt": "# x\n" + ageKey + "\n"}, want: refused("a.txt:2")},
		{name: "base64 0", files: map[string]string{"a.yaml": "a: " + b64(pem)}, want: refused("a.yaml:1")},
		{name: "base64 1", files: map[string]string{"a.yaml": "a: " + b64("x"+pem)}, want: refused("a.yaml:1")},
		{name: "base64 2", files: map[string]string{"a.yaml": "a: " + b64("xy"+pem)}, want: refused("a.yaml:1")},
		{name: "base64 of age", files: map[string]string{"a.yaml": "a: " + b64(ageKey)}, want: refused("a.yaml:1")},
		{name: "named like a key", files: map[string]string{"id_rsa": "something"}, want: refused("id_rsa:0")},
		{name: "raw key", files: map[string]string{"app.key": "\x01\x02\x03"}, want: refused("app.key:0")},
		{name: "allowed", files: map[string]string{"tls.key": pem}, o: Options{Allow: []Allowance{{Path: "*.key"}}}},
		{name: "public ones", files: map[string]string{"a.key": public, "b.pem": public, "id_rsa": "ssh-rsa AAAA", "id_rsa.pub": "ssh-rsa AAAA",
			"c.asc": strings.ReplaceAll(pem, "RSA PRIVATE KEY", "PGP PUBLIC KEY BLOCK"), "d.asc": strings.ReplaceAll(pem, "RSA PRIVATE KEY",
				"PGP MESSAGE"),
			"e.txt": "keys start with AGE-SECRET-" + "KEY-1…", "f.yaml": "a: " + b64(public+configMap+"Secret")}},
	})
}

func TestDotenv(t *testing.T) {
	testRules(t, []rule{
		{name: "plain", files: map[string]string{".env": "a=b", "sub/.env.prod": "a=b"},
			want: []string{"error dotenv .env:0", "error dotenv sub/.env.prod:0"}},
		{name: "half encrypted", files: map[string]string{".env": "a=" + cipher + "\nb=hunter2\nsops_mac=" + cipher},
			want: []string{"error dotenv .env:0"}},
		{name: "harmless", files: map[string]string{".env.example": "a=b", ".env.sample": "a=b", ".env.template": "a=b", "x.env": "a=b",
			"enc/.env": "a=" + cipher + "\nsops_mac=" + cipher + "\n"}},
		{name: "allowed", files: map[string]string{".env": "a=b"}, o: Options{Allow: []Allowance{{Path: "/components/*/.env"}}}},
	})
}
