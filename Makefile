# Needs Python 3.11 or newer and make, nothing else. `make` alone lists what there is.
#
# The virtual environment in .venv is made on first use, and brought up to date when the locks in
# requirements/ or pyproject.toml change. `make PYTHON=/path/to/python3.12 run` chooses another Python.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test lint format bench clean nightly soak docs fuzz

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
# One more than the two cores they are meant for: a quarter of the time tests wait for disks and processes.
WORKERS ?= 3
ARGS ?=

# The first Python that is new enough; empty when there is none.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

run: $(VENV)/.run ## start a node; options go into ARGS: make run ARGS="--port 3002"
	@exec $(BIN)/tallystick start $(ARGS)

test: $(VENV)/.dev ## the whole proof: unit, property, simulation and black-box tests
	@$(BIN)/python -m compileall -q src  # hundreds of nodes are started: none shall compile itself anew
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

lint: $(VENV)/.dev ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src tests bench
	$(BIN)/lint-imports

format: $(VENV)/.dev ## lay out the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: $(VENV)/.fuzz ## look for bytes that break a law: make fuzz ARGS="http ledger --seconds 600"
	$(BIN)/python -m tests.fuzz search $(or $(ARGS),all)

nightly: $(VENV)/.dev ## the longer forms: 25 times the examples, 500 kills, 2,000 seeds, 40 stories of chaos, 10,000 nodes
	@$(BIN)/python -m compileall -q src
	COLD_NODES=1 KILL_ROUNDS=500 SEEDS=2000 LARGE_NODES=10000 CHAOS_ROUNDS=20 CHAOS_SEED=$${CHAOS_SEED:-$$(date +%Y%m%d)00} \
		$(BIN)/pytest -q -n $(WORKERS) --dist worksteal --hypothesis-profile=nightly $(ARGS)

soak: $(VENV)/.dev ## simulate seed after seed until Ctrl-C; those that break a law go into soak-failures.txt
	@$(BIN)/python -m tests.sim.soak $(ARGS)

bench: $(VENV)/.dev ## measure all, each figure beside its yardstick, and write docs/benchmarks.* anew (14 minutes)
	@$(BIN)/python -m compileall -q src
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/.dev ## write docs/cli.md from --help
	$(BIN)/python -m tallystick.cli.reference > docs/cli.md

clean: ## remove the virtual environment and all caches; never a chain
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .screenshots
	find src tests bench requirements -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Tallystick needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || echo no python3)." >&2; \
		echo "Install one (https://www.python.org/downloads/), or name it: make run PYTHON=/path/to/python3.12" >&2; \
		exit 1; fi
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..." >&2
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; }

$(VENV)/.run: $(BIN)/python requirements/run.txt pyproject.toml
	@echo "Installing what a node needs ..." >&2
	@$(PIP) install -r requirements/run.txt
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing what developers need ..." >&2
	@$(PIP) install -r requirements/dev.txt
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev requirements/fuzz.txt
	@echo "Installing the fuzzer ..." >&2
	@$(PIP) install --only-binary :all: -r requirements/fuzz.txt && touch $@ || echo "It could not be installed." >&2
