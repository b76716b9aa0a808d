# The book and its tests. `make book` is all that a reader needs; `make help` lists the rest.
#
#   make book                    install what is missing, open JupyterLab on the first chapter
#   make book OPEN=no PORT=8899  the same, without a browser window, on that port
#   make test                    everything that must pass: lint, tests, chapters, widgets, browser
#   make test-slow               what takes minutes: fuzzing, training runs, installing the wheel, long chapters in Chromium
#   make bench                   measurements (they assert nothing)
#   make mutation                break the library bit by bit, and list what neither book nor tests notice
#   make oldest-and-newest       before a release: the tests with the oldest packages on Python 3.10, the newest on 3.13
#   make lint                    ruff (faults and layout) and pyright
#   make chapters                run the chapters again and save what they show
#   make pictures                take the README's screenshot again

PORT ?= 8888
OPEN ?= yes
VENV ?= .venv
# PyTorch's own index of CPU-only builds: ~200 MB instead of gigabytes of CUDA. For a build with
# CUDA, or where that index is not wanted: make book TORCH_INDEX=
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
CHAPTER_TIMEOUT ?= 300
SLOW_ARGS ?=
BENCH_ARGS ?=
MUTATION_ARGS ?=
OLDEST_AND_NEWEST_ARGS ?=

BIN := $(VENV)/bin
# The environment's own Python if there is one, otherwise the first on this machine that the package supports;
# name another with PYTHON=... (and `make clean` first, if there is an environment).
PYTHON ?= $(shell for p in $(BIN)/python python3 python3.13 python3.12 python3.11 python3.10; do \
	"$$p" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo "$$p" && break; done)

.PHONY: help book test test-lint test-unit test-chapters test-widgets test-browser test-slow bench mutation oldest-and-newest lint chapters pictures clean

help:
	@sed -n 's/^#   //p' Makefile

book: $(BIN)/.book
	@$(BIN)/python -m llm101 read --port $(PORT) $(if $(filter no,$(OPEN)),--no-browser)

# install.py looks each time, which takes half a second, and installs only what has changed or gone missing.
define INSTALL
@test -n "$(PYTHON)" || { echo "llm101 needs Python 3.10 to 3.13 (python.org/downloads, or your package manager); then run make again."; exit 1; }
@"$(PYTHON)" install.py --venv "$(VENV)" --torch-index "$(TORCH_INDEX)"
endef

$(BIN)/.book: FORCE
	$(INSTALL)

$(BIN)/.test: FORCE
	$(INSTALL) --extra test

FORCE:

test: test-lint test-unit test-chapters test-widgets test-browser

test-lint: $(BIN)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: test-lint
	$(BIN)/pyright

# Here and in the browser on one thread: for models as small as these a second one costs as much as it brings, and much
# more on a busy machine. Tests of threads say how many they want; the chapters and the slow tests have them all.
test-unit: $(BIN)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# Each chapter from its first cell to its last, in a kernel of its own.
test-chapters: $(BIN)/.test
	@if ls book/*.ipynb >/dev/null 2>&1; then set -x; \
		$(BIN)/python -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=$(CHAPTER_TIMEOUT) \
			--durations=5 $$(ls book/*.ipynb); \
	else echo "test-chapters: no chapter in book/ yet"; fi

test-widgets:
	@tests=$$(find tests/widgets -name '*.test.mjs' -o -name '*.test.js' 2>/dev/null); \
	if [ -z "$$tests" ]; then echo "test-widgets: no test of a widget's JavaScript yet"; \
	elif ! command -v node >/dev/null; then \
		echo "test-widgets: SKIPPED, Node.js is missing. Get version 18 or newer from nodejs.org, or: sudo apt install nodejs / brew install node"; \
	else set -x; node --test $$tests; fi

test-browser: $(BIN)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "browser and not slow" tests/browser -rs --durations=10

test-slow: $(BIN)/.test
	$(BIN)/python -m pytest -m slow --durations=10 -rs $(SLOW_ARGS)

mutation: $(BIN)/.test
	$(BIN)/python -m tests.mutation_check $(MUTATION_ARGS)

oldest-and-newest: $(BIN)/.test
	$(BIN)/python -m tests.oldest_and_newest $(OLDEST_AND_NEWEST_ARGS)

bench: $(BIN)/.test
	@"$(PYTHON)" install.py --venv "$(VENV)" --extra bench || echo "bench: some comparisons are left out (what they need did not install)"
	@for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench $(BENCH_ARGS) || exit 1; done

chapters: $(BIN)/.test
	$(BIN)/python tests/record_chapters.py

pictures: $(BIN)/.test
	LLM101_PICTURES=book/images $(BIN)/python -m pytest -m browser tests/browser/test_chapter_00.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
