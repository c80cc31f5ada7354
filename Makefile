# make demo: set up, and run the main job with nothing outside.
# make test: set up, lint, check types and imports, run every test.
# make fuzz MINUTES=10: broken bytes into all that reads foreign ones, for as long as wanted.
# make docs-metrics: docs/metrics.md anew, from what the bridge declares. make dashboard: the chart's dashboard.
# make simulate SEEDS=1000 FIRST=0: the whole bridge on virtual time, a world of faults a seed.
# make crashes: the bridge is killed, and stopped, at each step on the way; some minutes.
# make soak MINUTES=10 SEED=1: real parts, killed, frozen and cut at random; SEED= draws another.
# make mutants: plants bugs, and sees that the simulation finds each.
# make screenshots: pictures of the page for people, in docs/.
# make failures: the failure matrix, and the tests that show each row of it.
# make image: the container image, docs/container.md; needs Docker. make image-size: how large, without it.
# make chart-schema: the Helm chart's schema and table of values, anew from the configuration model and values.yaml.
# make docs-user-sync: docs/user-sync.md, with what the commands of its way on one machine say.
# make docs-logging: docs/logging.md, from the list of actions and a delivery.
# make audit: the list of all that is shipped with it (CycloneDX), and what is known to be wrong with that.
# Needs Python 3.11 or later, and for some tests Java, Maven and sshd (tests/parts/install.sh).

.DEFAULT_GOAL := demo
# Where it is set, each of the many processes of the tests would compile all modules anew: half a second.
unexport PYTHONDONTWRITEBYTECODE
BENCHES := bench-growth bench-steady bench-opening bench-day bench-levels bench-several bench-history \
	bench-identity bench-translating bench-page bench-sync
.PHONY: setup setup-dev setup-audit demo test fuzz simulate crashes soak screenshots mutants failures \
	image image-size chart-schema dashboard docs-logging docs-metrics docs-user-sync audit sbom bench $(BENCHES) \
	bench-chart lock clean
.DELETE_ON_ERROR:

BIN := .venv/bin
AUDIT := .venv-audit/bin
SBOM := dist/s2s-bridge.cdx.json
UV ?= uv
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
MINUTES ?= 10
SEEDS ?= 1000
PROCESSES ?= 2
FIRST ?= 0
SEED ?= 1
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

setup: .venv/installed

setup-dev: .venv/installed-dev

demo: setup
	@$(BIN)/s2s-bridge demo

setup-audit: .venv-audit/installed

test: setup-dev setup-audit
	@tests/parts/install.sh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile

fuzz: setup-dev
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

simulate: setup-dev
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST)

crashes: setup-dev
	@tests/parts/install.sh
	@CRASHES=grid $(BIN)/python -m pytest tests/faults/test_crashes.py

soak: setup-dev
	@tests/parts/install.sh
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

docs-logging: setup-dev
	@$(BIN)/python -m tests.logging_document

screenshots: setup-dev
	@tests/parts/install.sh
	@$(BIN)/python -m tests.page.screenshots

failures: setup-dev
	@$(BIN)/python -m tests.matrix

docs-metrics: setup-dev
	@$(BIN)/python -m tests.deployment.metrics_page

docs-user-sync: setup-dev
	@tests/parts/install.sh
	@$(BIN)/python -m tests.sync.one_machine

dashboard: setup-dev
	@$(BIN)/python -m helm.dashboard

mutants: setup-dev
	@$(BIN)/python -m tests.simulation.mutants

# PYTHON_IMAGE=python:3.12-slim@sha256:... pins the base.
image:
	docker build --tag s2s-bridge:$(VERSION) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
		$(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) .

image-size: setup-dev
	@$(BIN)/python -m tests.parts.dockerfile

# Needs nothing from outside once it is set up.
sbom: setup-audit
	@mkdir -p dist
	@$(AUDIT)/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml --output-reproducible \
		--spec-version 1.6 --output-format JSON --output-file $(SBOM) requirements.lock
	@echo "$(SBOM): all that requirements.lock pins"

# --strict: what the service does not know is not taken for good.
audit: sbom
	@for lock in requirements.lock requirements-dev.lock; do \
		if $(AUDIT)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --timeout 15 \
			--requirement $$lock > dist/audit.txt 2> dist/audit.log; then \
			echo "$$lock: nothing is known to be wrong"; \
		elif grep -q '^Found [0-9]' dist/audit.log; then \
			cat dist/audit.txt; echo "make: $$lock has known vulnerabilities; raise what is named above" >&2; exit 1; \
		else \
			echo "make: $$lock was not audited: the service of known vulnerabilities is out of reach or does not know" \
				"all of it; see dist/audit.log, and run it where it can be reached" >&2; exit 1; \
		fi; \
	done

# Options in BENCH, as: make bench BENCH="--rounds 1"
bench: setup-dev
	@tests/parts/install.sh
	@$(BIN)/python -m bench.bench $(BENCH)

$(BENCHES): bench-%: setup-dev
	@tests/parts/install.sh
	@$(BIN)/python -m bench.$* $(BENCH)

bench-chart: setup-dev
	@$(BIN)/python -m bench.chart $(BENCH)

chart-schema: setup-dev
	@$(BIN)/python -m helm

# --no-build-isolation: what builds the project stands in the lock too, with its hash.
.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or later was found; install one, or name it: make PYTHON=..." >&2; exit 1; }
	@echo "Setting up .venv with $(PYTHON)"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "make: $(PYTHON) has no venv; on Debian install python3-venv" >&2; exit 1; }
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Of its own, as its tools and the product must not decide on each other's versions.
.venv-audit/installed: requirements-audit.lock .venv/installed
	@rm -rf .venv-audit
	@$(BIN)/python -m venv .venv-audit
	@$(AUDIT)/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-audit.lock
	@touch $@

# Makes the locks anew, from pyproject.toml; needs uv.
lock:
	printf 'hatchling>=1.27\neditables>=0.5\n' | $(COMPILE) --extra demo pyproject.toml - -o requirements.lock
	$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --group audit -o requirements-audit.lock

clean:
	rm -rf .venv .venv-audit .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
