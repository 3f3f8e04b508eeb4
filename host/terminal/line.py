"""The line to the center (31): what an ATM or an online POS asks of it."""

from dataclasses import dataclass
from typing import Protocol

from apdu.identity import CardId
from apdu.messages import Certificate, Credit, Head, Resolution, Signed, TerminateOrder, UnlockOrder
from apdu.objects import HistoryRecord
from host.connection import CardSlot
from host.session import Attested

__all__ = ["CenterLine", "Renewal", "RenewalChallenge", "Shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a card shows that the center has signed, and may have lost: nothing here is verified yet.

    ``head`` is the newest that the card or the terminal has, if any.
    """

    certificate: Signed[Certificate]
    credit: Signed[Credit]
    head: Signed[Head] | None

    @property
    def card(self) -> CardId:
        """The card that the certificate names."""
        return self.certificate.body.subject


@dataclass(frozen=True, slots=True)
class RenewalChallenge:
    """How a renewal begins: a fresh challenge (16 bytes), and the newest record the center has seen.

    Where the center has lost records and the card has no more, those after number ``enough`` will do.
    """

    challenge: bytes
    seen: int
    enough: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the center gives a card that is in order."""

    credit: Signed[Credit]
    resolutions: tuple[Signed[Resolution], ...]


class CenterLine(Protocol):
    """The center, as a terminal sees it; every method raises RefusedError with the center's reason."""

    def begin_renewal(self, shown: Shown) -> RenewalChallenge:
        """Ask for a challenge; a listed card gets none [0030]."""
        ...

    def renew(self, attested: Attested, records: list[HistoryRecord]) -> Renewal:
        """Hand in the attested state and the records that the center has not seen, oldest first."""
        ...

    def unlock_order(self, card: CardId) -> Signed[UnlockOrder]:
        """The order for a card that the center has unlocked."""
        ...

    def terminate_order(self, attested: Attested, records: list[HistoryRecord]) -> Signed[TerminateOrder]:
        """Hand in the attested state and the records of an empty card, and get the order that ends its life."""
        ...

    def float_slot(self) -> CardSlot:
        """The slot with the center's float, for load and deposit."""
        ...
