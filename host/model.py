"""The one place where the host meets the card model: cards in this process, from memory or a file."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from apdu.commands import CHAIN_CAPACITY
from apdu.errors import CardRemovedError, InUseError, NoCardError, OutcomeUnknownError, StoreError
from apdu.protocol import Protocol
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.memory import Cut, PowerCutError
from applet_model.memory_map import CHAIN_RANGE, HISTORY_RANGE, UNSETTLED_RANGE, ChipKeys, blank_image
from host.card_file import FileBacking
from host.connection import Ejection
from host.patience import GaveUpError, Patience

__all__ = [
    "CHAIN_CAPACITY",
    "CHAIN_RANGE",
    "HISTORY_RANGE",
    "UNSETTLED_RANGE",
    "CardFile",
    "ChipKeys",
    "Cut",
    "ModelSlot",
    "Protocol",
    "SmartCard",
    "create_card",
    "memory_card",
]


_LOOK_SECONDS = 0.05
_NONE = Patience(0)


class CardFile(SmartCard):
    """A card whose memory is a file: an image that one process holds at a time."""

    def __init__(self, path: Path, protocol: Protocol = Protocol.T1, durable: bool | None = None) -> None:
        """Raises StoreError, with the file's name, when the image is missing, in use or damaged.

        ``durable``: whether it outlives a loss of power of the computer, see host/card_file.py.
        """
        self._file = FileBacking(path, durable)
        try:
            super().__init__(self._file, protocol=protocol)
        except StoreError as error:
            self._file.close()
            raise StoreError(f"{path}: {error}") from None

    def close(self) -> None:
        """Power off and give the file back."""
        self.power_off()
        self._file.close()


def create_card(path: Path, keys: ChipKeys, history: int, unsettled: int, chain: int = CHAIN_CAPACITY) -> None:
    """Make the image file of a blank card; raises StoreError when there is a file of that name."""
    FileBacking.create(path, blank_image(keys, history, unsettled, chain))


def memory_card(
    keys: ChipKeys,
    history: int = 64,
    unsettled: int = 4,
    random: Callable[[int], bytes] = os.urandom,
    protocol: Protocol = Protocol.T1,
) -> SmartCard:
    """Make a blank card that lives in this process."""
    return SmartCard(MemoryBacking(blank_image(keys, history, unsettled)), random, protocol)


class ModelSlot:
    """A slot in this process: a CardSlot and, while the card is powered, its CardConnection."""

    def __init__(
        self, name: str, card: SmartCard | None = None, path: Path | None = None, patience: Patience = _NONE
    ) -> None:
        """Hold a card, or the path of an image that is opened while the slot is in use.

        With a ``patience``, an image that another process uses is waited for.
        """
        self._name, self._card, self._path = name, card, path
        self._patience = patience
        self._atr = b""

    @property
    def name(self) -> str:
        """The slot's name for people."""
        return self._name

    @property
    def protocol(self) -> Protocol:
        """The protocol of the card in it; T=1 while there is none."""
        return self._card.protocol if self._card else Protocol.T1

    @property
    def atr(self) -> bytes:
        """What the card last answered to reset; empty before."""
        return self._atr

    def insert(self, card: SmartCard) -> None:
        """Put a card in."""
        self._card = card

    def connect(self) -> "ModelSlot":
        """Power the card on or reset it; raises NoCardError, InUseError, StoreError."""
        if self._card is None and self._path is not None:
            self._card = self._open(self._path)
        if self._card is None:
            raise NoCardError(f"{self._name}: there is no card in it")
        try:
            self._atr = self._card.power_on()
        except PowerCutError as error:
            raise CardRemovedError(f"{self._name}: {error}") from None
        return self

    def _open(self, path: Path) -> CardFile:
        """The card of an image; raises InUseError, which says by whom, when the patience is over."""
        opened: list[CardFile] = []
        in_use: list[InUseError] = []

        def look(seconds: float) -> bool:
            """Whether it could be opened."""
            try:
                opened.append(CardFile(path))
            except InUseError as error:
                in_use.append(error)
                time.sleep(min(seconds, _LOOK_SECONDS))
            return bool(opened)

        try:
            self._patience.wait(look, lambda: f"waiting for {self._name}: {in_use[-1]}")
        except GaveUpError:
            raise in_use[-1] from None
        return opened[-1]

    def transmit(self, command: bytes) -> bytes:
        """Send a command; a cut in it leaves the outcome unknown, as with a card that is pulled out."""
        if self._card is None or not self._card.powered:
            raise CardRemovedError(f"{self._name}: the card is out, or lost its power")
        try:
            return self._card.transmit(command)
        except (PowerCutError, StoreError) as error:
            raise OutcomeUnknownError(f"{self._name}: {error}; {OutcomeUnknownError.recovery}") from None

    def tear(self, write: int, cut: Cut | None) -> None:
        """Cut the power of the card at its ``write``-th physical write from now, see SmartCard; raises NoCardError."""
        if self._card is None:
            raise NoCardError(f"{self._name}: there is no card in it")
        self._card.tear(write, cut)

    def eject(self) -> Ejection:
        """Put the card out of the slot."""
        self.close()
        self._card = None
        return Ejection.EJECTED

    def close(self) -> None:
        """Power the card off; an image file is given back."""
        if isinstance(self._card, CardFile):
            self._card.close()
            self._card = None
        elif self._card is not None:
            self._card.power_off()
