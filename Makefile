# The front door: every target sets up what it needs in .venv, once.

PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; done; echo python3)
BIN := .venv/bin
# Byte code is written at first use: writing all of it now would double the wait before the first demo.
# Where the environment forbids that, every process would compile every library anew: three seconds each.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile

# make crash: how many rounds of faults, the seed of the first, and how many Kafkas and PostgreSQLs work side by side.
ROUNDS ?= 20
SEED ?= 1
CELLS ?= 4

.PHONY: help demo test check lint simulate planted bench crash clean
.DELETE_ON_ERROR:

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done

demo: .venv/.ready ## play three claims through the hub, here and now, without any service
	@$(BIN)/claimhub demo

# A test process that ends hard ends the run, with the name of its test: to go on would mean to wait for ever.
PYTEST := $(BIN)/pytest --numprocesses 3 --max-worker-restart 0

test: .venv/.ready-dev ## run the tests on a real Kafka and PostgreSQL, started by the tests (ARGS="-k name")
	$(PYTEST) -m "not slow" $(ARGS)

check: lint ## lint, types, import contracts, then all tests, the slow ones too, also on a real schema registry
	CLAIMHUB_TEST_REGISTRY=$${CLAIMHUB_TEST_REGISTRY:-start} $(PYTEST) --durations 10 $(ARGS)

lint: .venv/.ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

simulate: .venv/.ready-dev ## play many seeds of the engine in memory, with faults (SEEDS=1000 SEED=1, the first)
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000) --first $(or $(SEED),1)

planted: .venv/.ready-dev ## plant bugs in copies of the project, and see each caught by the test named for it (ARGS="token float")
	$(BIN)/python -m tests.planted $(ARGS)

bench: .venv/.ready-dev ## measure the hub against a plain program that writes the same rows
	$(BIN)/claimhub bench

crash: .venv/.ready-dev ## crash, freeze and cut off workers and services under load (ROUNDS=20 SEED=1 CELLS=4)
	@$(BIN)/python -m tests.crash --rounds $(ROUNDS) --seed $(SEED) --cells $(CELLS)

clean: ## remove the environment and everything the tools left (not the cached downloads)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made: bootstrap.py
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON). Install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) bootstrap.py .venv
	@touch $@

.venv/.ready: requirements.lock pyproject.toml .venv/.made
	@echo "Setting up .venv, once; about half a minute" >&2
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.ready-dev: requirements-dev.lock .venv/.ready
	@echo "Adding the tools for tests to .venv, once" >&2
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@
