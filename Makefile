# For contributors. Users need two commands only; they stand in README.md.
# `make check` is what to run before a commit.

CARGO ?= cargo
DENY_VERSION := 0.20.2

.PHONY: help check fmt lint doc test examples bench faults deny advisories demo core-is-small ci

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: fmt lint core-is-small test ## What CI asks for, without documents and the demo

fmt: ## Formatting
	$(CARGO) fmt --all --check

lint: ## Clippy over everything, warnings are errors
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings

doc: ## The documentation of the workspace, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps

test: ## Every test
	$(CARGO) test --workspace

examples: ## Run each example
	$(CARGO) build --workspace --examples
	set -e; for example in examples/*.rs; do \
	  echo "-- $$example"; \
	  name=$$(basename $$example .rs); \
	  case $$name in custom_strategy) arguments=--help;; *) arguments=;; esac; \
	  $${CARGO_TARGET_DIR:-target}/debug/examples/$$name $$arguments; \
	done

demo: ## Five tables from a stand-in for Snowflake into a private PostgreSQL
	$(CARGO) run --release -- demo

bench: ## The program beside PostgreSQL's own limit, the ledger and a skewed plan within theirs
	$(CARGO) build --release
	$(CARGO) run --release -p migrate-bench
	$(CARGO) run --release -p migrate-status --example queue_speed
	$(CARGO) run --release -p migrate-sources --example skewed_plan

faults: ## What 5 % of all requests failing costs: 2 million rows in 4,000 chunks, twice
	$(CARGO) build --release
	$(CARGO) run --release -p migrate-bench --bin faults

deny: cargo-deny ## Licences, bans and sources of all dependencies
	cargo-deny check bans licenses sources

advisories: cargo-deny ## Known vulnerabilities; needs the network
	cargo-deny check advisories

.PHONY: cargo-deny
cargo-deny:
	@command -v cargo-deny >/dev/null || $(CARGO) install --locked --debug cargo-deny@$(DENY_VERSION)

core-is-small: ## migrate-core stays free of drivers and runtimes
	@set -e; \
	tree=$$($(CARGO) tree -p migrate-core -e normal --prefix none -f '{p} {f}'); \
	if echo "$$tree" | grep -E '^(sqlx|reqwest|clap|hyper)'; then \
	  echo "migrate-core pulls in the above; it must not" >&2; exit 1; fi; \
	if echo "$$tree" | grep -E '^tokio v' | grep -wE 'rt|net|time'; then \
	  echo "migrate-core switches on a runtime of tokio; it must not" >&2; exit 1; fi; \
	echo "migrate-core is small"

ci: ## Everything, from nothing
	.ci/run
