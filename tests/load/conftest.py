"""Fixtures: web servers and installations of mirrorpy."""

from tests.integration.conftest import mirror, nginx, pytest_runtest_makereport

__all__ = ["mirror", "nginx", "pytest_runtest_makereport"]
