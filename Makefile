# Everything installs into .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DAGSTER_HOME ?= $(CURDIR)/.dagster
export TRM_DATA ?= $(CURDIR)/data
PORT ?= 3000
PIP := $(BIN)/pip install -qq --disable-pip-version-check

.PHONY: install demo test coverage lint mutation check-full ui bench agreement gpu-check bench-gpu clean

# Four processes share the test files: two cores are busy while some of them wait for a server. Each computes with one thread, since threads that wait for each other's cores are slow. In the order of their names: by size, the long test of the documentation would be the last.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 4 --dist loadscope --no-loadscope-reorder
COVERAGE := --cov=pipelines --cov=assets --cov=trm_model --cov=storage --cov-report=term:skip-covered

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Installing into $(VENV): one to five minutes, by the connection; torch and Dagster are large …"
	@$(PYTHON) -m venv $(VENV)
	@# An older pip takes more than twice as long.
	@$(PIP) --upgrade pip || echo "going on with $$($(BIN)/pip --version)"
	@# torch first, by the exact version: an open range would fetch gigabytes of GPU libraries where a CPU build is at hand.
	@echo "1 of 2: $$(grep '^torch==' constraints.txt)"
	@$(PIP) $$(grep '^torch==' constraints.txt)
	@echo "2 of 2: this project and what it needs, in the versions of constraints.txt"
	@$(PIP) --constraint constraints.txt --editable '.[ui,dev]'
	@# For tests, which interpret the programs for GPUs. Apart, since torch loads it wherever it finds it; torch for GPUs brings its own.
	@$(PIP) --no-deps --target $(VENV)/triton triton==3.8.0 || echo "without Triton, which is for Linux: one test is skipped"
	@echo "Dagster's home folder, with its settings: $$($(BIN)/python -m pipelines.home)"
	@touch $@
	@echo "Installed. The command: source $(BIN)/activate, then trm --help; the whole way in minutes: make demo."

demo: install
	$(BIN)/trm demo

test: install
	$(PYTEST) -m 'not slow'

# The same tests, and how much of the code they run. Measuring takes two fifths more time, hence apart.
coverage: install
	$(PYTEST) -m 'not slow' $(COVERAGE)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Small changes of the code, of which the tests should notice nine in ten; ONLY: modules or folders.
mutation: install
	$(BIN)/python -m tests.mutation $(ONLY)

# What takes longer: every test, with coverage, and the trial with mutations (an hour or more).
check-full: lint
	$(PYTEST) $(COVERAGE)
	$(BIN)/python -m tests.mutation

ui: install
	$(BIN)/trm ui --port $(PORT)

bench: install
	$(BIN)/python -m tests.benchmarks $(ONLY)

# One training in every way to run it: losses of 1, 2 and 4 processes, of parts of a batch, compiled, in one table.
agreement: install
	$(BIN)/python -m tests.benchmarks.agreement

# Both take DEVICE (auto, cuda:1, cpu …); on a machine without this Makefile's installation run the modules themselves.
gpu-check: install
	$(BIN)/python -m tests.gpu.check $(DEVICE)

bench-gpu: install
	$(BIN)/python -m tests.gpu.bench $(or $(DEVICE),auto) $(ONLY)

clean:
	rm -rf $(VENV) .dagster data
