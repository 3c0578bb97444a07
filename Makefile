# On a fresh machine `make demo` and `make test` need nothing but Python 3.11+, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Two halves of the tests run side by side; each imports torch and numba, so more gains little.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo demo-nightly test test-slow test-nightly stockfish chromium check format bench book experiment-stats experiment-nights experiment-swa nets clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(READY)  ## average snapshots, play the average to a verdict, show where the report is
	$(BIN)/python scripts/demo.py

demo-nightly: $(READY)  ## three nights of arena nightly on the nets that ship
	$(BIN)/python scripts/demo_nightly.py

test: $(READY) stockfish chromium  ## the tests, without the slow ones
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-slow: $(READY) stockfish chromium  ## the tests that take minutes
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m slow

test-nightly: $(READY)  ## seasons of nights, killed 200 times, and 60 of them against the truth
	$(BIN)/pytest tests/nightly -m "slow or not slow"

# Tests play it for real, and are skipped, saying so, where it cannot be installed.
stockfish:
	@command -v stockfish >/dev/null || test -x /usr/games/stockfish || \
	  { apt-get update -qq && apt-get install -y -qq stockfish; } >/dev/null 2>&1 || \
	  echo "stockfish cannot be installed here: the tests that play it are skipped"

# The pages of reports are opened in it, without a window.
chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1 || \
	  echo "chromium cannot be installed here: the tests in a browser are skipped"

check: $(READY)  ## lint, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## put the source into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## what this machine does: evaluations, visits, pairs
	$(BIN)/arena bench

book: $(READY) stockfish  ## make the book of openings anew (installs stockfish through apt-get)
	$(BIN)/python scripts/make_book.py

experiment-stats: $(READY)  ## simulate what the statistics promise: reports/statistics
	$(BIN)/python scripts/experiment_stats.py

experiment-nights: $(READY)  ## simulate races, nights and seasons: reports/nightly
	$(BIN)/python scripts/experiment_nights.py

experiment-swa: $(READY)  ## train small nets, average, refresh, measure: reports/swa (an hour)
	$(BIN)/python scripts/experiment_swa.py

nets: $(READY)  ## make the nets that ship anew, after experiment-swa: nets (an hour)
	$(BIN)/python scripts/make_nets.py

clean:  ## forget the environment and everything that was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
