# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
# A pair of local servers for one command, so that checks never look at anybody's data.
EPHEMERAL := $(BIN)/python -m config.services run --ephemeral --
SCHEMA := docs/openapi.json
RECORDS ?= 100000
CASES ?= 5000

.DEFAULT_GOAL := help
.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.installed: requirements/uv.txt requirements/dev.txt .ci/environment
	@.ci/environment $(PYTHON) $(VENV)
	@touch $@

.PHONY: setup
setup: $(VENV)/.installed ## Make the virtual environment from the locked, hashed requirements

.PHONY: demo
demo: setup ## Connect a real ERP on this machine and sync it; ONCE=1 stops when it is synced
	@$(MANAGE) demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

.PHONY: run
run: setup ## Run web, workers and tick with local PostgreSQL and Valkey; PORT=8000
	@$(MANAGE) run $(if $(PORT),--port $(PORT))

.PHONY: test
test: setup ## All tests, or one part: SUITE=unit, contract, chaos, tenancy, fuzz, canary or browser
	@.ci/tests $(SUITE)

.PHONY: chaos
chaos: setup ## The tests that kill, freeze and cut real processes; SUITE=operations, webhooks or flows: 1,000 writes, 10,000 events, 500 runs
	@$(if $(SUITE),$(or $(CHAOS_$(SUITE)),$(error There is no chaos suite $(SUITE): leave SUITE out, or operations, webhooks or flows)),.ci/tests chaos)

CHAOS_operations = $(EPHEMERAL) $(BIN)/python -m tests.chaos.operations.run
CHAOS_webhooks = $(EPHEMERAL) $(BIN)/python -m tests.chaos.webhooks.run
CHAOS_flows = $(EPHEMERAL) $(BIN)/python -m tests.chaos.flows.run

.PHONY: fuzz
fuzz: setup ## schemathesis against the API, no 5xx may come; CASES=5000, SEED=... repeats a run; SUITE=expressions: 10,000 hostile expressions of flows
	@$(if $(SUITE),$(or $(FUZZ_$(SUITE)),$(error There is no fuzz suite $(SUITE): leave SUITE out, or expressions)),$(BIN)/python -m tests.fuzz --cases $(CASES)) $(if $(SEED),--seed $(SEED))

FUZZ_expressions = $(BIN)/python -m tests.fuzz.expressions --cases $(if $(filter file,$(origin CASES)),10000,$(CASES))

.PHONY: check
check: static test ## All of CI: static checks, then all tests

.PHONY: static
static: setup ## Style, types, imports between rooms, missing migrations, the published API schema
	@echo "ruff"; $(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@echo "mypy"; $(BIN)/mypy --no-error-summary .
	@echo "imports"; $(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@echo "migrations"; $(EPHEMERAL) $(MANAGE) makemigrations --check --dry-run
	@echo "API schema"; $(call write_schema,$(VENV)/openapi.json)
	@diff -u $(SCHEMA) $(VENV)/openapi.json || { echo "$(SCHEMA) is old: run make schema and commit it."; exit 1; }

write_schema = $(EPHEMERAL) $(MANAGE) spectacular --format openapi-json --validate --fail-on-warn --file $(1)
.PHONY: schema
schema: setup ## Renew docs/openapi.json
	@$(call write_schema,$(SCHEMA))

.PHONY: bench
bench: setup ## Measure speed beside a plain script and plain Django; RECORDS=100000; SUITE=operations: writes meanwhile; SUITE=webhooks: deliveries; SUITE=screens: pages; SUITE=remap: new mappings; SUITE=waiting: runs of flows
	@RECORDS=$(RECORDS) $(if $(SUITE),$(or $(BENCH_$(SUITE)),$(error There is no benchmark $(SUITE): leave SUITE out, or operations, webhooks, screens, remap or waiting)),$(BIN)/python -m benchmarks.run)

BENCH_operations = $(BIN)/python -m benchmarks.operations
BENCH_webhooks = $(BIN)/python -m benchmarks.webhooks
BENCH_waiting = $(EPHEMERAL) $(BIN)/python -m benchmarks.waiting
BENCH_remap = $(BIN)/python -m benchmarks.remap
BENCH_screens = $(EPHEMERAL) $(BIN)/python -m benchmarks.screens

UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11
.PHONY: lock
lock: setup ## Renew requirements/*.txt (pass UPGRADE=--upgrade for newer versions)
	$(UV_COMPILE) $(UPGRADE) pyproject.toml -o requirements/base.txt
	$(UV_COMPILE) $(UPGRADE) pyproject.toml --all-extras -c requirements/base.txt -o requirements/stores.txt
	$(UV_COMPILE) $(UPGRADE) pyproject.toml --group dev -c requirements/base.txt -o requirements/dev.txt
	$(UV_COMPILE) $(UPGRADE) requirements/tryton.in -o requirements/tryton.txt

.PHONY: clean
clean: ## Remove what can be made again, the virtual environment included; data and caches elsewhere stay
	@rm -rf $(VENV) staticfiles test-results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
