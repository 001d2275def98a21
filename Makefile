# Everything runs from .venv, which the first target that needs it makes. Python 3.11+ and make suffice.
#   make PYTHON=python3.12 ...   chooses another interpreter
#   make test ARGS="-n 0 -k plan"   hands arguments to pytest (and to bench, and to demo)

SHELL := /bin/sh
.SHELLFLAGS := -ec
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start s3plan hundreds of times: compiled once, as pip would have, not at every start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: venv
venv: $(READY) ## make .venv and install the pinned dependencies (every other target does it too)

.PHONY: demo
demo: $(READY) ## see it work: plan, review, apply, gates, status and rollback on an S3 server of its own
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/s3plan demo $(ARGS)

.PHONY: test
test: $(READY) ## run the tests (about five minutes on two cores; a file's tests stay together)
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-long
test-long: $(READY) ## variations and whole ways that take seconds each (three minutes; CI runs them too)
	@$(BIN)/python -m pytest -n 4 -m long $(ARGS)

.PHONY: test-load
test-load: $(READY) ## throttling servers, ceilings on requests, bandwidth and memory (some minutes)
	@$(BIN)/python -m pytest tests/faults tests/views tests/layout tests/offline tests/scale -m load $(ARGS)

.PHONY: test-crash
test-crash: $(READY) ## kill s3plan everywhere, a thousand times, and cut the power (about half an hour)
	@$(BIN)/python -m pytest -m crash tests/crash $(ARGS)

.PHONY: test-dask
test-dask: $(READY) ## the runner dask with its processes killed one by one, and how it scales (a quarter of an hour)
	@$(BIN)/python -m pytest -n 0 -m "dask or long" tests/runners $(ARGS)

.PHONY: test-disk
test-disk: $(READY) ## failing disks, locks, leases and mirrors in every variation (some minutes; root may mount)
	@$(BIN)/python -m pytest -m "disk or not disk" tests/disk tests/locks $(ARGS)

.PHONY: test-large
test-large: $(READY) ## an object of 6 GiB there and back, with the real limits (minutes; 25 GiB of disk)
	@$(BIN)/python -m pytest -s -m large tests/large $(ARGS)

.PHONY: test-rgw
test-rgw: $(READY) ## the tests that need Ceph's S3 gateway; fails where radosgw is not installed
	@$(BIN)/python -m pytest -m rgw $(ARGS)

.PHONY: test-races
test-races: $(READY) ## who wins of two conditional writers on moto, SeaweedFS and Ceph (minutes; needs radosgw)
	@$(BIN)/python -m pytest -n 0 -m "load or rgw" tests/layout/test_bare_races.py $(ARGS)

.PHONY: test-browser
test-browser: $(READY) ## the HTML page in Chromium; fails where chromium and chromedriver are not installed
	@$(BIN)/python -m pytest -n 0 -m browser tests/browser $(ARGS)

.PHONY: fuzz
fuzz: $(READY) ## search the readers of manifests, plans, journals and catalogues with atheris (FUZZ_SECONDS=60 each)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
	  $(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[fuzz]'
	@$(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: test-search
test-search: $(READY) ## look for new examples against the properties (some minutes)
	@$(BIN)/python -m pytest -n 4 -m hypothesis --hypothesis-profile=search --timeout=600 $(ARGS)

.PHONY: check
check: $(READY) ## formatting, lint, types, layers, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate.py --check

.PHONY: format
format: $(READY) ## format the code and mend what lint can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: generate
generate: $(READY) ## write schemas/ and the generated pages of docs/
	$(BIN)/python tools/generate.py

.PHONY: bench
bench: $(READY) ## measure s3plan beside s5cmd, rclone and aws (an hour; ARGS="--cases list" for one case)
	@test -x $(BIN)/aws || \
	  $(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: bench-growth
bench-growth: $(READY) ## plot time and memory against the number of objects (half an hour; 10 GiB of /dev/shm)
	@$(BIN)/python -c 'import matplotlib' 2>/dev/null || \
	  $(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[bench]'
	@$(BIN)/python -m benchmarks.growth plan $(ARGS)
	@$(BIN)/python -m benchmarks.growth apply $(ARGS)

.PHONY: lock
lock: ## ask the resolver again and rewrite constraints.txt
	@$(PYTHON) tools/lock.py

.PHONY: clean
clean: ## remove .venv and every cache
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made again when a dependency changes, otherwise left alone: a second run of any target is quick.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "s3plan needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv || { \
	  echo "$(PYTHON) cannot make virtual environments (on Debian and Ubuntu: apt install python3-venv)." >&2; \
	  exit 1; }
	@echo "Installing the pinned dependencies into .venv (once; about a minute) ..." >&2
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $@
