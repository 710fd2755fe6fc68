# make run   the embedded world's whole workflow; needs Python 3.11 or newer and a package index, nothing else
# make help  the other targets

VENV ?= .venv
BIN := $(VENV)/bin
CORES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); if [ $$n -gt 8 ]; then echo 8; else echo $$n; fi)
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
EXTRAS := world,dev,slurm
STAMP := $(VENV)/.set-up
CONFIGFILE ?= config.yaml
# Only continuous integration, which installs them, asks for the tests on a real Slurm and on a real pgstac.
MARKERS ?= not slurm and not pgstac
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test check lock clean

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Make the virtual environment, where pyproject.toml or constraints.txt changed

run: $(STAMP)  ## Run the embedded world's workflow, and print its table (CONFIGFILE=..., CORES=...)
	$(BIN)/skygraft run --cores $(CORES) --configfile $(CONFIGFILE)

test: $(STAMP)  ## Run all checks and tests (PYTEST_ARGS="-k plan")
	$(BIN)/python -m pytest -n $(CORES) --no-loadscope-reorder -m "$(MARKERS)" $(PYTEST_ARGS)

check: $(STAMP)  ## Say what a run needs before it starts (CONFIGFILE=workflow/configs/igarss.yaml)
	$(BIN)/skygraft check --configfile $(CONFIGFILE)

lock:  ## Resolve the newest allowed versions into constraints.txt; torch and torchvision stay
	sh .ci/lock "$(PYTHON)" "$(EXTRAS)"

clean:  ## Remove the virtual environment and caches; data, runs and results stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "skygraft needs Python 3.11 or newer: install one, or name it with 'make PYTHON=/path/to/python'." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@
