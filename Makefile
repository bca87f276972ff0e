# `make sweep` and `make test` need only Python 3.11 or newer, git and make; `make` alone lists every target.
#
#   PYTHON=python3.12      the Python that .venv is made with
#   TORCH_INDEX_URL=URL    the package index that torch alone is taken from: PyTorch's own, for a CPU or a CUDA build
#   ARGS="--json"          goes to the command behind `sweep`, `ui`, `sanitize` and `audit`

PYTHON ?= python3
TORCH_INDEX_URL ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
LOCK := build/lock
CHECKOV := build/checkov
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install -q --no-compile -c constraints.txt
# Packages are installed without bytecode and get it when first imported; without it every process starts 15 s later.
unexport PYTHONDONTWRITEBYTECODE
TORCH_FROM := $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install dev sweep ui test lint types layers unit sanitize audit policies sbom licences lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile

sweep: $(VENV)/.runtime ## search the traffic sweep's space on this machine, from data to report
	$(BIN)/gatesweep sweep configs/sweeps/traffic.yaml $(ARGS)

ui: $(VENV)/.runtime ## serve the runs of this machine in the MLflow UI
	$(BIN)/gatesweep ui $(ARGS)

test: lint types layers unit ## everything that must hold before a commit

lint: $(VENV)/.dev ## style (ruff)
	$(BIN)/ruff check

types: $(VENV)/.dev ## types (mypy)
	$(BIN)/mypy

layers: $(VENV)/.dev ## rooms import only downward, vendors stay in theirs (import-linter)
	$(BIN)/lint-imports

unit: $(VENV)/.dev ## the tests that need no cluster, browser or service (pytest)
	$(BIN)/pytest -n auto --dist loadfile

sanitize: $(VENV)/.dev ## the native code under AddressSanitizer, UBSan and valgrind (gcc, valgrind)
	$(BIN)/python tests/sanitizers/check.py $(ARGS)

audit: $(VENV)/.dev ## the lock against known vulnerabilities (pip-audit; needs a way to api.osv.dev)
	$(BIN)/python tests/support/audit.py $(ARGS)

policies: $(VENV)/.dev $(CHECKOV)/.installed ## the manifests as kubectl renders them, the Dockerfiles, and secrets in any file (checkov)
	@rm -rf build/rendered && mkdir -p build/rendered
	@for folder in k8s/overlays/* k8s/rayjob k8s/upgrade; do \
	    $(BIN)/kubectl kustomize $$folder > build/rendered/$$(basename $$folder).yaml || exit 1; done
	$(CHECKOV)/bin/checkov --config-file k8s/.checkov.yaml -d build/rendered
	$(CHECKOV)/bin/checkov --framework dockerfile --skip-download --compact --quiet -d docker -d tests/images
	$(CHECKOV)/bin/checkov --framework secrets --skip-download --compact --quiet \
	    -d platform -d jobs -d configs -d docker -d k8s -d tests -d docs

$(CHECKOV)/.installed: tests/supply/checkov.txt
	@rm -rf $(CHECKOV) && mkdir -p build && $(PYTHON) -m venv $(CHECKOV)
	@PIP_CONSTRAINT= $(CHECKOV)/bin/python -m pip --disable-pip-version-check install -q --no-deps -r tests/supply/checkov.txt
	@touch $@

sbom: $(VENV)/.dev ## what .venv is made of, into build/sbom.cdx.json (CycloneDX)
	@mkdir -p build
	$(BIN)/python docker/sbom.py $(VENV) > build/sbom.cdx.json

licences: $(VENV)/.dev ## renew docs/licences.md
	$(BIN)/python tests/support/licences.py > docs/licences.md.new && mv docs/licences.md.new docs/licences.md

install: $(VENV)/.runtime ## .venv with what running needs

dev: $(VENV)/.dev ## .venv with what testing needs

# A stamp is written last, so an installation that was cut short has none. It also leaves .installing behind, and what
# lies half-written in site-packages cannot be trusted: the next call starts over (pip's cache keeps that short).
$(VENV)/.runtime: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: gatesweep needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1); say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "make: $(PYTHON) cannot make a virtual environment; install its venv package (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@rm -f $@ $(VENV)/.dev
	@if [ -e $(VENV)/.installing ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    rm -rf $(VENV) && mkdir $(VENV) && touch $(VENV)/.installing && \
	    echo "installing into $(VENV) (a minute or more, once)" && $(PYTHON) -m venv $(VENV); \
	else touch $(VENV)/.installing; fi
	@$(INSTALL) pip setuptools
	@$(INSTALL) --no-deps $(TORCH_FROM) torch
	@$(INSTALL) --no-build-isolation -e .
	@rm $(VENV)/.installing && touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@rm -f $@ $(VENV)/.runtime && touch $(VENV)/.installing
	@$(INSTALL) --no-build-isolation -e '.[dev]'
	@rm $(VENV)/.installing && touch $(VENV)/.runtime && touch $@

# The newest versions that pyproject.toml admits, with every extra, in an environment of their own. What a CUDA build of
# torch brings along is left to torch's own pins: another build brings other versions of it.
lock: ## renew constraints.txt
	rm -rf $(LOCK) && mkdir -p build && $(PYTHON) -m venv $(LOCK)
	$(LOCK)/bin/python -m pip install -q --upgrade pip setuptools
	$(LOCK)/bin/python -m pip install -q --no-deps $(TORCH_FROM) 'torch>=2.13,<2.14'
	$(LOCK)/bin/python -m pip install -q --no-build-isolation -e '.[s3,cluster,tracking,dev]'
	$(LOCK)/bin/python -m pip check
	{ sed -n '/^#/p' constraints.txt; $(LOCK)/bin/python -m pip freeze --all --exclude-editable \
	    | sed -e 's/+.*//' -e '/^cuda-/d' -e '/^nvidia-/d' | LC_ALL=C sort -f; } > $(LOCK)/constraints.txt
	mv $(LOCK)/constraints.txt constraints.txt && rm -rf $(LOCK)

clean: ## remove .venv and the tools' caches; data/ and .gatesweep/ stay
	rm -rf $(VENV) build dist platform/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
