# Everything a developer needs. Each target makes the environment in .venv first, once.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install demo test check format nightly bench docs clean
help:
	@echo "make demo    the main job on the example projects: scan, convert, train both, verdict"
	@echo "make test    the tests (20 minutes on two cores)"
	@echo "make check   lint, format, types"
	@echo "make nightly 2,200 generated Lab projects, trained at every level, and all cases of all tests (hours)"
	@echo "make bench   benchmarks (not part of the tests)"
	@echo "make docs    the reference pages that are made from the code"
	@echo "make format  format the sources"

install: .venv/installed
# torch first and pinned: the lightning of the constraints takes any torch, and a plain one is gigabytes of CUDA.
.venv/installed: setup.cfg setup.py pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	$(BIN)/lab-migrate demo

test: install
	$(BIN)/python -m pytest -q -n auto

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

nightly: install
	$(BIN)/python -m pytest -q -n auto --thorough
	PYTHONPATH=parity_tests $(BIN)/python parity_tests/whole_projects/nightly.py --slices 44 --log whole_projects.jsonl

bench: install
	$(BIN)/python benchmarks/step_cost.py

docs: install
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv build dist *.egg-info
