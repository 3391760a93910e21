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
