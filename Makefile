# make demo    the whole way through on a disposable server on this machine
# make test    all tests but the scenarios of roles that a whole school has; the closing line says how many passed
# make test-roles    every scenario of every role (molecule)
# make lint    ruff, mypy, yamllint, ansible-lint, shellcheck
# make bench   what a run costs, side by side
# make clean   remove the lab, the Python environment and everything that was built
#
# Each target installs what it needs (Debian 12 or 13, Ubuntu; Python 3.11 to 3.13; root or sudo) and reuses what is there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.SILENT:

VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# An installation that was broken off may have left packages without their programs: the next one does all of it again.
INSTALL = again=$$(test ! -e $(VENV)/.unfinished || echo --force-reinstall); touch $(VENV)/.unfinished; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off $$again
RELEASE ?= bookworm
# Arguments for pytest, or for the benchmark: make test ARGS="tests/unit -k school", make bench ARGS=audit
ARGS ?=

# The roles' own programs on servers, which have no .py.
PROGRAMS = $(shell git grep -l '^\#!/usr/bin/python3' -- 'roles/*/files/*')

.PHONY: help demo test test-roles lint bench clean system system-test
help:
	sed -n 's/^# //p' Makefile | head -6

system:
	sh provision/lab/setup.sh

system-test:
	sh provision/lab/setup.sh test

# The stamps name what the environment was made from: a changed pyproject.toml makes it anew, nothing else does.
$(VENV)/.runtime: pyproject.toml | system
	sh provision/lab/python.sh $(VENV)
	echo "Installing provision and what it needs into $(VENV) (about a minute the first time)"
	$(INSTALL) --editable '.[fast]'
	rm $(VENV)/.unfinished
	touch $@

$(VENV)/.complete: $(VENV)/.runtime | system-test
	echo "Installing the tools for tests and lint into $(VENV)"
	$(INSTALL) --editable '.[fast,test,lint]'
	# An independent implementation of the log's formats. It says that it needs Python 3.12, and works with 3.11 as well.
	$(INSTALL) --no-deps --ignore-requires-python aics-tlog==0.2.1
	rm $(VENV)/.unfinished
	touch $@

demo: $(VENV)/.runtime
	provision demo --release $(RELEASE)

# Four groups at a time: much of a test on a lab server is waiting. What shares a server stays together (tests/conftest.py).
test: $(VENV)/.complete
	pytest -n 4 --durations 15 $(ARGS)

test-roles: $(VENV)/.complete
	PROVISION_TEST_SCENARIOS=every pytest -n 4 --durations 15 tests/roles $(ARGS)

lint: $(VENV)/.complete
	echo "ruff"; ruff check . $(PROGRAMS); ruff format --check . $(PROGRAMS)
	echo "mypy"; mypy
	MYPYPATH=roles/base/files:roles/bigbluebutton/files:roles/jitsi/files mypy --scripts-are-modules $(PROGRAMS)
	echo "yamllint"; yamllint --strict .
	echo "ansible-lint"; ansible-lint --strict
	echo "shellcheck"; git ls-files '*.sh' .ci/run | xargs shellcheck
	echo "lint: clean"

$(VENV)/.bench: $(VENV)/.complete
	echo "Installing ARA, to compare with, into $(VENV)"
	$(INSTALL) --editable '.[fast,test,lint,bench]'
	rm $(VENV)/.unfinished
	touch $@

bench: $(VENV)/.bench
	python -m tests.bench $(ARGS)

clean:
	if [ -x $(BIN)/provision ]; then provision lab down --all; fi
	rm -rf $(VENV) .lab .mypy_cache .ruff_cache .pytest_cache .hypothesis .ansible dist build
	rm -rf inventories/demo/{.state,.schema,audit,runs,secrets,support,ca,known_hosts,artifacts.lock}
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
