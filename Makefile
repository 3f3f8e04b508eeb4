# Two commands are enough: `make demo` and `make test`. Both set up .venv first, once.
PYTHON := .venv/bin/python
SET_UP := .venv/set-up

.PHONY: help setup demo test lint assure bench fuzz docs lock clean
.DEFAULT_GOAL := help

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1@/p' $(MAKEFILE_LIST) | column -t -s '@' 2>/dev/null || \
	sed -n 's/^\([a-z]*\):.*## /make \1: /p' $(MAKEFILE_LIST)

$(SET_UP): pyproject.toml $(wildcard requirements/*.lock) tools/setup
	@tools/setup

setup: ## make .venv; say it again after installing the PC/SC packages
	@tools/setup

demo: $(SET_UP) ## the purse from personalization to lock-out, in process
	@.venv/bin/saifu demo

test: lint ## lint, then every test
	@$(PYTHON) -m pytest -n auto

lint: $(SET_UP) ## ruff and mypy --strict
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy

assure: $(SET_UP) ## try what the tests try in part, whole: losses of power, copies of the center put back
	@$(PYTHON) -m tests.host.power_loss
	@SAIFU_ASSURE=1 $(PYTHON) -m pytest -q -p no:xdist tests/center/test_copies.py

bench: $(SET_UP) ## measure; the figures go to build/bench.json
	@mkdir -p build
	@$(PYTHON) -m tests.bench

fuzz: $(SET_UP) ## fuzz the readers of traces, for an hour or two; figures go to build/fuzz.json
	-@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.lock
	@$(PYTHON) -m tests.fuzz

docs: $(SET_UP) ## write the reference tables and diagrams again
	@$(PYTHON) -m saifu.documents

# Hashes only: no index, no path. The pcsc lock is held to the versions of the dev lock.
LOCK := uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-annotate --universal \
	--python-version 3.11 --custom-compile-command "make lock"

lock: ## resolve the dependencies again (needs uv)
	@$(LOCK) --group build --output-file requirements/build.lock
	@$(LOCK) --group dev --output-file requirements/dev.lock pyproject.toml
	@$(LOCK) --group fuzz --output-file requirements/fuzz.lock
	@$(LOCK) --extra pcsc --group interop --constraints requirements/dev.lock --output-file requirements/pcsc.lock pyproject.toml

clean: ## remove .venv and everything that was made
	@rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis saifu.egg-info
