# The same flags everywhere, so that all builds share one cache.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false
LDFLAGS := -s -w
# Releases, and the look for vulnerabilities, take exactly this compiler.
TOOLCHAIN := $(shell sed -n 's/^toolchain //p' go.mod)

# Helper binaries are heavy to build: they are kept outside the checkout, named by what they are built from.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/keos-oci/tools
SIGSTACK := $(CACHE)/sigstack-$(shell cat e2e/go.sum e2e/sigstack/* e2e/cmd/sigstack/* | git hash-object --stdin | cut -c1-12)
KUBE := $(CACHE)/kube-$(shell cat e2e/kube/go.mod e2e/kube/go.sum | git hash-object --stdin | cut -c1-12)
FLUX := $(CACHE)/flux-$(shell cat e2e/flux/go.mod e2e/flux/go.sum | git hash-object --stdin | cut -c1-12)
OPERATOR := $(CACHE)/flux-operator-$(shell cat e2e/operator/* | git hash-object --stdin | cut -c1-12)
COSIGN2 := $(CACHE)/cosign-v2.6.5
COSIGN3 := $(CACHE)/cosign-v3.1.3
CRANE := $(CACHE)/crane-v0.22.1
# The first release: what it wrote stays valid, and it may run beside this one.
FIRST := 3f926da
OLD := $(CACHE)/keos-oci-$(FIRST)
LINT := $(CACHE)/golangci-lint-v2.15.0
ACTIONLINT := $(CACHE)/actionlint-v1.7.12
GORELEASER := $(CACHE)/goreleaser-v2.16.0
SYFT := $(CACHE)/syft-v1.57.0
KO := $(CACHE)/ko-v0.19.1
GOVULNCHECK := $(CACHE)/govulncheck-v1.9.0
VULNDB_VERSION := v0.0.0-20261105234957-e22db6528018
VULNDB := $(CACHE)/vulndb-$(VULNDB_VERSION)

.PHONY: build
build: ## build bin/keos-oci
	go build -ldflags '$(LDFLAGS)' -o bin/keos-oci ./cmd/keos-oci

.PHONY: quickstart
quickstart: build ## publish the sample workspace twice to an embedded registry, verify it, leave nothing behind
	@./testdata/quickstart.sh bin/keos-oci

.PHONY: test
test: $(SIGSTACK) $(ACTIONLINT) ## unit tests, scenarios, and keyless end-to-end tests against a real Sigstore stack
	KEOS_OCI_TEST_ALL=1 KEOS_OCI_SIGSTACK=$(SIGSTACK) KEOS_OCI_ACTIONLINT=$(ACTIONLINT) go test -timeout 40m ./...

.PHONY: race
race: ## the packages' own tests under the race detector, which needs a C compiler
	@# internal/migrate starts no goroutines, and its tests build hundreds of landscapes.
	CGO_ENABLED=1 go test -race -timeout 20m $$(go list ./internal/... | grep -v '/internal/migrate$$')

.PHONY: random
random: ## other random repositories, sequences of moves and accidents than those of make test, and more; a failure prints its seed
	KEOS_OCI_SEED=$$(date +%s)000 KEOS_OCI_REPOSITORIES=3000 go test -count 1 -timeout 30m -run TestRandomRepositories -v ./internal/release
	KEOS_OCI_SEED=$$(date +%s)000 KEOS_OCI_RUNS=500 go test -count 1 -timeout 60m -run 'TestRandomMoves|TestAccidentsOfTwo' ./cmd/keos-oci

.PHONY: interop
interop: $(SIGSTACK) $(COSIGN2) $(COSIGN3) $(CRANE) $(OLD) ## the cosign command lines accept what we sign, and an older keos-oci gets along with this one
	KEOS_OCI_TEST_ALL=1 KEOS_OCI_SIGSTACK=$(SIGSTACK) KEOS_OCI_COSIGN2=$(COSIGN2) KEOS_OCI_COSIGN3=$(COSIGN3) KEOS_OCI_OLD=$(OLD) KEOS_OCI_CRANE=$(CRANE) \
		go test -count 1 -timeout 20m -run Interop ./cmd/keos-oci

# Kubernetes learns its version from the linker.
KUBE_MINOR := $(shell sed -nE 's,^require k8s.io/kubernetes v1\.([0-9.]+).*,\1,p' e2e/kube/go.mod)
KUBE_VERSION := -X k8s.io/component-base/version.gitVersion=v1.$(KUBE_MINOR) -X k8s.io/component-base/version.gitMajor=1 \
	-X k8s.io/component-base/version.gitMinor=$(basename $(KUBE_MINOR))
FLUX_E2E := $(addprefix $(KUBE)/,etcd kube-apiserver kube-controller-manager) \
	$(addprefix $(FLUX)/,source-controller kustomize-controller) $(addprefix $(OPERATOR)/,flux-operator flux-operator-cli)

.PHONY: e2e-flux
e2e-flux: build $(SIGSTACK) $(FLUX_E2E) ## clusters follow what we publish: a real kube-apiserver and real Flux controllers, without containers
	cd e2e/flux && KEOS_OCI_TEST_ALL=1 KEOS_OCI_BIN=$(CURDIR)/bin/keos-oci KEOS_OCI_SIGSTACK=$(SIGSTACK) \
		KEOS_OCI_E2E_TOOLS=$(KUBE):$(FLUX):$(OPERATOR) go test -count 1 -timeout 40m $(E2E) .

.PHONY: render-goldens
render-goldens: $(OPERATOR)/flux-operator-cli ## record what the pinned Flux Operator makes of ResourceSets, for the tests of internal/resourceset
	cd e2e/flux && UPDATE=1 KEOS_OCI_TEST_ALL=1 KEOS_OCI_E2E_TOOLS=$(OPERATOR) go test -count 1 -run TestRenderGoldens .

.PHONY: e2e
e2e: interop e2e-flux ## everything that needs programs of others

.PHONY: check
check: lint docs-check ## what CI checks beside the tests

.PHONY: lint
lint: $(LINT) $(ACTIONLINT)
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -d $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	$(LINT) run ./...
	$(ACTIONLINT)

.PHONY: docs
docs: ## write docs/cli from the command tree
	go run ./cmd/keos-oci docs docs/cli

.PHONY: man
man: export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct)
man: ## write the man pages to bin/man; to read one: man -l bin/man/keos-oci-promote.1
	go run ./cmd/keos-oci docs --format man bin/man

.PHONY: completions
completions: ## write the completion scripts of bash, zsh, fish and PowerShell to bin/completions
	go run ./cmd/keos-oci docs --format completions bin/completions

.PHONY: docs-check
docs-check:
	@rm -rf .cache/cli && mkdir -p .cache && go run ./cmd/keos-oci docs .cache/cli && diff -r docs/cli .cache/cli || { echo "run make docs"; exit 1; }

# The site is built by VitePress, which npm installs below .cache by the lock file, without running anything of a package.
VITEPRESS := .cache/node_modules/.package-lock.json
$(VITEPRESS): site/package.json site/package-lock.json
	@mkdir -p .cache && cp site/package.json site/package-lock.json .cache/
	npm ci --prefix .cache --ignore-scripts --no-audit --no-fund

.PHONY: site
site: $(VITEPRESS) ## the documentation as a site with search, for main and released versions (SITE_VERSIONS=main: main alone), in .cache/site
	SITE_VERSIONS=$(SITE_VERSIONS) node site/build.mjs .cache/site

.PHONY: site-check
site-check: site ## the site's links lead to pages, files and headings that are there
	node site/check.mjs .cache/site /keos-oci/

.PHONY: bench
bench: build $(SIGSTACK) $(CRANE) $(COSIGN2) ## the table of requests, times and memory, against a floor client, crane and cosign in the same run
	cd bench && go build -ldflags '$(LDFLAGS)' -o ../bin/bench . && ../bin/bench -keos-oci ../bin/keos-oci -sigstack $(SIGSTACK) -crane $(CRANE) -cosign $(COSIGN2) $(BENCH)

# A release says which commit it is.
release-build release-check: export GOFLAGS := -trimpath
release-build release-check: export GOTOOLCHAIN := $(TOOLCHAIN)
# tools NAMES: so that .ci/release finds them by their names
define tools
	@mkdir -p .cache/bin && $(foreach tool,$(1),ln -sf $(tool) .cache/bin/$(firstword $(subst -v, ,$(notdir $(tool)))) &&) true
endef
RELEASE = PATH=$(CURDIR)/.cache/bin:$$PATH .ci/release

.PHONY: release-check
release-check: $(GORELEASER) ## the release's configuration is valid and builds a program for this machine
	$(GORELEASER) check
	$(GORELEASER) build --snapshot --clean --single-target --output dist/keos-oci
	dist/keos-oci version
	@dist/keos-oci version | grep -q "^commit[[:space:]]*$$(git rev-parse HEAD)$$" || { echo "dist/keos-oci does not say which commit it is"; exit 1; }

.PHONY: release-build
release-build: $(GORELEASER) $(SYFT) $(KO) $(CRANE) ## what the release workflow runs on a tag: everything into dist/release, signed by nobody
	$(call tools,$^)
	$(RELEASE) build

.PHONY: release-verify release-stage release-sign release-publish
release-stage release-publish: $(CRANE)
	$(call tools,$^)
	$(RELEASE) $(@:release-%=%)
release-verify release-sign:
	$(RELEASE) $(@:release-%=%)

.PHONY: vulnerabilities
vulnerabilities: $(GOVULNCHECK) $(if $(DATABASE),,$(VULNDB)) ## known vulnerabilities in what is linked and called; DATABASE=https://vuln.go.dev asks for those of today
	GOTOOLCHAIN=$(TOOLCHAIN) .ci/vulnerabilities $(GOVULNCHECK) $(or $(DATABASE),file://$(VULNDB))

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

$(SIGSTACK):
	@mkdir -p $(CACHE)
	cd e2e && go build -ldflags '$(LDFLAGS)' -o $@.tmp ./cmd/sigstack && mv $@.tmp $@

$(OLD):
	@mkdir -p $(CACHE)
	@git cat-file -e $(FIRST)^{commit} || { echo "this clone does not have commit $(FIRST): fetch the whole history (git fetch --unshallow)"; exit 1; }
	@rm -rf .cache/old && mkdir -p .cache/old && git archive $(FIRST) | tar -x -C .cache/old
	cd .cache/old && go build -ldflags '$(LDFLAGS)' -o $@.tmp ./cmd/keos-oci && mv $@.tmp $@
	@rm -rf .cache/old

# Go's database of vulnerabilities is a Go module, too. Its own tool makes of the reports what govulncheck reads.
$(VULNDB):
	@mkdir -p $@.d
	GOBIN=$@.d go install -ldflags '$(LDFLAGS)' golang.org/x/vulndb/cmd/indexdb@$(VULNDB_VERSION)
	$@.d/indexdb -out $@.d/db \
		-vulns "$$(go mod download -json golang.org/x/vulndb@$(VULNDB_VERSION) | sed -n 's/.*"Dir": "\(.*\)",/\1/p')/data/osv"
	mv $@.d/db $@ && rm -r $@.d

# program MODULE PACKAGE LDFLAGS: a program of the versions that the nested module pins
define program
	@mkdir -p $(@D)
	cd $(1) && go build -ldflags '$(LDFLAGS) $(3)' -o $@.tmp $(2) && mv $@.tmp $@
endef

# operator PACKAGE: Flux Operator, or its command line
define operator
	@mkdir -p $(@D)
	e2e/operator/build.sh $@.tmp $(1) '$(LDFLAGS)' && mv $@.tmp $@
endef

$(KUBE)/etcd: ; $(call program,e2e/kube,go.etcd.io/etcd/server/v3)
$(KUBE)/kube-%: ; $(call program,e2e/kube,k8s.io/kubernetes/cmd/$(@F),$(KUBE_VERSION))
$(FLUX)/%-controller: ; $(call program,e2e/flux,github.com/fluxcd/$(@F))
$(OPERATOR)/flux-operator: ; $(call operator,operator)
$(OPERATOR)/flux-operator-cli: ; $(call operator,cli)

# tool VERSION: go install into a folder of its own, then into place under its version
define install
	@mkdir -p $(CACHE)
	GOBIN=$(CACHE)/$(notdir $@).d go install -ldflags '$(LDFLAGS)' $(1) && mv $(CACHE)/$(notdir $@).d/* $@ && rmdir $(CACHE)/$(notdir $@).d
endef

$(COSIGN2): ; $(call install,github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5)
$(COSIGN3): ; $(call install,github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3)
$(CRANE): ; $(call install,github.com/google/go-containerregistry/cmd/crane@v0.22.1)
$(LINT): ; $(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0)
$(ACTIONLINT): ; $(call install,github.com/rhysd/actionlint/cmd/actionlint@v1.7.12)
$(GORELEASER): ; $(call install,github.com/goreleaser/goreleaser/v2@v2.16.0)
$(KO): ; $(call install,github.com/google/ko@v0.19.1)
$(SYFT): ; $(call install,github.com/anchore/syft/cmd/syft@v1.57.0)
$(GOVULNCHECK): ; $(call install,golang.org/x/vuln/cmd/govulncheck@v1.9.0)
