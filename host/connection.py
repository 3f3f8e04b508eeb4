"""How the host reaches a card: one method that sends bytes, and the slot that holds the card.

A slot is the patent's connector (14, 15) together with the card control (19) that ejects the card.
"""

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
    """A place for one card, which is held from ``connect`` to ``eject`` or ``close``.

    Meanwhile no other program reaches it, and whatever ends that also resets the card: nothing stays selected, no PIN
    verified, no channel open. There is no other way of letting a card go.
    """

    @property
    def name(self) -> str:
        """The slot's name for people."""
        ...

    def connect(self) -> CardConnection:
        """Take the card, power it on or reset it, and return the way to it; one that is held is reset.

        Raises NoCardError, ReaderBusyError, NoReaderError or PcscUnavailableError.
        """
        ...

    def eject(self) -> Ejection:
        """Let the card go and put it out (S110, S313), or power it off where the reader cannot.

        Raises ReaderError when neither can be done.
        """
        ...

    def close(self) -> None:
        """Let the card go and leave it in the slot, without power; does nothing where none is held."""
        ...


@runtime_checkable
class TellsProtocol(Protocol):
    """A slot that knows its protocol; where none is told T=1 is meant, at which APDUs go as they are."""

    @property
    def protocol(self) -> TransmissionProtocol:
        """The protocol, once the slot is connected."""
        ...
