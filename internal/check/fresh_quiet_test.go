package check

import (
	"strings"
)

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
