"""Money: an amount in minor units of one currency (amount store 2/8 of the patent)."""

import re
from dataclasses import dataclass
from typing import Self

from apdu.errors import FormatError

__all__ = ["AMOUNT_MAX", "CURRENCIES", "Currency", "Money", "currency"]

AMOUNT_MAX = 0xFFFFFFFF
"""The largest amount and balance, in minor units: 4 bytes on the wire."""


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of ISO 4217: numeric code, letters, decimal places of the minor unit."""

    number: int
    code: str
    places: int


CURRENCIES = tuple(
    Currency(*row)
    for row in (
        (36, "AUD", 2),
        (124, "CAD", 2),
        (156, "CNY", 2),
        (344, "HKD", 2),
        (356, "INR", 2),
        (392, "JPY", 0),
        (410, "KRW", 0),
        (578, "NOK", 2),
        (702, "SGD", 2),
        (710, "ZAR", 2),
        (752, "SEK", 2),
        (756, "CHF", 2),
        (788, "TND", 3),
        (826, "GBP", 2),
        (840, "USD", 2),
        (901, "TWD", 2),
        (978, "EUR", 2),
        (986, "BRL", 2),
        (999, "XXX", 0),
    )
)
"""Currencies that have a name here; any other numeric code works and prints as a number."""

_BY_NUMBER = {entry.number: entry for entry in CURRENCIES}
_BY_CODE = {entry.code: entry for entry in CURRENCIES}


def currency(name: int | str) -> Currency:
    """Find a currency by ISO 4217 number or letters; raises FormatError for unknown letters."""
    if isinstance(name, int):
        return _BY_NUMBER.get(name) or Currency(name, f"{name:03d}", 0)
    if name.upper() in _BY_CODE:
        return _BY_CODE[name.upper()]
    raise FormatError(f"currency {name!r} is not known; known are {', '.join(sorted(_BY_CODE))}")


@dataclass(frozen=True, slots=True)
class Money:
    """``amount`` minor units (0 to 2^32-1) of a currency."""

    amount: int
    unit: Currency

    @classmethod
    def parse(cls, text: str, unit: Currency) -> Self:
        """Read ``12.50`` in the currency's major unit; raises FormatError, never rounds."""
        match = re.fullmatch(r"(\d{1,40})(?:\.(\d+))?", text.strip(), re.ASCII)
        if not match or len(match[2] or "") > unit.places:
            example = "12.50"[: 3 + unit.places] if unit.places else "12"
            how = f"at most {unit.places} decimals behind a point" if unit.places else "no decimals"
            raise FormatError(f"amount {text!r}: write it in {unit.code} with {how}, as in {example}")
        amount = int(match[1] + (match[2] or "").ljust(unit.places, "0"))
        if amount > AMOUNT_MAX:
            raise FormatError(f"amount {text!r} is more than a purse can hold")
        return cls(amount, unit)

    def __str__(self) -> str:
        """As ``12.50 EUR``."""
        places = self.unit.places
        digits = f"{self.amount:0{places + 1}d}"
        major = f"{digits[:-places]}.{digits[-places:]}" if places else digits
        return f"{major} {self.unit.code}"
