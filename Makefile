# Every target sets up what it needs: in a fresh clone `make demo` or `make test` is enough.

# The first interpreter for which every locked dependency has a wheel.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for name in python3 python3.12 python3.11; do \
  $$name -c '$(SUPPORTED)' 2>/dev/null && echo $$name && break; done)
UV_VERSION := 0.13.9
BIN := .venv/bin
STAMP := .venv/.installed
ANVIL := tests/contracts/anvil
WORKERS ?= 2
ARGS ?=
COMMANDS ?= 10000000
SEED ?= 1000000
SEEDS ?= 2000
SOURCES := src tests simulation $(wildcard scripts benchmarks)

.DEFAULT_GOAL := help
.PHONY: help install demo test check soak format bench lock clean anvil

help: ## List the targets.
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /\1|/' | awk -F'|' '{ printf "  make %-8s %s\n", $$1, $$2 }'

install: $(STAMP) ## Create .venv and install the locked dependencies and novate itself.

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(SUPPORTED)' || { \
	  echo "novate needs Python 3.11 or 3.12; found $$($(or $(PYTHON),python3) -V 2>&1)." \
	    "Name one: make install PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	  echo "could not create .venv (on Debian: apt-get install python3-venv)" >&2; rm -rf .venv; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: install ## Run a whole venue on this machine, with traders (ARGS="..." are passed on).
	$(BIN)/novate demo $(ARGS)

# Not `npm ci`: it wants every platform's package in the lock, and registries do not all carry every platform.
anvil: ## Fetch the Ethereum node that the contract tests talk to, if npm is present.
	@if test -f $(ANVIL)/package-lock.json && command -v npm >/dev/null; then \
	  test $(ANVIL)/node_modules -nt $(ANVIL)/package-lock.json || \
	    { npm install --no-save --prefix $(ANVIL) --no-fund --no-audit --loglevel=error && \
	      touch $(ANVIL)/node_modules; }; fi

test: install anvil ## Run every test on WORKERS=2 processes (ARGS="..." are passed to pytest).
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

check: install ## Check formatting, lint, types, imports, the generated schema and the house rules.
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_schema.py --check
	$(BIN)/python -m pytest -q tests/tidy

soak: install ## Compare engine and model on COMMANDS=10000000 from SEED=1000000 on; simulate SEEDS=2000.
	NOVATE_MODEL_COMMANDS=$(COMMANDS) NOVATE_MODEL_SEED=$(SEED) \
	  $(BIN)/python -m pytest -n $(WORKERS) tests/model/test_engine_agrees.py $(ARGS)
	$(BIN)/python -m simulation --seed $(SEED) --count $(SEEDS) --ledger

format: install ## Format the code and mend what the linter can mend by itself.
	$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: install ## Run every benchmark; each prints its figures and asserts its final state.
	@for script in $$(grep -l __main__ benchmarks/*.py); do \
	  echo "== $$script"; $(BIN)/python "$$script" $(ARGS) || exit 1; done

lock: install ## Renew requirements.lock from pyproject.toml.
	$(BIN)/uv pip compile pyproject.toml --group dev --python-version 3.11 --universal --generate-hashes \
	  --upgrade --quiet --no-header -o requirements.lock

clean: ## Remove .venv, node_modules and every cache below this folder.
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache .import_linter_cache $(ANVIL)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
