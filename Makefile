# Everything a reader, a lecturer or CI runs. Needs Python 3.11 to 3.13 and make, nothing else.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PROFILE ?= lecture
PORT ?= 8000
STAMP := .venv/.installed
BIN := .venv/bin

# Real data sets that are already on disk are used from there instead of being downloaded.
ifndef ML4OPS_DATA
ifneq ($(wildcard ../shared/data/.),)
export ML4OPS_DATA := $(abspath ../shared/data)
endif
endif

.PHONY: help install book slides check alone colab new projects serve test lint lock readme weights clean
book check: export ML4OPS_CACHE := $(abspath _build/cache)
test: export OMP_NUM_THREADS := 1

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

install: $(STAMP)  ## Create .venv from the lock (every other target does it when needed)

# The stamp comes last: an installation cut short is taken up again by the next make.
$(STAMP): requirements.lock pyproject.toml book_tools/pyproject.toml .ci/install
	@.ci/timed "Installing the environment into .venv" .ci/install
	@touch $@

book: $(STAMP)  ## Make the data, execute the pages, build the site (PROFILE=smoke|lecture|full)
	@.ci/timed "Making the $(PROFILE) data set" $(BIN)/ml4ops simulate --profile $(PROFILE)
	@.ci/timed "Executing the pages" $(BIN)/book run --profile $(PROFILE)
	@.ci/timed "Building the site" $(BIN)/book site
	@.ci/timed "Building the slides" $(BIN)/book slides
	@echo "The book is in _build/html; read it with: make serve"

slides: $(STAMP)  ## Build the slide decks again, from the executed pages
	@.ci/timed "Building the slides" $(BIN)/book slides

check: $(STAMP)  ## Check the built site: its files, then what a browser makes of it
	@.ci/timed "Checking the site" $(BIN)/book site --check
	@.ci/timed "Looking at the site in a browser" $(BIN)/book site --browser
	@.ci/timed "Looking at the slides" $(BIN)/book slides --check

alone: $(STAMP)  ## Run every page as a learner does: a fresh environment with the core alone, empty folder, no network
	@.ci/timed "Running each page alone" $(BIN)/book alone

colab: $(STAMP)  ## The same beside what a Colab runtime brings: make colab RUNTIME=list.txt PYTHON=python3.13 (10 GB)
	@.ci/timed "Running each page beside Colab's packages" $(BIN)/book alone --runtime $(RUNTIME) --python $(PYTHON)

serve: $(STAMP)  ## Show the built site on this machine only (PORT=8000)
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

test: lint  ## Lint, check types, run the tests and doctests with coverage
	@.ci/timed "Tests" $(BIN)/pytest -n 2 -m "not slow" --cov --cov-report=term:skip-covered
	@.ci/timed "Forest cover: lint, types, tests" $(MAKE) --silent -C projects/forest_cover test PYTHON=$(abspath $(BIN)/python)

projects: $(STAMP)  ## Run what make test leaves out: projects, a lecture, a class, pages whole; minutes
	@.ci/timed "Lecture, handout, connections" $(BIN)/pytest -q -m slow book_tools/tests
	@.ci/timed "Forest cover: pipeline, search, versions" $(MAKE) --silent -C projects/forest_cover pipeline PYTHON=$(abspath $(BIN)/python)

lint: $(STAMP)  ## Lint and check types only
	@.ci/timed "Lint" $(BIN)/ruff check
	@.ci/timed "Format" $(BIN)/ruff format --check
	@.ci/timed "Types" $(BIN)/mypy

lock: $(STAMP)  ## Regenerate requirements.lock and environment.yml from pyproject.toml
	$(BIN)/uv pip compile --quiet --all-extras --universal --no-emit-index-url --no-header --no-annotate --no-emit-package ml4ops-helpers pyproject.toml book_tools/pyproject.toml -o requirements.lock
	cd projects/forest_cover && ../../$(BIN)/uv pip compile --quiet --extra dev --universal --no-emit-index-url --no-header --no-annotate --constraint ../../requirements.lock pyproject.toml -o requirements.lock
	$(BIN)/python -m book_tools.environment
	$(MAKE) install

readme: $(STAMP)  ## Bring the README's measured minutes and picture up to date, after make book
	$(BIN)/python -m book_tools.readme

new: $(STAMP)  ## Begin a page that passes every check (NAME=measure_a_river)
	@$(BIN)/book new $(or $(NAME),$(error say what the reader does: make new NAME=measure_a_river))

TRAIN := $(BIN)/ml4ops train --half
WEIGHTS := ml4ops_helpers/models/weights

weights: $(STAMP)  ## Train the networks that ship with the package again (forty minutes)
	$(BIN)/python -c "from ml4ops_helpers.models import build_model, save_model; \
	  save_model(build_model('index', ['B3', 'B8', 'B11']), '$(WEIGHTS)/index.safetensors', {'threshold': 0.5, 'data': 'none'})"
	$(TRAIN) --wide-air --heads cloud_water --dropout 0.1 --out $(WEIGHTS)/flood.safetensors
	$(TRAIN) --model linear --out $(WEIGHTS)/linear.safetensors
	$(TRAIN) --model cnn --out $(WEIGHTS)/cnn.safetensors
	$(TRAIN) --dropout 0.1 --out $(WEIGHTS)/unet.safetensors
	$(TRAIN) --dropout 0.1 --seed 1 --out $(WEIGHTS)/unet_1.safetensors
	$(TRAIN) --heads cloud_water --bands bgriswirs --out $(WEIGHTS)/two_heads.safetensors
	$(TRAIN) --heads cloud_water --bands all --out $(WEIGHTS)/two_heads_13.safetensors

clean:  ## Remove the environment and everything built
	rm -rf .venv _build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
