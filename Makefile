# ENI Operator: every task of a developer and of CI. `make help` lists them.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# What build-installer and deploy write into the manifests.
VERSION ?= 0.1.0
# The version that the bundle upgrades; none before the second release.
REPLACES ?=
IMG ?= ghcr.io/eni-operator/eni-operator:v$(VERSION)
CLUSTER_NAME ?=

# Everything that is built lands here; `make clean` removes it.
BUILD := build
MANAGER := $(BUILD)/bin/eni-operator
TOOLS := $(abspath $(BUILD)/tools)
CONTROLLER_GEN := $(TOOLS)/controller-gen
CRD_REF_DOCS := $(TOOLS)/crd-ref-docs
KUSTOMIZE := $(TOOLS)/kustomize
GOLANGCI_LINT := $(TOOLS)/golangci-lint
GOVULNCHECK := $(TOOLS)/govulncheck

KUBECTL ?= kubectl

# Packages whose tests start a control plane; all others run anywhere.
CLUSTER_TESTS = $(shell go list ./test/... | grep -v -e /test/emulator -e /test/simulation -e /test/promises)
UNIT_TESTS = $(shell go list ./... | grep -v /test/ ; go list ./test/emulator/...)
# Long tables that one goroutine goes through, a call after the other. The race detector makes
# them five times as slow, and sees the same code, but for two returns of an error, in the
# other tests of the package.
TABLES = ^(TestCrashMatrix|TestPrimaryCrashMatrix)$$

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-zA-Z_-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: clean
clean: ## Remove everything that was built (the Go build cache stays).
	rm -rf $(BUILD) dist

##@ Development

.PHONY: build
build: ## Build the operator into build/bin/eni-operator.
	go build -trimpath -o $(MANAGER) .

.PHONY: generate
generate: $(CONTROLLER_GEN) $(CRD_REF_DOCS) ## Regenerate deepcopy code, CRDs, RBAC and docs/api.md from the Go sources.
	$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...
	$(CONTROLLER_GEN) crd rbac:roleName=manager-role webhook paths=./... output:crd:artifacts:config=config/crd/bases
	$(CRD_REF_DOCS) --source-path=api --config=hack/docs/crd-ref-docs.yaml --renderer=markdown --output-path=docs/api.md --log-level=ERROR

# What the bundle is, written once: verify makes it again elsewhere.
BUNDLE_FLAGS = --version $(VERSION) --image $(IMG) $(if $(REPLACES),--replaces $(REPLACES))

.PHONY: bundle
bundle: generate $(KUSTOMIZE) ## Regenerate the OLM bundle from config/ (VERSION=, REPLACES=, IMG=).
	$(KUSTOMIZE) build config/manifests | go run ./hack/bundle $(BUNDLE_FLAGS)

.PHONY: release-crds
release-crds: ## Keep the CRDs of a release, so that later ones are compared with them.
	cp config/crd/bases/*.yaml test/bundle/released/

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the Go sources and sort their imports.
	$(GOLANGCI_LINT) fmt ./...

.PHONY: vet
vet: ## Run go vet.
	go vet ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters.
	$(GOLANGCI_LINT) run ./...
	cd test/bundle && $(GOLANGCI_LINT) run ./...
	cd test/olm && $(GOLANGCI_LINT) run ./...
	cd test/prometheus && $(GOLANGCI_LINT) run ./...

.PHONY: verify
verify: vet lint $(CONTROLLER_GEN) $(GOVULNCHECK) $(KUSTOMIZE) ## Fail on anything that fmt, vet, lint, generate or go mod tidy would change, and on known vulnerabilities.
	@hack/verify.sh

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## Look for code with a known vulnerability that the operator calls (VULNDB=golang.org/x/vulndb@latest).
	@hack/vulncheck.sh

##@ Tests

.PHONY: test-unit
test-unit: ## Run the tests that need no control plane.
	go test -race -timeout 10m -skip '$(TABLES)' $(UNIT_TESTS)
	go test -timeout 10m -run '$(TABLES)' ./controllers/eni

.PHONY: test
test: controlplane build $(KUSTOMIZE) test-unit test-bundle test-prometheus ## Run all tests.
	@# Two packages at a time: each has a control plane of its own, and waits more than it works.
	@# The control planes and operators inherit GOGC: they collect garbage less often, and use more memory.
	GOGC=400 go test -race -timeout 20m -p 2 $(CLUSTER_TESTS)
	@# The stories that once broke a promise, and a sample of new ones: make test-sim plays more.
	go test -timeout 10m -count=1 -skip '^TestSimulation$$' ./test/promises/... ./test/simulation/...
	go test -timeout 15m -count=1 -v -run '^TestSimulation$$' ./test/simulation -args -processes 2 -duration 40s

.PHONY: test-prometheus
test-prometheus: ## Hold alerts and dashboard to what Prometheus and the operator know (a minute of two cores the first time).
	cd test/prometheus && go test -timeout 10m -count=1 ./...

.PHONY: test-bundle
test-bundle: controlplane $(KUSTOMIZE) ## Hold the OLM bundle to what OLM and catalogs expect.
	@# Without the cache, which does not know what it reads outside its module.
	cd test/bundle && go test -timeout 10m -count=1 ./...

# How many histories of a pool make test-long plays; make test plays 300.
HISTORIES ?= 10000

.PHONY: test-long
test-long: ## Play random histories of a pool against what must always hold, and print how many (HISTORIES=10000).
	go test -timeout 60m -count 1 -v -run '^TestHistories$$' ./controllers/pool -rapid.checks=$(HISTORIES) -rapid.steps=60

.PHONY: test-sim
test-sim: ## Play histories of a whole cluster on virtual time, on all cores (DURATION=40m, or SEEDS=1000; SURVEY=1 goes on after a failure).
	@# Built, so that the test starts further processes of itself.
	go test -c -o $(BUILD)/bin/simulation.test ./test/simulation
	cd test/simulation && GOGC=400 $(abspath $(BUILD))/bin/simulation.test -test.run '^TestSimulation$$' -test.v -test.timeout 0 -processes $$(nproc) \
		$(if $(SEEDS),-seeds $(SEEDS),-duration $(or $(DURATION),40m)) $(if $(SURVEY),-survey)

.PHONY: bench
bench: controlplane build ## Measure the operator against EC2's limits (NODES=50; ROWS=join,rest,..., or all; PROFILES=folder).
	@# Built, because go run does not pass on the signals that end it.
	go build -o $(BUILD)/bin/scale ./test/scale
	go build -trimpath -o $(BUILD)/bin/stuck-operator ./test/scale/cmd/stuck-operator
	$(BUILD)/bin/scale $(if $(NODES),--nodes=$(NODES)) $(if $(ROWS),--rows=$(ROWS)) $(if $(PROFILES),--profiles=$(PROFILES))

.PHONY: plot
plot: ## Draw what make bench measured, into docs/performance.md.
	go run -C hack/plot . --report=$(abspath $(BUILD)/bench.json) --page=$(abspath docs/performance.md)

.PHONY: test-olm
test-olm: controlplane $(KUSTOMIZE) ## Install, upgrade and remove the bundle with OLM's own operators (the first run builds them).
	hack/olm/build.sh
	cd test/olm && go test -timeout 30m -count=1 -v ./...

.PHONY: test-image
test-image: ## Compile what the Dockerfile copies, and nothing else, for both architectures.
	hack/image.sh

.PHONY: test-attacks
test-attacks: controlplane $(KUSTOMIZE) ## Try the attacks of docs/security.md (about four minutes).
	hack/attacks.sh

# How long each target of make test-fuzz runs.
FUZZTIME ?= 1m

.PHONY: test-fuzz
test-fuzz: controlplane $(KUSTOMIZE) ## Fuzz the webhooks' validators and selectors (FUZZTIME=1m each), then apply 1,000 other hostile objects than make test.
	@for target in FuzzPolicy FuzzPool FuzzENI FuzzClaim FuzzSelectors; do \
		go test ./webhooks -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) || exit 1; \
	done
	go test -v -count=1 ./test/admission -run '^TestHostileObjects$$' -args -seed=0 -objects=1000

.PHONY: test-crash
test-crash: controlplane ## Kill the operator at every call that it makes, and look what heals (about 15 minutes on two cores).
	@# Built, because go run does not pass on the signals that end it.
	go build -o $(BUILD)/bin/crash-matrix ./test/crash/cmd/crash-matrix
	$(BUILD)/bin/crash-matrix

.PHONY: test-mutants
test-mutants: ## Change the product in one place after another, and expect a test to fail (MECHANICAL=20 of them at random; -1: all; HISTORIES_EACH=0).
	go run ./test/mutants/cmd/mutants --mechanical=$(or $(MECHANICAL),20) --histories=$(or $(HISTORIES_EACH),0)

.PHONY: test-fault
test-fault: controlplane ## Let EC2 calls of the operator go wrong, and look where it ends (NODES=200 SEED=1; about 10 minutes on two cores).
	@# Built, because go run does not pass on the signals that end it.
	go build -o $(BUILD)/bin/fault-run ./test/fault/cmd/fault-run
	$(BUILD)/bin/fault-run $(if $(NODES),--nodes=$(NODES)) $(if $(SEED),--seed=$(SEED))

.PHONY: test-failover
test-failover: controlplane ## Take the lead away from the operator under load, 70 times (SEED=1; about 30 minutes).
	@# Built, because go run does not pass on the signals that end it.
	go build -o $(BUILD)/bin/failover-run ./test/failover/cmd/failover-run
	$(BUILD)/bin/failover-run $(if $(SEED),--seed=$(SEED)) $(if $(NODES),--nodes=$(NODES))

.PHONY: test-claims
test-claims: controlplane ## Wipe statuses and let two operators fight under many claims (CLAIMS=2000).
	go test ./test/integration -run 'TestChurnGivesEverythingBack|TestApart/(statuses_are_wiped|two_operators_fight)' -timeout 60m -count=1 -v -args -claims=$(or $(CLAIMS),2000)

##@ A cluster on this machine

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver, kube-controller-manager and kubectl (once, about seven minutes on two cores).
	@hack/controlplane/build.sh

.PHONY: demo
demo: controlplane build ## Show the operator at work on a local control plane and an emulated EC2.
	@# Built, because go run does not pass on the signals that end a demo.
	go build -o $(BUILD)/bin/local ./hack/local
	$(BUILD)/bin/local

.PHONY: run-local
run-local: controlplane build ## The same, and keep it running for kubectl.
	go build -o $(BUILD)/bin/local ./hack/local
	$(BUILD)/bin/local --stay

.PHONY: follow-events
follow-events: ## Follow what the operator stores, live (NODE= ENI= TYPE=; URL=http://... for a local one), see docs/events.md.
	@URL="$(URL)" KUBECTL="$(KUBECTL)" hack/follow-events.sh $(if $(NODE),"node=$(NODE)") $(if $(ENI),"eni=$(ENI)") $(if $(TYPE),"type=$(TYPE)")

##@ A cluster of yours

.PHONY: install
install: $(KUSTOMIZE) ## Install the CRDs into the current cluster.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: $(KUSTOMIZE) ## Remove the CRDs, and with them every resource of their kinds.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: deploy
deploy: build-installer ## Deploy the operator (IMG=..., CLUSTER_NAME=...) to the current cluster.
	@[[ -n "$(CLUSTER_NAME)" ]] || { echo "make deploy needs CLUSTER_NAME=..., the name that the operator tags its ENIs with" >&2; exit 1; }
	$(KUBECTL) apply --server-side -f dist/install.yaml

.PHONY: undeploy
undeploy: $(KUSTOMIZE) ## Remove the operator and its CRDs from the current cluster.
	$(KUSTOMIZE) build config/default | $(KUBECTL) delete --ignore-not-found -f -

# What becomes of the ENIs when the operator is uninstalled: delete or abandon.
MODE ?=

define UNINSTALL_JOB
resources:
- ../../config/uninstall
patches:
- patch: |
    apiVersion: batch/v1
    kind: Job
    metadata:
      name: eni-operator-uninstall
      namespace: eni-operator-system
    spec:
      template:
        spec:
          serviceAccountName: eni-operator-$(if $(filter abandon,$(MODE)),controller-manager,uninstaller)
          containers:
          - name: uninstall
            image: $(IMG)
            args: ["--uninstall=$(MODE)"]
            env:
            - name: ENI_OPERATOR_CLUSTER_NAME
              value: "$(CLUSTER_NAME)"
endef
export UNINSTALL_JOB

.PHONY: uninstall-job
uninstall-job: $(KUSTOMIZE) ## Run the uninstaller in the current cluster (MODE=delete|abandon IMG=... CLUSTER_NAME=...), see docs/uninstall.md.
	@[[ "$(MODE)" == delete || "$(MODE)" == abandon ]] || { echo "make uninstall-job needs MODE=delete or MODE=abandon, see docs/uninstall.md" >&2; exit 1; }
	@[[ -n "$(CLUSTER_NAME)" ]] || { echo "make uninstall-job needs CLUSTER_NAME=..., that of the operator" >&2; exit 1; }
	@mkdir -p $(BUILD)/uninstall
	@echo "$$UNINSTALL_JOB" >$(BUILD)/uninstall/kustomization.yaml
	$(KUSTOMIZE) build $(BUILD)/uninstall | $(KUBECTL) apply --server-side -f -

# What to install: default, or another folder of config/ that makes a whole operator.
CONFIG ?= default

define INSTALLER
resources:
- ../../config/$(CONFIG)
patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: eni-operator-controller-manager
      namespace: eni-operator-system
    spec:
      template:
        spec:
          containers:
          - name: manager
            image: $(IMG)
            env:
            - name: ENI_OPERATOR_CLUSTER_NAME
              value: "$(CLUSTER_NAME)"
endef
export INSTALLER

.PHONY: build-installer
build-installer: generate $(KUSTOMIZE) ## Write dist/install.yaml: all manifests in one file (IMG=..., CLUSTER_NAME=...).
	@mkdir -p $(BUILD)/installer dist
	@echo "$$INSTALLER" >$(BUILD)/installer/kustomization.yaml
	$(KUSTOMIZE) build $(BUILD)/installer >dist/install.yaml

##@ Tools

.PHONY: tools
tools: $(CONTROLLER_GEN) $(CRD_REF_DOCS) $(GOLANGCI_LINT) $(GOVULNCHECK) $(KUSTOMIZE) ## Build the pinned tools into build/tools.

# Each tool has a Go module of its own under hack/tools, so that none moves a version of the operator or of another tool.
$(TOOLS)/%: hack/tools/%/go.mod hack/tools/%/go.sum
	@echo "Building $* (pinned in hack/tools/$*/go.mod)"
	@mkdir -p $(TOOLS)
	@go build -C hack/tools/$* -o $@ tool
	@touch $@
