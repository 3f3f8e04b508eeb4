"""The virtual reader: a private pcscd and the cards in its two slots. For POSIX; imported everywhere."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self

from apdu.errors import InputError
from host.virtual.cards import CARD_PROGRAM, CardProcess
from host.virtual.parts import SOCKET_VARIABLE

__all__ = ["Driver", "SlotContent", "VirtualReader"]


class Driver(Enum):
    """Which of pcscd's drivers the virtual reader is behind."""

    VPCD = "vpcd"
    """Made for virtual cards: takes APDUs."""
    CCID = "ccid"
    """Made for real readers, on a serial line: speaks T=1 or T=0 with the card."""


@dataclass(frozen=True, slots=True)
class SlotContent:
    """One slot: its number from 1, its name in PC/SC, and the image of the card in it, if any."""

    slot: int
    reader: str
    image: Path | None


class VirtualReader:
    """Two slots to put card images into; a context manager.

    Inside, PC/SC clients started by this process find this reader, and so does this process itself, provided
    that it has not used PC/SC before: libpcsclite looks for its daemon once.
    """

    def __init__(
        self, program: Sequence[str] = CARD_PROGRAM, driver: Driver = Driver.VPCD, trace: Path | None = None
    ) -> None:
        """``program`` is the command that becomes a card; what is said to cards goes to the ``trace``, a whole path."""
        from host.virtual.daemon import PrivatePcscd, VpcdDriver
        from host.virtual.serial_reader import SerialReader

        self.pcscd = PrivatePcscd(SerialReader() if driver is Driver.CCID else VpcdDriver())
        self._program = program
        self._trace = trace
        self._cards: dict[int, CardProcess] = {}
        self._socket_before = os.environ.get(SOCKET_VARIABLE)

    def __enter__(self) -> Self:
        """Start the daemon; raises PcscUnavailableError."""
        self.pcscd.__enter__()
        os.environ[SOCKET_VARIABLE] = str(self.pcscd.socket_path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the cards out and stop the daemon."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.pcscd.__exit__, kind, error, trace)
            for card in self._cards.values():
                stack.callback(card.take_out)
            if self._socket_before is None:
                os.environ.pop(SOCKET_VARIABLE, None)
            else:
                os.environ[SOCKET_VARIABLE] = self._socket_before

    @property
    def slots(self) -> list[SlotContent]:
        """Both slots and what is in them now."""
        cards = {slot: card.image for slot, card in self._cards.items() if card.alive}
        return [SlotContent(slot, name, cards.get(slot)) for slot, name in enumerate(self.pcscd.readers, 1)]

    def insert(self, slot: int, image: Path) -> CardProcess:
        """Put the card of an image into slot 1 or 2, and return once the reader has powered it.

        Raises InputError if the slot is taken or the image is no card's. Clients see the card a moment later.
        """
        if self._content(slot).image is not None:
            raise InputError(f"slot {slot} holds {self._cards[slot].image}: eject it first")
        if any(other.image == image for other in self.slots):
            raise InputError(f"{image} is in the other slot: a card can be in one place only")
        self._clear(slot)
        card = self._cards[slot] = CardProcess(image, self.pcscd.ports[slot - 1], self._program_of(slot))
        card.wait_until_inserted()
        return card

    def eject(self, slot: int) -> None:
        """Pull the card out of a slot, and return once pcscd has seen it; raises InputError if there is none."""
        if self._content(slot).image is None:
            raise InputError(f"slot {slot} is empty")
        self._clear(slot)

    def _program_of(self, slot: int) -> Sequence[str]:
        if self._trace is None:
            return self._program
        return *self._program, "--trace", str(self._trace), "--slot", self.pcscd.readers[slot - 1]

    def _content(self, slot: int) -> SlotContent:
        if not 1 <= slot <= len(self.pcscd.readers):
            raise InputError(f"there is no slot {slot}: the virtual reader has slots 1 and 2")
        return self.slots[slot - 1]

    def _clear(self, slot: int) -> None:
        """A process that died by itself has left a card that pcscd may not have missed yet."""
        if (card := self._cards.pop(slot, None)) is not None:
            card.take_out()
        self.pcscd.wait_until_empty(slot)
