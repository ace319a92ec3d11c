# One entry for people and CI. `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
VLLM := .venv-vllm
RAY := .venv-ray
RUN := runs/lab
REHEARSALS := runs/rehearsals

# One thread each: on shared cores torch's spinning threads are 4 to 10 times slower.
export OMP_NUM_THREADS := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: setup demo rehearse test check format unit slow test-vllm test-ray bench bench-grading bench-queue clean

setup: $(READY)

# Torch first and exactly pinned, so that pip takes a CPU build where one lies ready.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[lora]" --group dev
	touch $(READY)

demo: setup  ## the whole chain on a laptop: runs/lab/report.html
	$(BIN)/thinkscale run lab --out $(RUN)

rehearse: setup  ## both studies through every stage, with the lab's model and a few rows
	$(BIN)/thinkscale run s1-3b --rehearse --out $(REHEARSALS)/s1-3b
	$(BIN)/thinkscale run s1-32b --rehearse --out $(REHEARSALS)/s1-32b

test: check unit  ## everything fast

check: setup  ## format, lint, types
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy src tests

format: setup
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

unit: setup
	$(BIN)/pytest -m "not slow and not vllm and not ray" -n 2

slow: setup  ## the heavy tests: the lab killed at random instants, a full disk
	$(BIN)/pytest -m slow

test-vllm: setup $(VLLM)/.ready  ## a real vLLM server on this processor, in an environment of its own (4 GB)
	$(BIN)/pytest -m vllm tests/vllm

$(VLLM)/.ready: tests/vllm/setup.sh tests/vllm/requirements_of.py
	rm -rf $(VLLM)
	PYTHON=$(PYTHON) sh tests/vllm/setup.sh $(VLLM)
	touch $@

test-ray: setup $(RAY)/.ready  ## partitions over a local two-node Ray cluster, in an environment of its own
	$(RAY)/bin/python -m pytest -m ray tests/ray

$(RAY)/.ready: pyproject.toml constraints.txt tests/ray/setup.sh
	rm -rf $(RAY)
	PYTHON=$(PYTHON) sh tests/ray/setup.sh $(RAY)
	touch $@

bench: setup  ## measure every figure that the README states
	$(BIN)/python benchmarks/lab.py --out benchmarks/lab.json
	$(BIN)/python benchmarks/startup.py --out benchmarks/startup.json
	$(BIN)/python benchmarks/local_engine.py --out benchmarks/local_engine.json

bench-grading: setup  ## every figure of docs/grading*.md; needs THINKSCALE_DATA, about an hour
	$(BIN)/python benchmarks/math_agreement.py --out benchmarks/math_agreement.json
	$(BIN)/python benchmarks/math_speed.py --rows 2000 --out benchmarks/math_speed.json
	$(BIN)/python benchmarks/programs.py --out benchmarks/programs.json

bench-queue: setup  ## every figure of docs/engines-benchmarks.md, about 25 minutes
	$(BIN)/python benchmarks/queue_run.py --out benchmarks/queue.json

clean:
	rm -rf $(VENV) $(VLLM) $(RAY) runs .pytest_cache .mypy_cache .ruff_cache
