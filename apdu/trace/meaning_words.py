"""Numbers and IDs as people read them in a line of a trace."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from apdu.counting import counted
from apdu.errors import FormatError
from apdu.identity import CardId, LifeCycle
from apdu.money import Money, currency
from apdu.trace.meaning_heard import Heard

__all__ = [
    "MOST_CHARACTERS",
    "amount_text",
    "card_text",
    "cut_text",
    "date_text",
    "day_text",
    "first_texts",
    "hex_text",
    "money",
    "second_text",
    "state_text",
]

_REMEMBERED = 8192
MOST_CHARACTERS = 500
"""The most characters that a text about data of free length may have."""


@lru_cache(_REMEMBERED)
def card_text(card: bytes) -> str:
    """A card's ID with its check digit."""
    try:
        return CardId(card).text
    except FormatError:
        return hex_text(card)


@lru_cache(_REMEMBERED)
def amount_text(amount: int, number: int | None) -> str:
    """An amount in minor units of the currency with this ISO 4217 number; None: it is not known."""
    if number is None:
        return counted(amount, "minor unit")
    unit = currency(number)
    if unit.code.isdigit():
        return f"{counted(amount, 'minor unit')} of currency {unit.code}"
    return str(Money(amount, unit))


def money(heard: Heard, amount: int) -> str:
    """An amount in the currency of the card, or of the trace as far as it is known."""
    purse = heard.purse
    known = purse.currency if purse is not None else None
    return amount_text(amount, heard.ledger.currency if known is None else known)


@lru_cache(_REMEMBERED)
def date_text(seconds: int) -> str:
    """A date of the protocol, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def second_text(seconds: int) -> str:
    """A date of the protocol to the second, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def day_text(seconds: int) -> str:
    """The day alone."""
    return date_text(seconds)[:10]


_STATES = {int(state): state.text for state in LifeCycle}


def state_text(state: int) -> str:
    """A life-cycle state in words."""
    return _STATES.get(state, f"state {state:02X}")


def hex_text(raw: bytes) -> str:
    """Bytes, of many the first eight."""
    return raw.hex().upper() if len(raw) <= 16 else f"{raw[:8].hex().upper()}…"


def cut_text(text: str) -> str:
    """A text of bounded length: what is behind the 500th character is left out."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def first_texts(texts: Iterable[str], number: int, between: str = ", ") -> str:
    """The first texts of ``number``, and how many more there are."""
    told = list(texts)
    more = f" and {number - len(told)} more" if number > len(told) else ""
    return f"{between.join(told)}{more}"
