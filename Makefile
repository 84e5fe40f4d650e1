# make demo: set up a fresh machine and run the main job, with the encodings that train soonest; make test: set it up and pass the tests,
# PROCESSES at a time; make test-all: laws on all combinations of choices, not on pairs of them.
PYTHON ?= python3
PROCESSES ?= 2
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/installed-cases
DEV_STAMP := $(VENV)/installed-dev
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

.PHONY: demo test test-all lint setup dev chromium slurm clean

demo: setup
	$(BIN)/simstead search planets --trials 12 --only encoding=series,kick --only training.arithmetic=fp32

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal

test: dev chromium slurm
	$(PYTEST)

test-all: dev chromium slurm
	$(PYTEST) --whole

# The reports' tests drive Debian's Chromium; where it can't be installed they are skipped and say so.
chromium:
	@command -v chromium >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Chromium for the tests of reports ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null && exit 0; \
	fi; \
	echo "no Chromium here: the tests of reports in a browser are skipped (apt install chromium)"

# Tests of launched searches start a Slurm of their own. Where it can't be installed they are skipped and say so.
slurm:
	@command -v shellcheck >/dev/null && command -v sbatch >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Slurm for the tests of launched searches ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			slurm-wlm munge shellcheck >/dev/null && exit 0; \
	fi; \
	echo "no Slurm here: the tests on one are skipped (apt install slurm-wlm munge shellcheck)"

lint: dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

setup: $(RUN_STAMP)
dev: $(DEV_STAMP)

$(BIN)/python:
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else "simstead needs Python 3.11 to 3.13, this is %d.%d: make PYTHON=python3.11" % v[:2])'
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the pinned dependencies into $(VENV) (2 GB, a minute or two) ..."
	$(PIP) -e '.[cases,files,interfaces,policies,radiation]'
	@touch $@

$(DEV_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the pinned dependencies and tools into $(VENV) (2 GB, two minutes) ..."
	$(PIP) -e '.[cases,files,interfaces,policies,radiation,dev]'
	@touch $(RUN_STAMP) $@

clean:
	rm -rf $(VENV) build ./*.egg-info
