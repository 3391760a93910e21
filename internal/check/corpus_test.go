package check

import (
	"encoding/base64"
	"fmt"
	"testing"
)

// TestCorpus measures the rules by the samples beside which they were written.
func TestCorpus(t *testing.T) { measure(t, known()) }

// measure checks that at least 90 % of the leaks are found, and that at most one of 40 look-alikes is taken for a leak. It names the
// samples that went wrong.
func measure(t *testing.T, samples []sample) {
	t.Helper()
	var leaks, caught, alike, alarms int
	for _, s := range samples {
		findings := run(t, component(t, s.files), Options{})
		ok := s.isRight(findings)
		switch {
		case s.leak && ok:
			leaks, caught = leaks+1, caught+1
		case s.leak:
			leaks++
			t.Logf("missed: %s", s.name)
		case ok:
			alike++
		default:
			alike, alarms = alike+1, alarms+1
			t.Logf("false alarm: %s\n%s", s.name, show(findings))
		}
	}
	t.Logf("%d of %d leaks found, %d false alarms in %d look-alikes", caught, leaks, alarms, alike)
	if leaks < 30 || alike < 20 {
		t.Errorf("only %d leaks and %d look-alikes: too few to say anything", leaks, alike)
	}
	if caught*10 < leaks*9 || alarms*40 > alike {
		t.Error("the rules need 90 % of the leaks, with no more than 1 false alarm in 40")
	}
}

// known are the samples of this file.
func known() []sample {
	m := newMint()
	var all []sample
	leak := func(name, file, content string) {
		all = append(all, sample{name: name, files: plain("staging/"+file, content), leak: true})
	}
	alike := func(name, file, content string) {
		all = append(all, sample{name: name, files: plain("staging/"+file, content)})
	}
	knownTokens(m, leak)
	knownLogins(m, leak)
	knownPasswords(m, leak)
	knownAlike(m, alike)
	return all
}

func knownTokens(m mint, leak func(name, file, content string)) {
	leak("AWS key in an env", "d.yaml", deployment("- name: AWS_ACCESS_KEY_ID\n  value: "+"AK"+"IA"+m.chars(upper+"234567", 16)+"\n"))
	leak("AWS secret in an env", "d.yaml", deployment("- name: AWS_SECRET_ACCESS_KEY\n  value: \""+m.alnum(40)+"\"\n"))
	leak("AWS credentials", "credentials", "[default]\nregion = eu-west-1\naws_secret_access_key = "+m.alnum(39)+"/\n")
	leak("GitHub token in a URL's place", "r.yaml", release("runner", "github:\n  token: gh"+"p_"+m.alnum(36)))
	leak("fine-grained GitHub token", "c.yaml", config("ci", "config.toml", "token = \"github"+"_pat_"+m.alnum(22)+"_"+m.alnum(59)+"\""))
	leak("GitLab runner", "config.toml", "[[runners]]\n  url = \"https://gitlab.example.com\"\n  token = \"gl"+"rt-"+m.alnum(20)+"\"\n")
	leak("npmrc", ".npmrc", "registry=https://npm.example.com/\n//npm.example.com/:_authToken="+m.uuid()+"\n")
	leak("Slack webhook", "a.yaml", config("alertmanager", "alertmanager.yml",
		"receivers:\n- slack_configs:\n  - api_url: https://hooks.slack."+"com/services/T"+
			m.chars(upper+digits, 8)+"/B"+m.chars(upper+digits, 10)+"/"+m.alnum(24)))
	leak("Stripe", "c.yaml", config("pay", "app.properties", "stripe.key=sk"+"_live_"+m.alnum(24)))
	leak("JWT", "c.yaml", config("api", "token", m.jwt(`{"sub":"service:billing","exp":1999999999}`)))
	leak("Google key", "map.js", "const map = new Map({apiKey: 'AI"+"za"+m.alnum(35)+"'});\n")
	leak("SendGrid", "r.yaml", release("mailer", "sendgrid:\n  key: SG"+"."+m.alnum(22)+"."+m.alnum(43)))
	leak("Vault", "c.yaml", config("agent", "agent.hcl", "vault {\n  token = \"hv"+"s."+m.alnum(24)+"\"\n}"))
	leak("Azure storage", "c.yaml", config("app", "appsettings.json",
		`{"Storage": "DefaultEndpointsProtocol=https;AccountName=shop;Account`+`Key=`+m.base64(64)+`;EndpointSuffix=core.windows.net"}`))
	leak("Telegram", "bot.sh", "#!/bin/sh\ncurl -s https://api.telegram.org/bot"+m.chars("123456789", 9)+":A"+"A"+m.alnum(33)+"/sendMessage\n")
	leak("key without its header", "c.yaml", config("api", "signing.key.b64", m.pkcs8Body()))
}

func knownLogins(m mint, leak func(name, file, content string)) {
	auth := base64.StdEncoding.EncodeToString([]byte("robot:" + m.alnum(16)))
	docker := fmt.Sprintf(`{"auths": {"registry.example.com": {"auth": %q}}}`, auth)
	leak("docker config", "config.json", docker)
	leak("docker config in base64", "c.yaml", config("pull", "config", base64.StdEncoding.EncodeToString([]byte(docker))))
	leak("netrc", ".netrc", "machine git.example.com\n  login bot\n  password "+m.alnum(14)+"\n")
	leak("DSN in an env", "d.yaml",
		deployment("- name: DATABASE_URL\n  value: postgres://shop:"+m.alnum(12)+"@db.example.com:5432/shop?sslmode=require\n"))
	leak("git credentials", ".git-credentials", "https://ci:"+m.alnum(20)+"@git.example.com\n")
	leak("repository with a login", "r.yaml",
		"apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata:\n  name: x\nspec:\n  url: https://bot:"+m.alnum(12)+"@charts.example.com/\n")
	leak("kubeconfig", "kube.yaml",
		"apiVersion: v1\nkind: Config\ncurrent-context: prod\nusers:\n- name: ci\n  user:\n    token: "+m.alnum(48)+"\n")
	leak("basic header", "c.yaml", config("proxy", "nginx.conf", "proxy_set_header Authorization \"Basic "+auth+"\";"))
	leak("curl -u", "sync.sh", "#!/bin/sh\ncurl -sf -u deploy:"+m.alnum(10)+" https://files.example.com/x\n")
	leak("htpasswd", "auth", "admin:$2"+"y$05$"+m.alnum(53)+"\n")
}

func knownPasswords(m mint, leak func(name, file, content string)) {
	leak("Helm values", "r.yaml", release("postgresql", "auth:\n  username: shop\n  password: hunter2"))
	leak("camel case", "r.yaml", release("grafana", "adminUser: admin\nadminPassword: "+m.phrase()))
	leak("valuesFrom", "c.yaml", config("redis-values", "values.yaml", "auth:\n  enabled: true\n  redisPassword: '"+m.strong()+"'"))
	leak("flow style", "r.yaml", release("minio", "auth: {rootUser: root, rootPassword: \""+m.strong()+"\"}"))
	leak("properties", "app.properties", "spring.datasource.username=shop\nspring.datasource.password="+m.strong()+"\n")
	leak("ADO", "appsettings.json",
		`{"ConnectionStrings": {"Main": "Server=db;Database=shop;User Id=sa;Password=`+m.strong()+`;Encrypt=true"}}`)
	leak("block", "r.yaml", release("app", "config:\n  smtp_password: |\n    "+m.strong()))
	leak("SQL", "init.sql", "CREATE USER shop WITH PASSWORD '"+m.phrase()+"';\n")
	leak("patch", "p.yaml", "- op: replace\n  path: /spec/values/auth/password\n  value: "+m.strong()+"\n")
	leak("API key by name", "d.yaml", deployment("- name: DD_API_KEY\n  value: "+m.hex(32)+"\n"))
	leak("client secret", "r.yaml", release("oauth2-proxy",
		"config:\n  clientID: shop\n  clientSecret: "+m.alnum(32)+"\n  cookieSecret: "+m.base64(32)))
	leak("redis.conf", "c.yaml", config("redis", "redis.conf", "appendonly yes\nrequirepass "+m.strong()))
	leak("terraform", "main.tf", "resource \"x\" \"y\" {\n  master_password = \""+m.strong()+"\"\n}\n")
}

func knownAlike(m mint, alike func(name, file, content string)) {
	alike("reference", "d.yaml", deployment("- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef: {name: db, key: password}\n"))
	alike("existing secret", "r.yaml", release("postgresql",
		"auth:\n  existingSecret: db-credentials\n  secretKeys:\n    adminPasswordKey: postgres-password"))
	alike("variable", "r.yaml", release("grafana", "adminPassword: ${GRAFANA_PASSWORD}"))
	alike("variables in a URL", "d.yaml", deployment("- name: DSN\n  value: postgres://$(DB_USER):$(DB_PASSWORD)@db:5432/x\n"))
	alike("user without a password", "r.yaml", release("app",
		"repo: ssh://git@git.example.com:2222/x.git\nimage: registry.example.com:5000/app@sha256:"+m.hex(64)))
	alike("placeholder", "r.yaml", release("app", "password: changeme\ntoken: <your-token>\napiKey: xxxxxxxxxxxxxxxxxxxxxxxx"))
	alike("AWS's example", "README.md", "AK"+"IAIOSFODNN7EXAMPLE\n")
	alike("policy", "r.yaml", release("app", "passwordPolicy: strict\ntokenTTL: 3600s\npasswordMinLength: 12\nsecretName: app-tls"))
	alike("file", "c.yaml", config("app", "app.ini", "password_file = /run/secrets/db\npassword = $__file{/run/secrets/db}"))
	alike("script", "run.sh", "#!/bin/sh\nPASSWORD=$(cat /run/secrets/db)\nexport PGPASSWORD=\"$PASSWORD\"\n")
	alike("code", "main.tf", "password = var.db_password\ntoken    = data.vault.x.data[\"token\"]\n")
	alike("certificate", "ca.pem", m.certificate())
	alike("digest", "r.yaml", release("app", "image:\n  digest: sha256:"+m.hex(64)+"\nchecksum/secret: "+m.hex(64)))
	alike("ids", "r.yaml",
		release("app", "clusterID: "+m.uuid()+"\ntenantId: "+m.uuid()+"\nkmsKeyId: arn:aws:kms:eu-west-1:123456789012:key/"+m.uuid()))
	alike("sealed", "s.yaml",
		"apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: x\nspec:\n  encryptedData:\n    password: Ag"+m.base64(300)+"\n")
	alike("external", "e.yaml",
		"apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata:\n  name: x\nspec:\n  data:\n  - secretKey: DB_PASSWORD\n    remoteRef: {key: prod/db1, property: password}\n")
	alike("schema", "s.json", `{"properties": {"password": {"type": "string"}, "token": "string"}}`)
	alike("names", "r.yaml", release("app", "serviceAccount: token-reviewer\ntokenSecret: my-app-token\nwebhookSecret: github-webhook-secret"))
	alike("template", "t.yaml", "stringData:\n  password: {{ .Values.auth.password | quote }}\n")
	alike("labels", "k.yaml",
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: keyboard\n  labels: {monkey: banana1234567890}\ndata:\n  keymap: qwertz-de-2024-layout1\n")
}

func (m mint) pkcs8Body() string {
	key := m.pkcs8()
	body := key[len("-----BEGIN PRIVATE KEY-----\n"):]
	return body[:len(body)-len("-----END PRIVATE KEY-----\n")]
}
