package check

import (
	"fmt"
	"strings"
)

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
