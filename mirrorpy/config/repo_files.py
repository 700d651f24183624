"""Yum's .repo files as sections of keys; the syntax is that of dnf.conf(5), in which nothing is interpolated."""

from __future__ import annotations

import configparser
import re
from collections import Counter

from mirrorpy.errors import ConfigError, one_line

MAX_LINE = 8192
"""Characters; configparser takes the square of a line's length."""
_TITLE = re.compile(r"\[([^\]]+)\]")


def read_sections(name: str, text: str) -> dict[str, configparser.SectionProxy]:
    """Return a file's sections by their titles; of a title or a key that stands there twice the last counts.

    Raises:
        ConfigError: It is no such file.
    """
    if any(len(line) > MAX_LINE for line in text.splitlines()):
        raise ConfigError(f"{name}: is no .repo file: it has a line of more than {MAX_LINE} characters")
    # No title can have a line's end in it, so none is that of the section whose keys all others get.
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters="=", default_section="\n")
    try:
        parser.read_string(text.removeprefix("\ufeff"), name)
    except configparser.Error as error:
        raise ConfigError(f"{name}: is no .repo file: {one_line(str(error))}") from error
    return {title: parser[title] for title in parser.sections()}


def count_titles(text: str) -> Counter[str]:
    """Return how often each title stands in a file."""
    return Counter(match[1] for line in text.splitlines() if (match := _TITLE.match(line.strip())))
