"""The page of faults says what the tests say, and every line of the catalogue is there."""

from .catalogue import ARGUED, LINES, PAGE, iter_lines, page


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.faults.catalogue`"


def test_every_line_is_tried_or_argued() -> None:
    tried = {line.number for line in iter_lines()}
    assert tried | ARGUED.keys() == set(range(1, LINES + 1))
    assert not tried & ARGUED.keys()
    assert len(ARGUED) <= 5
