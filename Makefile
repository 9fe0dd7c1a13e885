# Everything runs in .venv, which the first target that needs it makes. Only Python 3.11 or newer and make are needed.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= 3
# In the order of the folders: those that start servers are the longest, and would leave workers idle at the end.
PYTEST := -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit integration acceptance chaos lint format bench docs lock clean

help:  ## Show what can be made
	@grep -E '^[a-z]+:.*  ## ' $(MAKEFILE_LIST) | awk -F ':.*  ## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY)  ## Make .venv with everything in it

$(READY): requirements.lock demo/requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "installing what is locked"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r demo/requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY)  ## Run the main job end to end with embedded servers, and stop them
	@$(BIN)/python -m demo

test: $(READY)  ## Run all tests
	@$(BIN)/python $(PYTEST)

unit integration acceptance chaos: $(READY)
	@$(BIN)/python $(PYTEST) tests/$@

unit:  ## Run the tests that need no server
integration:  ## Run the tests against real engines
acceptance:  ## Run the tests through the command line and HTTP
chaos:  ## Run the tests that kill and cut

lint: $(READY)  ## Check style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q . || { echo "run: make format"; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)  ## Format the code
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check --fix -q .

bench: $(READY)  ## Measure against the raw drivers and peers; prints ratios
	@$(BIN)/python -m benchmarks

docs: $(READY)  ## Generate docs/reference and docs/diagrams from live databases
	@$(BIN)/python -m docs.generate

lock: $(READY)  ## Resolve the dependencies anew (needs uv)
	uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-package prismicx --no-emit-index-url -o requirements.lock
	uv pip compile -q demo/requirements.in --no-deps --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url -o demo/requirements.lock

clean:  ## Remove .venv and caches; data directories stay
	rm -rf .venv .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
