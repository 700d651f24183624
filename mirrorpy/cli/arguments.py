"""Arguments that several commands take, read and checked."""

from __future__ import annotations

import argparse


def port_number(text: str) -> int:
    """Read the number of a port, for argparse."""
    number = free_port_number(text)
    if not number:
        raise argparse.ArgumentTypeError("0 is no port")
    return number


def free_port_number(text: str) -> int:
    """Read the number of a port, or 0 for one that is free, for argparse."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
