# One command per wish. Each sets up .venv from nothing; constraints.txt pins what the tests ran with.
#   make demo      watch a residual network learn from real pictures, in about a minute
#   make docs      the site of executed pages, English and Korean, in docs/_build/html (docs-live serves it here)
#   make test      the default suite, JOBS processes of one thread each, 2 unless told (TESTS="tests/nets -k shortcut" narrows it)
# TORCH_INDEX picks another build of torch, for example the one without CUDA:
#   make demo TORCH_INDEX=<the index of CPU builds that pytorch names>

PYTHON ?= python3
TORCH_INDEX ?=
TESTS ?=
JOBS ?= 2
MUTANTS ?=
VERSION ?= latest
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help demo test lint types bench docs docs-live docs-slow golden mutants vendor wheel clean

help:
	@sed -n 's/^#   make/make/p' Makefile
	@echo "also: make lint types bench docs-live docs-slow golden mutants vendor wheel clean"

demo:
	@echo "reslearn demo: a residual network, 1,797 real handwritten digits, about a minute once installed"
	@$(MAKE) --no-print-directory $(VENV)/core
	@$(BIN)/reslearn demo

test: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -r fEs $(TESTS)

lint: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/dev
	$(BIN)/mypy

bench: $(VENV)/dev
	@set -e; for run in train_throughput.py "data.py crops" "data.py resident" report_open.py; do \
	  echo "== benchmarks/$$run"; $(BIN)/python benchmarks/$$run; done

docs: $(VENV)/docs
	PYTHONPATH=docs $(BIN)/python -m sitebuild build

docs-live: $(VENV)/docs
	PYTHONPATH=docs $(BIN)/python -m sitebuild live

docs-slow: $(VENV)/dev
	$(BIN)/python tests/docs/console_blocks.py README.md docs/en

golden: $(VENV)/dev
	RESLEARN_REWRITE_GOLDEN=1 $(BIN)/python -m pytest tests -k golden

mutants: $(VENV)/dev
	$(BIN)/python tests/mutants.py --jobs $(JOBS) $(MUTANTS)

# The onnxruntime-web inside the package, which `export --to html` puts into its files: from npm, checked and gzipped.
vendor: $(VENV)/dev
	$(BIN)/python tests/report/vendor_runtime.py $(VERSION)

# Does the wheel alone hold everything? In an environment of its own, away from the checkout. Without an index, SITE names
# a folder of installed packages (an environment's site-packages) to take the dependencies from.
wheel: $(BIN)/python
	@rm -rf build dist
	@$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps $(if $(SITE),--no-build-isolation) -w dist .
	@$(PYTHON) -m venv build/alone
	@build/alone/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt \
		$(if $(SITE),--no-deps,$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))) dist/*.whl
	@$(if $(SITE),echo "$(SITE)" > $$(build/alone/bin/python -c 'import site; print(site.getsitepackages()[0])')/others.pth)
	@set -e; alone=$(CURDIR)/build/alone/bin; cd "$$(mktemp -d)"; unset PYTHONPATH; \
	picture=$$($$alone/python -c 'import sklearn.datasets as d; print(d.__path__[0] + "/images/flower.jpg")'); \
	for command in "show resnet50" demo "predict runs/demo $$picture" "paper show p1-table2"; do \
	  echo "== reslearn $$command"; $$alone/reslearn $$command; done; \
	rm -rf "$$PWD"; echo "the wheel is whole: $$(ls $(CURDIR)/dist)"

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "reslearn needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# Stamps: the install is done again only when what it depends on has changed.
$(VENV)/core: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing reslearn; torch is the largest part, a few minutes on a slow line"
	@$(PIP) -e .
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing reslearn and its tools; torch is the largest part, a few minutes on a slow line"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/core

$(VENV)/docs: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing reslearn and what its pages are made with; torch is the largest part, a few minutes on a slow line"
	@$(PIP) -e '.[docs]'
	@touch $@ $(VENV)/core
