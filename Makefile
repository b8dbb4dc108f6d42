# Set-up and main jobs. On Windows see README.md, "Without make".
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CINE ?=
LABEL ?=
OUTPUT ?= demo_output
# Of tests, side by side; each takes up to 2 GB of memory.
PROCESSES ?= 2

.PHONY: demo test lint benchmark clean

# Each stamp is newer than what it was made from, so that a second run installs nothing.
$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; say which with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch comes first and by its exact version: a range would let pip choose a build with CUDA libraries. MONAI Label comes
# last and without its own list of dependencies; see pyproject.toml.
$(VENV)/package.stamp: $(VENV)/python.stamp pyproject.toml constraints.txt
	$(INSTALL) "$$(grep '^torch==' constraints.txt)"
	$(INSTALL) --editable '.[server]'
	$(INSTALL) --no-deps monailabel
	@touch $@

$(VENV)/test.stamp: $(VENV)/package.stamp
	$(INSTALL) --editable '.[server,test,lint]'
	@touch $@

$(VENV)/benchmark.stamp: $(VENV)/test.stamp
	$(INSTALL) --editable '.[server,test,lint,benchmark]'
	@touch $@

# make demo, or with a cine of one's own: make demo CINE=cine.nii.gz LABEL=ed.nii.gz@0
demo: $(VENV)/package.stamp
	$(BIN)/cardiac-motion demo --output $(OUTPUT) $(if $(CINE),--cine '$(CINE)') $(if $(LABEL),--labels '$(LABEL)')

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --numprocesses $(PROCESSES) --dist loadfile

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(VENV)/benchmark.stamp
	$(BIN)/python -m benchmarks.registration

clean:
	rm -rf build $(OUTPUT) .mypy_cache .ruff_cache .pytest_cache
