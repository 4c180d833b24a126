# Two commands matter: `make serve` and `make test`. Both set up everything they need.

VENV    := .venv
BIN     := $(VENV)/bin
PYTHON  ?= python3
SERVE   ?= # more arguments for `authservice serve`
ORDERS  ?= # more arguments for the example
JOBS    ?= 4# files of tests at a time: more than two cores, as much of the time is spent waiting
PYTEST  ?= # more arguments for pytest
BENCH   ?= # arguments for the benchmarks, such as --rounds 9
KILLS   ?= 50
RESTARTS ?= 100
SLOW_CALLERS ?= 2000
WATCHERS ?= 2000
FLOOD   ?= 20
GUESSES ?= 10000
SAMPLES ?= 1200# the areas wander by about a sixtieth then: the bound is 0.45 to 0.55
CALLS   ?= 100000
SOAK    ?= 3600
ADVISORIES ?= python go typescript
NODE_KILLS ?= 3
LOGOUTS ?= 1000
TESTS   ?= tests/contracts tests/rpc tests/faults tests/cli# what `make mysql` runs
PYTHONS ?= 3.10 3.11 3.12 3.13# those that `make client-versions` looks for
GOS     ?= 1.25.0 1.26.0 1.27.0# and those that it fetches
NODES   ?= 18 20 22 24
GRPCIO  ?= 1.85.1 1.85.3# the oldest and the newest that the server extra allows

PROTOS  := $(sort $(wildcard protos/authapi/v1/*.proto))
SERVICES := $(shell grep -l "^service " $(PROTOS))
STUBS   := clients/python
ORDERS_STUBS := examples/orders

.DEFAULT_GOAL := help
.PHONY: help setup dist version serve orders test check lint types layers contract unit mysql galera mysql-group kills every-fault restarts soak connection-age slow-callers networks hosts tracing login-flood guessing upgrades without-entrance grpcio-versions client-versions generate advisories format lock bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

# --- set-up ----------------------------------------------------------------------------------------------------------

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
WHICH      := import sys; print(sys.version, sys.base_prefix)

define USABLE
command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Name one that is 3.11 or newer: make PYTHON=..." >&2; exit 1; }; \
$(PYTHON) -V >/dev/null 2>&1 || { echo "$(PYTHON) does not run. Name one that is 3.11 or newer: make PYTHON=..." >&2; exit 1; }; \
$(PYTHON) -c '$(NEW_ENOUGH)' || \
	{ echo "$(PYTHON) is $$($(PYTHON) -V). Name one that is 3.11 or newer: make PYTHON=python3.11" >&2; exit 1; }; \
$(PYTHON) -m pip --version >/dev/null 2>&1 || \
	{ echo "$(PYTHON) has no pip. Install it (Debian: apt install python3-pip), or name another: make PYTHON=..." >&2; exit 1; }
endef

# An environment of another Python, or of one that is gone, would fail for ever. Looked at before make looks at the stamps.
$(shell test ! -e $(VENV)/pyvenv.cfg || $(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null || \
	{ echo "$(VENV) has no Python 3.11 or newer and is made anew." >&2; rm -rf $(VENV); })

# Nor should a Python that is named be ignored because there is an environment already.
ifneq ($(origin PYTHON),file)
$(shell test ! -e $(VENV)/pyvenv.cfg || \
	test "$$($(PYTHON) -c '$(WHICH)' 2>/dev/null)" = "$$($(BIN)/python -c '$(WHICH)')" || \
	{ $(USABLE); echo "$(VENV) has another Python than $(PYTHON) and is made anew." >&2; rm -rf $(VENV); })
$(if $(filter 1,$(.SHELLSTATUS)),$(error $(VENV) stays as it is))
endif

# Debian's python3 has no ensurepip, so the environment is made without pip and filled by the pip outside it.
$(BIN)/python:
	@$(USABLE)
	$(PYTHON) -m venv --without-pip $(VENV)

$(VENV)/server.stamp: requirements/server.txt pyproject.toml | $(BIN)/python
	$(PYTHON) -m pip --python $(BIN)/python install -q --require-hashes -r requirements/server.txt
	$(PYTHON) -m pip --python $(BIN)/python install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/server.stamp
	$(PYTHON) -m pip --python $(BIN)/python install -q --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/dev.stamp ## Install everything that development needs

# --- run -------------------------------------------------------------------------------------------------------------

serve: $(VENV)/server.stamp ## Serve on 127.0.0.1:50051 (SERVE="--port 50060" for more)
	@exec $(BIN)/authservice serve $(SERVE)

orders: $(VENV)/server.stamp ## Serve the example on 127.0.0.1:50052, beside `make serve` (ORDERS="--listen ..." for more)
	@exec $(BIN)/python examples/orders/serve.py $(ORDERS)

# --- test ------------------------------------------------------------------------------------------------------------

test: check mariadb faketime unit ## Run every check and every test, on SQLite and on a real MariaDB

check: lint types layers contract ## Run the checks that execute no test

lint: setup
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports --no-logo

contract: setup
	tests/contract_checks.sh $(BIN)

.PHONY: mariadb
mariadb:
	@tests/install_mariadb.sh

# Where no bytecode is kept, each of the processes that run tests compiles all of them anew, for four seconds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: faketime
faketime:
	@tests/install_faketime.sh

# In the order of the folders: the files that take longest come first, those that take no time fill the rest.
unit: setup
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST)

kills: setup ## Kill workers and servers under load, KILLS=50 times on each database
	@tests/install_mariadb.sh
	AUTHSERVICE_TEST_KILLS=$(KILLS) $(BIN)/pytest -s tests/faults/test_kill_9.py --timeout=3600

every-fault: setup ## Faults at every statement of every call, and a migration killed after each, where the others take some
	@tests/install_mariadb.sh
	AUTHSERVICE_TEST_EVERY=1 AUTHSERVICE_TEST_CUTS=5 $(BIN)/pytest -n $(JOBS) --timeout=600 tests/faults/test_database_faults.py \
		tests/faults/test_lost_connections.py tests/contracts/test_migrations_killed.py $(PYTEST)

restarts: setup ## Restart a server under load, RESTARTS=100 times, and watch the memory of its clients
	AUTHSERVICE_TEST_RESTARTS=$(RESTARTS) $(BIN)/pytest -s tests/faults/test_restarts_under_load.py

soak: setup ## Each kind of client, then all, for SOAK=3600 seconds, and what memory a worker takes meanwhile
	AUTHSERVICE_TEST_SOAK_SECONDS=$(SOAK) $(BIN)/pytest -s tests/faults/test_soak.py --timeout=0

connection-age: setup ## Make CALLS=100000 while connections come of age and two servers are replaced in turn
	@tests/install_mariadb.sh
	AUTHSERVICE_TEST_CALLS=$(CALLS) $(BIN)/pytest -s tests/faults/test_rolling_restarts.py

slow-callers: setup ## Verify beside SLOW_CALLERS=2000 that send no request or too much, and beside WATCHERS=2000 streams
	@tests/install_mariadb.sh
	AUTHSERVICE_TEST_SLOW_CALLERS=$(SLOW_CALLERS) $(BIN)/pytest -s tests/faults/test_slow_callers.py
	AUTHSERVICE_TEST_WATCHERS=$(WATCHERS) $(BIN)/pytest -s tests/rpc/trust/test_many_watchers.py -k o4
	AUTHSERVICE_TEST_LARGE_CALLS=$(SLOW_CALLERS) $(BIN)/pytest -s tests/faults/test_large_metadata.py

mysql: setup ## Run TESTS="tests/contracts ..." on Oracle's MySQL, which is fetched into .cache
	@server=$$(tests/install_mysql.sh .cache/mysql) && set -x && AUTHSERVICE_TEST_MYSQLD=$$server \
		$(BIN)/pytest -n $(JOBS) --dist loadfile -k "not sqlite" $(TESTS) $(PYTEST)

galera: setup ## Kill one of three Galera nodes NODE_KILLS=3 times under load, and log out LOGOUTS=1000 times
	@tests/install_galera.sh
	AUTHSERVICE_TEST_NODES=3 AUTHSERVICE_TEST_NODE_KILLS=$(NODE_KILLS) AUTHSERVICE_TEST_LOGOUTS=$(LOGOUTS) \
		AUTHSERVICE_TEST_SPREAD_TOKENS=60 AUTHSERVICE_TEST_WRITES=500 $(BIN)/pytest -s tests/clusters $(PYTEST)

mysql-group: setup ## The same with a group of three MySQL servers, of which each is a primary, and then one
	@server=$$(tests/install_mysql.sh .cache/mysql) && set -x && for kind in group primary; do \
		AUTHSERVICE_TEST_MYSQLD=$$server AUTHSERVICE_TEST_CLUSTER=$$kind \
		AUTHSERVICE_TEST_NODES=3 AUTHSERVICE_TEST_NODE_KILLS=$(NODE_KILLS) AUTHSERVICE_TEST_LOGOUTS=$(LOGOUTS) \
		AUTHSERVICE_TEST_SPREAD_TOKENS=60 AUTHSERVICE_TEST_WRITES=500 $(BIN)/pytest -s tests/clusters $(PYTEST) || exit 1; done

networks: setup ## Connections that die without a word, those of guards and sessions too, and failovers of the database
	@tests/install_mariadb.sh
	AUTHSERVICE_TEST_NETWORKS=1 $(BIN)/pytest -s tests/faults/test_failovers.py tests/faults/test_silent_connections.py \
		tests/faults/test_stopped_servers.py tests/clients/calling/test_session_networks.py \
		tests/clients/view/test_silent_connections.py tests/examples/test_dropped_packets.py

hosts: setup ## The client in gunicorn, uvicorn, celery, Django's reloader and among green threads of gevent
	@test -e .cache/hosts/bin/python || $(BIN)/uv venv -q --python $(BIN)/python .cache/hosts
	$(BIN)/uv pip sync -q --python .cache/hosts/bin/python --require-hashes requirements/hosts.txt
	$(BIN)/uv pip install -q --python .cache/hosts/bin/python --no-deps -e .
	AUTHSERVICE_TEST_HOSTS=.cache/hosts $(BIN)/pytest -s tests/examples/test_hosts.py

tracing: setup ## The tests of the Go and TypeScript clients with OpenTelemetry around every call, which is fetched
	@tests/tracing/each.sh go typescript

login-flood: setup ## Ten times as many logins as can be hashed for FLOOD=20 seconds, on each database
	@tests/install_mariadb.sh
	AUTHSERVICE_TEST_FLOOD_SECONDS=$(FLOOD) $(BIN)/pytest -s tests/faults/test_login_flood.py

guessing: setup ## GUESSES=10000 at one account from a tenth as many networks, and SAMPLES=1200 of the times of answers
	@tests/install_mariadb.sh
	AUTHSERVICE_TEST_GUESSES=$(GUESSES) $(BIN)/pytest -s tests/rpc/auth/test_throttling.py -k c8_however --timeout=0
	AUTHSERVICE_TEST_TIMING_SAMPLES=$(SAMPLES) AUTHSERVICE_TEST_MAIL_TIMING_SAMPLES=$(SAMPLES) \
		$(BIN)/pytest -s tests/rpc/auth/test_timing.py tests/rpc/account/test_timing.py --timeout=0

without-entrance: setup ## Run the tests that call a server once more, with calls taken as grpcio takes them
	@tests/install_mariadb.sh
	AUTHSERVICE_TEST_ENTRANCE=off $(BIN)/pytest -n $(JOBS) --dist loadfile -m "not languages" \
		tests/rpc tests/clients tests/cli tests/faults tests/examples $(PYTEST)

grpcio-versions: setup ## Run the RPC tests both ways with each of GRPCIO="1.85.1 1.85.3"
	@tests/install_mariadb.sh
	@set -e; for version in $(GRPCIO); do tests/with_grpcio.sh $(BIN) $$version; done

upgrades: setup ## Serve beside the version from before each migration, while the database is migrated
	@tests/install_mariadb.sh
	@tests/install_versions.sh $(BIN)/python .cache/versions
	AUTHSERVICE_TEST_VERSIONS=.cache/versions $(BIN)/pytest tests/faults/test_versions.py

client-versions: setup ## Run the clients' tests with the oldest and the newest packages, on each of PYTHONS, GOS and NODES
	@tests/client_versions/each.sh $(BIN) $(PYTHONS:%=python%) $(GOS:%=go%) $(NODES:%=node%)

bench: setup ## Measure, side by side with the floor, and print the table
	@tests/install_mariadb.sh
	$(BIN)/python -m benchmarks $(BENCH)

# --- keep ------------------------------------------------------------------------------------------------------------

PLUGINS  := PATH="$(abspath $(BIN)):$$PATH"# those of mypy

# Older than what development has, so that the stubs serve older services as well.
.cache/stubs/%/made.stamp: requirements/%.txt | $(BIN)/python
	rm -rf $(@D)
	$(PYTHON) -m venv --without-pip $(@D)
	$(PYTHON) -m pip --python $(@D)/bin/python install -q --require-hashes -r $<
	@touch $@

generate: generate-python generate-go generate-typescript ## Regenerate the stubs of each language that the machine has tools for

.PHONY: generate-python generate-go generate-typescript
generate-python: setup .cache/stubs/messages/made.stamp .cache/stubs/services/made.stamp
	$(PLUGINS) .cache/stubs/messages/bin/python -m grpc_tools.protoc -I protos \
		--python_out=$(STUBS) --mypy_out=quiet:$(STUBS) $(PROTOS)
	$(PLUGINS) .cache/stubs/services/bin/python -m grpc_tools.protoc -I protos \
		--grpc_python_out=$(STUBS) --mypy_grpc_out=quiet:$(STUBS) $(SERVICES)
	$(PLUGINS) .cache/stubs/messages/bin/python -m grpc_tools.protoc -I protos -I examples/orders/protos \
		--python_out=$(ORDERS_STUBS) --mypy_out=quiet:$(ORDERS_STUBS) orders/v1/orders.proto
	$(PLUGINS) .cache/stubs/services/bin/python -m grpc_tools.protoc -I protos -I examples/orders/protos \
		--grpc_python_out=$(ORDERS_STUBS) --mypy_grpc_out=quiet:$(ORDERS_STUBS) orders/v1/orders.proto

generate-go: setup
	@if ! command -v go >/dev/null; then echo "generate: the stubs of Go stay as they are, without go" >&2; \
	else clients/go/generate.sh; fi

generate-typescript: setup
	@if ! command -v npm >/dev/null; then echo "generate: the stubs of TypeScript stay as they are, without npm" >&2; \
	else cd clients/typescript && { test -d node_modules || npm ci --silent --ignore-scripts; } && ./generate.sh; fi

advisories: setup ## Ask whether there are known advisories about what is pinned (ADVISORIES="python go typescript" by default)
	@tests/advisories.sh $(ADVISORIES)

format: setup ## Format Python and protos
	$(BIN)/ruff format -q .
	$(BIN)/ruff check -q --fix .
	$(BIN)/buf format -w

lock: setup ## Pin the newest versions that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --extra server --group run --upgrade pyproject.toml -o requirements/server.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --extra dev --constraint requirements/server.txt pyproject.toml -o requirements/dev.txt

	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --group pyproject.toml:toolchains --upgrade -o requirements/toolchains.txt

	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --group hosts --constraint requirements/server.txt pyproject.toml --upgrade -o requirements/hosts.txt

	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --group pyproject.toml:advisories --upgrade -o requirements/advisories.txt

	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --group pyproject.toml:messages --upgrade -o requirements/messages.txt

	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate --group pyproject.toml:services --upgrade -o requirements/services.txt

# --- release ---------------------------------------------------------------------------------------------------------

version: setup ## Write the version of pyproject.toml wherever else it stands
	$(BIN)/python -m release version

dist: setup ## Build wheel, sdist, npm package and Go module into dist/, try each, and tag a version that is ready
	$(BIN)/python -m release dist

clean: ## Remove what the other targets made, except data/
	rm -rf $(VENV) .cache dist
