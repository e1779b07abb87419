# `make demo` and `make test` are all a newcomer needs: each makes .venv from requirements.lock if it is missing.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo-output
export RAY_USAGE_STATS_ENABLED := 0
export PYTHONUTF8 := 1
# Two processes, a module's tests in one of them, and a core to each.
PAIR := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope

.PHONY: help demo test check lint format verified hashes clean
help:
	@echo "make demo    the whole chain on virtual hands: render, pretrain, sweep, evaluate, predict (about 15 minutes)"
	@echo "make test    every test (about 25 minutes on 2 cores)"
	@echo "make lint    formatting, lint and types"
	@echo "make check   make lint and the fast tests"
	@echo "make verified  $(VENV) anew, from PyPI alone, every file checked against requirements.hashes (CUDA build of torch)"
	@echo "make hashes    requirements.hashes anew after a change of requirements.lock (needs uv)"
	@echo "make clean   remove $(VENV) and $(OUT)"

demo: $(VENV)/ready
	$(BIN)/python pipelines/demo.py --out $(OUT)

test: $(VENV)/ready
	$(PAIR) -m "not alone"
	$(BIN)/python -m pytest -m alone

check: lint
	$(PAIR) -m "not slow"

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Everything in one resolver call, so that no later install can move a pinned version. The system's Python is only asked
# to make the environment; nothing is ever installed into it.
$(VENV)/ready: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing (Debian: apt-get install python3.11 python3.11-venv); or give PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making $(VENV) with the pinned packages of requirements.lock: about 3 minutes and 5 GB, once"
	@$(PYTHON) -m venv $(VENV) || { echo "error: $(PYTHON) cannot make environments (Debian: apt-get install python3.11-venv)"; exit 1; }
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.lock -e .
	@$(BIN)/python -m synth.libraries
	@touch $@

# For who needs to know that no file was exchanged on its way. Not the default: the CPU build of torch, and files that an
# index of one's own built again, have other hashes than PyPI's.
verified: requirements.hashes
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --disable-pip-version-check -q --require-hashes -r requirements.hashes
	$(BIN)/pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@$(BIN)/python -m synth.libraries
	@touch $(VENV)/ready

hashes: requirements.lock
	@{ echo "# requirements.lock and what torch's CUDA build adds to it on Linux x86-64, with the hash of every file that PyPI has"; \
	   echo "# of each version. Made by \`make hashes\`; installed by \`make verified\`."; \
	   uv pip compile requirements.lock --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	       --no-header --no-annotate -q; } > requirements.hashes.tmp
	@mv requirements.hashes.tmp requirements.hashes

clean:
	rm -rf $(VENV) $(OUT)
