# The commands of this project. Everything they install goes into .venv.
#
#   make demo    the whole thread on this machine: weights to ranked answers to a bill
#   make test    lint, types, import contracts and tests
#   make reference  docs/reference/ from the code
#   make validate  predictions beside what was published or measured: docs/validation.md
#   make fuzz    100,000 generated requests, none of which may be answered with 500
#   make image   builds the container images and sends them real requests (needs podman)
#   make lock    pins anew what the images install
#
# Without a GPU, name an index of CPU builds of torch (PyTorch's installation page gives its address)
# and spare yourself gigabytes of CUDA:   make demo TORCH_INDEX=https://…

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
CDK_CLI := aws-cdk@2.1148.1
UV := uv==0.13.9
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test clients fuzz reference validate image lock setup lint format golden clean

demo: setup
	@$(BIN)/python -m demo

test: setup clients lint
	@$(BIN)/python -m pytest -q

reference: setup
	@$(BIN)/python -m tools.reference

validate: setup
	@$(BIN)/python -m tools.validate

fuzz: setup
	@FUZZ_COUNT=100000 FUZZ_SEED="$${FUZZ_SEED:-$$(date +%s)}" $(BIN)/python -m pytest -q tests/inference_container/test_fuzz.py

image: setup
	@$(BIN)/python -m tools.image $(IMAGE)

lock: setup
	@$(BIN)/pip install --quiet $(UV)
	@sh tools/lock.sh $(BIN)/uv

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml Makefile tools/setup.sh
	@PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" CDK_CLI="$(CDK_CLI)" sh tools/setup.sh $(VENV)

# Other projects' clients, which only the tests call: environments of their own, for their pins contradict ours, and
# those of one version of SageMaker's SDK the other's.
clients: $(VENV)/clients/.installed $(VENV)/sdk/.installed

$(VENV)/clients/.installed: $(VENV)/.installed tests/callers/requirements.txt
	@$(BIN)/python -m venv $(VENV)/clients
	@$(VENV)/clients/bin/pip install --quiet -r tests/callers/requirements.txt
	@touch $@

$(VENV)/sdk/.installed: $(VENV)/.installed pyproject.toml
	@$(BIN)/python -m venv $(VENV)/sdk
	@$(VENV)/sdk/bin/pip install --quiet --editable '.[sagemaker]'
	@touch $@

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
