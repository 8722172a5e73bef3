# `make` alone lists the targets. Needs python3 (3.11 or newer) with venv; everything else is set up on first use.

SHELL := /bin/sh
PY := .venv/bin/python
MANAGE := $(PY) manage.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run dev test check audit bench bench-load bench-pages screenshots chaos cluster-up cluster-down lock docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

setup: ## make the Python environment in .venv (nothing to compile)
	@deploy/setup/venv.sh base

setup-dev:
	@deploy/setup/venv.sh dev

run: setup ## start the server, run examples/quickstart.py, serve until Ctrl-C (ONESHOT=1: end with the workflow)
	@deploy/setup/run.sh

dev: setup-dev ## the server in debug mode in ./.run, with a second site that reloads as you edit
	@deploy/setup/dev.sh

test: ## the whole test suite, on SQLite and on MariaDB; sets itself up
	@deploy/setup/test.sh

check: setup-dev ## lint, formatting, types, import rules, migrations
	@deploy/setup/check.sh

audit: setup-dev ## known weaknesses of the locked packages (asks PyPI's service: without a network it fails and says so)
	@deploy/setup/audit.sh

bench: setup-dev ## measure throughput, delay, registration, half a million jobs, memory and pages beside baselines
	@$(PY) bench/run.py $(BENCH)

bench-pages: setup-dev ## what every page costs beside a workflow of 500,000 jobs, on SQLite and on MariaDB
	@$(PY) bench/pages.py $(BENCH)

bench-load: setup-dev ## browsers, submitters and a large run at once, on SQLite and on MariaDB with gunicorn and nginx
	@$(PY) bench/load.py $(BENCH)

screenshots: setup-dev ## a picture of every page, those of the guide in docs/screenshots, the others in build/ (needs Chromium)
	@$(PY) -m pytest tests/pages/screenshots.py -n0 -q

chaos: setup-dev ## 200 rounds of faults on each database and executor (goes on where it was stopped), and all slow tests
	@$(PY) -m tests.chaos --nightly $(or $(CHAOS),.run/chaos)
	@$(PY) -m pytest tests -m slow -p no:randomly --timeout 1800 -rP

cluster-up: ## a one-node Grid Engine and Slurm on this machine, for tests (root)
	@deploy/cluster/sge_up
	@deploy/cluster/slurm_up

cluster-down: ## stop them
	@deploy/cluster/slurm_down
	@deploy/cluster/sge_down

lock: setup-dev ## resolve requirements/*.in into hash-locked *.txt
	@deploy/setup/lock.sh

docs: setup-dev ## write docs/openapi.yaml and show where to read
	@$(MANAGE) spectacular --file docs/openapi.yaml --validate
	@echo "Guides: docs/*.md. The API, readable: /api/docs/ on a running server."

clean: ## remove what can be made again (never a Jobmon home)
	@rm -rf build dist *.egg-info staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
