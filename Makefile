# Two commands on a fresh machine: `make demo` and `make test`. Both set up .venv themselves.
PYTHON ?= python3
UV := .venv/bin/uv
BIN := .venv/bin
READY := .venv/ready
# Threads that spin while they wait make a busy machine crawl.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test test-slow fuzz chaos lint bench constraints clean

demo: $(READY)
	$(BIN)/debias run --workers 2

test: $(READY)
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)
	$(BIN)/pytest -m slow --numprocesses 2

# Ingest under attack: 200,000 damaged images, and 200 builders killed at random times.
fuzz: $(READY)
	DEBIAS_FUZZ=200000 $(BIN)/pytest tests/decoding/test_fuzz.py

chaos: $(READY)
	DEBIAS_KILLS=200 $(BIN)/pytest tests/ingest/test_chaos.py tests/stages/test_killed_runs.py tests/stages/test_workers.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/train_vae.py
	$(BIN)/python benchmarks/weights.py
	$(BIN)/python benchmarks/evaluate.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed; set PYTHON=...')"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(UV) || $(BIN)/python -m pip install --quiet uv
	$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt \
	    --compile-bytecode --editable ".[dev]"
	touch $(READY)

# Run after a range in pyproject.toml changed; the file names versions and no host.
constraints: $(READY)
	$(UV) pip compile pyproject.toml --extra dev --universal --no-header --no-annotate \
	    --output-file constraints.txt

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
