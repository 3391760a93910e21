package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFreshCorpus measures the rules by a second set of samples, written from what platform teams commit and not from the rules.
func TestFreshCorpus(t *testing.T) { measure(t, fresh()) }

func fresh() []sample {
	m := newMint()
	return slices.Concat(
		freshDelivery(m), freshStreams(m), freshApplications(m), freshNetworks(m), freshAlerts(m), freshProvisioning(m), freshObjects(m),
		freshKeys(m), freshCommands(m),
		quietPolicies(m), quietTexts(m), quietReferences(m), quietEncrypted(m), quietPublic(m), quietIdentity(m), quietVariables(m),
		quietPipelines(m), quietHashes(m), quietServers(m))
}

func asJSON(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// rsaKey looks like a key of OpenSSL's older form, with the head of its numbers.
func (m mint) rsaKey() string {
	return armoured(private("RSA"), append([]byte("\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01\x00"), m.bytes(1180)...))
}

// pgp is a block of PGP, which puts an empty line below its head.
func pgp(kind string, body []byte) string {
	return strings.Replace(armoured(kind, body), "-----\n", "-----\n\n", 1)
}

func freshDelivery(m mint) []sample {
	argo := fmt.Sprintf("configs:\n  repositories:\n    apps:\n      url: https://git.example.com/platform/apps.git\n      type: git\n"+
		"      username: argocd\n      password: %s\nserver:\n  replicas: 2", m.strong())
	dex := fmt.Sprintf("configs:\n  cm:\n    url: https://argocd.example.com\n    dex.config: |\n      connectors:\n      - type: ldap\n"+
		"        id: ad\n        name: AD\n        config:\n          host: ldap.example.com:636\n"+
		"          bindDN: cn=argocd,ou=services,dc=example,dc=com\n          bindPW: %s\n          userSearch:\n"+
		"            baseDN: ou=people,dc=example,dc=com\n            username: uid\n", m.phrase())
	helmfile := fmt.Sprintf("repositories:\n- name: bitnami\n  url: https://charts.bitnami.com/bitnami\nreleases:\n- name: redis\n"+
		"  chart: bitnami/redis\n  version: 19.0.1\n  set:\n  - name: architecture\n    value: standalone\n  - name: auth.password\n"+
		"    value: %s\n", m.strong())
	pulumi := fmt.Sprintf("encryptionsalt: v1:%s:v1:%s:%s\nconfig:\n  aws:region: eu-west-1\n  shop:dbUser: shop\n  shop:dbPassword: %s\n"+
		"  shop:hookKey:\n    secure: v1:%s:%s\n", m.base64(8), m.base64(12), m.base64(24), m.phrase(), m.base64(12), m.base64(32))
	scan := fmt.Sprintf("name: scan\non: [push]\njobs:\n  scan:\n    runs-on: ubuntu-24.04\n    env:\n"+
		"      SONAR_HOST_URL: https://sonar.example.com\n      SONAR_TOKEN: sq"+"p_%s\n    steps:\n    - run: sonar-scanner\n", m.hex(40))
	return []sample{
		{leak: true, name: "Git login of Argo CD in values", files: kept("argocd.yaml", release("argo-cd", argo))},
		{leak: true, name: "bind password of Dex in a text of values", files: kept("argocd.yaml", release("argo-cd", dex))},
		{leak: true, name: "set of Helmfile", files: plain("helmfile.yaml", helmfile)},
		{leak: true, name: "stack of Pulumi with one value that is not encrypted", files: plain("infra/Pulumi.prod.yaml", pulumi)},
		{leak: true, name: "SonarQube token in a workflow", files: plain("workflows/scan.yaml", scan)},
	}
}

func freshStreams(m mint) []sample {
	loki := fmt.Sprintf("auth_enabled: false\nstorage_config:\n  aws:\n    s3: s3://loki:%s@minio.storage.svc:9000/loki-chunks\n"+
		"    s3forcepathstyle: true\n", m.alnum(32))
	kafka := fmt.Sprintf("bootstrap.servers=kafka-0.kafka:9093\nsecurity.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n"+
		"sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n    username=\"connect\" \\\n"+
		"    password=\"%s\";\n", m.strong())
	rabbit := fmt.Sprintf(`{
  "rabbit_version": "3.13.1",
  "users": [
    {"name": "admin", "password": %q, "tags": ["administrator"]},
    {"name": "shop", "password": %q, "tags": []}
  ],
  "vhosts": [{"name": "/"}],
  "permissions": [{"user": "shop", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]
}
`, m.phrase(), m.strong())
	fluent := fmt.Sprintf("[SERVICE]\n    Flush        5\n\n[OUTPUT]\n    Name         es\n    Match        kube.*\n"+
		"    Host         elastic.example.com\n    Port         9243\n    HTTP_User    fluent\n    HTTP_Passwd  %s\n    tls          On\n",
		m.alnum(24))
	return []sample{
		{leak: true, name: "object store of Loki with the login in its address", files: kept("loki.yaml", config("loki", "loki.yaml",
			loki))},
		{leak: true, name: "JAAS line of Kafka over several lines", files: kept("connect.yaml", config("connect", "connect.properties",
			kafka))},
		{leak: true, name: "users of RabbitMQ", files: generated("definitions.json", rabbit)},
		{leak: true, name: "output of Fluent Bit", files: kept("fluent-bit.yaml", config("fluent-bit", "fluent-bit.conf", fluent))},
	}
}

func freshApplications(m mint) []sample {
	realm := fmt.Sprintf(`{
  "realm": "shop",
  "enabled": true,
  "accessTokenLifespan": 300,
  "clients": [
    {"clientId": "web", "publicClient": true, "redirectUris": ["https://shop.example.com/*"]},
    {"clientId": "billing", "clientAuthenticatorType": "client-secret", "secret": %q, "serviceAccountsEnabled": true}
  ]
}
`, m.alnum(32))
	airflow := fmt.Sprintf("executor: KubernetesExecutor\nfernetKey: %s=\nwebserverSecretKey: %s\ndags:\n  gitSync: {enabled: true}",
		m.url64(32), m.hex(32))
	superset := fmt.Sprintf("import os\n\nROW_LIMIT = 5000\nSECRET_KEY = '%s'\n"+
		"SQLALCHEMY_DATABASE_URI = os.environ['DATABASE_URL']\nWTF_CSRF_ENABLED = True\n", m.base64(42))
	task := fmt.Sprintf(`[{"name": "n8n", "image": "n8nio/n8n:1.64.0", "environment": [
  {"name": "N8N_HOST", "value": "flows.example.com"},
  {"name": "N8N_ENCRYPTION_KEY", "value": %q}
]}]
`, m.alnum(32))
	laravel := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: portal\ndata:\n  APP_ENV: production\n"+
		"  APP_KEY: base64:%s\n  APP_URL: https://portal.example.com\n", m.base64(32))
	users := "email,role,password\n"
	for _, who := range []string{"anna", "bernd", "carla"} {
		users += who + "@example.com,editor," + m.phrase() + "\n"
	}
	return []sample{
		{leak: true, name: "client of a Keycloak realm", files: generated("shop-realm.json", realm)},
		{leak: true, name: "Fernet key of Airflow", files: kept("airflow.yaml", release("airflow", airflow))},
		{leak: true, name: "secret key of Superset", files: generated("superset_config.py", superset)},
		{leak: true, name: "encryption key among names and values in JSON", files: plain("ecs/task.json", task)},
		{leak: true, name: "application key of Laravel", files: kept("portal.yaml", laravel)},
		{leak: true, name: "master key of Rails", files: plain("portal/config/master.key", m.hex(32))},
		{leak: true, name: "table of users to import", files: generated("users.csv", users)},
	}
}

func freshNetworks(m mint) []sample {
	wireguard := fmt.Sprintf("[Interface]\nAddress = 10.8.0.2/24\nPrivateKey = %s\nListenPort = 51820\n\n[Peer]\nPublicKey = %s\n"+
		"AllowedIPs = 10.8.0.0/24\nEndpoint = vpn.example.com:51820\n", m.base64(32), m.base64(32))
	ipsec := fmt.Sprintf("# tunnel to the data centre\n198.51.100.4 203.0.113.7 : PSK \"%s\"\n", m.alnum(40))
	openvpn := "client\ndev tun\nremote vpn.example.com 1194 udp\n<ca>\n" + m.certificate() + "</ca>\nkey-direction 1\n<tls-auth>\n" +
		"-----BEGIN OpenVPN Static" + " key V1-----\n"
	for range 16 {
		openvpn += m.hex(32) + "\n"
	}
	openvpn += "-----END OpenVPN Static" + " key V1-----\n</tls-auth>\n"
	dns := fmt.Sprintf("apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata:\n  name: godaddy\nspec:\n  acme:\n"+
		"    server: https://acme-v02.api.letsencrypt.org/directory\n    privateKeySecretRef: {name: acme-account}\n    solvers:\n"+
		"    - dns01:\n        webhook:\n          groupName: acme.example.com\n          solverName: godaddy\n          config:\n"+
		"            authApiKey: %s_%s\n            authApiSecret: %s\n            production: true\n            ttl: 600\n",
		m.alnum(12), m.alnum(22), m.alnum(22))
	external := fmt.Sprintf("provider: cloudflare\nenv:\n- name: CF_API_TOKEN\n  value: %s\npolicy: sync\ntxtOwnerId: prod", m.alnum(40))
	return []sample{
		{leak: true, name: "private key of WireGuard", files: kept("vpn.yaml", config("wireguard", "wg0.conf", wireguard))},
		{leak: true, name: "shared key of a tunnel", files: generated("ipsec.secrets", ipsec)},
		{leak: true, name: "static key of OpenVPN", files: generated("client.ovpn", openvpn)},
		{leak: true, name: "DNS provider of an issuer's webhook", files: kept("issuer.yaml", dns)},
		{leak: true, name: "Cloudflare token of external-dns", files: kept("dns.yaml", release("external-dns", external))},
	}
}

func freshAlerts(m mint) []sample {
	cloud := "gl" + "c_" + b64(asJSON(map[string]string{"o": "710234", "n": "stack-write", "k": m.alnum(24)}))
	write := fmt.Sprintf("global:\n  scrape_interval: 30s\nremote_write:\n- url: https://prometheus-prod-01.grafana.net/api/prom/push\n"+
		"  basic_auth:\n    username: 1234567\n    password: %s\n", cloud)
	opsgenie := fmt.Sprintf("alertmanager:\n  config:\n    global:\n      opsgenie_api_url: https://api.eu.opsgenie.com/\n"+
		"      opsgenie_api_key: %s\n    route: {receiver: ops}\n    receivers:\n    - name: ops", m.uuid())
	discord := fmt.Sprintf("apiVersion: notification.toolkit.fluxcd.io/v1beta3\nkind: Provider\nmetadata:\n  name: discord\nspec:\n"+
		"  type: discord\n  address: https://disc"+"ord.com/api/webhooks/%s/%s\n", m.chars("123456789", 18), m.url64(51))
	return []sample{
		{leak: true, name: "remote write to Grafana Cloud", files: kept("prometheus.yaml", config("prometheus", "prometheus.yml",
			write))},
		{leak: true, name: "key of Opsgenie", files: kept("monitoring.yaml", release("kube-prometheus-stack", opsgenie))},
		{leak: true, name: "webhook of Discord", files: kept("provider.yaml", discord)},
	}
}

func freshProvisioning(m mint) []sample {
	inventory := fmt.Sprintf("[db]\ndb1 ansible_host=10.0.0.5 ansible_user=ops ansible_ssh_pass=%s\n"+
		"db2 ansible_host=10.0.0.6 ansible_user=ops\n\n[db:vars]\nansible_python_interpreter=/usr/bin/python3\n", m.phrase())
	userData := fmt.Sprintf("#cloud-config\nhostname: edge-1\nusers:\n- name: ops\n  lock_passwd: false\nchpasswd:\n  expire: false\n"+
		"  list: |\n    root:%s\n    ops:%s\n", m.strong(), m.phrase())
	unit := fmt.Sprintf("[Service]\nEnvironment=\"SMTP_HOST=mail.example.com\" \"SMTP_PASS=%s\"\nRestart=always\n", m.strong())
	rclone := fmt.Sprintf("[backup]\ntype = drive\nscope = drive.file\n"+
		"token = {\"access_token\":\"ya"+"29.%s\",\"token_type\":\"Bearer\",\"refresh_token\":\"1/"+"/0%s\","+
		"\"expiry\":\"2025-02-01T10:00:00Z\"}\nteam_drive =\n", m.url64(120), m.url64(70))
	return []sample{
		{leak: true, name: "inventory of Ansible", files: plain("hosts/inventory.ini", inventory)},
		{leak: true, name: "user data of a machine", files: plain("edge/user-data", userData)},
		{leak: true, name: "drop-in of a systemd unit", files: plain("edge/relay.service.d/10-mail.conf", unit)},
		{leak: true, name: "remote of rclone with a refresh token", files: kept("backup.yaml", config("rclone", "rclone.conf", rclone))},
	}
}

func freshObjects(m mint) []sample {
	crossplane := fmt.Sprintf("apiVersion: kubernetes.crossplane.io/v1alpha2\nkind: Object\nmetadata:\n  name: mailer\nspec:\n"+
		"  providerConfigRef: {name: edge}\n  forProvider:\n    manifest:\n      apiVersion: v1\n      kind: Secret\n      metadata:\n"+
		"        name: mailer\n        namespace: apps\n      data:\n        user: %s\n        pass: %s\n", b64("mailer"), b64(m.phrase()))
	applied := asJSON(map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "db", "namespace": "apps"},
		"data": map[string]string{"password": b64(m.strong())}, "type": "Opaque"})
	sealed := fmt.Sprintf("apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n  namespace: apps\nspec:\n"+
		"  encryptedData:\n    password: Ag%s\n  template:\n    metadata:\n      name: db\n      namespace: apps\n      annotations:\n"+
		"        kubectl.kubernetes.io/last-applied-configuration: |\n          %s\n", m.base64(500), applied)
	encryption := fmt.Sprintf("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"+
		"- resources: [secrets]\n  providers:\n  - aescbc:\n      keys:\n      - name: key1\n        secret: %s\n  - identity: {}\n",
		m.base64(32))
	literals := "resources:\n- namespace.yaml\nconfigMapGenerator:\n- name: web\n  literals:\n  - LOG_LEVEL=info\n  - SMTP_PASSWORD=" +
		m.strong() + "\n"
	return []sample{
		{leak: true, name: "Secret inside an object of Crossplane", files: kept("mailer.yaml", crossplane)},
		{leak: true, name: "plain Secret in the annotation of a sealed one", files: kept("db.yaml", sealed)},
		{leak: true, name: "key with which a cluster encrypts its Secrets", files: plain("bootstrap/encryption.yaml", encryption)},
		{leak: true, name: "literal of a ConfigMap generator", files: with(plain(), "staging/kustomization.yaml", literals)},
	}
}

func freshKeys(m mint) []sample {
	signing := "- name: SIGNING_KEY\n  value: >-\n" + shift(4, m.rsaKey())
	signer := pgp(private("PGP")+" BLOCK", append([]byte("\x95\x05\x86\x04"), m.bytes(700)...))
	return []sample{
		{leak: true, name: "older RSA key folded into one line of the environment", files: kept("deployment.yaml", deployment(signing))},
		{leak: true, name: "key with which packages are signed", files: kept("signer.yaml", config("signer", "signer.asc", signer))},
	}
}

func freshCommands(m mint) []sample {
	mirror := fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: mirror\nspec:\n  template:\n    spec:\n"+
		"      restartPolicy: Never\n      containers:\n      - name: mc\n        image: minio/mc:RELEASE.2024-11-05T11-29-45Z\n"+
		"        command:\n        - sh\n        - -c\n"+
		"        - mc alias set prod https://minio.example.com backup %s && mc mirror --overwrite prod/dumps /backup\n", m.alnum(40))
	arguments := strings.Replace(deployment("- name: LOG_LEVEL\n  value: info"), "        env:\n", fmt.Sprintf("        args:\n"+
		"        - --listen=:8080\n        - --admin-user\n        - ops\n        - --admin-password\n        - %s\n        env:\n",
		m.phrase()), 1)
	return []sample{
		{leak: true, name: "alias of MinIO's client in a Job", files: kept("mirror.yaml", mirror)},
		{leak: true, name: "password in the argument after its name", files: kept("deployment.yaml", arguments)},
	}
}

func quietPolicies(mint) []sample {
	kyverno := `apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata:
  name: no-passwords-in-env
  annotations:
    policies.kyverno.io/title: Passwords belong in Secrets
spec:
  validationFailureAction: Enforce
  rules:
  - name: no-password
    match: {any: [{resources: {kinds: [Pod]}}]}
    validate:
      message: "Use secretKeyRef. password=... and token=... are not allowed in the environment."
      deny:
        conditions:
          any:
          - key: "{{ request.object.spec.containers[].env[?contains(name, 'PASSWORD') && value].name | length(@) }}"
            operator: GreaterThan
            value: 0
`
	rego := "package kubernetes.secrets\n\nimport rego.v1\n\ndeny contains msg if {\n\tsome c in input.spec.containers\n" +
		"\tsome e in c.env\n\tregex.match(\"(?i)(password|secret|token)$\", e.name)\n\te.value\n" +
		"\tmsg := sprintf(\"%s of %s: use secretKeyRef\", [e.name, c.name])\n}\n\npassword := input.spec.auth.password\n\n" +
		"token := io.jwt.decode(input.request.token)\n\nsecret_kinds := {\"Secret\", \"SealedSecret\", \"ExternalSecret\"}\n"
	rbac := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: secret-reader\nrules:\n" +
		"- apiGroups: [\"\"]\n  resources: [secrets]\n  resourceNames: [db-password, registry-token]\n  verbs: [get]\n" +
		"- apiGroups: [\"\"]\n  resources: [serviceaccounts/token]\n  verbs: [create]\n" +
		"- apiGroups: [authentication.k8s.io]\n  resources: [tokenreviews]\n  verbs: [create]\n"
	tokens := `apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: models
spec:
  groups:
  - name: tokens
    rules:
    - record: model:prompt_tokens:rate5m
      expr: sum by (model) (rate(vllm:prompt_tokens_total{job="vllm"}[5m]))
    - alert: TokenBudgetExhausted
      expr: sum(increase(llm_tokens_total{kind="completion"}[1d])) > 5e7
      labels: {severity: warning, token_type: completion}
      annotations:
        summary: "Token budget of {{ $labels.team }}: {{ $value | humanize }}"
    - alert: ServiceAccountTokenExpired
      expr: rate(serviceaccount_stale_tokens_total[10m]) > 0
`
	leaks := "title = \"rules of the platform\"\n\n[extend]\nuseDefault = true\n\n[[rules]]\nid = \"cloud-key\"\n" +
		"regex = '''(?:A3T[A-Z0-9]|AKIA|ASIA)[A-Z2-7]{16}'''\nkeywords = [\"akia\", \"asia\"]\n\n[[rules]]\nid = \"password\"\n" +
		"regex = '''(?i)password\\s*[:=]\\s*[\"']([^\"']{8,})[\"']'''\nsecretGroup = 1\n\n[allowlist]\nregexes = ['''ghp_x{36}''']\n"
	redaction := "processors:\n  redaction:\n    allow_all_keys: true\n    blocked_values:\n    - '4[0-9]{12}(?:[0-9]{3})?'\n" +
		"    blocked_key_patterns: ['.*token.*', '.*api_key.*', '.*password.*']\n  transform:\n    log_statements:\n" +
		"    - context: log\n      statements:\n      - 'replace_pattern(body, \"password=[^&\\\\s]+\", \"password=***\")'\n" +
		"      - 'replace_pattern(body, \"Authorization: Bearer [A-Za-z0-9._-]+\", \"Authorization: Bearer [REDACTED]\")'\n"
	return []sample{
		{name: "policy of Kyverno on passwords", files: kept("policy.yaml", kyverno)},
		{name: "policy in Rego", files: generated("secrets.rego", rego)},
		{name: "role that reads Secrets", files: kept("role.yaml", rbac)},
		{name: "rules on the tokens of language models", files: kept("rules.yaml", tokens)},
		{name: "rules of a scanner", files: plain(".gitleaks.toml", leaks)},
		{name: "redaction of logs", files: kept("collector.yaml", config("otel", "collector.yaml", redaction))},
	}
}

func quietTexts(mint) []sample {
	openapi := `openapi: 3.0.3
info: {title: Shop, version: 1.2.0}
paths:
  /login:
    post:
      requestBody:
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Login'}
            example:
              user: string
              password: string
              apiKey: string
      responses:
        "200":
          description: a token
          content: {application/json: {example: {accessToken: string, tokenType: bearer}}}
components:
  schemas:
    Login:
      properties:
        password: {type: string, format: password, minLength: 8}
  securitySchemes:
    oauth: {type: oauth2, flows: {clientCredentials: {tokenUrl: "https://sso.example.com/oauth/token", scopes: {}}}}
    key: {type: apiKey, in: header, name: X-API-Key}
`
	proto := "syntax = \"proto3\";\n\npackage shop.v1;\n\nmessage LoginRequest {\n  string user = 1;\n" +
		"  string password = 2 [(buf.validate.field).string.min_len = 8];\n  optional string api_key = 3 [json_name = \"apiKey\"];\n}\n\n" +
		"message LoginResponse {\n  string access_token = 1;\n  bytes secret = 2 [deprecated = true];\n" +
		"  TokenType token_type = 3;\n}\n\nenum TokenType {\n  TOKEN_TYPE_UNSPECIFIED = 0;\n  TOKEN_TYPE_BEARER = 1;\n}\n"
	changes := "# Changes\n\n## 2.4.0\n\n- password: now hashed with argon2id (#812)\n- token: refreshed five minutes before it expires\n" +
		"- **api key**: can be revoked by administrators\n- `auth.password` was renamed to `auth.existingSecret`\n" +
		"- secret: Rotation no longer restarts the pods\n- fixed \"password: authentication failed for user shop\"\n"
	german := "{\n  \"login.password\": \"Passwort\",\n  \"login.forgotPassword\": \"Passwort vergessen?\",\n" +
		"  \"login.passwordHint\": \"Mindestens 12 Zeichen, davon 1 Ziffer\",\n  \"login.token\": \"Einmalcode-aus-der-App\",\n" +
		"  \"login.wrongPassword\": \"Benutzername oder Passwort ist falsch.\",\n  \"account.apiKey\": \"API-Schlüssel (nur 1x sichtbar)\",\n" +
		"  \"account.secret\": \"Geheimnis\",\n  \"account.newPassword\": \"Neues_Kennwort_festlegen\"\n}\n"
	sql := "CREATE TABLE users (\n  id BIGINT PRIMARY KEY,\n  email VARCHAR(255) NOT NULL,\n  password VARCHAR(60) NOT NULL,\n" +
		"  password_changed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,\n  api_token CHAR(64) DEFAULT NULL\n);\n" +
		"CREATE INDEX users_api_token ON users (api_token);\nALTER ROLE shop WITH PASSWORD :'shop_password';\n" +
		"UPDATE users SET password = crypt(:'initial', gen_salt('bf')), api_token = NULL WHERE password = '';\n"
	return []sample{
		{name: "description of an interface", files: generated("openapi.yaml", openapi)},
		{name: "messages with a password and a list of changes", files: plain("proto/login.proto", proto, "CHANGELOG.md", changes)},
		{name: "translation of a login form", files: generated("de.json", german)},
		{name: "tables of users", files: generated("V3__users.sql", sql)},
	}
}

func quietReferences(mint) []sample {
	authentik := "authentik:\n  postgresql:\n    password: file:///postgres-creds/password\n  secret_key: env://AUTHENTIK_SECRET\n" +
		"server:\n  volumeMounts: [{name: postgres-creds, mountPath: /postgres-creds, readOnly: true}]\n" +
		"externalDatabase:\n  existingSecretPasswordKey: db-password-key\nglobal:\n  passwordSecretName: authentik-postgresql\n" +
		"  adminPasswordSecretKey: admin-password\n  tokenSecret: {name: authentik-bootstrap, key: bootstrap-token}\n" +
		"  extraEnvFrom:\n  - secretRef: {name: authentik-smtp-password}"
	vault := `apiVersion: secrets.hashicorp.com/v1beta1
kind: VaultStaticSecret
metadata:
  name: web-api-token
spec:
  vaultAuthRef: web
  mount: kvv2
  type: kv-v2
  path: apps/web/api-token
  destination:
    name: web-api-token
    create: true
    transformation:
      templates:
        password.txt: {text: '{{ get .Secrets "password" | trim }}'}
---
apiVersion: generators.external-secrets.io/v1alpha1
kind: Password
metadata:
  name: web-password
spec:
  length: 42
  digits: 5
  symbols: 5
  symbolCharacters: "-_$@"
  allowRepeat: true
`
	projected := strings.Replace(deployment("- name: VAULT_TOKEN_PATH\n  value: /var/run/secrets/vault/token\n"+
		"- name: AWS_WEB_IDENTITY_TOKEN_FILE\n  value: /var/run/secrets/eks.amazonaws.com/serviceaccount/token\n"+
		"- name: AZURE_FEDERATED_TOKEN_FILE\n  value: /var/run/secrets/azure/tokens/azure-identity-token"),
		"      containers:\n", "      automountServiceAccountToken: false\n      volumes:\n      - name: token\n        projected:\n"+
			"          sources:\n          - serviceAccountToken: {path: token, expirationSeconds: 3600, audience: vault}\n"+
			"      containers:\n", 1)
	compose := "services:\n  db:\n    image: mariadb:11\n    environment:\n      MARIADB_ROOT_PASSWORD_FILE: /run/secrets/db_root\n" +
		"      MARIADB_PASSWORD_FILE: /run/secrets/db_shop\n    secrets: [db_root, db_shop]\nsecrets:\n  db_root:\n" +
		"    environment: DB_ROOT_PASSWORD\n  db_shop:\n    external: true\n    name: shop_db_password_v2\n"
	argo := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\ndata:\n  oidc.config: |\n    name: SSO\n" +
		"    issuer: https://sso.example.com/realms/platform\n    clientID: argocd\n    clientSecret: $oidc.keycloak.clientSecret\n" +
		"  webhook.github.secret: $webhook:webhook.github.secret\n  db.password: <path:secret/data/shop/db#password>\n"
	vals := "environments:\n  production:\n    values:\n    - db:\n        password: ref+vault://secret/data/shop/db#/password\n" +
		"        token: ref+awsssm://shop/api-token?region=eu-west-1\n---\nreleases:\n- name: shop\n  chart: ./chart\n  values:\n" +
		"  - auth:\n      password: {{ .Values.db.password | quote }}\n      apiKey: op://platform/shop-api/credential\n" +
		"      rootPassword: vault:secret/data/mysql#MYSQL_ROOT_PASSWORD\n"
	strimzi := `apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaConnect
metadata:
  name: connect
spec:
  bootstrapServers: kafka:9093
  authentication:
    type: scram-sha-512
    username: connect
    passwordSecret: {secretName: connect-user, password: user-password-key}
  config:
    config.providers: secrets,file
    database.password: ${secrets:apps/db-credentials:password}
    sasl.jaas.config: >-
      org.apache.kafka.common.security.plain.PlainLoginModule required
      username="${file:/mnt/sasl/user.properties:username}" password="${file:/mnt/sasl/user.properties:password}";
`
	return []sample{
		{name: "values that say where a password is", files: kept("authentik.yaml", release("authentik", authentik))},
		{name: "objects that fetch or make a password", files: kept("secrets.yaml", vault)},
		{name: "tokens that the cluster mounts", files: kept("deployment.yaml", projected)},
		{name: "passwords in files of Compose", files: plain("dev/compose.yaml", compose)},
		{name: "references of Argo CD", files: kept("argocd-cm.yaml", argo)},
		{name: "references of Helmfile and of 1Password", files: plain("helmfile.yaml.gotmpl", vals)},
		{name: "providers of Kafka Connect", files: kept("connect.yaml", strimzi)},
	}
}

func quietEncrypted(m mint) []sample {
	enc := func(n int) string {
		return fmt.Sprintf("ENC[AES256_GCM,data:%s,iv:%s,tag:%s,type:str]", m.base64(n), m.base64(32), m.base64(16))
	}
	recipient := "age1" + m.chars("qpzry9x8gf2tvdw0s3jn54khce6mua7l", 58)
	age := "-----BEGIN AGE ENCRYPTED FILE-----\n" + m.base64(48) + "\n" + m.base64(48) + "\n-----END AGE ENCRYPTED FILE-----\n"
	ini := fmt.Sprintf("[database]\nuser = %s\npassword = %s\n\n[sops]\nage__list_0__map_recipient = %s\nage__list_0__map_enc = %s\n"+
		"lastmodified = 2025-05-05T10:11:12Z\nmac = %s\nversion = 3.9.4\n", enc(6), enc(18), recipient,
		strings.ReplaceAll(age, "\n", "\\n"), enc(64))
	env := fmt.Sprintf("DB_USER=%s\nDB_PASSWORD=%s\nAPI_TOKEN=%s\nsops_age__list_0__map_recipient=%s\n"+
		"sops_age__list_0__map_enc=%s\nsops_lastmodified=2025-05-05T10:11:12Z\nsops_mac=%s\nsops_version=3.9.4\n",
		enc(6), enc(18), enc(40), recipient, strings.ReplaceAll(age, "\n", "\\n"), enc(64))
	binary := asJSON(map[string]any{"data": enc(1700), "sops": map[string]any{"mac": enc(64), "version": "3.9.4",
		"pgp": []any{map[string]string{"fp": m.chars(digits+"ABCDEF", 40), "enc": pgp("PGP MESSAGE", m.bytes(380))}}}})
	ansible := "db_user: shop\ndb_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n"
	for range 5 {
		ansible += "  " + m.chars("3", 1) + m.chars(digits, 79) + "\n"
	}
	jasypt := fmt.Sprintf("spring.datasource.username=shop\nspring.datasource.password=ENC(%s)\nmail.password=ENC(%s)\n"+
		"jasypt.encryptor.algorithm=PBEWITHHMACSHA512ANDAES_256\n", m.base64(48), m.base64(64))
	rails := m.base64(340) + "--" + m.base64(12) + "--" + m.base64(16)
	return []sample{
		{name: "INI file encrypted by SOPS", files: plain("db/db.enc.ini", ini)},
		{name: "env file encrypted by SOPS", files: plain("db/prod.enc.env", env)},
		{name: "whole file encrypted by SOPS for PGP", files: plain("tls/tls.key.enc.json", binary)},
		{name: "value encrypted by Ansible", files: plain("hosts/group_vars/db.yaml", ansible)},
		{name: "files encrypted by git-crypt and age", files: plain("tls/tls.key", "\x00GITCRYPT\x00"+string(m.bytes(1700)),
			"tls/old.key.age", age)},
		{name: "properties encrypted by Jasypt", files: generated("application.properties", jasypt)},
		{name: "credentials encrypted by Rails", files: plain("portal/config/credentials.yml.enc", rails)},
	}
}

func quietPublic(m mint) []sample {
	der := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(m.certificate(), "-----BEGIN CERTIFICATE-----\n"),
		"-----END CERTIFICATE-----\n"), "\n", "")
	saml := fmt.Sprintf("<?xml version=\"1.0\"?>\n<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" "+
		"entityID=\"https://sso.example.com\">\n  <md:IDPSSODescriptor>\n    <md:KeyDescriptor use=\"signing\">\n"+
		"      <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>%s"+
		"</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\n    </md:KeyDescriptor>\n  </md:IDPSSODescriptor>\n</md:EntityDescriptor>\n", der)
	parameters := armoured("DH PARAMETERS", m.bytes(268)) + armoured("CERTIFICATE REQUEST", m.bytes(600)) + armoured("X509 CRL", m.bytes(300))
	shop := fmt.Sprintf("window.settings = {\n  stripePublishableKey: 'pk"+"_live_%s',\n  recaptchaSiteKey: '6L"+"%s',\n"+
		"  apiUrl: 'https://api.example.com',\n};\n", m.alnum(24), m.url64(28))
	push := fmt.Sprintf("push:\n  vapidPublicKey: B%s\nsentry:\n  dsn: https://%s@o%s.ingest.de.sentry.io/%s\n  environment: production",
		m.url64(64), m.hex(32), m.chars("123456789", 7), m.chars("123456789", 16))
	return []sample{
		{name: "public key of PGP", files: kept("keys.yaml", config("keyring", "release.asc",
			pgp("PGP PUBLIC KEY BLOCK", append([]byte("\x99\x02\x0d\x04"), m.bytes(800)...))))},
		{name: "metadata of an identity provider", files: generated("idp.xml", saml)},
		{name: "parameters, requests and revocations", files: generated("public.pem", parameters)},
		{name: "keys that a shop's pages publish", files: generated("settings.js", shop)},
		{name: "keys that browsers get for pushes and errors", hm: true, files: kept("web.yaml", release("web", push))},
	}
}

func quietIdentity(mint) []sample {
	discovery := asJSON(map[string]any{"issuer": "https://sso.example.com/realms/shop",
		"token_endpoint":                        "https://sso.example.com/realms/shop/protocol/openid-connect/token",
		"revocation_endpoint":                   "https://sso.example.com/realms/shop/protocol/openid-connect/revoke",
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token", "password"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256"}})
	complexity := "security:\n  passwordPattern: '^(?=.*[a-z])(?=.*[A-Z])(?=.*\\d)(?=.*[@$!%*?&]).{12,128}$'\n" +
		"  passwordPolicy: length(12) and digits(1) and upperCase(1) and notUsername(undefined)\n  passwordEncoder: bcrypt-12\n" +
		"  tokenSignatureAlgorithm: RS256\n  tokenFormat: urn:ietf:params:oauth:token-type:jwt\n  secretNamePattern: ^[a-z0-9-]{3,63}$"
	headers := "session:\n  cookieName: __Host-session_token\n  csrfTokenHeader: X-CSRF-Token\n  authHeader: X-Auth-Token\n" +
		"upstream:\n  headers:\n    X-Api-Key: ${UPSTREAM_API_KEY}\n    Authorization: Bearer ${UPSTREAM_TOKEN}\n" +
		"ingress:\n  annotations:\n    nginx.ingress.kubernetes.io/auth-secret: apps/basic-auth\n" +
		"    nginx.ingress.kubernetes.io/auth-tls-secret: apps/client-ca\n    nginx.ingress.kubernetes.io/auth-realm: Password required\n" +
		"    nginx.ingress.kubernetes.io/auth-response-headers: X-Auth-Request-User, X-Auth-Request-Access-Token"
	flags := "features:\n  enableTokenAuth: true\n  passwordless: preview-2024\n  passwordLogin: disabled\n  secretRotation: weekly\n" +
		"  tokenStore: redis-cluster1\n  apiKeyAuth: \"off\"\n  tokenBucket: {rate: 100, burst: 250}\n  maxTokens: 4096\n" +
		"  tokenizer: cl100k_base\n  credentialsMode: Passthrough\n  secretBackend: AWSSecretsManager\n" +
		"  resetPasswordPath: /account/reset-password"
	return []sample{
		{name: "discovery document of an issuer", files: generated("openid-configuration.json", discovery)},
		{name: "rules for good passwords", files: kept("portal.yaml", release("portal", complexity))},
		{name: "names of headers and cookies", files: kept("portal.yaml", release("portal", headers))},
		{name: "switches about tokens", files: kept("portal.yaml", release("portal", flags))},
	}
}

func quietVariables(mint) []sample {
	spring := "spring:\n  datasource:\n    username: ${DB_USER:shop}\n    password: ${DB_PASSWORD:}\n  data:\n    redis:\n" +
		"      password: ${REDIS_PASSWORD:#{null}}\n  security:\n    oauth2:\n      client:\n        registration:\n          sso:\n" +
		"            client-secret: ${SSO_CLIENT_SECRET}\n            client-authentication-method: client_secret_basic\n" +
		"  cloud:\n    vault:\n      token: ${VAULT_TOKEN:${vault.token.default:}}\n"
	jinja := "db_password: \"{{ lookup('community.hashi_vault.hashi_vault', 'secret=secret/data/db:password') }}\"\n" +
		"api_token: \"{{ vault_api_token | mandatory }}\"\nsmtp_password: '{{ lookup(\"env\", \"SMTP_PASSWORD\") }}'\n" +
		"admin_password: !unsafe \"{{ admin_password_prompt }}\"\n"
	erb := "production:\n  adapter: postgresql\n  username: portal\n  password: <%= ENV.fetch(\"PORTAL_DATABASE_PASSWORD\") %>\n" +
		"  url: <%= Rails.application.credentials.dig(:database, :url) %>\n"
	windows := "@echo off\r\nset PASSWORD_FILE=C:\\ProgramData\\agent\\secrets\\password.txt\r\nset /p DB_PASSWORD=<%PASSWORD_FILE%\r\n" +
		"sqlcmd -S db.example.com -U agent -P %DB_PASSWORD% -Q \"select 1\"\r\nagent.exe --token=%AGENT_TOKEN%\r\n"
	power := "$password = ConvertTo-SecureString $env:DB_PASSWORD -AsPlainText -Force\n" +
		"$token = (Get-AzKeyVaultSecret -VaultName platform -Name agent-token -AsPlainText)\n" +
		"$apiKey = Get-Content -Raw 'C:\\secrets\\api-key.txt'\n"
	return []sample{
		{name: "placeholders of Spring", files: generated("application.yaml", spring)},
		{name: "templates of Ansible and Rails", files: plain("hosts/vars.yaml", jinja, "portal/config/database.yml", erb)},
		{name: "scripts of Windows", files: plain("agent/start.cmd", windows, "agent/start.ps1", power)},
	}
}

func quietPipelines(mint) []sample {
	workflow := "name: publish\non: {push: {tags: ['v*']}}\npermissions:\n  id-token: write\n  packages: write\njobs:\n  publish:\n" +
		"    runs-on: ubuntu-24.04\n    steps:\n    - uses: docker/login-action@v3\n      with:\n        registry: ghcr.io\n" +
		"        username: ${{ github.actor }}\n        password: ${{ secrets.GITHUB_TOKEN }}\n    - run: ./publish\n      env:\n" +
		"        NPM_TOKEN: ${{ secrets.NPM_TOKEN || '' }}\n"
	jenkins := "pipeline {\n  agent any\n  environment {\n    REGISTRY_PASSWORD = credentials('registry-password')\n  }\n  stages {\n" +
		"    stage('scan') {\n      steps {\n        withCredentials([string(credentialsId: 'sonar-token-2024', variable: 'SONAR_TOKEN')]) {\n" +
		"          sh 'sonar-scanner -Dsonar.token=$SONAR_TOKEN'\n        }\n      }\n    }\n  }\n}\n"
	gitlab := "publish:\n  image: docker:27\n  id_tokens:\n    VAULT_ID_TOKEN: {aud: https://vault.example.com}\n  secrets:\n" +
		"    DB_PASSWORD:\n      vault: shop/db/password@kv\n      file: false\n  script:\n" +
		"  - docker login -u gitlab-ci-token -p \"$CI_JOB_TOKEN\" $CI_REGISTRY\n" +
		"  - git clone https://gitlab-ci-token:${CI_JOB_TOKEN}@gitlab.example.com/platform/charts.git\n"
	makefile := "PASSWORD ?= $(shell pass show platform/db)\nTOKEN := $(file <.token)\nexport VAULT_TOKEN = $(TOKEN)\n\ndb:\n" +
		"\t@test -n \"$(PASSWORD)\" || (echo 'set PASSWORD=...'; exit 1)\n\tPGPASSWORD=$(PASSWORD) psql -h db.example.com -U shop\n"
	tilt := "load('ext://secret', 'secret_from_dict')\n\npassword = os.getenv('DB_PASSWORD') or fail('DB_PASSWORD is not set')\n" +
		"token = str(local('gh auth token', quiet=True)).strip()\n" +
		"k8s_yaml(secret_from_dict('db', inputs={'password': password, 'token': token}))\n"
	return []sample{
		{name: "secrets of pipelines", files: plain("workflows/publish.yaml", workflow, "Jenkinsfile", jenkins, "ci/publish.gitlab-ci.yml",
			gitlab)},
		{name: "build files that ask for a password", files: plain("Makefile", makefile, "Tiltfile", tilt)},
	}
}

func quietHashes(m mint) []sample {
	page := fmt.Sprintf("<!doctype html>\n<script src=\"/app.js\" integrity=\"sha384-%s\" crossorigin=\"anonymous\"></script>\n"+
		"<script nonce=\"%s\">window.csrfToken = document.cookie</script>\n<input type=\"password\" name=\"password\" "+
		"autocomplete=\"current-password\" placeholder=\"Password\">\n", m.base64(48), m.base64(16))
	csp := fmt.Sprintf("add_header Content-Security-Policy \"script-src 'self' 'nonce-$request_id' 'sha256-%s'\";\n"+
		"if ($arg_token ~ \"^[A-Za-z0-9_-]{20,}$\") { return 403; }\nproxy_set_header X-Api-Key $http_x_api_key;\n", m.base64(32))
	lock := "provider \"registry.terraform.io/hashicorp/random\" {\n  version = \"3.6.3\"\n  hashes = [\n    \"h1:" + m.base64(32) + "\",\n" +
		"    \"zh:" + m.hex(64) + "\",\n    \"zh:" + m.hex(64) + "\",\n  ]\n}\n"
	sums := "github.com/golang-jwt/jwt/v5 v5.2.1 h1:" + m.base64(32) + "\ngithub.com/golang-jwt/jwt/v5 v5.2.1/go.mod h1:" + m.base64(32) + "\n"
	flake := fmt.Sprintf(`{"nodes": {"nixpkgs": {"locked": {"narHash": "sha256-%s", "rev": %q, "type": "github"}}}, "version": 7}`,
		m.base64(32), m.hex(40))
	modules := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: envoy\nbinaryData:\n  filter.wasm: %s\ndata:\n"+
		"  transcoder.yaml: |\n    name: envoy.filters.http.grpc_json_transcoder\n    typed_config:\n      proto_descriptor_bin: %s\n"+
		"      services: [shop.v1.TokenService]\n", b64("\x00asm\x01\x00\x00\x00"+string(m.bytes(3000))),
		b64("\n\xb2\x10\n\x1fshop/v1/token.proto\x12\x07shop.v1"+string(m.bytes(900))))
	keys := fmt.Sprintf("events:\n  partitionKey: customer_id\n  sortKey: created_at\n  idempotencyKey: %s\ncache:\n  key: web-v42-%s\n"+
		"  keyPrefix: 'web:session:'\nupload:\n  objectKey: uploads/2025/03/%s.png\ni18n:\n  titleKey: checkout.password.title\n"+
		"ui:\n  hotkey: ctrl+shift+k\nhelm:\n  releaseKey: sh.helm.release.v1.web.v12\ntopologyKey: topology.kubernetes.io/zone",
		m.uuid(), m.hex(40), m.uuid())
	return []sample{
		{name: "page and header with hashes of scripts", files: plain("web/index.html", page, "web/csp.conf", csp)},
		{name: "hashes of providers and modules", files: plain("infra/.terraform.lock.hcl", lock, "tools/go.sum", sums, "flake.lock", flake)},
		{name: "modules in base64", files: kept("envoy.yaml", modules)},
		{name: "keys that open nothing", files: kept("events.yaml", release("events", keys))},
	}
}

func quietServers(mint) []sample {
	postgres := config("postgres", "pg_hba.conf", "# TYPE  DATABASE  USER  ADDRESS  METHOD\nlocal  all  all  peer\n"+
		"hostssl  shop  shop  10.0.0.0/8  scram-sha-256\nhost  all  all  127.0.0.1/32  password") +
		config("pgbouncer", "pgbouncer.ini", "[databases]\nshop = host=postgres port=5432 auth_user=pgbouncer\n\n[pgbouncer]\n"+
			"auth_type = scram-sha-256\nauth_file = /etc/pgbouncer/userlist.txt\n"+
			"auth_query = SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1\npassword_encryption = scram-sha-256")
	sshd := "PasswordAuthentication no\nPermitRootLogin prohibit-password\nPermitEmptyPasswords no\nHostKey /etc/ssh/ssh_host_ed25519_key\n" +
		"AuthorizedKeysFile .ssh/authorized_keys\nMatch User sftp\n  PasswordAuthentication yes\n"
	client := "Host git\n  HostName git.example.com\n  User git\n  IdentityFile ~/.ssh/id_ed25519\n  PreferredAuthentications publickey\n"
	return []sample{
		{name: "how a database asks for passwords", files: kept("postgres.yaml", postgres)},
		{name: "settings of SSH", files: with(generated("sshd_config", sshd), "staging/ssh_config", client)},
	}
}
