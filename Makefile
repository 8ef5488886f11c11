# Everything here runs with Python 3.11 or newer and make alone; what else is needed is installed on the way, and said.
# `make up PLAN=1` only says it. docs/install.md has the variables.

PYTHON ?= python3
UP := $(PYTHON) -m supervise.up
DIR ?= evidence

.DEFAULT_GOAL := help
.PHONY: help up scale down images evidence test ci-long guarantees lint unit e2e conformance torture bench-ship bench-capture bench-search

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

up: ## from a bare machine to a healthy fleet (NODES=2 PLAN=1 HTTP_PORT=80 STATS_PORT=1936 ADMIN_PORT=9999 VIEWER_PORT=8080)
	@$(UP) up

scale: ## change the number of web nodes (NODES=5)
	@$(UP) scale

down: ## leave nothing running (VOLUMES=1: no volume and no image either)
	@$(UP) down

images: ## build the images and print their sizes
	@$(UP) images

evidence: ## walk the lab's tasks on the running fleet and write the report (DIR=evidence)
	@.venv/bin/supervise evidence $(DIR)

test: ## set up all that is needed, then lint, unit and end-to-end tests: what CI runs
	@$(UP) test

ci-long: ## the long forms of the tests, up to an hour
	@$(UP) long

guarantees: ## run every test of the catalogue of cases, write docs/guarantees.md (ARGS="tests/logship/ship" runs those alone)
	@$(UP) images
	@$(UP) tools
	@.venv/bin/python -m tests.catalogue.guarantees $(ARGS)

lint: ## ruff and mypy
	@$(UP) lint

unit: ## the tests that need no engine (ARGS="-k word" goes to pytest)
	@$(UP) unit

e2e: ## the tests on real containers (ARGS likewise)
	@$(UP) e2e

conformance: ## the public suite of the Durable Streams protocol against the collector, ship against its reference server (needs Node and npm)
	@$(UP) tools
	@.venv/bin/python tests/conformance/run.py
	@LOGSHIP_TEST_REFERENCE=1 .venv/bin/python -m pytest -q tests/conformance/test_reference_server.py

bench-ship: ## how fast logs are delivered, beside a plain copy, rsyslog and syslog-ng (ARGS="--quick", "--parts one,latency")
	@$(UP) tools
	@.venv/bin/python -m bench.ship $(ARGS)

bench-capture: ## what logging through spool and ship costs HAProxy, beside logging to a file (ARGS="--quick")
	@$(UP) images
	@$(UP) tools
	@LOGSHIP_IMAGES=$(or $(LOGSHIP_IMAGES),$(PROJECT),logship) .venv/bin/python -m bench.capture $(ARGS)

bench-search: ## how fast what is stored is found, beside ripgrep, awk and plain DuckDB (LINES=200000 ARGS="--parts seal,search --keep")
	@$(UP) tools
	@.venv/bin/python -m bench.search $(if $(LINES),--lines $(LINES)) $(ARGS)

torture: ## spool, ship and collect in simulated worlds where everything goes wrong (SEEDS=20000 SEED=17 MUTATION="no digest check")
	@$(UP) tools
	@.venv/bin/python -m tests.sim --seeds $(or $(SEEDS),20000) $(if $(SEED),--seed $(SEED)) $(if $(MUTATION),--mutation "$(MUTATION)")
