# The service's everyday commands. `make run` needs Debian's python3 (3.11 or later) and python3-venv, nothing else. With
# gcc and libc6-dev, it also compiles the native library.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := asr/native/libnative.so
PORT ?= 8000
export PORT
# Without cached bytecode, every process compiles Django at its start. A start then takes two seconds instead of half a
# second.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: sbom messages help run native models setup setup-dev services test screenshots test-coqui cluster-environment test-cluster test-clients test-schema test-damaged test-hostile test-faults test-images test-axe lint format lint-types lint-rest bench bench-voices requirements clean

help:
	@echo "make run          serve on http://127.0.0.1:$(PORT), set up on first use"
	@echo "make native       compile the native library, which halves the processor time of speech recognition"
	@echo "make models       fetch the speech models that make run uses, if they are missing"
	@echo "make test         lint, then all tests (PostgreSQL and Redis are started for them)"
	@echo "make test-coqui   test the Coqui voices, in an environment of their own"
	@echo "make test-cluster test Ray, PostgreSQL, Redis and two API processes, and kill parts of them"
	@echo "make test-clients test OpenAI's SDKs, the AI SDK, LiteLLM, LiveKit, Pipecat and others against the service"
	@echo "make test-schema  run Schemathesis against /schema/, fifty examples per operation from two seeds"
	@echo "make test-damaged send three thousand damaged audio files to a service"
	@echo "make test-faults  test outages under load: PostgreSQL, Redis and the tier gone, refusing, silent or slow; a full disk"
	@echo "make test-hostile run hostile clients beside normal ones for ten minutes (DURATION=60 for one minute)"
	@echo "make test-images  start both images' packages and folders together, without a container runtime"
	@echo "make test-axe     run axe-core on every page of the admin, the dashboard and the playground"
	@echo "make screenshots  make the pictures in docs/screenshots"
	@echo "make lint         run ruff, mypy, the import contracts of the layers, and bandit"
	@echo "make format       run ruff's formatter"
	@echo "make bench        measure the figures of the README's performance tables (BENCH=\"4 asr plain\" for some parts, shorter)"
	@echo "make bench-voices measure how well the voices are understood, and predict their MOS"
	@echo "make messages     update the translation catalogues from the code, and print what is missing"
	@echo "make sbom         write a list of the contents of each image to build/sbom, in CycloneDX format"
	@echo "make requirements pin the packages of requirements*.in"
	@echo "make clean        remove environments, caches and local state"

run: export VOICE_CORS_ORIGINS ?= http://localhost:*,http://127.0.0.1:*
run: $(VENV)/base.stamp $(NATIVE)
	@exec $(BIN)/python manage.py serve --demo --install-models

# Compiled again whenever its source has changed. If it cannot be compiled, the rule says why and succeeds: CTranslate2 then
# does the work, and the next command tries again.
$(NATIVE): $(wildcard asr/native/*.[ch]) asr/native/build.py | $(BIN)/python
	@$(BIN)/python -m asr.native.build

native: | $(BIN)/python
	@$(BIN)/python -m asr.native.build --strict
	@echo "The native library is compiled."

# A failure is ignored: without the models, some tests are skipped, and the service uses smaller models.
models: $(VENV)/base.stamp
	@$(BIN)/python manage.py models install --default || { code=$$?; [ $$code -lt 128 ] || exit $$code; \
	  echo "Going on without. \`make models\` tries again."; }

setup: $(VENV)/base.stamp $(NATIVE)
setup-dev: $(VENV)/dev.stamp $(NATIVE)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/debian-packages.sh python3-venv
	$(PYTHON) -m venv $(VENV)

$(VENV)/base.stamp: requirements.txt | $(BIN)/python
	@echo "Installing the requirements (up to a minute or two, once) ..."
	@scripts/install.sh requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/base.stamp
	@echo "Installing the tools for tests ..."
	@scripts/install.sh requirements-dev.txt
	@touch $@

services:
	@scripts/debian-packages.sh gcc libc6-dev postgresql redis-server chromium-headless-shell prometheus

# There is one worker more than cores, because many tests wait for processes, intervals and speech. `conftest.py` orders
# the test files.
IN_WORKERS = --numprocesses 3 --dist loadgroup --no-loadscope-reorder
# `services` comes first, because `lint` compiles the native library and needs a compiler for it.
test: services lint
	@VOICE_MODELS_DIR=$${VOICE_TEST_MODELS:-var/models} VOICE_ASR_MODEL= VOICE_TTS_MODEL= $(MAKE) --no-print-directory models
	$(BIN)/python -m pytest $(IN_WORKERS)

screenshots: setup-dev services
	SCREENSHOTS=docs/screenshots $(BIN)/python -m pytest tests/e2e -k "photographed or conversation"

test-coqui: setup-dev
	scripts/test_coqui.sh

cluster-environment: setup-dev
	scripts/test_cluster.sh --only-install

test-cluster: setup-dev services
	scripts/test_cluster.sh

test-clients: setup-dev
	scripts/test_clients.sh

test-schema: export VOICE_SCHEMA_SEEDS ?= 2 3
test-schema: export VOICE_SCHEMA_EXAMPLES ?= 50
test-schema: setup-dev
	scripts/test_clients.sh -k responses_match

test-damaged: export VOICE_DAMAGED_FILES ?= 3000
test-damaged: setup-dev
	$(BIN)/python -m pytest tests/hostile/test_damaged_audio.py -s --timeout 0

test-faults: setup-dev services
	VOICE_TEST_FAULTS=1 $(BIN)/python -m pytest tests/faults -s

test-hostile: export DURATION ?= 600
test-hostile: setup-dev
	$(BIN)/python -m pytest tests/hostile/test_hostile_clients.py -s

test-images: setup-dev
	VOICE_TEST_IMAGES=1 $(BIN)/python -m pytest tests/images -s

test-axe: setup-dev services
	AXE=all $(BIN)/python -m pytest tests/e2e/test_accessibility.py

messages: setup-dev
	$(BIN)/python -m tools.messages

lint: setup-dev
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint-types lint-rest

lint-types: setup-dev
	$(BIN)/mypy .

lint-rest: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml .

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-dev
	$(BIN)/python -m tools.benchmarks $(BENCH)

bench-voices: setup-dev .venv-listen/listen.stamp
	$(BIN)/python -m tools.benchmarks.voices --sounds --save var/heard
	$(BIN)/python -m tools.benchmarks.voices alloy --english
	.venv-listen/bin/python tools/benchmarks/predicted_mos.py var/heard/*
	$(BIN)/python -m tools.benchmarks.first_audio

.venv-listen/listen.stamp: requirements-listen.in
	$(PYTHON) -m venv .venv-listen
	.venv-listen/bin/python -m pip install --disable-pip-version-check -r requirements-listen.in
	rm -f .venv-listen/lib/python*/site-packages/torchaudio/lib/*.so  # these need CUDA's libraries, and nothing uses them
	@touch $@

COMPILE = $(BIN)/uv pip compile --quiet --no-header --no-annotate --no-emit-index-url --python-version 3.11
sbom: setup-dev
	scripts/sbom.sh build/sbom

requirements: setup-dev
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) requirements-dev.in -o requirements-dev.txt
	$(COMPILE) --python-platform x86_64-manylinux_2_28 requirements-gpu.in -o requirements-gpu.txt  # with NVIDIA's packages, because the image needs them
	for part in train coqui cluster; do \
	  $(COMPILE) requirements-$$part.in -o requirements-$$part.txt && \
	  sed -i -E '/^(nvidia|cuda|triton)/d' requirements-$$part.txt; done  # torch installs those that its build needs

clean:
	rm -f asr/native/*.so
	rm -rf $(VENV) .venv-coqui .venv-cluster .venv-gpu .venv-listen var .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
