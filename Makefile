# make book | serve | test | test-robust | lint | format | bench | links | audit | lock | clean
# make publish-as REPO=owner/name
# make test-lowest | test-newest | test-colab | test-binder | test-clients
# Variables: PYTHON=python3.12 (any Python >= 3.11), TORCH_INDEX=<address of a PyTorch wheel index>,
# PORT=8000 (for serve).

PYTHON ?= python3
TORCH_INDEX ?=
PORT ?= 8000

VENV := .venv
ifeq ($(OS),Windows_NT)
PY := $(VENV)/Scripts/python.exe
else
PY := $(VENV)/bin/python
endif
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.ready-bench
BROKEN := .venv-incomplete

TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)
PIP := $(PY) -m pip install --disable-pip-version-check
# As many processes as there are cores, of one thread each: with more they wait for one another.
PYTEST := $(PY) -m pytest -q -n auto --maxprocesses=8
NBVAL := $(PYTEST) --dist=loadfile --nbval-current-env --nbval-cell-timeout=600
SITE_TESTS := tests/test_site.py tests/test_claims.py tests/test_explorer_page.py tests/test_api.py tests/test_security.py tests/test_print.py tests/test_teaching.py
PEERS = $(shell sed -n '/^bench = \[/,/^\]/s/^ *"\([a-z-]*\).*/\1/p' pyproject.toml)

.DEFAULT_GOAL := book
.DELETE_ON_ERROR:
.PHONY: setup book serve test test-unit test-notebooks test-site test-robust lint format bench links audit lock clean publish-as
.PHONY: test-lowest test-newest test-colab test-binder test-clients

setup: $(READY)

# The stamp is written last, and BROKEN marks an installation that was cut off: it is begun afresh.
$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and \
	'Python 3.11 or newer is needed, this is ' + sys.version.split()[0] + '; try make PYTHON=...')"
	@if [ -e $(BROKEN) ]; then rm -rf $(VENV); fi
	@touch $(BROKEN)
	@if [ ! -e $(PY) ]; then echo "Creating $(VENV)"; $(PYTHON) -m venv $(VENV); fi
	@echo "Installing what constraints.txt locks ($(TORCH) first; this takes some minutes)"
	@$(PIP) $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") -c constraints.txt $(TORCH)
	@$(PIP) --quiet -c constraints.txt setuptools
	@$(PIP) --quiet -c constraints.txt --no-build-isolation --editable ".[book,test]"
	@$(PY) -m pip check
	@touch $(READY) && rm -f $(BROKEN)

book: $(READY)
	@$(PY) book/build.py

serve: book
	@echo "http://localhost:$(PORT)/ (stop it with Ctrl-C)"
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

test: $(READY)
	@if $(MAKE) --no-print-directory --keep-going test-unit test-notebooks test-site; \
	then echo "make test: everything passed"; \
	else echo "make test: FAILED, see the summaries above"; exit 1; fi

test-unit: $(READY)
	OMP_NUM_THREADS=1 $(PYTEST) --dist=worksteal $(SITE_TESTS:%=--ignore=%)

test-notebooks: $(READY)
	OMP_NUM_THREADS=1 $(NBVAL) --nbval chapters

# What the chapters show must not hang on one count of threads or on one set of seeds. With other
# seeds the printed numbers differ, so only errors and asserts count.
test-robust: $(READY)
	OMP_NUM_THREADS=2 $(NBVAL) -n 1 --nbval chapters
	OMP_NUM_THREADS=1 SEED_OFFSET=1000 $(NBVAL) --nbval-lax chapters

test-site: $(READY)
	$(PY) book/build.py
	$(PYTEST) --dist=worksteal $(SITE_TESTS)

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) book/clean_notebooks.py --check

format: $(READY)
	$(PY) book/clean_notebooks.py
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

# torch and torchvision are named each time, or a peer's own wish for torch would replace them.
# A peer that cannot be had is left out: its rows say so, and the next run tries again.
$(BENCH_READY): $(READY)
	@echo "Installing what the benchmarks compare with: $(PEERS)"
	@$(PIP) --quiet $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") -c constraints.txt $(TORCH) torchvision
	@failed=; for peer in $(PEERS); do \
	$(PIP) --quiet -c constraints.txt $(TORCH) torchvision $$peer || failed="$$failed $$peer"; done; \
	if [ -n "$$failed" ]; then echo "Not installed:$$failed"; else touch $(BENCH_READY); fi

bench: $(BENCH_READY)
	OMP_NUM_THREADS=1 $(PY) -m benchmarks
	$(PY) benchmarks/explorer.py
	@if [ -e _build/html/index.html ]; then $(PY) benchmarks/website.py; \
	else echo "benchmarks/website.py is left out: there is no website yet, run make book"; fi

# Links that leave the book, then those of the pages that GitHub shows; both lists of what is broken
# lie under _build. Links inside the book are held by its build and by test-site.
links: book
	@failed=; \
	$(PY) -c "from jupyter_book.cli.main import main; main()" build -q -n \
	--builder custom --custom-builder linkcheck . || failed=1; \
	$(PY) -m sphinx -q -b linkcheck -C -D extensions=myst_parser -D root_doc=README \
	-D include_patterns=README.md,CONTRIBUTING.md \
	-D linkcheck_retries=3 -D linkcheck_report_timeouts_as_broken=0 \
	-D linkcheck_ignore='.*[/.]OWNER[/.].*' . _build/linkcheck-readme || failed=1; \
	test -z "$$failed"

# --strict: a package that could not be looked up is a failure too.
audit: $(READY)
	@$(PIP) --quiet -c constraints.txt pip-audit
	$(PY) -m pip_audit --strict --disable-pip --no-deps --requirement constraints.txt

# torch stays at the version named in constraints.txt until one asks: make lock TORCH=torch==X.Y.Z
lock: $(READY)
	@$(PIP) --quiet uv
	@printf '%s\n' '$(TORCH)' 'setuptools>=77' | $(PY) -m uv pip compile pyproject.toml - \
	--all-extras --universal --fork-strategy fewest --python-version 3.11 --upgrade \
	--no-annotate --quiet --custom-compile-command "make lock" --output-file constraints.txt

# `lib` and its notebooks in environments of other packages than those of constraints.txt: test-X
# makes .venv-X anew. On Linux set UV_TORCH_BACKEND=cpu, or uv brings torch with CUDA.
ENV = $(@:test-%=.venv-%)
ENV_PY = $(PY:$(VENV)/%=$(ENV)/%)
NEW_ENVIRONMENT = $(PYTHON) -m venv --clear $(ENV) && \
	$(ENV_PY) -m pip install --quiet --disable-pip-version-check uv
UV_INSTALL = $(ENV_PY) -m uv pip install --python $(ENV)
LIB_TESTS = $(filter-out $(SITE_TESTS),$(wildcard \
	$(patsubst lib/%,tests/test_%*.py,$(basename $(wildcard lib/*))))) lib README.md
TEST_TOOLS := distributed hypothesis ipykernel nbclient pytest pytest-timeout

# Old packages may use what newer ones below them call deprecated.
test-lowest:
	@$(NEW_ENVIRONMENT)
	@$(UV_INSTALL) --resolution lowest-direct -r pyproject.toml
	@$(UV_INSTALL) --quiet $(TEST_TOOLS)
	$(ENV_PY) -m pytest -q -W default::DeprecationWarning $(LIB_TESTS)

# torch stays at the version named in constraints.txt, unless TORCH=torch asks for the newest.
test-newest:
	@$(NEW_ENVIRONMENT)
	@$(UV_INSTALL) --editable '.[book,test]' $(TORCH)
	$(ENV_PY) -m pytest -q
	$(ENV_PY) -m pytest -q --nbval --nbval-current-env --nbval-cell-timeout=600 chapters

# NOTEBOOKS=chapters/01_critical_points.ipynb runs that one only. Colab and Binder have Python 3.12.
test-colab:
	@$(NEW_ENVIRONMENT)
	@$(UV_INSTALL) -r tests/colab.txt
	$(ENV_PY) -m tests.elsewhere colab $(NOTEBOOKS)

# conda's packages under their names on PyPI, and what Binder adds to every environment.
BINDER = $(shell sed -n 's/^  - pytorch-cpu=/torch==/p; t; s/^  - pip$$/pip/p; \
	/^  - python=/d; s/^  - \([a-z-]*\)=/\1==/p' environment.yml)
test-binder:
	@$(NEW_ENVIRONMENT)
	@$(UV_INSTALL) $(BINDER) "jupyterlab==4.*" "notebook==7.*"
	$(ENV_PY) -m tests.elsewhere binder $(NOTEBOOKS)

# CLIENTS="lab notebook nbconvert papermill" and NOTEBOOKS choose what runs; by default all.
test-clients: $(READY)
	@$(PIP) --quiet -c constraints.txt --no-build-isolation --editable ".[lab,clients]"
	$(PY) -m tests.clients $(CLIENTS) $(NOTEBOOKS)

# Without REPO: writes the present address again, into a new chapter or after a new version.
publish-as: $(READY)
	@$(PY) -m book.publish_as $(if $(REPO),"$(REPO)")

clean:
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
	rm -rf .venv-lowest .venv-newest .venv-colab .venv-binder
