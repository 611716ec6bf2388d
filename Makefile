# `make run` and `make test` set up everything they need; the others need what `make setup` makes.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test setup build lint types docs quick unit contract browser e2e e2e-all chaos chaos-part clean

EXPERIMENT ?= experiments/nginx_ab.yaml
MACHINE ?= debian-12
ARGS ?=

# One thread for each process: two threads on a busy machine mostly wait for each other.
PYTEST := OMP_NUM_THREADS=1 .venv/bin/python -m pytest
# As many processes as there are CPUs; the tests of a file stay together, since they share what is costly to make.
ON_ALL_CPUS := -n auto --dist loadfile
LIBRARY := harness/trace/native/libtrace.so

help: ## these lines
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1|\2/p' Makefile | column -t -s '|'

run: ## run an experiment: EXPERIMENT=experiments/nginx_ab.yaml MACHINE=debian-12 ARGS='--set record.seconds=10'
	@./setup.sh -- .venv/bin/harness run "$(EXPERIMENT)" --machine "$(MACHINE)" $(ARGS)

test: ## everything: lint, types, and all the tests, a real virtual machine included
	@./setup.sh --tests -- $(MAKE) --no-print-directory lint types unit contract browser e2e chaos-part

setup: ## packages, Python environment, libvirt
	@./setup.sh --tests

build: $(LIBRARY) ## compile harness/trace/native if a C file changed

$(LIBRARY): hatch_build.py $(wildcard harness/trace/native/*.[ch])
	.venv/bin/python hatch_build.py

lint: ## style, import directions, shell scripts
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports
	shellcheck setup.sh ansible/*.sh vagrant/boxes/*.sh vagrant/boxes/kernel/*.sh vagrant/boxes/root/usr/local/sbin/*

types: ## the type checker
	.venv/bin/mypy

docs: ## the pages of docs/ as a site in site/, which opens without a server and without network
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet

quick: $(LIBRARY) ## for every edit: style, and the tests that take less than a second each
	.venv/bin/ruff check .
	$(PYTEST) $(ON_ALL_CPUS) -q -m "not slow" tests/unit

unit: $(LIBRARY) ## tests that need no machine (3 minutes)
	$(PYTEST) $(ON_ALL_CPUS) tests/unit

contract: $(LIBRARY) ## every implementation behind a seam passes the same tests
	$(PYTEST) $(ON_ALL_CPUS) tests/contract

browser: $(LIBRARY) ## the report in a real browser
	$(PYTEST) tests/browser

e2e: $(LIBRARY) ## a real virtual machine, from the experiment file to the report (minutes)
	$(PYTEST) -m "not long" tests/e2e

e2e-all: $(LIBRARY) ## what takes many more minutes on a real virtual machine: every load, and kernels of other suites and packages
	$(PYTEST) -m long tests/e2e

chaos: $(LIBRARY) ## damage every file, kill every command and real campaigns, for an hour; writes docs/reliability.md
	OMP_NUM_THREADS=1 .venv/bin/python tests/chaos/chaos.py --out docs/reliability.md

chaos-part: $(LIBRARY) ## six minutes of it, without a machine
	OMP_NUM_THREADS=1 .venv/bin/python tests/chaos/chaos.py --minutes 6 --inputs 90000 --campaigns 0

clean: ## remove the environment and what tools cached here; boxes and runs stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist site *.egg-info $(LIBRARY)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
