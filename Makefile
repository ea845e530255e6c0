PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.heatnet-ready

.PHONY: setup test test-slow lint typecheck demo clean

setup: $(READY)

$(READY): setup.cfg pyproject.toml tools/system_libraries.sh
	@sh tools/system_libraries.sh
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/heatnet demo demo

test: setup
	$(BIN)/python -m pytest -m 'not slow'

test-slow: setup
	$(BIN)/python -m pytest -m slow -n 2 --dist worksteal

lint: setup
	$(BIN)/ruff check .

# The repository root is the package: the type checker sees it through a link that bears the package's name.
typecheck: setup
	@mkdir -p build/typecheck && ln -sfn ../.. build/typecheck/heatnet
	@cd build/typecheck && ../../$(BIN)/mypy --config-file ../../pyproject.toml --no-namespace-packages -p heatnet

clean:
	rm -rf $(VENV) build *.egg-info
