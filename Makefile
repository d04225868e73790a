# Two commands do everything: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
MESSAGES := web/translations/en/LC_MESSAGES/messages.mo
.DEFAULT_GOAL := help

.PHONY: help setup run test check migrations bench chaos screenshots conformance clean

help: ## List the verbs
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(VENV)/installed web/static/dist/manifest.json $(MESSAGES) ## Install locked packages and build the front end

$(VENV)/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $$($(PYTHON) --version) was found. Set PYTHON=python3.11, say."; exit 1; }
	@echo "Setting up the virtual environment …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

node_modules/installed: package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing. Install Node.js 20 or newer (https://nodejs.org), then run make again."; exit 1; }
	@echo "Installing the front end's packages …"
	@npm ci --silent
	@touch $@

web/static/dist/manifest.json: node_modules/installed $(shell find web/frontend -type f)
	@echo "Building the front end …"
	@npm run --silent build
	@touch $@

$(MESSAGES): $(MESSAGES:.mo=.po) $(VENV)/installed
	@$(BIN)/pybabel --quiet compile --directory web/translations
	@test -s $@ || { echo "$@ was not compiled from its .po file."; exit 1; }
	@touch $@

run: setup ## Start the demo at http://127.0.0.1:8000 (PORT=… overrides)
	@AVTALEFLYT_PORT=$(PORT) $(BIN)/avtaleflyt demo

test: setup ## Run everything that must hold
	@$(BIN)/python -m tests.run

check: setup ## Style, types and import rules only
	@$(BIN)/python -m tests.run --check

bench: setup ## Measure; one JSON line per row
	@$(BIN)/python -m bench

chaos: setup ## Kill processes at random moments (N=200)
	@$(BIN)/python -m pytest -q -rP tests/chaos -p no:cacheprovider --kills $(or $(N),200)

screenshots: setup ## Take the README's screenshots
	@$(BIN)/python docs/screenshots.py

conformance: setup ## Write the table of docs/reference/bpmn.md from its tests
	@$(BIN)/python -m tests.conformance.table

clean: ## Remove what was set up, keep the database
	@rm -rf $(VENV) node_modules web/static/dist $(MESSAGES)
