"""The transmission protocols of ISO 7816-3 under a command."""

from enum import Enum
from typing import Self

__all__ = ["Protocol"]


class Protocol(Enum):
    """Transmission protocol of ISO 7816-3; the command layer differs only in what a wrong Le means."""

    T0 = "T=0"
    T1 = "T=1"

    @classmethod
    def offered_by(cls, atr: bytes) -> Self:
        """What an answer to reset offers first, in TD1 (ISO 7816-3 clause 8.2.3): it needs no negotiation."""
        place = 2 + (atr[1] >> 4 & 7).bit_count() if len(atr) > 1 and atr[1] & 0x80 else len(atr)
        return cls("T=1" if len(atr) > place and atr[place] & 0x0F == 1 else "T=0")
