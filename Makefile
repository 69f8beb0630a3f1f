# `make lab` and `make test` are all a reader needs. Everything stays inside this folder.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check
TORCH := $(shell sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.lock)

# Nothing is written to the reader's home folder, and no setting is read from there.
export HERE := $(CURDIR)
export JUPYTER_CONFIG_PATH := $(CURDIR)/.jupyter
export JUPYTER_CONFIG_DIR := $(CURDIR)/$(VENV)/jupyter/config
export JUPYTER_DATA_DIR := $(CURDIR)/$(VENV)/jupyter/data
export JUPYTER_RUNTIME_DIR := $(CURDIR)/$(VENV)/jupyter/runtime
export IPYTHONDIR := $(CURDIR)/$(VENV)/jupyter/ipython
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/jupyter/matplotlib
export PIP_CACHE_DIR := $(CURDIR)/.pip_cache
export npm_config_cache := $(CURDIR)/.npm_cache
export BERTEDU_PROGRESS := $(CURDIR)/.progress.json
unexport PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER

.PHONY: help lab test lint types unit parity javascript browser notebooks site slides grading offline firefox fuzz benchmarks picture screenshots lock clean FORCE

help:  ## list all targets
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

lab: $(VENV)/ready  ## open the course in JupyterLab
	@exec $(RUN) -m bertedu.commands.cli lab --folder .

test: $(VENV)/ready  ## prove that the library and the notebooks are right
	@$(RUN) tests/run.py

lint:  ## its stages, one by one: style and spelling
types:  ## mypy, strict
unit:  ## the library, with the examples in its docstrings
parity:  ## equal to the reference implementations
javascript:  ## the widgets' own code
browser:  ## a real JupyterLab, driven as a reader would
lint types unit parity javascript browser: $(VENV)/ready
	@$(RUN) tests/run.py $@

notebooks: $(VENV)/ready  ## build and execute the notebooks from course/
	@$(RUN) -m bertedu.commands.cli notebooks

site: $(VENV)/ready  ## write the course as a book that needs no kernel
	@$(RUN) -m bertedu.commands.cli site --bert

slides: site  ## the book: each of its lessons is shown as slides too
	@echo "Slides: press that button on a lesson's page, or take the link beside it on the first page."

offline: $(VENV)/ready  ## the same as test, in an empty network namespace (Linux)
	@unshare --net --map-root-user sh -c 'ip link set lo up && exec $(RUN) tests/run.py'

grading: $(VENV)/ready  ## release, submit and autograde a lesson with nbgrader (installed apart)
	@test -e build/nbgrader/ready || { rm -rf build/nbgrader; $(RUN) -m venv build/nbgrader; \
	    site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
	    $(RUN) -c "$$site" > "$$(build/nbgrader/bin/python -c "$$site")/lab.pth"; \
	    build/nbgrader/bin/python -m pip install --quiet nbgrader && touch build/nbgrader/ready; }
	@JUPYTER_PATH=$(CURDIR)/$(VENV)/share/jupyter build/nbgrader/bin/python tests/grading.py

firefox: $(VENV)/ready  ## the page's certificate in Firefox (Debian's firefox-esr)
	@$(RUN) tests/firefox.py

fuzz: $(VENV)/ready  ## damaged checkpoints and files, odd texts, killed runs: a sentence, or the same numbers
	@$(RUN) tests/fuzz_checkpoints.py && $(RUN) tests/fuzz_adapters.py && $(RUN) -m tests.fuzz_files && $(RUN) -m tests.fuzz_texts && $(RUN) -m tests.fuzz_kills

benchmarks: $(VENV)/ready  ## measure bertedu beside transformers
	@for script in benchmarks/*.py; do echo "$$script"; $(RUN) "$$script" || exit 1; done

picture: $(VENV)/ready  ## take the README's moving picture anew, from the widget itself
	@$(RUN) -m tests.readme_picture

screenshots: site  ## take every lesson, widget and page of the book, to be looked at
	@$(RUN) -m pytest --quiet -n0 tests/browser/screenshots.py
	@echo "The pictures are in test-artefacts/screenshots."

lock: $(VENV)/ready  ## choose the newest versions for requirements.lock
	@$(PIP) install --quiet 'uv>=0.8'
	@$(RUN) -m uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	    --extra lab --extra test --group torch --generate-hashes --no-annotate \
	    --no-emit-index-url --custom-compile-command "make lock" --output-file requirements.lock

clean:  ## remove everything that make made
	rm -rf $(VENV) .pip_cache .npm_cache .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	    build dist bertedu.egg-info test-artefacts tests/js/node_modules

# `ready` is written last and holds the folder's name; `begun` marks an installation under way.
# One that was interrupted, or a folder that was moved, starts with an empty environment.
ifneq ($(shell cat $(VENV)/ready 2>/dev/null),$(CURDIR))
$(VENV)/ready: FORCE
endif

$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "bertedu needs Python 3.11 or newer, and $(PYTHON) is $$(command -v $(PYTHON) >/dev/null && $(PYTHON) --version 2>&1 || echo missing):" \
	        "install one, or name one with 'make $(MAKECMDGOALS) PYTHON=python3.12'." >&2; exit 1; }
	@if [ -e $(VENV)/begun ] || [ -e $@ -a "$$(cat $@ 2>/dev/null)" != "$$HERE" ]; then \
	    echo "Removing an environment that was left unfinished or belongs to another folder."; rm -rf $(VENV); fi
	@if ! $(RUN) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "[1/4] an environment in $(VENV)"; $(PYTHON) -m venv --clear $(VENV); fi
	@touch $(VENV)/begun; rm -f $@
	@echo "[2/4] $(TORCH)"; $(PIP) install $(TORCH)
	@echo "[3/4] $$(grep -c == requirements.lock) packages from requirements.lock"; \
	    $(PIP) install --require-hashes -r requirements.lock
	@echo "[4/4] bertedu"; $(PIP) install --quiet --no-deps --no-build-isolation -e .
	@$(RUN) -c 'import matplotlib.font_manager'  # its font cache, made before a notebook would mention it
	@rm -rf $(VENV)/begun .pip_cache; printf '%s' "$$HERE" > $@
