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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratio/keos-oci/internal/finding"
)

// sample is one repository in small: the files of one component, and whether something in it must not be published.
type sample struct {
	name  string
	files map[string]string // relative to the component's folder
	leak  bool
	hm    bool // of a look-alike: a person would hesitate too, so that a warning is no false alarm
}

// secretRules are the rules that say that something must not be published in plain text.
func secretRules() []string {
	return []string{finding.RuleSecret, finding.RulePrivateKey, finding.RuleDotenv, finding.RuleToken, finding.RulePassword}
}

// isRight reports whether the gate says of a sample what it should: something of a leak, nothing of a look-alike.
func (s sample) isRight(findings []finding.Finding) bool {
	found := slices.ContainsFunc(findings, func(f finding.Finding) bool {
		return slices.Contains(secretRules(), f.Rule) && (f.Severity == finding.Error || !s.hm)
	})
	return found == s.leak
}

// TestHeldOutCorpus measures the rules by samples that whoever wrote the rules did not look at.
func TestHeldOutCorpus(t *testing.T) { measure(t, heldOut()) }

// TestHeldOutCorpusBuilds keeps the samples realistic: each is a component that Flux could apply.
func TestHeldOutCorpusBuilds(t *testing.T) {
	names := map[string]bool{}
	for _, s := range slices.Concat(heldOut(), fresh()) {
		if names[s.name] {
			t.Errorf("two samples are called %s", s.name)
		}
		names[s.name] = true
		for _, f := range run(t, component(t, s.files), Options{}) {
			if f.Severity == finding.Error && f.Rule != finding.RuleFilter && !slices.Contains(secretRules(), f.Rule) {
				t.Errorf("%s: %s", s.name, f)
			}
		}
	}
}

func heldOut() []sample {
	m := newMint()
	return slices.Concat(
		leaksOfCharts(m), leaksOfTools(m), leaksOfWorkloads(m), leaksOfCloud(m), leaksOfForges(m), leaksOfAlerts(m), leaksOfKeys(m),
		leaksOfSecrets(m), leaksOfConfigs(m), leaksOfScripts(m),
		alikeEncrypted(m), alikeReferences(m), alikeVariables(m), alikeIDs(m), alikeBinary(m), alikePublic(m), alikePlaceholders(m),
		alikeURLs(m), alikeNames(m), alikeScripts(m), alikeSettings(m), alikeDocuments(m), alikeClients(m))
}

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

func deployment(env string) string {
	return `apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  selector:
    matchLabels: {app: api}
  template:
    metadata:
      labels: {app: api}
    spec:
      containers:
      - name: api
        image: ghcr.io/example/api:1.14.2
        env:
` + shift(8, env)
}

func leaksOfCharts(m mint) []sample {
	harbor := fmt.Sprintf("expose:\n  type: ingress\nexternalURL: https://harbor.example.com\nharborAdminPassword: %s\ndatabase:\n"+
		"  type: internal\n", m.phrase())
	values := config("monitoring-values", "values.yaml", fmt.Sprintf("grafana:\n  adminUser: admin\n  adminPassword: %q # rotate\n",
		m.strong()))
	from := strings.Replace(release("kube-prometheus-stack", "alertmanager:\n  enabled: true"), "  values:\n",
		"  valuesFrom:\n    - kind: ConfigMap\n      name: monitoring-values\n      valuesKey: values.yaml\n  values:\n", 1)
	return []sample{
		{leak: true, name: "database password in the values of a HelmRelease", files: kept("postgresql.yaml", release("postgresql",
			fmt.Sprintf("auth:\n  username: shop\n  password: %s\n  database: shop\nprimary:\n  persistence:\n    size: 20Gi",
				m.phrase())))},
		{leak: true, name: "data source of a Go program in values", files: kept("release.yaml", release("orders",
			fmt.Sprintf("config:\n  log: debug\n  dsn: 'orders:%s@tcp(mysql.db.svc:3306)/orders?parseTime=true'\n", m.strong())))},
		{leak: true, name: "admin password in a ConfigMap of valuesFrom", files: kept("release.yaml", from+values)},
		{leak: true, name: "admin password at the top of a values file",
			files: with(map[string]string{"staging/harbor-values.yaml": harbor},
				"staging/kustomization.yaml", "configMapGenerator:\n- name: harbor-values\n  files: [values.yaml=harbor-values.yaml]\n")},
		{leak: true, name: "monitoring keys in values", files: kept("datadog.yaml", release("datadog",
			fmt.Sprintf("datadog:\n  site: datadoghq.eu\n  apiKey: %s\n  appKey: %s\n  logs: {enabled: true}", m.hex(32), m.hex(40))))},
	}
}

func leaksOfTools(m mint) []sample {
	auths := fmt.Sprintf("{\n  \"auths\": {\n    \"https://index.docker.io/v1/\": {\n      \"auth\": %q\n    }\n  }\n}",
		b64("stratiobot:"+m.strong()))
	client := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: %s\n"+
		"    server: https://10.0.0.1:6443\n  name: prod\nusers:\n- name: admin\n  user:\n    client-certificate-data: %s\n"+
		"    client-key-data: %s\n",
		b64(m.certificate()), b64(m.certificate()), b64(armoured(private("EC"), m.bytes(120))))
	bearer := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "users": [{"name": "ci", "user": {"token": %q}}],
 "clusters": [{"name": "edge", "cluster": {"server": "https://edge.example.com:6443"}}], "current-context": "ci@edge"}`, m.strong()+m.strong())
	return []sample{
		{leak: true, name: "login of a registry in a ConfigMap", files: kept("kaniko.yaml", config("kaniko-docker", "config.json",
			auths))},
		{leak: true, name: "kubeconfig with a client key", files: plain("bootstrap/kubeconfig", client)},
		{leak: true, name: "kubeconfig in JSON with a bearer token", files: generated("edge-kubeconfig.json", bearer)},
		{leak: true, name: "publishing login of npm", files: plain("ci/.npmrc", "@example:registry=https://registry.npmjs.org/\n"+
			"//registry.npmjs.org/:_authToken="+m.checked("npm")+"\nalways-auth=true\n")},
		{leak: true, name: "netrc of a build", files: plain("build/.netrc", fmt.Sprintf("machine git.example.com\n  login ci-bot\n"+
			"  password %s\n", m.alnum(20)))},
		{leak: true, name: "upload login of a package index", files: plain("build/.pypirc",
			"[distutils]\nindex-servers = pypi\n\n[pypi]\nusername = __token__\npassword = pypi-"+"AgEIcHlwaS5vcmc"+m.url64(110)+"\n")},
	}
}

func leaksOfWorkloads(m mint) []sample {
	cron := fmt.Sprintf(`apiVersion: batch/v1
kind: CronJob
metadata:
  name: backup
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: backup
              image: ghcr.io/example/backup:2.0.1
              args: ["--container", "dumps"]
              env: [{name: AZURE_STORAGE_CONNECTION_STRING, value: %q}]
`, "DefaultEndpointsProtocol=https;AccountName=shopdumps;AccountKey="+m.base64(64)+";EndpointSuffix=core.windows.net")
	return []sample{
		{leak: true, name: "cloud keys in the environment", files: kept("deployment.yaml", deployment(
			fmt.Sprintf("- name: AWS_ACCESS_KEY_ID\n  value: %s\n- name: AWS_SECRET_ACCESS_KEY\n  value: %s\n- name: AWS_REGION\n"+
				"  value: eu-west-1",
				"AK"+"IA"+m.chars(upper+"234567", 16), m.base64(30))))},
		{leak: true, name: "database URL in the environment", files: kept("deployment.yaml", deployment(
			fmt.Sprintf("- name: DATABASE_URL\n"+
				"  value: \"postgres://shop:%s@postgres.db.svc.cluster.local:5432/shop?sslmode=disable\"", m.strong())))},
		{leak: true, name: "queue URL without a user", files: kept("deployment.yaml", deployment(
			fmt.Sprintf("- {name: LOG_LEVEL, value: info}\n- {name: CELERY_BROKER, value: 'redis://:%s@redis-master:6379/0'}",
				m.alnum(24))))},
		{leak: true, name: "connection string in a CronJob", files: kept("backup.yaml", cron)},
		{leak: true, name: "password among the options of a JVM", files: kept("deployment.yaml", deployment(
			fmt.Sprintf("- name: JAVA_TOOL_OPTIONS\n  value: >-\n    -Xmx512m -Djavax.net.ssl.trustStore=/etc/ssl/trust.p12\n"+
				"    -Djavax.net.ssl.trustStorePassword=%s", m.phrase())))},
	}
}

func leaksOfCloud(m mint) []sample {
	account := fmt.Sprintf(`{
  "type": "service_account",
  "project_id": "shop-prod",
  "private_key_id": %q,
  "private_key": %q,
  "client_email": "dns@shop-prod.iam.gserviceaccount.com",
  "client_id": %q,
  "token_uri": "https://oauth2.googleapis.com/token"
}
`, m.hex(40), m.pkcs8(), m.chars(digits, 21))
	azure := fmt.Sprintf("{\n  \"tenantId\": %q,\n  \"subscriptionId\": %q,\n  \"resourceGroup\": \"dns\",\n  \"aadClientId\": %q,\n"+
		"  \"aadClientSecret\": %q\n}",
		m.uuid(), m.uuid(), m.uuid(), m.alnum(3)+"8Q~"+m.alnum(16)+"~"+m.alnum(17))
	return []sample{
		{leak: true, name: "credentials file of a command line", files: plain("velero/credentials-velero",
			fmt.Sprintf("[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n", "AK"+"IA"+m.chars(upper+"234567", 16),
				m.base64(30)))},
		{leak: true, name: "service account in JSON", files: generated("sa.json", account)},
		{leak: true, name: "client secret in JSON of a ConfigMap", files: kept("external-dns.yaml", config("azure-dns",
			"azure.json", azure))},
		{leak: true, name: "variables of Terraform", files: plain("infra/prod.auto.tfvars",
			fmt.Sprintf("region      = \"eu-west-1\"\ndb_username = \"shop\"\n# from the vault, 2025-03-01\ndb_password = %q\n",
				m.strong()))},
	}
}

func leaksOfForges(m mint) []sample {
	fineGrained := "github" + "_pat_" + m.alnum(22) + "_" + m.alnum(59)
	runner := fmt.Sprintf("concurrent = 4\n\n[[runners]]\n  name = \"k8s\"\n  url = \"https://gitlab.example.com\"\n  token = %q\n"+
		"  executor = \"kubernetes\"\n",
		"gl"+"rt-"+m.alnum(20))
	return []sample{
		{leak: true, name: "classic token of GitHub in a script's configuration", files: generated("config.js",
			fmt.Sprintf("module.exports = {\n  platform: 'github',\n  token: '%s',\n  repositories: ['example/fleet'],\n};\n",
				m.checked("gh"+"p")))},
		{leak: true, name: "fine-grained token of GitHub in values", files: kept("runners.yaml", release("gha-runner-scale-set",
			fmt.Sprintf("githubConfigUrl: https://github.com/example\ngithubConfigSecret:\n  github_token: >-\n    %s\nmaxRunners: 5",
				fineGrained)))},
		{leak: true, name: "access token of GitLab in a script", files: plain("hack/sync.sh",
			"#!/usr/bin/env bash\nset -eu\ncurl -fsS --header \"PRIVATE-TOKEN: gl"+"pat-"+m.alnum(20)+"\" \\\n"+
				"  \"https://gitlab.example.com/api/v4/projects/7/variables\"\n")},
		{leak: true, name: "runner token in TOML of a ConfigMap", files: kept("runner.yaml", config("gitlab-runner", "config.toml",
			runner))},
		{leak: true, name: "login in the address of a chart repository", files: kept("source.yaml",
			fmt.Sprintf("apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata:\n  name: internal\nspec:\n"+
				"  interval: 1h\n"+
				"  url: https://reader:%s@charts.example.com/stable\n", m.strong()))},
	}
}

func leaksOfAlerts(m mint) []sample {
	hook := "https://hooks.slack.com/ser" + "vices/T" + m.chars(upper+digits, 9) + "/B" + m.chars(upper+digits, 10) + "/" + m.alnum(24)
	slack := fmt.Sprintf("global:\n  resolve_timeout: 5m\nreceivers:\n- name: ops\n  slack_configs:\n  - api_url: %s\n"+
		"    channel: '#ops'\n", hook)
	pager := fmt.Sprintf("route:\n  receiver: oncall\nreceivers:\n  - name: oncall\n    pagerduty_configs:\n      - service_key: %q\n"+
		"        severity: critical\n", m.hex(32))
	bot := fmt.Sprintf("botkube:\n  communications:\n    default-group:\n      socketSlack:\n        enabled: true\n"+
		"        botToken: xo"+"xb-%s-%s-%s\n",
		m.chars("123456789", 12), m.chars("123456789", 13), m.alnum(24))
	return []sample{
		{leak: true, name: "webhook of Slack", files: kept("alertmanager.yaml", config("alertmanager", "alertmanager.yml", slack))},
		{leak: true, name: "service key of PagerDuty", files: generated("alertmanager.yml", pager)},
		{leak: true, name: "bot token of Slack in values", files: kept("botkube.yaml", release("botkube", bot))},
		{leak: true, name: "mail key in grafana.ini", files: generated("grafana.ini",
			"[server]\nroot_url = https://grafana.example.com\n\n[smtp]\nenabled = true\nhost = smtp.sendgrid.net:587\nuser = apikey\n"+
				"password = SG"+"."+m.url64(16)+"."+m.url64(32)+"\n")},
	}
}

func leaksOfKeys(m mint) []sample {
	openssh := armoured(private("OPENSSH"), append([]byte("openssh-key-v1\x00"), m.bytes(300)...))
	cert := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: proxy-tls\nbinaryData:\n  tls.crt: %s\n  tls.key: %s\n",
		b64(m.certificate()), b64(m.pkcs8()))
	age := "# created: 2025-02-03T09:12:44+01:00\n# public key: age1" + m.chars("qpzry9x8gf2tvdw0s3jn54khce6mua7l", 58) +
		"\nAGE-SECRET" + "-KEY-1" +
		m.chars("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58) + "\n"
	return []sample{
		{leak: true, name: "TLS key in base64 of a ConfigMap", files: kept("tls.yaml", cert)},
		{leak: true, name: "deploy key in a JSON string", files: generated("repositories.json",
			fmt.Sprintf(`{"repositories": [{"url": "git@github.com:example/apps.git", "sshPrivateKey": %q}]}`, openssh))},
		{leak: true, name: "key in values", files: kept("release.yaml", release("oauth2-proxy",
			"config:\n  clientID: web\nsigning:\n  jwtKey: |-\n"+shift(4, m.pkcs8())))},
		{leak: true, name: "key of SOPS beside its rules", files: plain("clusters/keys.txt", age)},
	}
}

func leaksOfSecrets(m mint) []sample {
	object := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata:\n  name: smtp\ntype: Opaque\nstringData:\n  user: web\n"+
		"  pass: %q\n", m.phrase())
	list := "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ServiceAccount\n  metadata:\n    name: web\n-\n" + shift(2,
		object)
	return []sample{
		{leak: true, name: "Secret in a List", files: kept("all.yaml", list)},
		{leak: true, name: "Secret in a text of values", files: kept("release.yaml", release("keycloak",
			"replicas: 2\nextraDeploy:\n  - |\n"+shift(4, object)))},
		{leak: true, name: "generator of a Secret with an env file", files: map[string]string{"staging/db.env": "POSTGRES_USER=shop\n" +
			"POSTGRES_PASSWORD=" + m.strong() + "\n",
			"staging/kustomization.yaml": "secretGenerator:\n- name: db\n  envs:\n  - db.env\n"}},
		{leak: true, name: "env file of a developer", files: plain("staging/.env",
			"NODE_ENV=production\nSESSION_SECRET="+m.hex(64)+"\n")},
	}
}

func leaksOfConfigs(m mint) []sample {
	scrape := fmt.Sprintf("scrape_configs:\n- job_name: edge\n  scheme: https\n  authorization:\n    type: Bearer\n"+
		"    credentials: %s\n  static_configs:\n  - targets: [edge.example.com]\n",
		m.jwt(`{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:monitoring:prometheus"}`))
	return []sample{
		{leak: true, name: "payment key in properties", files: generated("application.properties",
			"server.port=8080\npayments.provider=stripe\npayments.stripe.api-key=sk"+"_live_"+m.alnum(99)+"\n"+
				"spring.jpa.show-sql=false\n")},
		{leak: true, name: "document database in TOML", files: generated("app.toml",
			fmt.Sprintf("[server]\nlisten = \":8080\"\n\n[store]\n"+
				"uri = \"mongodb+srv://catalog:%s@cluster0.ab1cd.mongodb.net/catalog?retryWrites=true\"\n", m.alnum(16)))},
		{leak: true, name: "service token in a scrape configuration", files: kept("prometheus.yaml", config("prometheus",
			"prometheus.yml", scrape))},
		{leak: true, name: "model key in a ConfigMap of the environment", files: kept("chat.yaml", fmt.Sprintf(
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: chat-env\ndata:\n  OPENAI_MODEL: gpt-4o-mini\n"+
				"  OPENAI_API_KEY: \"sk-%s-%s\"\n",
			"proj", m.alnum(20)+"T3Blbk"+"FJ"+m.alnum(20)))},
		{leak: true, name: "server login in XML settings", files: generated("settings.xml",
			fmt.Sprintf("<settings>\n  <servers>\n    <server>\n      <id>releases</id>\n      <username>deployer</username>\n"+
				"      <password>%s</password>\n"+
				"    </server>\n  </servers>\n</settings>\n", m.strong()))},
	}
}

func leaksOfScripts(m mint) []sample {
	return []sample{
		{leak: true, name: "vault token in a script", files: plain("hack/unseal.sh",
			"#!/bin/sh\nexport VAULT_ADDR=https://vault.example.com:8200\nexport VAULT_TOKEN=hvs"+"."+"CAESI"+m.url64(66)+"\n"+
				"vault kv get -field=x secret/web\n")},
		{leak: true, name: "login at a registry in a Makefile", files: plain("Makefile",
			"login:\n\t@echo dckr"+"_pat_"+m.url64(20)+" | docker login -u example --password-stdin\n")},
	}
}

func alikeEncrypted(m mint) []sample {
	enc := func() string {
		return fmt.Sprintf("ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:str]", m.base64(12), m.base64(32), m.base64(16))
	}
	sopsSecret := fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: %s\n  token: %s\nsops:\n"+
		"  age:\n"+
		"    - recipient: age1%s\n      enc: |\n        -----BEGIN AGE ENCRYPTED FILE-----\n        %s\n"+
		"        -----END AGE ENCRYPTED FILE-----\n"+
		"  lastmodified: \"2025-05-05T10:11:12Z\"\n  mac: %s\n  encrypted_regex: ^(data|stringData)$\n  version: 3.9.4\n",
		enc(), enc(), m.chars(lower+digits, 58), m.base64(45), enc())
	sealed := fmt.Sprintf("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: apps\nspec:\n"+
		"  encryptedData:\n    password: Ag%s\n"+
		"    api-token: Ag%s\n  template:\n    type: Opaque\n    metadata:\n      name: db\n      namespace: apps\n", m.base64(500),
		m.base64(500))
	rules := "creation_rules:\n  - path_regex: .*/secrets/.*\\.yaml\n    encrypted_regex: ^(data|stringData)$\n    age: >-\n      age1" +
		m.chars("qpzry9x8gf2tvdw0s3jn54khce6mua7l", 58) + "\n    pgp: " + m.chars(digits+"ABCDEF", 40) + "\n"
	return []sample{
		{name: "encrypted by SOPS", files: kept("db.yaml", sopsSecret)},
		{name: "sealed", files: kept("db.yaml", sealed)},
		{name: "rules of SOPS", files: plain(".sops.yaml", rules)},
	}
}

func alikeReferences(mint) []sample {
	external := `apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata:
  name: db
spec:
  refreshInterval: 1h
  secretStoreRef: {kind: ClusterSecretStore, name: vault}
  target:
    name: db-password
    template:
      data:
        DATABASE_URL: "postgres://{{ .username }}:{{ .password }}@db:5432/shop"
  data:
  - secretKey: password
    remoteRef: {key: shop/db, property: password}
`
	provider := "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata:\n  name: web\nspec:\n  provider: aws\n" +
		"  parameters:\n    objects: |\n" +
		"      - objectName: \"prod/web/db-password\"\n        objectType: secretsmanager\n  secretObjects:\n" +
		"  - secretName: db-password\n    type: Opaque\n" +
		"    data:\n    - key: password\n      objectName: prod/web/db-password\n"
	issuer := "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata:\n  name: letsencrypt\nspec:\n  acme:\n" +
		"    server: https://acme-v02.api.letsencrypt.org/directory\n" +
		"    privateKeySecretRef:\n      name: letsencrypt-account-key\n    solvers:\n    - dns01:\n        cloudflare:\n" +
		"          apiTokenSecretRef:\n" +
		"            name: cloudflare-api-token\n            key: api-token\n"
	return []sample{
		{name: "secret kept elsewhere", files: kept("db.yaml", external)},
		{name: "secrets mounted by a driver", files: kept("provider.yaml", provider)},
		{name: "issuer of certificates", files: kept("issuer.yaml", issuer)},
		{name: "values that point to a Secret", files: kept("release.yaml", release("postgresql",
			"auth:\n  existingSecret: postgresql-credentials\n  secretKeys:\n    adminPasswordKey: postgres-password\n"+
				"    userPasswordKey: password\n"+
				"metrics:\n  passwordSecretRef: {name: exporter-password, key: password}\nimagePullSecrets:\n  - name: registry-token"))},
		{name: "environment of a Secret", files: kept("deployment.yaml", deployment(
			"- name: AWS_ACCESS_KEY_ID\n  valueFrom:\n    secretKeyRef:\n      name: s3-credentials\n      key: access-key-id\n"+
				"- name: AWS_SECRET_ACCESS_KEY\n"+
				"  valueFrom:\n    secretKeyRef: {name: s3-credentials, key: secret-access-key}\n- name: DB_PASSWORD_FILE\n"+
				"  value: /run/secrets/db-password"))},
	}
}

func alikeVariables(mint) []sample {
	chart := "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ include \"web.fullname\" . }}\ntype: Opaque\ndata:\n" +
		"  password: {{ .Values.auth.password | default (randAlphaNum 24) | b64enc | quote }}\n" +
		"  token: {{ required \"a token\" .Values.token | b64enc }}\n"
	return []sample{
		{name: "variables of Flux", files: kept("release.yaml", release("redis",
			"auth:\n  password: ${REDIS_PASSWORD}\nsentinel:\n  token: \"${SENTINEL_TOKEN:=}\"\nexternalAccess:\n"+
				"  apiKey: '${API_KEY}'"))},
		{name: "template of a chart", files: plain("chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n",
			"chart/templates/secret.yaml", chart)},
		{name: "template of an agent", files: kept("deployment.yaml", strings.Replace(deployment("- name: A\n  value: b"),
			"      labels: {app: api}\n    spec:",
			"      labels: {app: api}\n      annotations:\n        vault.hashicorp.com/agent-inject-secret-db: database/creds/api\n"+
				"        vault.hashicorp.com/agent-inject-template-db: |\n          {{- with secret \"database/creds/api\" -}}\n"+
				"          DB_PASSWORD={{ .Data.data.password }}\n          {{- end }}\n    spec:", 1))},
		{name: "npm with a variable", files: plain("ci/.npmrc", "registry=https://registry.npmjs.org/\n"+
			"//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n")},
	}
}

func alikeIDs(m mint) []sample {
	lock := fmt.Sprintf(`{
  "name": "dashboards",
  "lockfileVersion": 3,
  "packages": {
    "node_modules/js-tokens": {
      "version": "4.0.0",
      "resolved": "https://registry.npmjs.org/js-tokens/-/js-tokens-4.0.0.tgz",
      "integrity": "sha512-%s"
    },
    "node_modules/tough-cookie": {"version": "4.1.3", "integrity": "sha512-%s"}
  }
}
`, m.base64(64), m.base64(64))
	return []sample{
		{name: "images by digest", files: with(kept("deployment.yaml", deployment("- name: GIT_COMMIT\n  value: "+m.hex(40))),
			"staging/kustomization.yaml",
			"resources: [deployment.yaml]\nimages:\n- name: ghcr.io/example/api\n  digest: sha256:"+m.hex(64)+"\n")},
		{name: "names of tenants and subscriptions", files: kept("identity.yaml", release("workload-identity",
			fmt.Sprintf("azure:\n  tenantId: %s\n  clientId: %s\n  subscriptionId: %s\nclusterID: %s", m.uuid(), m.uuid(), m.uuid(),
				m.chars(lower+digits, 26))))},
		{name: "lock file of packages", files: plain("dashboards/package-lock.json", lock)},
		{name: "checksums in annotations and values", files: kept("release.yaml", release("web",
			fmt.Sprintf("podAnnotations:\n  checksum/config: %s\n  checksum/secret: %s\nplugin:\n  url: https://example.com/p.tgz\n"+
				"  sha512: %s",
				m.hex(64), m.hex(64), m.hex(128))))},
		{name: "names of resources in a cloud", files: kept("account.yaml", fmt.Sprintf(
			"apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: token-refresher\n  annotations:\n"+
				"    eks.amazonaws.com/role-arn: arn:aws:iam::%s:role/token-refresher\n"+
				"    example.com/secret-arn: arn:aws:secretsmanager:eu-west-1:%s:secret:prod/db-password-%s\n"+
				"    example.com/key: arn:aws:kms:eu-west-1:%s:key/%s\n",
			m.chars(digits, 12), m.chars(digits, 12), m.alnum(6), m.chars(digits, 12), m.uuid()))},
	}
}

func alikeBinary(m mint) []sample {
	webhook := fmt.Sprintf("apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata:\n"+
		"  name: policy\nwebhooks:\n- name: policy.example.com\n"+
		"  admissionReviewVersions: [v1]\n  sideEffects: None\n  clientConfig:\n    service: {name: policy, namespace: policy}\n"+
		"    caBundle: %s\n", b64(m.certificate()))
	chart := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), m.bytes(4000)...)
	return []sample{
		{name: "authority of a webhook", files: kept("webhook.yaml", webhook)},
		{name: "icon in a catalogue", files: generated("catalogue.json",
			fmt.Sprintf(`{"name": "web", "icon": "data:image/png;base64,%s"}`, b64("\x89PNG\r\n\x1a\n"+string(m.bytes(1500)))))},
		{name: "chart in base64", files: kept("chart.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: chart\n"+
			"binaryData:\n  web-0.1.0.tgz: "+b64(string(chart))+"\n")},
	}
}

func alikePublic(m mint) []sample {
	ssh := "ssh-ed25519 " + b64("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"+string(m.bytes(32)))
	jwks := fmt.Sprintf(`{"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": %q, "e": "AQAB", "n": %q}]}`, m.url64(20), m.url64(256))
	return []sample{
		{name: "public key of signatures", files: plain("keys/cosign.pub", m.publicKey(), "keys/ci.pem", m.certificate())},
		{name: "known hosts and authorized keys", files: kept("ssh.yaml", config("ssh", "known_hosts",
			"github.com "+ssh+"\n[git.example.com]:2222 "+ssh)+
			config("bastion", "authorized_keys", ssh+" ops@example.com"))},
		{name: "key set of an issuer", files: generated("jwks.json", jwks)},
	}
}

func alikePlaceholders(mint) []sample {
	example := "# Copy to .env and fill in.\nDATABASE_PASSWORD=<your-password>\nSESSION_SECRET=\nGITHUB_TOKEN=REPLACE_ME\n" +
		"STRIPE_KEY=sk" + "_test_xxxxxxxxxxxxxxxxxxxxxxxx\n"
	readme := "# Web\n\nCreate a token and log in:\n\n```sh\nexport GITHUB_TOKEN=gh" + "p_" + strings.Repeat("x", 36) + "\nexport AWS_ACCESS_KEY_ID=AKIA" +
		"IOSFODNN7" + "EXAMPLE\nexport AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY\ndocker login -p '***' registry.example.com\n```\n"
	compose := "services:\n  db:\n    image: postgres:16\n    environment:\n      POSTGRES_PASSWORD: postgres\n"

	return []sample{
		{name: "placeholders in values", files: kept("release.yaml", release("web",
			"auth:\n  password: changeme\n  token: \"<your-token>\"\n  apiKey: REPLACE_ME\n  clientSecret: xxxxxxxxxxxx\n"+
				"  adminPassword: '********'"))},
		{name: "example of an env file", files: plain("web/.env.example", example)},
		{name: "examples of a manual", files: plain("README.md", readme)},
		{name: "database of a developer's machine", hm: true, files: plain("dev/docker-compose.yaml", compose)},
	}
}

func alikeURLs(mint) []sample {
	return []sample{
		{name: "addresses with a user alone", files: kept("deployment.yaml", deployment(
			"- name: DATABASE_URL\n  value: postgres://shop@postgres.db.svc:5432/shop\n- name: REPO\n"+
				"  value: ssh://git@github.com/example/fleet.git\n"+
				"- name: BROKER\n  value: amqp://rabbit.mq.svc:5672/\n- name: PROXY\n  value: http://proxy.example.com:3128"))},
		{name: "addresses with variables", files: kept("deployment.yaml", deployment(
			"- name: A_URL\n  value: postgres://$(DB_USER):$(DB_PASSWORD)@db:5432/shop\n- name: B_URL\n"+
				"  value: \"https://${USER}:${PASSWORD}@charts.example.com\"\n"+
				"- name: C_URL\n  value: redis://:$REDIS_PASSWORD@redis:6379"))},
	}
}

func alikeNames(mint) []sample {
	rbac := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: my-token-reviewer\nroleRef:\n" +
		"  apiGroup: rbac.authorization.k8s.io\n" +
		"  kind: ClusterRole\n  name: system:auth-delegator\nsubjects:\n- kind: ServiceAccount\n  name: vault-token-reviewer\n" +
		"  namespace: vault\n"
	provider := "apiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Provider\nmetadata:\n  name: slack\nspec:\n  type: slack\n" +
		"  channel: platform-secret-rotation\n" +
		"  address: https://slack.com/api/chat.postMessage\n  secretRef:\n    name: slack-bot-token\n"
	alerts := config("alerts", "alertmanager.yml", "global:\n  slack_api_url_file: /etc/alertmanager/secrets/slack-url\nreceivers:\n"+
		"- name: ops\n  slack_configs:\n"+
		"  - channel: '#ops-passwords'\n  pagerduty_configs:\n  - routing_key_file: /etc/alertmanager/secrets/routing-key\n")
	rules := "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: accounts\nspec:\n  groups:\n" +
		"  - name: accounts\n    rules:\n    - alert: PasswordExpires\n" +
		"      expr: account_password_age_seconds > 7776000\n      annotations:\n" +
		"        summary: \"Password of {{ $labels.user }} expires\"\n        secret: \"rotate it: see the runbook\"\n"
	return []sample{
		{name: "binding of a token reviewer", files: kept("rbac.yaml", rbac)},
		{name: "channels of alerts", files: kept("alerts.yaml", provider+alerts)},
		{name: "alerts about passwords", files: kept("rules.yaml", rules)},
	}
}

func alikeScripts(mint) []sample {
	script := "#!/bin/sh\nset -eu\nPASSWORD=\"$(cat /run/secrets/db-password)\"\nTOKEN=$(kubectl create token web --duration=10m)\n" +
		"export PGPASSWORD=\"${PASSWORD}\"\n" +
		"API_KEY=${API_KEY:?set it}\npsql -h db -U shop -c 'select 1'\n" +
		"curl -H \"Authorization: Bearer $TOKEN\" https://api.example.com/\n" +
		"echo \"$REGISTRY_PASSWORD\" | docker login -u ci --password-stdin registry.example.com\n"
	program := "import os\n\npassword = os.environ[\"DB_PASSWORD\"]\n" +
		"token = open(\"/var/run/secrets/kubernetes.io/serviceaccount/token\").read()\n" +
		"secret_key = os.getenv('SECRET_KEY')\n"
	terraform := "variable \"db_password\" {\n  type      = string\n  sensitive = true\n}\n\nresource \"aws_db_instance\" \"shop\" {\n" +
		"  username = \"shop\"\n" +
		"  password = var.db_password\n}\n\noutput \"token\" {\n  value = data.aws_eks_cluster_auth.this.token\n}\n"
	return []sample{
		{name: "script that reads a password", files: kept("script.yaml", config("migrate", "run.sh", script))},
		{name: "program that reads a password", files: generated("check.py", program)},
		{name: "password of a variable in Terraform", files: plain("infra/main.tf", terraform)},
	}
}

func alikeSettings(mint) []sample {
	nginx := "server {\n  listen 443 ssl;\n  ssl_certificate     /etc/nginx/tls/tls.crt;\n" +
		"  ssl_certificate_key /etc/nginx/tls/tls.key;\n  ssl_password_file   /etc/nginx/tls/pass;\n}\n"
	return []sample{
		{name: "settings of passwords and tokens", files: kept("release.yaml", release("keycloak",
			"passwordPolicy: strict\ntokenTTL: 3600\nusePasswordFiles: true\naccessTokenLifespan: 15m\nauth:\n  password: false\n"+
				"  tokenIssuer: https://sso.example.com\n"+
				"minPasswordLength: 12\npasswordHashAlgorithm: argon2id\nsecretName: db-password\ntokenEndpoint: /oauth2/token"))},
		{name: "empty values", files: kept("release.yaml", release("mariadb",
			"auth:\n  rootPassword: \"\"\n  password: ''\n  replicationPassword:\n  token: null\n  apiKey: ~"))},
		{name: "paths of keys", files: kept("nginx.yaml", config("nginx", "tls.conf", nginx))},
	}
}

func alikeDocuments(mint) []sample {
	crd := `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: databases.example.com
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Database, plural: databases, singular: database}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          password:
            type: string
            description: 'Password is the password of the user, for example "s3cr3t" or a reference such as secret:db.'
            minLength: 8
          token:
            description: A token as postgres://user:` + "pass" + `@host/db or "Bearer <token>".
            type: string
            default: ""
            example: my-token
`
	dashboard := `{"__inputs": [{"name": "DS_PROMETHEUS", "type": "datasource"}], "title": "Tokens", "uid": "k8s_tokens_views",
 "panels": [{"datasource": "${DS_PROMETHEUS}", "title": "Password failures",
  "targets": [{"expr": "sum(rate(login_failures_total{reason=\"password\"}[5m]))", "legendFormat": "{{token}}"}]}]}`
	return []sample{
		{name: "fields of a definition", files: kept("crd.yaml", crd)},
		{name: "dashboard about logins", files: plain("dashboards/logins.json", dashboard)},
	}
}

func alikeClients(m mint) []sample {
	kubeconfig := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters:\n- name: prod\n  cluster:\n    server: https://10.0.0.1:6443\n"+
		"    certificate-authority-data: %s\n"+
		"users:\n- name: sso\n  user:\n    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: kubelogin\n"+
		"      args: [get-token, --oidc-client-id=kubernetes]\n      interactiveMode: IfAvailable\n", b64(m.certificate()))
	helper := "{\n  \"credHelpers\": {\"registry.example.com\": \"ecr-login\"},\n  \"credsStore\": \"secretservice\",\n" +
		"  \"auths\": {\"registry.example.com\": {}}\n}\n"
	return []sample{
		{name: "kubeconfig that asks a program", files: plain("bootstrap/kubeconfig.yaml", kubeconfig)},
		{name: "registry logins kept elsewhere", files: generated("config.json", helper)},
	}
}
