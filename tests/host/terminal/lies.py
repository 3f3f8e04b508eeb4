"""A hostile card: a real one with somebody between it and the terminal, so that its honest end is seen too."""

from collections.abc import Callable

from apdu import ber
from apdu.commands import BY_INS, Ins
from apdu.identity import CardId
from apdu.payload import Tag, unpack
from apdu.signature import private_key
from host.terminal.transfer import Transfer
from tests.host.terminal.faults import honest
from tests.host.terminal.flows import AMOUNT
from tests.host.terminal.town import Hook, HookedSlot, Town

__all__ = ["OK", "STRANGER", "Desk", "Real", "answering", "instead", "objects", "renamed"]

OK = b"\x90\x00"
STRANGER = private_key(bytes(39) + b"\x07")
Real = Callable[[bytes], bytes]


def answering(ins: Ins, change: Callable[[bytes], bytes]) -> Hook:
    """The card acts, and its answer to one kind of command is changed."""

    def hook(command: bytes, card: Real) -> bytes:
        return change(card(command)) if command[1] == ins else card(command)

    return hook


def instead(ins: Ins, answer: bytes) -> Hook:
    """The card does not act on one kind of command, and says this."""

    def hook(command: bytes, card: Real) -> bytes:
        return answer if command[1] == ins else card(command)

    return hook


def objects(answer: bytes, ins: Ins) -> dict[Tag, bytes]:
    """The objects in a successful answer."""
    assert answer[-2:] == OK
    return unpack(answer[:-2], (), BY_INS[ins].gives)


class Desk:
    """Two real cards in a purse terminal, each with somebody who can speak in its place."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.payer, self.payee = town.card(10_000), town.card()

    def remit(self, payer: Hook = honest, payee: Hook = honest, amount: int = AMOUNT) -> Transfer:
        left = HookedSlot(self.payer.slot("left"), payer)
        right = HookedSlot(self.payee.slot("right"), payee)
        try:
            return self.town.purse_terminal().remit(left, right, amount)
        finally:
            assert (left.ejected, right.ejected) == (1, 1)

    def finish(self) -> None:
        self.town.purse_terminal().resume(self.payer.slot("left"), self.payee.slot("right"))
        assert self.payer.unsettled == 0

    @property
    def held(self) -> tuple[int, int]:
        return self.payer.balance, self.payee.balance


def renamed(card: CardId) -> Callable[[bytes], bytes]:
    """SELECT's answer with another card ID."""

    def change(answer: bytes) -> bytes:
        inner = ber.find(answer[:-2], 0x6F, 0xA5)
        own = unpack(inner, (Tag.CARD_ID, Tag.STATUS))[Tag.CARD_ID]
        return answer.replace(own, card)

    return change
