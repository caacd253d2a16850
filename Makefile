# Everything that a reader, an author or CI runs. `make help` lists it.
# Needs Python 3.11 or later, git and make; no root, nothing outside this folder.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
CORPUS := _build/corpus/.built
CORPUS_SOURCES := $(shell find corpus agentops_ref/apps/fjordvarm -type f -not -name '*.pyc' 2>/dev/null)
# make book MODE=live runs every notebook on the live model
MODE ?=
# make bench PUBLISH=1 and make faults PUBLISH=1 keep what they find for the book's pages
RESULTS := $(if $(PUBLISH),benchmarks/results,_build/bench)
BOOK := $(if $(MODE),AGENTOPS__MODELS__MODE=$(MODE)) $(PY) -m agentops_ref.apps.book

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install corpus book student test check fix live bench faults record clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv with the pinned versions

# The stamp is written last: an interrupted installation does not count as one.
$(INSTALLED): constraints.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; none was found" >&2; exit 1; }
	@rm -f $@
	@$(PY) -c 'import pip' 2>/dev/null || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV); the first time takes half a minute with uv, some four with pip"
	@uv=$$(command -v uv || { $(PY) -m pip install -q -c constraints.txt uv >/dev/null 2>&1 \
	  && echo $(VENV)/bin/uv; }); \
	if test -n "$$uv" && "$$uv" pip install -q --python $(PY) -c constraints.txt -e '.[all]'; then :; \
	else echo "Going on with pip"; \
	  $(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[all]'; fi
	@touch $@

corpus: $(CORPUS) ## write the running case's documents and tables to _build/corpus

$(CORPUS): $(INSTALLED) $(CORPUS_SOURCES)
	$(VENV)/bin/agentops corpus build
	@mkdir -p $(@D) && touch $@

book: $(INSTALLED) $(CORPUS) ## execute the notebooks and render the book (MODE=live: on the live model)
	@$(BOOK) build

student: $(INSTALLED) ## write the notebooks without their solutions to _build/student
	@$(BOOK) student

test: $(INSTALLED) ## run the whole test suite, warnings as errors
	$(PY) -m pytest -n 2 --dist worksteal

check: $(INSTALLED) ## lint, types, layers, notebooks without outputs; under a minute
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest -q tests/test_layers.py
	@$(BOOK) hygiene

fix: $(INSTALLED) ## format the code and strip the notebooks
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	@$(BOOK) hygiene --fix

live: $(INSTALLED) $(CORPUS) ## fetch the weights, run a notebook on the live model, compare recordings
	$(VENV)/bin/agentops models pull
	$(PY) -m pytest --nbmake --nbmake-timeout=900 tests/notebooks
	$(VENV)/bin/agentops record verify --sample 5

bench: $(INSTALLED) $(CORPUS) ## measure; each benchmarks/*.py writes to _build/bench (PUBLISH=1: for the book)
	@uv=$$(command -v uv || echo $(VENV)/bin/uv); mkdir -p $(RESULTS); \
	if ! "$$uv" pip install -q --python $(PY) -c constraints.txt -e '.[bench]'; then \
	  $(PY) -m pip install -q -c constraints.txt -e '.[bench]'; fi; \
	inference=$$(grep '^unstructured-inference==' constraints.txt); \
	"$$uv" pip install -q --python $(PY) --no-deps "$$inference" \
	  || $(PY) -m pip install -q --no-deps "$$inference"
	@for file in benchmarks/[!_]*.py; do \
	  name=$$(basename "$$file" .py); echo "benchmarks.$$name"; \
	  $(PY) -W ignore -m "benchmarks.$$name" --out $(RESULTS) || exit 1; done

faults: $(INSTALLED) ## kill syncs at every write point and at 200 random instants; print what remains
	$(PY) -m tests.etl.faults --out $(RESULTS)/faults.json

record: $(INSTALLED) $(CORPUS) ## record the models' answers again (needs the weights)
	$(VENV)/bin/agentops record run

clean: ## remove everything that was built; the environment stays
	rm -rf _build .mypy_cache .ruff_cache .pytest_cache
