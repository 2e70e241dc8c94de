# Loading Bay. Two commands: `make run` (the whole story) and `make test`.
# Both need Python 3.11, git and a package index, and set up everything else themselves.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV := .uv/bin/uv
UV_VERSION := 0.13.9
PY := .venv/bin/python
IMAGE_PY := .venv-image/bin/python
export UV_PYTHON_DOWNLOADS := never
# Environments are small to rebuild; a hard link into uv's cache makes it seconds.
export UV_LINK_MODE ?= hardlink
# Bytecode is kept, whatever the surroundings say: without it each process compiles what it imports, which doubles a start.
export PYTHONDONTWRITEBYTECODE :=

# The commands of an environment name its folder: after a renaming they would not be found.
ifneq ($(shell test -f .venv/bin/loadingbay && ! grep -qF '$(CURDIR)/.venv/bin' .venv/bin/loadingbay && echo moved),)
$(info This folder was renamed: setting the environments up again)
$(shell rm -rf .venv .venv-image .venv-lint .venv-sdk2 .venv-sdk3 .uv)
endif

.PHONY: browser chromium run test unit unit-image unit-tools unit-localcloud e2e e2e-story e2e-apart drift pipelines faults lint lock moto sbom setup dev clean help

help: ## what there is
	@grep -E '^[a-z0-9-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

run: setup ## the whole life of a model on this machine: photos in, approved model serving, drivers routed
	@.venv/bin/loadingbay run --approve

setup: .venv/tools.stamp .venv-image/image.stamp ## create both environments from their lock files

$(UV):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v == (3, 11) else f"Loading Bay needs Python 3.11; {sys.executable} is {v[0]}.{v[1]}. Install it, or name it: make run PYTHON=/path/to/python3.11")'
	@echo "Setting up uv $(UV_VERSION)"
	@$(PYTHON) -m venv .uv
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/tools.stamp: requirements/tools.lock setup.py localcloud/pyproject.toml | $(UV)
	@echo "Setting up the tools environment (.venv)"
	@test -x $(PY) || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements/tools.lock
	@$(UV) pip install --quiet --python $(PY) --no-deps -e . -e ./localcloud
	@touch $@

.venv-image/image.stamp: container/requirements.lock | $(UV)
	@echo "Setting up the image environment (.venv-image)"
	@test -x $(IMAGE_PY) || $(UV) venv --quiet --python $(PYTHON) .venv-image
	@# Jobs cannot write here, so its bytecode is made at once.
	@$(UV) pip install --quiet --compile-bytecode --python $(IMAGE_PY) --require-hashes -r container/requirements.lock
	@touch $@

.venv/dev.stamp: requirements/dev.lock .venv/tools.stamp
	@echo "Adding what the tests need to .venv"
	@$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements/dev.lock
	@touch $@

.venv-image/test.stamp: requirements/image-test.lock .venv-image/image.stamp
	@echo "Adding what the tests need to .venv-image"
	@$(UV) pip install --quiet --python $(IMAGE_PY) --require-hashes -r requirements/image-test.lock
	@touch $@

dev: .venv/dev.stamp .venv-image/test.stamp ## both environments with test tools

# For a hurry, `make test TESTS=lint`.
TESTS ?= e2e lint unit browser

# Three parts at a time share two cores, since each also waits; the longest begin first, so that none is left alone at
# the end (what only one part needs is made in its recipe: as a prerequisite it would put that part behind all others).
# What each printed comes when it ends.
PARTS = $(patsubst unit,unit-localcloud unit-image unit-tools,$(patsubst e2e,e2e-apart e2e-story,$(TESTS)))

test: dev ## everything CI runs
	@echo "About 20 minutes on two cores. Three parts at a time, each shown when it ends: $(PARTS)"
	@$(MAKE) --no-print-directory --output-sync=target --jobs 3 $(PARTS)

unit: unit-image unit-tools unit-localcloud ## fast tests: no network, no sleep

unit-image: dev
	$(IMAGE_PY) -m pytest tests/training tests/processing tests/container

unit-tools: dev
	$(PY) -m pytest tests -m "not pipelines" --ignore tests/training --ignore tests/processing --ignore tests/container --ignore tests/e2e --ignore tests/browser --ignore tests/localcloud --ignore tests/sdk_pipelines

unit-localcloud: dev
	$(PY) -m pytest tests/localcloud tests/sdk_pipelines -m "not pipelines"

e2e: e2e-story e2e-apart ## the real local cloud, driven over HTTP

e2e-story: dev
	$(PY) -m pytest tests/e2e -m "not faults and not apart"

e2e-apart: dev
	$(PY) -m pytest tests/e2e -m "not faults and apart"

# askew, out-of-focus or night
CAMERA ?= out-of-focus

drift: setup ## a camera changes: alarm, labels, a new version by itself, and a picture of it (10 minutes)
	@.venv/bin/loadingbay story drift --camera $(CAMERA)

.venv-sdk%/sdk.stamp: requirements/sdk%.lock | $(UV)
	@echo "Setting up an environment of SageMaker's SDK v$* (.venv-sdk$*)"
	@test -x .venv-sdk$*/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-sdk$*
	@$(UV) pip install --quiet --python .venv-sdk$*/bin/python --require-hashes -r $<
	@touch $@

pipelines: dev .venv-sdk2/sdk.stamp .venv-sdk3/sdk.stamp ## pipelines in the public's shapes, with SageMaker's SDK v2 and v3
	$(PY) -m pytest tests/sdk_pipelines

moto: dev ## moto's own SageMaker tests on local clouds: how many of the fair ones pass (some minutes)
	@$(PY) -m bench.moto

browser: dev ## the console in a real browser, on a local cloud of its own
	@$(MAKE) --no-print-directory chromium
	$(PY) -m pytest tests/browser

chromium:
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	  && echo "Installing Chromium" && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || echo "There is no Chromium, and only root can install it, by apt (apt-get install chromium): its tests are skipped"

faults: dev ## kills, floods and misleads the local cloud under load, and writes docs/faults.md
	FAULTS_REPORT=$(CURDIR)/docs FAULTS_KILLS=100 FAULTS_LINES=100000 $(PY) -m pytest tests/e2e/faults/test_kills.py
	FAULTS_REPORT=$(CURDIR)/docs FAULTS_STARTS=300 $(PY) -m pytest tests/e2e/faults --ignore tests/e2e/faults/test_kills.py

.venv-lint/lint.stamp: requirements/lint.lock | $(UV)
	@echo "Setting up the environment of the linters that cannot live beside the tools (.venv-lint)"
	@test -x .venv-lint/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-lint
	@$(UV) pip install --quiet --python .venv-lint/bin/python --require-hashes -r requirements/lint.lock
	@touch $@

lint: dev ## ruff, mypy, import-linter, cfn-lint, checkov, hadolint
	@$(MAKE) --no-print-directory .venv-lint/lint.stamp
	@.venv/bin/ruff check .
	@# Text files are UTF-8 in any locale.
	@.venv/bin/ruff check --quiet --preview --select PLW1514 .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/cfn-lint workflow/*.yaml
	@.venv-lint/bin/hadolint container/Dockerfile
	@.venv-lint/bin/checkov --directory workflow --framework cloudformation --skip-download --compact --quiet

lock: $(UV) ## write the lock files anew from the .in files
	$(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' requirements/tools.in -o requirements/tools.lock
	$(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -c requirements/tools.lock requirements/dev.in -o requirements/dev.lock
	$(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' container/requirements.in -o container/requirements.lock
	$(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -c container/requirements.lock requirements/image-test.in -o requirements/image-test.lock
	$(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' requirements/lint.in -o requirements/lint.lock
	$(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' requirements/sbom.in -o requirements/sbom.lock
	for sdk in 2 3; do $(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' requirements/sdk$$sdk.in -o requirements/sdk$$sdk.lock || exit 1; done
	@$(MAKE) --no-print-directory sbom

sbom: $(UV) ## write down what the image is made of, with licences: container/sbom.cdx.json
	@$(UV) venv --quiet --clear --python $(PYTHON) .loadingbay/sbom
	@$(UV) pip install --quiet --python .loadingbay/sbom/bin/python --require-hashes -r container/requirements.lock
	@$(UV) venv --quiet --clear --python $(PYTHON) .loadingbay/sbom-tool
	@$(UV) pip install --quiet --python .loadingbay/sbom-tool/bin/python --require-hashes -r requirements/sbom.lock
	@.loadingbay/sbom-tool/bin/cyclonedx-py environment --output-reproducible --of JSON -o .loadingbay/sbom/all.json .loadingbay/sbom/bin/python
	@# Links to home pages and shops are left out: they change without the image changing.
	@.loadingbay/sbom/bin/python -c 'import json, sys; json.dump(json.load(sys.stdin, object_hook=lambda d: {k: v for k, v in d.items() if k != "externalReferences"}), sys.stdout, indent=2); print()' < .loadingbay/sbom/all.json > container/sbom.cdx.json
	@rm -rf .loadingbay/sbom .loadingbay/sbom-tool

clean: ## remove environments, state, runs and caches: all that git ignores
	@test ! -x .venv/bin/loadingbay || .venv/bin/loadingbay down || true
	rm -rf .venv .venv-image .venv-lint .venv-sdk* .uv .loadingbay runs build *.egg-info localcloud/*.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
