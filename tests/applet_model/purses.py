"""Personalized cards whose memory the test holds: it can be compared, copied, looked into and put back."""

import os
from collections.abc import Callable
from functools import lru_cache
from random import Random

import pytest

from apdu.command import CommandApdu
from apdu.commands import BY_INS, Ins
from apdu.identity import AID, CardId, Role
from apdu.payload import Tag, pack
from apdu.response import ResponseApdu
from apdu.status import StatusError, StatusWord
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.memory_map import MemoryMap, blank_image
from host.exchange import exchange
from host.model import ModelSlot
from host.session import Answer, Paid, PurseSession, Requested
from tests.issuer import CHIP, FAR, NOW, Issuer

__all__ = ["ISSUER", "Purse", "command", "new_purse", "personalized", "refusal_of"]

ISSUER = Issuer()


@lru_cache(maxsize=256)
def personalized(
    serial: int,
    role: Role = Role.PERSON,
    initial: int = 0,
    history: int = 64,
    unsettled: int = 4,
    expiry: int = FAR,
    issuer: Issuer = ISSUER,
    allowed: tuple[int, int] = (1000, 1_000_000),
    **parameters: int,
) -> bytes:
    """The image of a purse after real personalization; ``allowed`` is number and amount of its credit."""
    backing = MemoryBacking(blank_image(CHIP, history, unsettled))
    card = SmartCard(backing, Random(serial).randbytes)
    role = Role.FLOAT if initial else role
    wanted = issuer.parameters(serial, role, initial, **parameters)
    issuer.personalize(card, wanted, expiry, count=allowed[0], amount=allowed[1])
    return backing.image()


def command(ins: int, objects: dict[Tag, bytes]) -> CommandApdu:
    """The command that carries these objects."""
    return CommandApdu(BY_INS[ins].cla, ins, 0, 0, pack(objects), 256 if BY_INS[ins].gives else None)


class Purse:
    """A real card in a slot, powered and selected."""

    def __init__(self, image: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self.backing = MemoryBacking(image)
        self.card = SmartCard(self.backing, random)
        self.slot = ModelSlot("purse", self.card)
        self.id: CardId = self.session().card

    @property
    def image(self) -> bytes:
        """All of the card's memory."""
        return self.backing.image()

    @property
    def cells(self) -> MemoryMap:
        """The cells, for a test that changes what no command can."""
        return MemoryMap.open(self.backing)

    def put(self, cell: str, value: bytes | int) -> None:
        """Change a cell behind the card's back."""
        cells = self.cells
        with cells.memory.transaction() as tx:
            tx.put(getattr(cells, cell), value)

    def session(self) -> PurseSession:
        """Reset the card and select the purse."""
        return PurseSession(self.slot.connect())

    @property
    def balance(self) -> int:
        """The balance, after a reset."""
        return self.session().selected.status.balance

    def ask(self, payer: "Purse", amount: int = 100, date: int = NOW) -> Requested:
        """REQUEST, after a reset."""
        return self.session().request(amount, payer.id, date)

    def pay(self, asked: Requested, date: int = NOW) -> Paid:
        """PAY, after a reset."""
        return self.session().pay(asked, date)

    def receive(self, paid: Paid, date: int = NOW) -> Answer:
        """RECEIVE, after a reset."""
        return self.session().receive(paid, date)

    def send(self, wanted: CommandApdu) -> ResponseApdu:
        """Send a command, chained if it must be; select first when the power was gone."""
        if not self.card.powered:
            exchange(self.slot.connect(), CommandApdu(0x00, Ins.SELECT, 0x04, 0x0C, AID))
        return exchange(self.slot, wanted)

    def offer(self, ins: int, objects: dict[Tag, bytes]) -> int:
        """Send objects; the status word tells what the card thinks of them."""
        return self.send(command(ins, objects)).sw


def new_purse(
    serial: int,
    role: Role = Role.PERSON,
    initial: int = 0,
    history: int = 64,
    unsettled: int = 4,
    expiry: int = FAR,
    allowed: tuple[int, int] = (1000, 1_000_000),
    **parameters: int,
) -> Purse:
    """A purse, as ``personalized`` makes it."""
    image = personalized(serial, role, initial, history, unsettled, expiry, ISSUER, allowed, **parameters)
    return Purse(image)


def refusal_of(act: Callable[..., object], *arguments: object) -> StatusWord | None:
    """The status word with which a card refuses to do this."""
    with pytest.raises(StatusError) as refusal:
        act(*arguments)
    return refusal.value.word
