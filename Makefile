# llm-bench. `make demo` shows everything on a simulated server; `make test` tests everything a fresh machine can run.

PREFIX ?= /usr/local
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# The programs: built here, unless BIN names a folder that has them.
BIN_DIR := $(if $(BIN),$(abspath $(BIN)),$(TARGET)/debug)
RELEASE_DIR := $(if $(BIN),$(BIN_DIR),$(TARGET)/release)
export PATH := $(BIN_DIR):$(PATH)

PROGRAMS := llm-models llm-run power-sample mem-sample bench-join bench-report llm-sim

.PHONY: help build demo lmstudio-bench openrouter-bench token-rate ollama-bench accuracy \
	test test-real check check-macos screenshot bless bench bench-pure install clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

build: ## build the programs
ifndef BIN
	cargo build --locked
endif

demo: build ## the three flows on the simulated server: no key, no LM Studio, no network
	@pipelines/demo.sh

lmstudio-bench: build ## every model of LM Studio: load, website, watts, bytes
	@pipelines/lmstudio.sh

openrouter-bench: build ## MODELS_FILE=… CONCURRENCY=4: models of OpenRouter, time and cost
	@pipelines/openrouter.sh

token-rate: build ## MODE=openrouter|minimax|… CONCURRENCY=1,5,10 PROMPTS=… OUTPUT=…: 32 short prompts
	@pipelines/token-rate.sh

ollama-bench: build ## every model of Ollama at several levels of concurrency
	@pipelines/ollama.sh

accuracy: ## LEVELS=1,8,64,… DURATION=10s: up to which load this machine measures right, against the simulator
ifndef BIN
	cargo build --locked --release
endif
	@PATH="$(RELEASE_DIR):$$PATH" pipelines/accuracy.sh

test: ## the tests that a fresh machine can run
	cargo test --locked

test-real: build ## the whole line against a real llama.cpp server with a tiny model made on the spot
	BIN=$(BIN_DIR) tests/real/run.sh

check: ## what CI decides by: format, lints, documents, scripts, lean build, tests
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo check --locked --no-default-features --bin power-sample --bin mem-sample --bin bench-join --bin bench-report
	@! cargo tree --locked --no-default-features -e normal --prefix none | grep -E '^(tokio|rustls|hyper|reqwest) ' || \
		{ echo "the lean build has a network stack in it" >&2; exit 1; }
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib
	shellcheck -x pipelines/*.sh tests/real/*.sh benches/*.sh .ci/run
	cargo test --locked

check-macos: ## that the samplers, join and report compile for macOS, on any machine whose rustup can fetch the target
	@if rustup target add aarch64-apple-darwin; then \
		cargo check --locked --target aarch64-apple-darwin --no-default-features --lib --bin power-sample --bin mem-sample --bin bench-join --bin bench-report; \
	else echo "check-macos: SKIPPED: rustup cannot fetch the target here" >&2; fi

screenshot: build ## docs/demo*.png: the page of a demo in headless Chromium, taken by the tests
	@dir=$$(ls -d reports/demo-* 2> /dev/null | tail -1); [ -n "$$dir" ] || { pipelines/demo.sh; dir=$$(ls -d reports/demo-* | tail -1); }; \
	CI=1 SCREENSHOTS_OF="$$PWD/$$dir" cargo test --locked --test suite report::pictures

bless: ## BLESS_ONLY=search: write the checked-in files anew: docs/records.md, the JSON Schema, golden files; git diff shows what changed
	BLESS=1 INSTA_UPDATE=always cargo test --locked $(BLESS_ONLY)

bench: ## BENCH_ONLY=report BENCH_QUICK=1: speed, memory and cost of whole programs beside their neighbours, into docs/performance.md
ifndef BIN
	cargo build --locked --release
endif
	PATH="$(RELEASE_DIR):$$PATH" benches/all.sh $(BENCH_ONLY)

bench-pure: ## BENCH_ARGS=--quick: the hot inner parts, by criterion
	cargo bench --locked --bench pure -- $(BENCH_ARGS)

install: ## PREFIX=/usr/local: programs, man pages, completions; with BIN=FOLDER, the programs that are there
ifndef BIN
	cargo build --locked --release
endif
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	for p in $(PROGRAMS); do \
		install -m 755 $(RELEASE_DIR)/$$p $(DESTDIR)$(PREFIX)/bin/$$p && \
		$(RELEASE_DIR)/$$p --generate man > $(DESTDIR)$(PREFIX)/share/man/man1/$$p.1 && \
		$(RELEASE_DIR)/$$p --generate bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$p && \
		$(RELEASE_DIR)/$$p --generate zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_$$p && \
		$(RELEASE_DIR)/$$p --generate fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/$$p.fish \
		|| exit; done

clean: ## remove what was built; reports stay
	cargo clean
