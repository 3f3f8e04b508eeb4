"""The card as a reader sees it: power, reset, ATR, and commands in, answers out."""

import os
from collections.abc import Callable
from functools import reduce
from operator import xor

from apdu.errors import StoreError
from apdu.identity import LifeCycle
from apdu.protocol import Protocol
from applet_model.backing import Backing
from applet_model.card_state import CardState
from applet_model.key_pair import KeyPair
from applet_model.memory import Cut, PowerCutError
from applet_model.memory_map import MemoryMap
from applet_model.transmission import Transmission

__all__ = ["Protocol", "SmartCard", "answer_to_reset"]


_HISTORICAL = b"\x80\x73\x86\x21\xc0\x65SAIFU"
"""Historical bytes, compact TLV (ISO 7816-4 12.1.1): capabilities (selection by full name, short file
identifiers, record numbers; chaining, extended lengths), pre-issuing data."""


def answer_to_reset(protocol: Protocol) -> bytes:
    """The ATR (ISO 7816-3 clause 8.2); no TA1, so that no reader tries another speed."""
    if protocol is Protocol.T0:
        return bytes((0x3B, len(_HISTORICAL))) + _HISTORICAL
    checked = bytes((0x80 | len(_HISTORICAL), 0x01)) + _HISTORICAL
    return b"\x3b" + checked + bytes((reduce(xor, checked),))


class SmartCard:
    """One card with one image; unpowered until ``power_on``."""

    def __init__(
        self,
        backing: Backing,
        random: Callable[[int], bytes] = os.urandom,
        protocol: Protocol = Protocol.T1,
        key_pair: KeyPair | None = None,
    ) -> None:
        """``key_pair`` keeps the card's own keys. Raises StoreError when the backing holds no card image."""
        self._cells = MemoryMap.open(backing)
        self._random, self._key_pair = random, key_pair or KeyPair()
        self._protocol = protocol
        self._transmission: Transmission | None = None

    @property
    def powered(self) -> bool:
        """Whether the card has power."""
        return self._transmission is not None

    @property
    def is_selected(self) -> bool:
        """Whether the purse is selected."""
        return self._transmission is not None and self._transmission.is_selected

    @property
    def protocol(self) -> Protocol:
        """The transmission protocol that the card speaks."""
        return self._protocol

    def power_on(self) -> bytes:
        """Finish or forget a transaction that was cut, begin with no selection; returns the ATR.

        Raises PowerCutError when ``tear`` cuts the recovery itself, StoreError for a damaged image.
        """
        self.power_off()
        self._cells.memory.recover()
        if self._cells.life_cycle.number() not in list(LifeCycle):
            raise StoreError("the card image is damaged: its life-cycle state does not exist")
        state = CardState(self._cells, self._random, self._key_pair)
        self._transmission = Transmission(state, exact_le=self._protocol is Protocol.T0)
        return answer_to_reset(self._protocol)

    reset = power_on

    def power_off(self) -> None:
        """Lose everything but the non-volatile memory."""
        self._transmission = None

    def tear(self, write: int, cut: Cut | None) -> None:
        """Cut the power at the ``write``-th physical write from now, counted from 0; None forgets a cut to come."""
        self._cells.memory.tear(write, cut)

    @property
    def writes(self) -> int:
        """Physical writes so far, for those who want to cut at each."""
        return self._cells.memory.writes

    def transmit(self, command: bytes) -> bytes:
        """Answer a command APDU; raises PowerCutError without power, or when ``tear`` cuts it.

        Raises StoreError when the backing fails; after any error the card has no power.
        """
        if self._transmission is None:
            raise PowerCutError("the card has no power")
        try:
            return self._transmission.exchange(command).encode()
        except BaseException:
            self.power_off()  # a write that failed leaves a journal, and only power-on knows what to do with it
            raise
