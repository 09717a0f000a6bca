# Everything a developer does here. `make` alone lists it.
# Needs: Python 3.11 or newer (PYTHON=python3.12 make setup chooses one), make, bash. Nothing else, no Docker.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Written last: its presence says that the set-up finished, its time says for which lock and project file.
READY := $(VENV)/.ready
# There while a set-up runs, with the number of its make. Found at the start of one, it says that another is at it, or that the
# last was cut off and nothing of it is to be trusted.
UNFINISHED := $(VENV)/.unfinished
# Around each pip. One that ends with an error of its own has left what it did in order, and the next set-up goes on from there;
# one that was interrupted or killed (above 128) has not.
INTERRUPTIBLE := trap 'exit 130' INT TERM;
OR_HINT := || { code=$$?; ((code > 128)) || rm -f $(UNFINISHED); \
  echo "hint: pip says why above; check the network, the proxy (HTTPS_PROXY) and the free space, then run it again" >&2; exit $$code; }
# Test processes, each with a Kafka and a Redis of its own. Most tests of these wait for a clock, so two share two cores well.
JOBS ?= 2
TORCH := $(shell sed -n 's/^ *"\(torch[><=][^"]*\)".*/\1/p' pyproject.toml)

.PHONY: help setup demo test lint docs docs-check bench lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything in it (once: minutes; afterwards: nothing)
	@if [[ "$(origin PYTHON)" != file && "$$($(BIN)/python --version)" != "$$("$(PYTHON)" --version 2>&1)" ]]; then \
	  echo "note: $(VENV) exists and stays with $$($(BIN)/python --version); to have it made with $(PYTHON), \`rm -rf $(VENV)\` first" >&2; fi

$(READY): requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: tagline needs Python 3.11 or newer, and \`$(PYTHON)\` is $$("$(PYTHON)" --version 2>&1 || echo missing)"; \
	  echo "hint: PYTHON=python3.12 make setup"; exit 2; } >&2
	@pid=$$(cat $(UNFINISHED) 2>/dev/null || true); \
	if [[ "$$pid" ]] && kill -0 "$$pid" 2>/dev/null && [[ "$$(ps -o comm= -p "$$pid" 2>/dev/null || echo make)" == *make* ]]; then \
	  echo "error: another set-up of $(VENV) is at work (process $$pid)" >&2; echo "hint: wait for its end, or stop it" >&2; exit 3; fi
	@if [[ -e $(UNFINISHED) ]]; then echo "==> the last set-up was cut off; starting over"; rm -rf $(VENV); fi
	@mkdir -p $(VENV); rm -f $(READY); echo $$PPID > $(UNFINISHED)
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "==> [1/4] making $(VENV) with $$("$(PYTHON)" --version)"; \
	  "$(PYTHON)" -m venv $(VENV) || { echo "hint: on Debian and Ubuntu, \`apt install python3-venv\`" >&2; exit 3; }; fi
	@echo "==> [2/4] installing $$(grep -c '^[a-z]' requirements.lock) pinned packages (about a minute)"
	@$(INTERRUPTIBLE) $(PIP) install --quiet --require-hashes --no-deps -r requirements.lock $(OR_HINT)
	@echo "==> [3/4] installing $(TORCH), the wheel that your package index has for this machine"
	@$(INTERRUPTIBLE) $(PIP) install --progress-bar off "$(TORCH)" \
	  | awk '/^ *(Downloading|Installing)/ {sub(/^ */, ""); print "    " substr($$0, 1, 100); fflush()}' $(OR_HINT)
	@$(BIN)/python -c 'import torch' # a download that failed, or a wheel that does not run here, ends it now
	@echo "==> [4/4] installing tagline itself, editable"
	@$(INTERRUPTIBLE) PYTHONWARNINGS=ignore $(PIP) install --quiet --no-deps --no-build-isolation --editable . $(OR_HINT)
	@rm -f $(UNFINISHED); touch $(READY)
	@echo "==> ready: $$($(BIN)/tagline --version)   (. $(BIN)/activate puts \`tagline\` on the path)"

demo: setup ## start Kafka and Redis here, feed sample events, watch them being tagged for 45 s (DEMO="--seconds 300" for longer)
	@$(BIN)/tagline demo $(DEMO)

test: setup ## run every test, those on a real Kafka and Redis too (TEST="tests/cli -x" for some, JOBS=0 for one at a time)
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(TEST)

lint: setup ## ruff (rules and format) and mypy in strict mode
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: setup ## write the pages generated from the code: settings, metrics, message schemas
	@$(BIN)/python tools/docs.py
	@$(BIN)/tagline contracts export

docs-check: setup ## fail when a generated page differs from what the code would write
	@$(BIN)/python tools/docs.py --check

bench: setup ## measure the worker on this machine (BENCH="--quick" for a first look)
	@$(BIN)/tagline bench $(BENCH)

lock: setup ## resolve pyproject.toml again into requirements*.lock (delete one first to take newest versions)
	@$(BIN)/python tools/lock.py

clean: ## remove caches and build output; .venv and .tagline stay
	@rm -rf build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find worker training tests -name __pycache__ -type d -prune -exec rm -rf {} +
