# `make` alone prints this help. Everything runs in .venv, which is made on first use.
PYTHON ?= python3
BIN := .venv/bin
# One thread per test process: the matrices are small, and the processes already share the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal
STAMP := .venv/.installed
BOOK := .venv/.book
AXE := tests/book/node_modules/.package-lock.json

.PHONY: help study study-fast test test-slow doctest lint types format figures certify bench book book-full test-book serve wheel clean

help:  ## show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt constraints-peers.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r constraints-peers.txt
	@touch $@

$(BOOK): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[book]'
	@touch $@

$(AXE): tests/book/package-lock.json
	npm ci --prefix tests/book --no-audit --no-fund
	@touch $@

study: $(STAMP)  ## derive, validate and run: writes results/study/report.html
	$(BIN)/numdiff study --out results/study

study-fast: $(STAMP)  ## the same, reduced to seconds
	$(BIN)/numdiff study --fast --out results/study-fast

test: $(STAMP)  ## the fast test suite
	$(PYTEST)

test-slow: $(STAMP)  ## the tests that take minutes
	$(PYTEST) -m slow

doctest: $(STAMP)  ## the examples of the public objects
	$(PYTEST) --doctest-modules numdiff --ignore=numdiff/runtime/kernel.py

lint: $(STAMP)  ## ruff, and the schemas of the workflows and of CITATION.cff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.citation-file-format CITATION.cff

types: $(STAMP)  ## mypy
	$(BIN)/mypy

format: $(STAMP)  ## apply ruff's formatting and safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

figures: $(STAMP)  ## the figures and tables of analysis/, into results/analysis
	@set -e; for script in analysis/*.py; do $(BIN)/python -m analysis.$$(basename $$script .py) --out results/analysis; done

certify: $(STAMP)  ## the orders of our methods and of everybody's, into results/certification
	@set -e; for package in numdiff diffusers k-diffusion azula torchdiffeq scipy; do \
		$(BIN)/numdiff certify --all $$package --out results/certification/$$package; done

bench: $(STAMP)  ## benchmarks against peers
	$(BIN)/python -m benchmarks

book: $(BOOK)  ## the documentation site, into book/_build/html
	$(BIN)/python -m book.tools.build

book-full: $(BOOK)  ## the same after computing its stored results anew (about an hour)
	$(BIN)/python -m book.tools.build --full

test-book: $(BOOK) $(AXE)  ## the built site in a real browser (needs chromium and npm)
	$(PYTEST) tests/book -m book

serve: $(BOOK)  ## the built site on http://localhost:8000
	$(BIN)/python -m http.server --directory book/_build/html 8000

wheel: $(STAMP)  ## build a wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean:  ## remove the environment, caches and results
	rm -rf .venv build dist results book/_build tests/book/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
