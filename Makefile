# The tasks of those who change symgrad; `make` lists them. All but setup and ci run in the environment of setup.
PYTHON ?= .venv/bin/python
RUN := $(PYTHON) -m
TEST ?= tests/gates/test_gates.py
ONLY ?=

.DEFAULT_GOAL := help
.PHONY: help setup test one ci goldens docs bench types format

help: ## list the tasks
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## make the environment .venv with all that tests and documentation need
	python3 -m venv .venv
	$(RUN) pip install -q -e '.[test,docs]'

test: ## run all tests on two cores
	$(RUN) pytest -n 2

one: ## run some tests: make one TEST=tests/gates/test_gates.py ONLY=tanh
	$(RUN) pytest $(TEST) -k '$(ONLY)'

ci: ## run all that CI runs, in a copy of the checkout, from nothing
	.ci/run

goldens: ## write the golden files and the output that pages show anew; then read git diff
	$(RUN) pytest --update-golden tests/codegen/test_emit.py tests/codegen/test_cuda_ptx.py tests/codegen/test_cuda_arrays.py tests/whole/test_docs.py tests/whole/test_readme.py

docs: ## build the documentation into site/, with its warnings as errors
	$(RUN) mkdocs build --strict

bench: ## measure an example against lambdify and the memory limit; benchmarks/README.md has the rest
	$(RUN) symgrad bench examples/black_scholes.txt

types: ## check style and types, and change nothing
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

format: ## bring the code into its format, and mend what can be mended
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
