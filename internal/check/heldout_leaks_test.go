package check

import (
	"fmt"
	"strings"
)

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
