# Needs Python 3.11 or newer, git and make; everything else is set up here. `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
RUN := $(VENV)/bin/python
LOCAL := $(VENV)/.local-installed
DEV := $(VENV)/.dev-installed

# Extra words for pytest, e.g. `make test ARGS="tests/unit -x"`.
ARGS ?=

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(LOCAL) ## the whole bus on this machine, with a pilot to look at (PILOT=once: stop after it)
	@$(RUN) -m cli.main pilot

.PHONY: test
test: $(DEV) ## all tests; starts the broker and the database they need (ARGS="tests/unit -x")
	@$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: check
check: $(DEV) ## formatting, lint, types, the rules of the house, generated files
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m contracts.export --check
	$(RUN) -m tests.levensloop.tabel --check

.PHONY: chaos
chaos: $(DEV) ## kills what can be killed and counts what was lost
	@$(RUN) -m pytest tests/chaos $(ARGS)

.PHONY: test-deploy
test-deploy: $(DEV) ## the stack in containers: a trial, a roll, an upgrade, every alert; writes build/deploy.json
	@$(RUN) -m pytest tests/stack -n 2 --dist loadfile $(ARGS)

.PHONY: bench
bench: $(DEV) ## how fast, beside what else one could have written; writes build/bench.json
	@$(RUN) -m tests.performance $(ARGS)

.PHONY: clean-run
clean-run: $(LOCAL) ## forgets .run/: queues, databases, mail, logs; refuses while it is in use
	@$(RUN) -m deploy.local.forget .run

LOCK := pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate pyproject.toml

.PHONY: lock
lock: $(RUN) ## remakes the three lock files from pyproject.toml (ARGS=--upgrade for newer versions)
	@command -v uv >/dev/null || test -x $(VENV)/bin/uv || $(RUN) -m pip install --quiet uv
	PATH="$$PATH:$(VENV)/bin" uv $(LOCK) $(ARGS) --output-file requirements.lock
	PATH="$$PATH:$(VENV)/bin" uv $(LOCK) $(ARGS) --extra local --output-file requirements-local.lock
	PATH="$$PATH:$(VENV)/bin" uv $(LOCK) $(ARGS) --extra dev --output-file requirements-dev.lock

# --- set-up ----------------------------------------------------------------------------------------------

SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

$(RUN):
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
		if "$$python" -c '$(SUITABLE)' 2>/dev/null; then \
			echo "Making a virtual environment in $(VENV) with $$("$$python" --version) ..."; \
			exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "Needed: Python 3.11 or newer with its venv module. On Debian and Ubuntu:" \
		"apt-get install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3." >&2; \
	exit 1

# One dot a package; pip's errors come through as they are.
define install
	@echo "Installing $$(grep -c '==' $<) packages from $< into $(VENV), about a minute ..."
	@$(RUN) -m pip install --disable-pip-version-check --no-input --progress-bar off \
		--only-binary :all: --require-hashes -r $< \
		| awk '/^(Collecting|Requirement already)/ { printf "." } /^Installing/ { printf " unpacking" } \
			{ fflush() } END { print "" }'
endef

$(LOCAL): requirements-local.lock | $(RUN)
	$(install)
	@touch $@

# A superset of the local lock, with the same versions.
$(DEV): requirements-dev.lock | $(RUN)
	$(install)
	@touch $(LOCAL) $@
