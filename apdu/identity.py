"""Who a card is: its ID number (ID store 4/10 of the patent), its role and its life-cycle state."""

import re
from enum import IntEnum
from typing import Self

from apdu.errors import FormatError

__all__ = ["AID", "TEST_ISSUER", "CardId", "LifeCycle", "Role"]

AID = b"\xf0SAIFU"
"""Application identifier: proprietary, unregistered category (ISO 7816-4:2020 clause 12.3.4)."""
TEST_ISSUER = 0xFFFF
"""The issuer of test cards, whose keys everybody has; no center takes this number."""


class LifeCycle(IntEnum):
    """Life-cycle state; the values are the life cycle status byte of ISO 7816-4 table 14."""

    BLANK = 0x01
    PERSONALIZATION = 0x03
    LOCKED_OUT = 0x04
    ACTIVE = 0x05
    TERMINATED = 0x0C

    @property
    def text(self) -> str:
        """The state in words."""
        return _STATE_TEXT[self]


_STATE_TEXT = {
    LifeCycle.BLANK: "blank",
    LifeCycle.PERSONALIZATION: "in personalization",
    LifeCycle.LOCKED_OUT: "locked out",
    LifeCycle.ACTIVE: "active",
    LifeCycle.TERMINATED: "terminated",
}


class Role(IntEnum):
    """What a purse is for; only a float may be personalized with money in it."""

    PERSON = 0x01
    MERCHANT = 0x02
    FLOAT = 0x03


def _check_digit(digits: str) -> int:
    """Luhn check digit (ISO/IEC 7812-1 annex B): a theft report by telephone cannot hit a neighbour."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - position % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return -total % 10


class CardId(bytes):
    """A card's ID number, 6 bytes: issuer (2), dense serial number (4), both big-endian.

    As text ``00001-0000000042-0``: issuer, serial and a check digit over both.
    """

    SIZE = 6

    def __new__(cls, raw: bytes) -> Self:
        """Take 6 bytes; raises FormatError for any other length."""
        if len(raw) != cls.SIZE:
            raise FormatError(f"a card ID has {cls.SIZE} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def of(cls, issuer: int, serial: int) -> Self:
        """Make the ID of ``issuer`` (0-65535) and ``serial`` (0-2^32-1); raises FormatError."""
        if not (0 <= issuer <= 0xFFFF and 0 <= serial <= 0xFFFFFFFF):
            raise FormatError(f"issuer {issuer} or serial {serial} is out of range")
        return cls(issuer.to_bytes(2) + serial.to_bytes(4))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; raises FormatError for a wrong form or check digit."""
        parts = text.strip().split("-")
        if len(parts) != 3 or not all(re.fullmatch("[0-9]{1,10}", part) for part in parts):
            raise FormatError(f"card ID {text!r}: expected issuer-serial-check, as in {cls.of(1, 42).text}")
        card = cls.of(int(parts[0]), int(parts[1]))
        if card.text.split("-")[2] != parts[2]:
            raise FormatError(f"card ID {text!r}: the check digit is wrong; look at the number again")
        return card

    @property
    def issuer(self) -> int:
        """The issuer's number."""
        return int.from_bytes(self[:2])

    @property
    def serial(self) -> int:
        """The dense serial number that the blacklist lists."""
        return int.from_bytes(self[2:])

    @property
    def text(self) -> str:
        """The form for people, with check digit."""
        digits = f"{self.issuer:05d}{self.serial:010d}"
        return f"{digits[:5]}-{digits[5:]}-{_check_digit(digits)}"

    def __str__(self) -> str:
        """Same as ``text``."""
        return self.text
