# For contributors. Users need two commands only; they stand in README.md.
# `make check` is what to run before a commit.

CARGO ?= cargo
DENY_VERSION := 0.20.2
FUZZ_VERSION := 0.13.2

.PHONY: help check fmt lint doc test examples soak fuzz bench bench-large bench-parts faults share-bench memory memory-small demo-small bench-small deny advisories demo core-is-small ci

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

soak: export SOAK_KILLS ?= 200
soak: ## Kill the program at 200 random moments over the write modes; SOAK_SEED draws other ones
	$(CARGO) test -p migrate-cli --test cli soak:: -- --nocapture

# The fuzzer's own compiler; a stable one lets itself be used with RUSTC_BOOTSTRAP=1 and FUZZ_TOOLCHAIN=.
FUZZ_TOOLCHAIN ?= +nightly
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= cells config copy filter plan
FUZZ := crates/migrate-fuzz

fuzz: ## Look for inputs that break a promise, FUZZ_SECONDS for each of FUZZ_TARGETS; needs a nightly compiler
	@command -v cargo-fuzz >/dev/null || $(CARGO) install --locked --debug cargo-fuzz@$(FUZZ_VERSION)
	cp Cargo.lock $(FUZZ)/fuzz/Cargo.lock
	set -e; for target in $(FUZZ_TARGETS); do \
	  mkdir -p $(FUZZ)/fuzz/corpus/$$target; \
	  $(CARGO) $(FUZZ_TOOLCHAIN) fuzz run --fuzz-dir $(FUZZ)/fuzz $$target \
	    $(FUZZ)/fuzz/corpus/$$target $(FUZZ)/seeds/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=4096; \
	done

# Everything as `cargo test` builds it: other choices have other features, and build most crates again.
.PHONY: build-for-tests
build-for-tests:
	$(CARGO) build --workspace --all-targets

demo-small: build-for-tests ## The demo as built for tests
	$${CARGO_TARGET_DIR:-target}/debug/migrate demo

examples: build-for-tests ## Run each example
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

bench-large: ## The main cases with 2, 10 and 20 million rows: what a row costs stays, and the memory
	$(CARGO) build --release
	$(CARGO) run --release -p migrate-bench -- --large --rounds 1

bench-parts: ## Encoding beside pgpq, decoding beside the driver's own parser, predicates
	$(CARGO) bench -p migrate-bench --features parts

faults: ## What 5 % of all requests failing costs: 2 million rows in 4,000 chunks, twice
	$(CARGO) build --release
	$(CARGO) run --release -p migrate-bench --bin faults

bench-small: build-for-tests ## All of these with few rows, as built for tests; nothing is held against its limit
	set -e; built=$${CARGO_TARGET_DIR:-target}/debug; program="--program $$built/migrate"; \
	$$built/migrate-bench $$program --rows 20000 --merged-rows 10000 --wide-rows 1000 --rounds 1 \
	  --no-limits --skip resume; \
	$$built/faults $$program --rows 20000 --limit 100; \
	$$built/share $$program --chunks 60 --processes 3 --runs 1 --limit 100

memory: ## The most memory the program takes: long and wide tables, cells of 8 and 16 MB
	$(CARGO) build --release
	$(CARGO) run --release -p migrate-bench --bin memory

memory-small: build-for-tests ## The same with few rows, as built for tests
	built=$${CARGO_TARGET_DIR:-target}/debug; $$built/memory --small --program $$built/migrate

share-bench: ## Eight processes at one run of 2,000 chunks beside one process with eight workers
	$(CARGO) build --release
	$(CARGO) run --release -p migrate-bench --bin share

deny: cargo-deny ## Licences, bans and sources of all dependencies
	cargo-deny check bans licenses sources

advisories: cargo-deny ## Known vulnerabilities; needs the network
	cargo-deny check advisories

.PHONY: cargo-deny
cargo-deny:
	@command -v cargo-deny >/dev/null || CARGO_PROFILE_DEV_DEBUG=none \
	  $(CARGO) install --locked --debug cargo-deny@$(DENY_VERSION)

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
