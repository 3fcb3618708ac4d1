# Every target is one line; the work is in local/. Plain `make` prints this list.

ifeq ($(OS),Windows_NT)
RUN := .venv/Scripts/python.exe -m
ANY_PYTHON := python
else
RUN := .venv/bin/python -m
ANY_PYTHON := $(shell command -v python3.13 || command -v python3 || echo missing)
endif
ifeq ($(ANY_PYTHON),missing)
$(error Missing: Python 3.13 (https://www.python.org/downloads, or `uv python install 3.13`))
endif
SETUP := @$(ANY_PYTHON) -m local.setup

.DEFAULT_GOAL := help
.PHONY: help setup demo start test thorough lint bench soak fuzz mutants package clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: ## a tenant of 500 people, synced twice and once on demand; writes demo/index.html (1 minute)
	$(SETUP) --runtime
	@$(RUN) local.demo

test: ## everything CI runs (5 minutes)
	$(SETUP)
	@$(RUN) local.check

start: ## tenant, storage and functions on port 7071, until Ctrl-C
	$(SETUP) --runtime
	@$(RUN) local.start

thorough: ## as test, with every case of the large matrices and a kill at every request (12 minutes)
	$(SETUP)
	@$(RUN) local.check --thorough

lint: ## only the static checks of `make test` (half a minute)
	$(SETUP) --lint
	@$(RUN) local.check --static

bench: ## requests, storage, CPU, memory, pace and costs of tenants of up to 200,000 people (25 minutes)
	$(SETUP)
	@$(RUN) local.tools.bench

soak: ## 20 nights over a changing tenant of 5,000 people, with faults and quotas (20 minutes)
	$(SETUP)
	@$(RUN) local.tools.soak

fuzz: ## hostile bytes into every parser, guided by coverage (10 minutes)
	$(SETUP)
	@$(RUN) local.tools.fuzz

mutants: ## does a test fail for each small change of the modules that decide (20 minutes)
	$(SETUP)
	@$(RUN) local.tools.mutants

package: ## the zip to deploy, with its dependencies
	@$(ANY_PYTHON) -m local.package

setup: ## virtual environment, packages and Azurite, whatever is missing
	$(SETUP)

clean: ## remove what was built or installed
	rm -rf .venv node_modules demo dist .coverage .hypothesis .mypy_cache .ruff_cache .import_linter_cache .fuzz mutants
