# `make run` and `make test` work from a fresh clone; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install run demo test test-fast lint coverage docs bench clean

PYTHON ?= python3
VENV := .venv
STAMPS := $(VENV)/.stamps
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq
# The environment of env.sh: this clone's Python first, and an AiiDA configuration inside the clone.
ENV := source ./env.sh &&

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMPS)/package $(STAMPS)/plugin  ## system packages, .venv with the engines, LAMMPS pair style (skips what is done)

run: install  ## set up the profile, then crystal -> conductivity with the quickstart protocol
	@$(ENV) aiida-ionconduct setup
	@$(ENV) verdi run submit_conductivity.py --protocol quickstart

demo: packages := analysis
demo: $(STAMPS)/analysis  ## show the campaign whose archive is in examples/lisicon: table, and page in results/ (no engines)
	@$(ENV) scripts/demo.sh examples/lisicon results

# Tests kill PostgreSQL, RabbitMQ, sshd, Slurm, workers and jobs: in the short form, the full form (FAULTS=full), or not at all (FAULTS=).
FAULTS ?= short
# The coverage by the unit tests is measured and printed; without it (COVERAGE=) they take some minutes less.
COVERAGE ?= --cov --cov-report=
test: packages := test $(if $(FAULTS),services)
test: lint docs $(STAMPS)/tests  ## lint, the documentation and every test, real engines included; prints the coverage by the unit tests
	@$(ENV) status=0; rm -f .coverage .coverage.*; \
	python -m pytest -m 'not integration' --numprocesses 2 $(COVERAGE) || status=1; \
	IONCONDUCT_FAULTS=$(FAULTS) python -m pytest -m integration --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations=25 || status=1; \
	$(if $(COVERAGE),python scripts/coverage_report.py;) exit $$status

test-fast: lint $(STAMPS)/tests  ## lint and the unit tests, without the slow ones
	@$(ENV) python -m pytest -m 'not integration and not slow' --numprocesses 2

lint: install $(STAMPS)/lint  ## ruff and mypy
	@$(ENV) ruff check . && ruff format --check . && mypy --no-error-summary

coverage: $(STAMPS)/tests  ## print the coverage of the last `make test` again
	@$(ENV) python scripts/coverage_report.py

docs: install $(STAMPS)/docs  ## the documentation, in docs/_build/html
	@$(ENV) python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo 'Written: docs/_build/html/index.html'

bench: packages := test services
bench: install $(STAMPS)/bench  ## every script of benchmarks/
	@$(ENV) for script in benchmarks/*.py; do echo "== $$script"; python "$$script"; done

clean:  ## stop this clone's daemon and remove everything `make` built, results included
	@if [ -x $(BIN)/verdi ] && [ -e .aiida/config.json ]; then $(ENV) verdi daemon stop --timeout 60 || true; fi
	@for path in .venv .aiida .cache .run build results docs/_build docs/reference/apidoc .pytest_cache .ruff_cache .mypy_cache .hypothesis \
	        .coverage .coverage.* *.egg-info aiida_ionconduct/*/*.c aiida_ionconduct/*/*.so aiida_ionconduct/*/*/*.so; do \
	    if [ -e "$$path" ]; then echo "removing $$path"; rm -rf -- "$$path"; fi; done

# ---- The steps of `install`. A stamp is newer than what it was made from, so a second call does nothing.

# Checked every time, which takes half a second: programs on PATH, Python's version, its headers.
.PHONY: system
packages := run
system:
	@PYTHON=$(PYTHON) scripts/system_packages.sh $(packages)

# The pip that comes with Python 3.10 and 3.11 fails on these dependencies with an internal assertion.
$(STAMPS)/pip: | system
	@echo 'Virtual environment: .venv'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade pip
	@mkdir -p $(STAMPS) && touch $@

# torch goes first, pinned: what is found later must not draw another one.
$(STAMPS)/package: $(STAMPS)/pip setup.cfg setup.py pyproject.toml $(wildcard aiida_ionconduct/*/*.pyx)
	@echo 'Python packages: aiida-ionconduct with its engines (some minutes the first time)'
	@$(PIP) "$$(grep -o 'torch==[0-9.]*' setup.cfg)"
	@$(PIP) --editable '.[engines]'
	@touch $@

# What reads and analyses results, without the engines: a minute instead of ten.
$(STAMPS)/analysis: $(STAMPS)/pip setup.cfg setup.py pyproject.toml $(wildcard aiida_ionconduct/*/*.pyx)
	@echo 'Python packages: aiida-ionconduct without engines'
	@$(PIP) --editable .
	@touch $@

$(STAMPS)/plugin: $(STAMPS)/package $(wildcard aiida_ionconduct/lammps/plugin/*.cpp aiida_ionconduct/lammps/plugin/*.h aiida_ionconduct/lammps/plugin/*.py)
	@$(ENV) python -m aiida_ionconduct.lammps.plugin.build
	@touch $@

# The package is installed already, so pip adds only what the extra asks for.
$(STAMPS)/tests $(STAMPS)/lint $(STAMPS)/docs $(STAMPS)/bench: $(STAMPS)/package
	@$(PIP) 'aiida-ionconduct[$(@F)]'
	@touch $@
