# Every target sets up .venv when it is missing or older than what it is made from.
# `make PYTHON=python3.12 test` chooses another Python; it is used when .venv is created.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
PIP := $(RUN)/python -m pip --disable-pip-version-check
PYTEST_FLAGS ?= -n logical --maxprocesses 8
SOURCES := $(shell find csrc -type f)

# Real data: a mirror beside the checkout is used if there is one. Tests change folders, so a
# relative path is made absolute; a URL is left alone.
ifneq ($(wildcard ../shared/datasets/.),)
GNNLIB_MIRROR ?= ../shared/datasets
endif
ifneq ($(GNNLIB_MIRROR),)
override GNNLIB_MIRROR := $(shell case "$(GNNLIB_MIRROR)" in \
	(*://*|/*) echo "$(GNNLIB_MIRROR)" ;; \
	(*) cd "$(GNNLIB_MIRROR)" 2>/dev/null && pwd || echo "$(CURDIR)/$(GNNLIB_MIRROR)" ;; esac)
export GNNLIB_MIRROR
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help train test test-slow sanitize lint format bench reproduce docs clean

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

train: $(VENV)/.with-plot  ## train a GCN on Cora: accuracy, and a picture of the curves
	$(RUN)/gnnlib train

test: $(VENV)/.with-test  ## the whole test suite and the examples of the docstrings
	$(RUN)/python -m pytest $(PYTEST_FLAGS)

test-slow: $(VENV)/.with-test  ## the tests that take more than a few seconds each
	$(RUN)/python -m pytest $(PYTEST_FLAGS) -m slow

# The kernels under sanitizers: in a copy of the checkout, so that the normal build stays, and with
# the whole of tests/ops on each clone. Without leaks: torch and Python keep what they make.
SANITIZE := build/sanitize
CHECKED := -O1 -g1 -fno-omit-frame-pointer -fno-sanitize-recover=all
ADDRESS := $(CHECKED) -fsanitize=address,undefined -fno-sanitize=vptr
RUNTIMES = $(foreach name,asan ubsan stdc++,$(shell c++ -print-file-name=lib$(name).so))
SANITIZE_FLAGS ?= $(PYTEST_FLAGS) -q -p no:cacheprovider --capture=sys
NATIVE := csrc/cpu/clones/*.cpp csrc/cpu/capability.cpp tests/native/kernels.cpp
# The native harness as $(SANITIZE)/NAME/run, one compiler a core: $(call native,NAME,FLAGS)
native = mkdir -p $(SANITIZE)/$(1) && ls $(NATIVE) | xargs -P $$(nproc) -I SOURCE sh -c '\
	c++ -std=c++20 -Icsrc -Wall -Wextra -Wno-psabi -DGNNLIB_CLONE=baseline $(2) \
	-c SOURCE -o $(SANITIZE)/$(1)/$$(basename SOURCE .cpp).o' && \
	c++ $(2) -pthread $(SANITIZE)/$(1)/*.o -o $(SANITIZE)/$(1)/run

sanitize: $(VENV)/.with-test  ## the kernels and the tests of ops under sanitizers (Linux, g++)
	mkdir -p $(SANITIZE)
	cd $(SANITIZE) && rm -rf csrc gnnlib tests
	cp -rp csrc gnnlib tests setup.py pyproject.toml README.md LICENSE $(SANITIZE)
	rm -f $(SANITIZE)/gnnlib/_C.*
	$(call native,thread,$(CHECKED) -fsanitize=thread)
	$(SANITIZE)/thread/run threads
	$(call native,address,$(ADDRESS))
	$(SANITIZE)/address/run threads
	$(SANITIZE)/address/run sizes
	cd $(SANITIZE) && CXXFLAGS="$(ADDRESS)" LDFLAGS="$(ADDRESS)" GNNLIB_CUDA=0 \
		$(abspath $(RUN))/python setup.py --quiet build_ext --inplace
	nm -D $(SANITIZE)/gnnlib/_C.abi3.so | grep -q __asan_init
	for clone in avx512 avx2 baseline; do \
		cd $(CURDIR)/$(SANITIZE) && echo "tests/ops on $$clone, or what this processor has below it" && \
		PYTHONPATH=$$PWD GNNLIB_CPU_CAPABILITY=$$clone \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		LD_PRELOAD="$(RUNTIMES)" \
		$(abspath $(RUN))/python -m pytest $(SANITIZE_FLAGS) tests/ops || exit 1; \
	done
	cd $(SANITIZE) && echo "tests/ops on the CUDA kernels, emulated" && \
		PYTHONPATH=$$PWD CXXFLAGS="$(ADDRESS)" LDFLAGS="$(ADDRESS)" GNNLIB_EMU_SHUFFLE=1 \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 LD_PRELOAD="$(RUNTIMES)" \
		$(abspath $(RUN))/python -m pytest $(SANITIZE_FLAGS) tests/ops -k emu

lint: $(VENV)/.with-test $(VENV)/.with-docs $(VENV)/.with-dev  ## formats, lint and types; changes nothing
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	find csrc tests/native -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \
		| xargs $(RUN)/clang-format --dry-run -Werror
	$(RUN)/pyright --pythonpath $(RUN)/python

format: $(VENV)/.with-dev  ## put Python and C++ into the formats that lint asks for
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .
	find csrc tests/native -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \
		| xargs $(RUN)/clang-format -i

bench: $(VENV)/.with-bench  ## the benchmarks against other libraries
	$(RUN)/gnnlib bench all

reproduce: $(VENV)/.with-mol  ## published results: the rows that take minutes, and docs/results.md
	$(RUN)/gnnlib reproduce --folder docs/results --output docs/results.md

docs: $(VENV)/.with-docs  ## the manual, in docs/_build/html
	$(RUN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

clean:  ## remove .venv and everything that was built
	rm -rf $(VENV) build dist gnnlib.egg-info docs/_build gnnlib/_C.*
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --clear also removes the stamps below, so that a .venv whose Python is gone is made anew, whole.
$(RUN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "gnnlib needs Python >= 3.10, and '$(PYTHON)' is" \
			"`$(PYTHON) --version 2>/dev/null || echo missing`."; \
		echo "Name another one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

# torch comes first, and alone, at the version of the constraints: whatever needs torch later is
# content with the build this machine has.
$(VENV)/.with-torch: $(RUN)/python constraints.txt
	$(PIP) install -c constraints.txt setuptools wheel torch
	@touch $@

# One stamp per extra of pyproject.toml: the kernels (compiled where stale), gnnlib itself as an
# editable install, and the packages of the extra.
$(VENV)/.with-%: $(VENV)/.with-torch pyproject.toml setup.py $(SOURCES)
	@echo "compiling the kernels where they are stale, installing gnnlib[$*] into $(VENV)"
	@$(PIP) install --quiet --no-build-isolation -c constraints.txt --editable '.[$*]'
	@touch $@
