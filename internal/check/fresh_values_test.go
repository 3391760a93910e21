package check

import (
	"fmt"
	"strings"
)

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
