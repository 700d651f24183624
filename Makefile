# make demo: see mirrorpy at work, on an upstream that ships with it. make test: run every test. Python 3.11 is enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGES := dnf dnf-plugins-core createrepo-c rpm nginx-light apache2 vsftpd lftp rsync cron systemd chromium curl \
	gnupg gpgv openssl strace e2fsprogs mount
PROGRAMS := dnf createrepo_c rpm nginx apache2 vsftpd lftp rsync crontab systemd-analyze chromium curl gpg gpgv openssl strace \
	mkfs.ext4 losetup

.PHONY: demo test check test-slow fuzz bench packages clean

demo: $(VENV)/installed
	$(BIN)/python fixtures/demo.py

test: $(VENV)/developing packages
	$(BIN)/python -m pytest

# Tests that take longer than a cup of coffee: 1,000 publications under readers, a minute of soak, killed system calls.
test-slow: $(VENV)/developing packages
	MIRRORPY_SLOW=1 $(BIN)/python -m pytest --timeout 1800

# Damaged input for everything that reads what others wrote: $MIRRORPY_FUZZ_SECONDS (600) each; TARGETS= names some.
fuzz: $(VENV)/developing packages
	$(BIN)/python -m tests.fuzz $(TARGETS)

check: $(VENV)/developing
	$(BIN)/ruff format --check mirrorpy tests fixtures
	$(BIN)/ruff check mirrorpy tests fixtures
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

# mirrorpy beside reposync, rsync, lftp and curl, near and far; serve beside nginx; an hour and a half.
bench: $(VENV)/developing packages
	$(BIN)/python -m tests.benchmarks.peers --save $(VENV)/bench.json --write-docs
	$(BIN)/python -m tests.benchmarks.serving

# The real programs that tests run against; where there is no apt-get, or no right to it, tests say what they lack.
packages:
	@missing=; for program in $(PROGRAMS); do \
		PATH="$$PATH:/usr/sbin" command -v $$program >/dev/null || missing=1; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(PACKAGES); \
	fi

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e .
	touch $@

$(VENV)/developing: pyproject.toml $(VENV)/installed
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
