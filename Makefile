# `make` prints this help. `make run` and `make test` are all that a fresh machine (Python >= 3.11, make, git) needs.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.venv/.run: requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing (hashed, locked) ..." && $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	@echo "installing for development (hashed, locked) ..." && $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# The command, for a checkout that is not installed: `.venv/bin/intention`, from any folder.
$(BIN)/intention: Makefile .venv/.run
	@printf '#!/bin/sh\nPYTHONPATH="%s$${PYTHONPATH:+:$$PYTHONPATH}" exec "%s/$(BIN)/python" -m shared.cli "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $@ && chmod +x $@

# The official JavaScript clients, as judges of qstash_dev and ably_dev. Without npm their tests are skipped, and say so.
# (The stamp is also that of the compiler which checks the console's types.)
JS := tests/services/qstash_dev/js tests/services/ably_dev/js
%/node_modules/.stamp: %/package.json %/package-lock.json
	@if command -v npm >/dev/null; then cd $* && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error; \
	  else echo "npm is not there: what needs the packages of $* is skipped"; mkdir -p $*/node_modules; fi
	@touch $@

run: .venv/.run $(BIN)/intention ## Run the whole system on this machine
	@exec $(BIN)/python -m shared.cli dev

test: .venv/.dev $(JS:%=%/node_modules/.stamp) ## Run the tests (real Valkey, real HTTP, real processes)
	@$(BIN)/python -m pytest -q -n auto --dist loadgroup

test-again: .venv/.dev ## Run what failed in `make test` once more, one after the other, until something fails; what passes now is flaky
	@echo "looking again at what failed; whatever is named as passed below is flaky" && \
	  $(BIN)/python -m pytest -q -x -rfEp --last-failed --last-failed-no-failures none

setup: .venv/.run ## Enter the credentials; each is checked before .env is written
	@$(BIN)/python -m shared.cli setup $(ARGS)

doctor: .venv/.run ## Look at everything that must run, and say what to do
	@$(BIN)/python -m shared.cli doctor $(ARGS)

lint: .venv/.dev ## Linter and formatter check
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: .venv/.dev types-console ## Strict type check of code and tests, and of the console's modules
	@$(BIN)/mypy

CONSOLE := tests/console/js
types-console: $(CONSOLE)/node_modules/.stamp ## Strict type check of the console's modules (needs npm; whoever runs the engine does not)
	@if [ -e $(CONSOLE)/node_modules/typescript ]; then node $(CONSOLE)/node_modules/typescript/bin/tsc -p $(CONSOLE); \
	  else echo "npm is not there: the types of the console's modules are not checked"; fi

check: lint types bench-guard test ## What CI runs

fuzz-api: .venv/.dev ## Call everything that the OpenAPI documents name, EXAMPLES times each, with another seed each time
	@FUZZ_SEED=any FUZZ_EXAMPLES=$(or $(EXAMPLES),200) $(BIN)/python -m pytest -q tests/api/test_fuzz.py $(ARGS)

sim: .venv/.dev ## Play SEEDS simulated runs with faults (10,000 take about a minute)
	@$(BIN)/python -m shared.cli sim --seeds $(or $(SEEDS),10000) $(ARGS)

planner-report: .venv/.dev ## How well words are read: per argument, on the sentences worked with and on those held back
	@$(BIN)/python -m tests.planner.report $(ARGS)

mutants: .venv/.dev ## Break the engine on purpose, and see that the simulator notices every time
	@$(BIN)/python -m tests.simulation.mutants $(ARGS)

bench: .venv/.dev ## Measure the engine: a step alone, 200 x 10 at once, starts, idleness, a kill (ARGS="--runs 3")
	@$(BIN)/python -m bench.engine $(ARGS)

bench-peers: .venv/.dev ## The engine and its peers in one table: ARGS="--peers FOLDER --pythons FOLDER" (docs/performance.md)
	@$(BIN)/python -m bench.peers $(ARGS)

scale: .venv/.dev ## Count 10 million executions on 1,000 executors and 1 to 64 nodes (ARGS="--executions 100000 --seed 1")
	@$(BIN)/python -m bench.scale $(ARGS)

bench-scripts: .venv/.dev ## Valkey's share of a step: ARGS="--code FOLDER --count" compares working copies and counts instructions
	@$(BIN)/python -m bench.scripts $(ARGS)

bench-qstash: .venv/.dev ## Measure qstash_dev: messages a second, lag, memory
	@$(BIN)/python -m bench.qstash_dev $(ARGS)

bench-curves: .venv/.dev ## What a step costs as plans and maps grow
	@$(BIN)/python -m bench.curves $(ARGS)

bench-readers: .venv/.dev ## What readers of events cost the engine: its throughput with 0, 200 and 2,000 of them
	@$(BIN)/python -m bench.readers $(ARGS)

bench-telemetry: .venv/.dev ## What traces cost a step, on and off in one run
	@$(BIN)/python -m bench.telemetry

bench-stored: .venv/.dev ## What commands cost as the store fills, with 1,000 to 100,000 executions (ARGS="--finished 1000000 --waiting")
	@$(BIN)/python -m bench.stored $(ARGS)

bench-start: .venv/.dev ## Cold start of each service until it is ready, and what an installation weighs
	@$(BIN)/python -m bench.start $(ARGS)

bench-guard: .venv/.dev ## Count the instructions of a step (valgrind) and hold them to the base line; ARGS=--write sets it
	@$(BIN)/python -m bench.guard $(ARGS)

bench-flood: .venv/.dev ## More starts at once than ingress works on, with and without the bound: answers and memory (a minute)
	@$(BIN)/python -m bench.flood $(ARGS)

soak: .venv/.dev ## An hour at half of the peak, and what is left of it (SOAK_SECONDS=600, ARGS="--rate 500"); the report is in .intention/soak
	@$(BIN)/python -m bench.soak $(ARGS)

bench-overdue: .venv/.dev ## The watchdog's curve when 100,000 executions are overdue at once
	@$(BIN)/python -m bench.overdue $(ARGS)

standstill: .venv/.dev ## Stop the executors for a minute under a load of 1,000, and count what is re-sent
	@$(BIN)/python -m tests.system.standstill $(ARGS)

drill: .venv/.dev ## Sagas under kills and power cuts with a 30 s sleep, a map of 1,000 items, 10,000 steps (fifteen minutes)
	@$(BIN)/python -m tests.system.drill $(ARGS)

mesh: .venv/.dev ## The Ably subscriber under every fault for ten minutes (ARGS="--minutes 10 --seed 1")
	@$(BIN)/python -m tests.system.mesh $(ARGS)

chaos: .venv/.dev ## Kill, stop, cut off and lie to a whole fleet under load: ARGS="--minutes 5 --seed 1"
	@$(BIN)/python -m tests.system.chaos $(ARGS)

losses: .venv/.dev ## 1,000 sagas of 8 steps for each way in which QStash and Ably may lose messages: ARGS="both --sagas 1000"
	@$(BIN)/python -m tests.system.losses $(ARGS)

lock: ## Resolve the locked requirements again (needs uv)
	@for pair in "local run" "dev dev" "ingress ingress" "step-executor step_executor" "resume resume" "qstash-dev qstash_dev" "ably-dev ably_dev" "town town"; do set -- $$pair; \
	  uv pip compile pyproject.toml --extra $$1 --generate-hashes --no-header --no-emit-index-url --no-annotate --universal --python-version 3.11 -q -o requirements/$$2.txt; done

.PHONY: help run test setup doctor lint types types-console check sim fuzz-api planner-report mutants bench bench-peers bench-qstash bench-curves bench-scripts bench-readers bench-telemetry bench-stored bench-start bench-guard soak bench-overdue bench-flood standstill drill mesh chaos losses lock scale
