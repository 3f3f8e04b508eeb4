"""How the host reaches a card: one method that sends bytes, and the slot that holds the card.

A slot is the patent's connector (14, 15) together with the card control (19) that ejects the card.
"""

from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol, runtime_checkable

from apdu.protocol import Protocol as TransmissionProtocol

__all__ = ["CardConnection", "CardSlot", "Ejection", "TellsProtocol"]


class CardConnection(Protocol):
    """A powered card; everything that speaks to a card is written against this one method."""

    def transmit(self, command: bytes) -> bytes:
        """Send a command APDU, return the response APDU with its status word.

        Raises CardRemovedError or CardResetError when the card has not seen the command, and
        OutcomeUnknownError when it may have.
        """
        ...


class Ejection(Enum):
    """What became of a card that was to be ejected."""

    EJECTED = "the card is ejected"
    REMOVE_BY_HAND = "the card is powered off: remove the card"


class CardSlot(Protocol):
    """A place for one card."""

    @property
    def name(self) -> str:
        """The slot's name for people."""
        ...

    def connect(self) -> CardConnection:
        """Power the card on, or reset it, and return the way to it.

        Raises NoCardError, ReaderBusyError, NoReaderError or PcscUnavailableError.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Keep every other program off the card for the time of one purse operation."""
        ...

    def eject(self) -> Ejection:
        """Put the card out (S110, S313), or power it off where the reader cannot."""
        ...

    def close(self) -> None:
        """Let go of the card and leave it in the slot."""
        ...


@runtime_checkable
class TellsProtocol(Protocol):
    """A slot that knows its protocol; where none is told T=1 is meant, at which APDUs go as they are."""

    @property
    def protocol(self) -> TransmissionProtocol:
        """The protocol, once the slot is connected."""
        ...
