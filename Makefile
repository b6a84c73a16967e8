# make demo     set up, make a sample (a simulated scan), find its atrium, measure it, say where the result is
# make test     set up and run the tests
# make model-release  pack the models for a release, and note their SHA-256 in Resources/models_to_fetch.json
# make clean    remove the environment and everything that was made
#
# PYTHON=python3.12 chooses another interpreter (3.11, 3.12 or 3.13).
# Only relative paths below: the folder's own name may hold spaces.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# What decides the packages and their versions; a change in any of them installs again.
INPUTS := pyproject.toml constraints.txt LAScarSegLib/__init__.py

.PHONY: demo test benchmarks model-release clean check-python
.DELETE_ON_ERROR:

demo: $(VENV)/installed
	@$(BIN)/lascarseg doctor
	@mkdir -p demo
	@test -d demo/sample || { echo "Making the sample: a simulated scan with its cavity (about 20 seconds) ..."; $(BIN)/lascarseg phantom demo/sample; }
	@echo "The cavity model is for research use only (Resources/Models/la-cavity-1.1/LICENSE.txt); the demo accepts that for itself."
	LASCARSEG_MODELS=demo/models $(BIN)/lascarseg run demo/sample/image.nii.gz --planes demo/sample/planes.json -o demo/result --accept-terms --force
	@echo
	@echo "How close the model came to the sample's true cavity:"
	@$(BIN)/lascarseg evaluate demo/result/cavity.nii.gz demo/sample/cavity.nii.gz
	@echo
	@echo "The result is in demo/result. To look at it:"
	@echo "  report          xdg-open demo/result/report.html   (any web browser)"
	@echo "  3D Slicer       open demo/result/scene.mrb"
	@echo "  numbers         demo/result/measurements.csv"

# Two processes of one thread each share the test files: a third less time on two cores, and memory for two on any machine. In their own order: else
# files of few tests, which are the longest, come last, and one process waits for the other.
test: $(VENV)/installed-test
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

benchmarks: $(VENV)/installed-test
	@broken=; for script in Benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || broken="$$broken $$script"; done; \
	test -z "$$broken" || { echo "A bar is broken, or nothing could be measured, in:$$broken"; exit 1; }

model-release: $(VENV)/installed
	@$(BIN)/python Testing/make_model_release.py dist

clean:
	rm -rf $(VENV) demo .pytest_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(VENV)/installed: $(INPUTS) | check-python $(VENV)/bin/pip
	@echo "Installing LAScarSeg and what it needs into $(VENV): the first time downloads 700 MB, with CUDA 3 GB ..."
	@$(PIP) install --quiet -c constraints.txt -e '.[scene,networks]'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo "Installing what the tests need into $(VENV) ..."
	@$(PIP) install --quiet -c constraints.txt -e '.[scene,networks,train,test]'
	@touch $@

# pip is written last: an environment without it was interrupted, so it is started afresh.
$(VENV)/bin/pip: | check-python
	@echo "Making $(VENV): 2.5 GB in the end, 8 GB where PyTorch comes with CUDA ..."
	@$(PYTHON) -m venv --clear $(VENV)

check-python:
	@test -e $(VENV)/bin/pip || command -v $(PYTHON) >/dev/null || \
	  { echo "There is no $(PYTHON) here. On Debian or Ubuntu: sudo apt install python3 python3-venv"; exit 1; }
	@test -e $(VENV)/bin/pip || $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "LAScarSeg needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) -V). Choose another: make PYTHON=python3.12"; exit 1; }
	@test -e $(VENV)/bin/pip || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) can't make virtual environments. On Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }
