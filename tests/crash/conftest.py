"""Figures of the crash tests, told at the end of the run."""

from collections.abc import Callable

import pytest

FIGURE = "crash points"
Tell = Callable[[str], None]


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Have a line printed at the end, whether the test passes or not."""
    return lambda line: record_property(FIGURE, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests told."""
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    called = [report for report in reports if getattr(report, "when", None) == "call"]
    lines = [line for report in called for name, line in report.user_properties if name == FIGURE]
    if lines:
        terminalreporter.section("crash points")
        for line in lines:
            terminalreporter.write_line(line)
