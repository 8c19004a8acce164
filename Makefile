# Every target works alone on a clean clone: it makes its prerequisites in .venv, and none of them twice.
# Another Python than python3:  make PYTHON=python3.13 test

PYTHON ?= python3
VENV := .venv
COMPILED := .venv-compiled
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# The sources of the package. Tests and checks run against the installed package, never against the tree.
# `find` lists every file below the root, so that no new folder is forgotten, and no stale install tested.
SOURCES := pyproject.toml README.md LICENSE py.typed \
	$(shell find . -mindepth 1 \( -path './.*' -o -path ./tests -o -path ./docs -o -path ./examples -o -path ./build -o -name '*.egg-info' \
	-o -name __pycache__ \) -prune -o -type f \( -name '*.py' -o -name '*.proto' -o -name '*.binpb' -o -path './benchmarks/report/page.css' -o -path './http/docs/static/*' -o -path './http/page/static/*' \) -print | sed 's|^\./||' | sort)

.PHONY: help run demo test coverage test-slow test-chaos simulate test-compiled test-sdks test-ui pictures check docs bench bench-peers clean FORCE
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make run        start the daemon with examples/order_processing.py"
	@echo "make demo       an order, an approval and two kills, from start to end"
	@echo "make test       the tests, in a few minutes at most, and which branches a module's own test file runs"
	@echo "make coverage   the tests of the inner layers, and which lines and branches of these they run, by module"
	@echo "make test-slow  the long proofs too"
	@echo "make test-chaos CHAOS_SECONDS=600  hosts on one database under each kind of fault, so long each"
	@echo "make test-compiled  the tests of the turn against a compiled build; needs a C compiler"
	@echo "make test-sdks  Dapr's published SDKs against this build; needs a network the first time"
	@echo "make test-ui    the page in a real browser; needs Debian's chromium, and npm for the types of its modules"
	@echo "make pictures   take the pictures of the page in docs/pictures again"
	@echo "make simulate HOURS=8  worlds of crashes on all cores; also MINUTES=5. Failures are written to build/simulate"
	@echo "make check      ruff and mypy"
	@echo "make docs       the documentation as a site, in build/site"
	@echo "make bench      measure this build on this machine"
	@echo "make bench-peers  other engines beside it; needs npm, and a network the first time"
	@echo "make clean      remove what make made; data stays"

run: $(VENV)/package
	$(BIN)/perdure run examples/order_processing.py

demo: $(VENV)/package
	$(BIN)/python examples/demo.py

# Four tests at a time on two cores, because many wait for a process, a database or a clock. So no test may depend on a short
# time of the real clock: cost is measured in the processor's time, and order by events.
# pytest keeps the test modules that it rewrites for its next process, also where the environment forbids Python to do so.
test coverage test-slow test-chaos test-compiled: export PYTHONDONTWRITEBYTECODE =

# A test that hangs ends the run, which prints the stacks of all threads.
HANG = -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true

# A test that fails beside others is run once more, alone, and has to pass then. Both runs print their failures, so that a test
# which needs this is seen.
FAILED_ONLY = --last-failed --last-failed-no-failures none
ALONE = $(BIN)/python -m pytest $(HANG) $(FAILED_ONLY)

# Which lines and branches the tests run, by module: it fails if a module is below its floor in tests/support/coverage/floors.toml.
# `make test` measures the part of a module that its own test file runs, and `make coverage` the part that all tests of these
# layers run: that takes more than twice as long, because a tracer looks at each line. A test that fails under a tracer has to pass without it.
MEASURED = build/coverage
REPORT = $(BIN)/python -m tests.support.coverage.report

test: $(VENV)/package $(VENV)/extra-test
	rm -rf $(MEASURED)/by_own && mkdir -p $(MEASURED)/by_own
	$(BIN)/python -m pytest $(HANG) -n 4 --dist worksteal --coverage=$(CURDIR)/$(MEASURED)/by_own || $(ALONE)
	$(REPORT) by_own $(MEASURED)/by_own

COVERED = actors runtime api journal rpc
coverage: export COVERAGE_FILE := $(CURDIR)/$(MEASURED)/by_all/data
coverage: $(VENV)/package $(VENV)/extra-test
	rm -rf $(MEASURED)/by_all && mkdir -p $(MEASURED)/by_all
	$(BIN)/python -m coverage run -m pytest $(HANG) -n 3 --dist worksteal $(COVERED:%=tests/%) || env -u COVERAGE_FILE $(ALONE)
	$(REPORT) by_all $(MEASURED)/by_all

# Properties are tried with all their examples (tests/support/examples.py).
test-slow: export EXAMPLES := all
test-slow: $(VENV)/package $(VENV)/extra-test
	$(BIN)/python -m pytest -m "slow or not slow" --ignore=tests/chaos

# Hosts and their database under each kind of fault, with the counts of each run:  make CHAOS_SECONDS=600 test-chaos
# libfaketime sets the clocks, and Patroni with etcd makes a failover too, if Debian's packages of them are installed
# (libfaketime, patroni, etcd-server), or LIBFAKETIME, PATRONI and ETCD give their paths.
CHAOS_SECONDS ?= 20
test-chaos: $(VENV)/package $(VENV)/extra-test
	CHAOS_SECONDS=$(CHAOS_SECONDS) $(BIN)/python -m pytest -s -m slow tests/chaos

# Seeds follow from the commit and the name of the night: make simulate HOURS=8 NIGHT=2026-11-26
# Only some kinds of world (tests/simulation/kinds.py), crowds six times as often: make simulate HOURS=1 KINDS="plain crowd*6"
HOURS ?= 0
MINUTES ?= 0
simulate: $(VENV)/package $(VENV)/extra-test
	$(BIN)/python -m tests.simulation.night --hours $(HOURS) --minutes $(MINUTES) $(if $(NIGHT),--night $(NIGHT)) $(if $(KINDS),--kinds $(foreach kind,$(KINDS),'$(kind)'))

# The tests for a compiled build: one that it is compiled, and the tests of the layer that runs the turns.
COMPILED_TESTS = tests/house/test_wheel.py tests/runtime

# It is built as a user builds it: pip fetches the requirements of the build into a separate environment.
test-compiled: $(COMPILED)/package
	$(COMPILED)/bin/python -m pytest $(HANG) --compiled $(COMPILED_TESTS) \
		|| $(COMPILED)/bin/python -m pytest $(HANG) $(FAILED_ONLY) --compiled $(COMPILED_TESTS)

# The page at /ui/ in a headless Chromium, against real daemons. The sizes and times that it measures are printed.
# Debian: apt-get install chromium. Another browser: make CHROMIUM=/path/to/chrome test-ui
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
UI_TESTS = $(VENV)/package $(VENV)/extra-test $(VENV)/extra-test-ui
# The tests of the page's files go first: a browser's driver leaves an event loop running in the process.
UI_RUN = -o faulthandler_timeout=900 -s -m "slow or not slow" tests/http/page tests/page
test-ui: export CHROMIUM := $(CHROMIUM)
test-ui: $(UI_TESTS) $(VENV)/node/made
	$(BIN)/python -m pytest $(HANG) $(UI_RUN) || $(ALONE) $(UI_RUN)

pictures: $(UI_TESTS)
	CHROMIUM=$(CHROMIUM) PICTURES=docs/pictures $(BIN)/python -m pytest $(HANG) -s -m slow tests/page/test_pictures.py

# The compiler that checks the types in the page's modules, and the types of the vendored files. The package has none of them.
$(VENV)/node/made: tests/page/package.json | $(VENV)/made
	@mkdir -p $(@D)
	cp $< $(@D)/package.json
	cd $(@D) && npm install --silent --no-audit --no-fund --no-package-lock
	@touch $@

$(COMPILED)/package: $(SOURCES) $(COMPILED)/sources
	@rm -rf build
	PERDURE_COMPILE=1 $(COMPILED)/bin/python -m pip --quiet --disable-pip-version-check install '.[test]'
	@rm -rf build perdure.egg-info
	@touch $@

# Each generation of Dapr's SDKs in a separate environment, because their stubs clash.
# Only some of the SDKs:  make ONLY="JavaScript Go" test-sdks
# With the rows in a file, from which docs/site/sdks.py makes a page:  make SDK_RESULTS=build/sdks.json test-sdks
test-sdks: $(VENV)/package $(VENV)/extra-test .venv-dapr-1.19/made .venv-dapr-1.17/made
	$(BIN)/python tests/sdk/drive.py $(ONLY)
	$(if $(ONLY),,$(BIN)/python -m pytest $(HANG) -m slow tests/docs/test_from_dapr.py)

.venv-dapr-%/made: tests/sdk/requirements/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --quiet --disable-pip-version-check install -r $<
	@touch $@

# mypy checks the installed package, from a folder in which it cannot take the tree for the package.
check: $(VENV)/package $(VENV)/extra-check $(VENV)/extra-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml -p perdure
	cd $(VENV) && MYPYPATH=.. bin/mypy --config-file ../pyproject.toml --explicit-package-bases ../tests ../examples

# Strict: a dead link, a page that is missing in the navigation and a docstring that does not fit its function end it.
docs: $(VENV)/package $(VENV)/extra-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: $(VENV)/package $(VENV)/extra-bench
	$(BIN)/perdure bench

# Other engines, each in a separate environment. Only some of them:  make PEERS="--peer restate" bench-peers
bench-peers: $(VENV)/package $(VENV)/extra-bench
	$(BIN)/perdure bench --peers .venv-peers --install-peers $(PEERS) --workload W1 --workload W2 --workload W3 --workload W4 --repeat 3

clean:
	rm -rf $(VENV) $(COMPILED) .venv-dapr-* .venv-peers build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# setuptools comes into .venv itself, so that building the package again takes two seconds and no download.
$(VENV)/made $(COMPILED)/made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Perdure needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip --quiet --disable-pip-version-check install "setuptools>=77"
	@touch $@

# setuptools packs every file in build/, and so would keep a file that was deleted. It would make perdure.egg-info in this
# folder, and a pytest that starts meanwhile would take that for another package with plugins, and fail to start.
define install
	@rm -rf build && mkdir build
	$(PIP) install --no-build-isolation --config-settings=--global-option="egg_info --egg-base build" $(1)
	@rm -rf build
	@touch $@
endef

# The list of the sources is a prerequisite too: a deleted file makes no other file newer.
$(VENV)/sources $(COMPILED)/sources: %/sources: FORCE | %/made
	@echo "$(SOURCES)" | cmp -s - $@ || echo "$(SOURCES)" > $@

$(VENV)/package: $(SOURCES) $(VENV)/sources
	$(call install,.)

$(VENV)/extra-%: pyproject.toml | $(VENV)/package
	$(call install,'.[$*]')
