# The menu is `make help`. The work is in `python -m toolchain` and in the tools themselves.

# What a shell with `python -m toolchain env --stack NAME` has chosen holds for make too.
STACK ?= $(or $(PULUMI_STACK),dev)
PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
TOOLCHAIN = $(PYTHON) -m toolchain
TESTS ?= tests
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help up preview revision inspect refresh down url psql test test-long soak examples durations image lint format diagram bench lock status

help: ## Show this menu
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

up: ## From nothing to a migrated PostgreSQL 17; again: only what changed
	@$(TOOLCHAIN) up --stack $(STACK)

preview: ## Show what `make up` would do
	@$(TOOLCHAIN) preview --stack $(STACK)

# As it was typed: with quotes and dollar signs, which neither make nor the shell may touch.
revision: export REVISION_MESSAGE = $(value m)
revision: ## Write what changed in the models as a revision: make revision m="add due date"
	@$(TOOLCHAIN) revision --stack $(STACK) --message="$$REVISION_MESSAGE" $(options)

# As it was typed, as above; the administrator's URL is asked for, or comes from ADMIN_URL.
inspect: export INSPECTED_DATABASE = $(value DATABASE)
inspect: ## Print the configuration that adopts an existing database: make inspect DATABASE=shop
	@$(TOOLCHAIN) inspect --database="$$INSPECTED_DATABASE"

refresh: ## Compare the state with what is really there
	@$(TOOLCHAIN) refresh --stack $(STACK)

down: ## Take everything away again
	@$(TOOLCHAIN) down --stack $(STACK)

url: ## Print the application's URL (with its password)
	@$(TOOLCHAIN) url --stack $(STACK)

psql: ## Open psql as the application
	@$(TOOLCHAIN) psql --stack $(STACK)

test: ## Run the tests, on the real engine and a real PostgreSQL 17
test-long: ## Run those that take longer
test: CHOSEN = not long
test-long: CHOSEN = long
test test-long: test-tools
	@$(PYTEST) -m "$(CHOSEN)" $(TESTS)

MINUTES ?= 30
soak: test-tools ## Let random faults happen to runs, and compare: make soak MINUTES=30 SEED=7
	@.venv/bin/python -m tests.faults --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

examples: export HYPOTHESIS_PROFILE = soak
examples: test-tools ## Look for counterexamples among many more examples; interrupted after an hour
	@timeout --foreground --signal=INT --preserve-status 3600 $(PYTEST) -m hypothesis $(TESTS)

.PHONY: test-tools
test-tools:
	@$(TOOLCHAIN) venv --dev
	@$(TOOLCHAIN) install --plugin postgresql --plugin docker

# Three workers: one of them mostly waits for a server. Longest files first, so that all of them end
# together: tests/schedule.py.
PYTEST = .venv/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 20

durations: export GROUNDWORK_STORE_DURATIONS = 1
durations: ## Measure what each file of tests takes, for the order in which they run
	@$(MAKE) test
	@$(MAKE) test-long

image: ## Have an image of PostgreSQL 17 in Docker for the tests: found, pulled or made
	@$(PYTHON) -m tests.docker

lint: ## Check style, types and workflows
	@$(TOOLCHAIN) venv --dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy .
	@$(TOOLCHAIN) workflows

format: ## Put the code into its form
	@$(TOOLCHAIN) venv --dev
	@.venv/bin/ruff format .

diagram: ## Draw the entity diagram of docs/schema.md from the models
	@$(TOOLCHAIN) venv --dev
	@.venv/bin/python -m docs.diagram

bench: ## Measure against floors: a second `make up`, a history applied, one rendered
	@$(TOOLCHAIN) venv --dev
	@.venv/bin/python -m bench.second_up
	@.venv/bin/python -m bench.apply_history
	@.venv/bin/python -m bench.compile_history

lock: ## Spread the versions of pyproject.toml into the lock files
	@$(TOOLCHAIN) venv --dev
	@$(TOOLCHAIN) lock

status: ## Tell which engine and plugins are used, and why
	@$(TOOLCHAIN) status
