"""Numbers of the command line: digits of ASCII, within bounds that stand in the error.

Python reads more than people mean: ``1_000``, digits of other scripts, ``1e400`` and ``nan``, and whole numbers of any
length, which no field of a card, socket or database takes. Each parameter that takes a number names its bounds here, so
that whatever is typed ends in a number that is good for what follows, or in a sentence.
"""

import re
from collections.abc import Callable

import typer

__all__ = ["LONGEST_RUN", "NUMBER_MAX", "decimal_from", "number_from"]

NUMBER_MAX = 0xFFFFFFFF
"""The largest number of a card: counters, serials, editions and amounts have 4 bytes on the wire."""
LONGEST_RUN = 31_622_400
"""Seconds of a year: what a command may be told to run for. Longer is what it does when it is told nothing."""


def number_from(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers from ``least`` to ``most``; it raises BadParameter."""

    def number(text: str) -> int:
        """Read one."""
        if re.fullmatch(r"[0-9]{1,20}", str(text)) and least <= int(text) <= most:
            return int(text)
        raise typer.BadParameter(f"{_quoted(text)} is no number from {least} to {most}")

    return number


def decimal_from(least: float, most: float) -> Callable[[str], float]:
    """A parser of numbers with at most 6 decimals, from ``least`` to ``most``; it raises BadParameter."""

    def number(text: str) -> float:
        """Read one."""
        if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,6})?", str(text)) and least <= float(text) <= most:
            return float(text)
        raise typer.BadParameter(f"{_quoted(text)} is no number from {least:g} to {most:.12g}")

    return number


def _quoted(text: object) -> str:
    shown = repr(str(text))
    return shown if len(shown) <= 40 else f"{shown[:36]}…'"
