# The two commands of this project. Everything they install goes into .venv.
#
#   make demo    the whole thread on this machine: weights to ranked answers to a bill
#   make test    lint, types, import contracts and tests
#
# Without a GPU, name an index of CPU builds of torch (PyTorch's installation page gives its address)
# and spare yourself gigabytes of CUDA:   make demo TORCH_INDEX=https://…

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
CDK_CLI := aws-cdk@2.1148.1
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test setup lint format golden clean

demo: setup
	@$(BIN)/python -m demo

test: setup lint
	@$(BIN)/python -m pytest -q

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml Makefile tools/setup.sh
	@PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" CDK_CLI="$(CDK_CLI)" sh tools/setup.sh $(VENV)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

golden: setup
	@$(BIN)/python -m pytest -q --snapshot-update

clean:
	rm -rf $(VENV) .demo artifacts cdk.out
