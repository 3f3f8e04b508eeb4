"""Where the demo puts its cards: slots in this process, or the two slots of a private pcscd."""

from pathlib import Path
from typing import Protocol

from host.connection import CardSlot
from host.model import ModelSlot
from host.pcsc import PcscSlot
from host.recording import recorded
from host.virtual.reader import VirtualReader

__all__ = ["InProcessTable", "PcscTable", "Table"]


class Table(Protocol):
    """A desk with two card slots, and the hands that put cards in and take them out."""

    name: str

    def put(self, slot: int, image: Path) -> CardSlot:
        """Put a card image into slot 1 or 2."""
        ...

    def take(self, slot: int) -> None:
        """Take the card out, if the terminal has not ejected it already."""
        ...


class InProcessTable:
    """Card models in this process; needs nothing of the system."""

    name = "in process"

    def put(self, slot: int, image: Path) -> CardSlot:
        """Put a card image into a slot."""
        return recorded(ModelSlot(f"slot {slot}", path=image))

    def take(self, slot: int) -> None:
        """Nothing: a model slot lets the image go when it ejects."""


class PcscTable:
    """A private pcscd with two virtual readers, reached through pyscard."""

    name = "PC/SC"

    def __init__(self, reader: VirtualReader) -> None:
        """``reader`` is running."""
        self._reader = reader

    def put(self, slot: int, image: Path) -> CardSlot:
        """Put a card image into a slot, once the card before is out, and out of the other slot if it is there."""
        for content in self._reader.slots:
            if content.image is not None and (content.slot == slot or content.image == image):
                self._reader.eject(content.slot)
        self._reader.insert(slot, image)
        found = PcscSlot(self._reader.slots[slot - 1].reader)
        found.wait_for_card(seconds=5)
        return recorded(found)

    def take(self, slot: int) -> None:
        """These readers cannot eject: the hand does what the display asks for."""
        if self._reader.slots[slot - 1].image is not None:
            self._reader.eject(slot)
