package secret

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/finding"
)

// TestKeys: a literal value counts by what its key is called, and by whether the value can be what the key says.
func TestKeys(t *testing.T) {
	const random = "k3Jd92mQx7Tz41Lp"
	for text, want := range map[string]bool{
		"password: hunter2": true, "postgresPassword: postgres": true, "HTTP_Passwd  hunter2": true, "web:dbPassword: hunter2": true, `: PSK "hunter2x"`: true,
		"mc alias set s3 https://s3 key hunter2secret": true, "db: !vault |": false, "password = crypt(x, 'bf')": false, `"login.password": "Your word"`: false, `"x.wrongPassword": "The word is wrong."`: false,
		"adminPassword: hunter2": true, "DB_PASSWORD=hunter2": true, `"dbPasswd": "hunter2",`: true, "PGPASSWORD: hunter2": true,
		"smtp-pass: hunter2": true, "bindPW: hunter2": true, "password: &p hunter2": true, "password: !!str hunter2": true, "a: {user: x, password: hunter2}": true,
		"Server=db;Password=hunter2;Timeout=3": true, "passphrase: 'correct horse battery'": true, "--password=hunter2": true, "<password>hunter2</password>": true,
		"apiKey: " + random: true, "X_TOKEN=" + random: true, "client_secret = \"" + random + "\"": true, "aws.secret-access-key: " +
			random: true,

		"password:": false, "password: ''": false, "password: ${X}": false, "password: $(X)": false, "password: {{ .x }}": false, "password: null": false, "password: true": false,
		"password: changeme": false, "password: <secret>": false, "password: ********": false, "password: xxxxxxxx": false, "password: db-password": false,
		"passwordFile: hunter2": false, "passwordPolicy: strict": false, "no_password: hunter2": false, "existingSecret: " +
			random: false, "pullSecret: " + random: false,
		"token: reviewer": false, "tokenTTL: 3600": false, "token: 1234567890123": false, "key: " + random: false, "publicKey: " +
			random: false, "checksum/secret: " + random: false,
		"# password: hunter2": false, "password: /run/secrets/db": false, "url: arn:aws:x:secret:" +
			random: false, "accessKey: abcdefgh12345678": false,
	} {
		s := NewScanner("a.yaml")
		s.Text([]byte("first: line\n" + text + "\n"))
		found := len(s.Found) == 1 && s.Found[0].Rule == finding.RulePassword && s.Found[0].Severity == finding.Warning && s.Found[0].Line == 2
		if found != want || len(s.Found) > 1 {
			t.Errorf("%s: found %v, %v", text, found, s.Found)
		}
		for _, f := range s.Found {
			if strings.Contains(f.String(), "hunter2") || strings.Contains(f.String(), random) {
				t.Errorf("%s: says too much: %s", text, f)
			}
		}
	}
}

// TestKeys_neighbours: a name and a value may be on lines of their own, in either order.
func TestKeys_neighbours(t *testing.T) {
	for text, want := range map[string]int{
		"- name: DB_PASSWORD\n  value: hunter2\n":                 2,
		"- value: hunter2\n  name: DB_PASSWORD\n":                 1,
		"- {name: DB_PASSWORD, value: hunter2}\n":                 1,
		"- op: add\n  path: /spec/password\n  value: hunter2\n":   3,
		"- name: DB_USER\n  value: hunter2\n":                     0,
		"password: |\n  hunter2\n":                                1,
		"- name: DB_PASSWORD\n  valueFrom: {secretKeyRef: {}}\n":  0,
		"kind: SealedSecret\nencryptedData:\n  password: hunter2": 0,
		"kind: SealedSecret\n---\npassword: hunter2\n":            3,
		"a: 1\nsops:\n  mac: x\npassword: hunter2\n":              4, // encrypted in part
	} {
		s := NewScanner("a.yaml")
		s.Text([]byte(text))
		line := 0
		if len(s.Found) > 0 {
			line = s.Found[0].Line
		}
		if line != want {
			t.Errorf("%q: line %d, want %d", text, line, want)
		}
	}
}

// TestHostile: texts that are made to cost much are read in time and without a panic.
func TestHostile(t *testing.T) {
	const size = 2 << 20
	tokens := func(end string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, "AK"+"IAQ7%s%s", strings.NewReplacer("0", "B", "1", "C", "8", "D", "9",
				"F").Replace(fmt.Sprintf("%014d", i*7919*104729)), end)
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"one key": strings.Repeat("a", size) + "password: x", "assignments": strings.Repeat("a=", size/2), "keys": strings.Repeat("password:",
			size/9), "auth": strings.Repeat("auth: ", size/6),
		"urls": strings.Repeat("://a:b@", size/7), "tokens": strings.Repeat("AK"+"IA", size/4), "machines": strings.Repeat("machine ",
			size/8), "capitals": strings.Repeat("İ", size/2) + "password: hunter2",
		"a token a line": tokens("\n"), "tokens on one line": tokens(" "), "logins on one line": strings.Repeat("x://a:hunter2@b ", size/16),
		"lines": strings.Repeat("password:\n", size/10), "curl": strings.Repeat("curl -u a:", size/10), "invalid": strings.Repeat("\xff\xfe",
			size/2) + "basic ",
	} {
		s := NewScanner("a.yaml")
		s.Text([]byte(text))
		if lines := strings.Count(text, "\n") + 1; len(s.Found) > lines+1 {
			t.Errorf("%s: %d findings on %d lines", name, len(s.Found), lines)
		}
	}
}

func TestHasEncrypted(t *testing.T) {
	for text, want := range map[string]bool{
		"a: ENC[x]\nsops:\n  mac: ENC[AES256_GCM,data:x,tag:y]\n":             true,
		"a: 1\n---\na: ENC[x]\nsops: {mac: 'ENC[AES256_GCM,data:x,tag:y]'}\n": true,
		`{"a": "ENC[x]", "sops": {"mac": "ENC[AES256_GCM,data:x,tag:y]"}}`:    true,
		"A=ENC[x]\nsops_mac=ENC[AES256_GCM,data:x,tag:y]\n":                   true,
		"a: see sops, which writes ENC[…]\n":                                  false,
		"sops: {mac: none}\na: ENC[x]\n":                                      false,
	} {
		if got := HasEncrypted([]byte(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
