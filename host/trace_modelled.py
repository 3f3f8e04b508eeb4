"""Options of trace commands that model times on real cards: which card, and over which line."""

from typing import Annotated

import typer

from apdu.errors import InputError
from apdu.trace.card_time import CARDS
from apdu.trace.line_time import LINES, Line

__all__ = ["DEFAULT_LINE", "CardOption", "LineOption", "known_card", "known_line"]

DEFAULT_LINE = next(iter(LINES))

CardOption = Annotated[str, typer.Option("--card", help=f"Model the time on this real card: {', '.join(CARDS)}.")]
LineOption = Annotated[
    str, typer.Option("--line", help=f"Over this line, in kbit/s; 14443 is contactless: {', '.join(LINES)}.")
]


def known_card(name: str) -> str:
    """The name of a card of CARDS, or nothing; raises InputError."""
    if name and name not in CARDS:
        raise InputError(f"--card {name}: times are known of {', '.join(CARDS)}")
    return name


def known_line(name: str) -> Line:
    """The line of that name; raises InputError."""
    if name not in LINES:
        raise InputError(f"--line {name}: there are {', '.join(LINES)}")
    return LINES[name]
