# Every target sets up what it needs from nothing but Python 3.11+ and make (scripts/setup.sh; again only when the lock,
# pyproject.toml or the folder's place changed). Only relative paths appear here, so the path of the folder may hold spaces.
#
#   make demo                  the whole chain on an invented market, verified
#   make dev [PORT=3000]       the Dagster UI and daemon on this machine only
#   make test                  all tests            make test-quick   without the slow ones
#   make check                 ruff, mypy, import-linter
#   make lock [UPGRADE=1]      rewrite the lock files from pyproject.toml
#
# PYTHON=/path/to/python3.12 chooses the interpreter; ARGS="..." hands more arguments to the command behind a target.

.PHONY: help setup setup-dev demo dev test test-quick check lock
.NOTPARALLEL:
.DEFAULT_GOAL := help
export PYTHON
export UPGRADE

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@sh scripts/setup.sh run

setup-dev:
	@sh scripts/setup.sh dev

demo: setup
	@.venv/bin/throughline demo $(ARGS)

dev: setup
	@.venv/bin/throughline dev $(if $(PORT),--port $(PORT)) $(ARGS)

test: setup-dev
	@.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-quick: setup-dev
	@.venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not slow and not daemon" $(ARGS)

check: setup-dev
	@.venv/bin/ruff check .
	@.venv/bin/lint-imports
	@.venv/bin/mypy

lock: setup-dev
	@sh scripts/lock.sh
