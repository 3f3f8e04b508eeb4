"""Cards for the tests of the card: in every life-cycle state, each made for real once and then copied."""

from functools import cache
from random import Random

from apdu.command import CommandApdu
from apdu.identity import AID, LifeCycle, Role
from apdu.messages import Signed, TerminateOrder
from apdu.response import ResponseApdu
from applet_model.backing import MemoryBacking
from applet_model.card import Protocol, SmartCard
from applet_model.memory import JOURNAL_SIZE
from applet_model.memory_map import blank_image
from host.issuer_session import IssuerSession
from host.model import ModelSlot
from host.session import PurseSession
from tests.issuer import CHIP, FAR, NOW, ORDERS, STATIC, Issuer

__all__ = ["ISSUER", "SERIAL", "CopiedCard", "blank", "image_in", "purse", "session", "without_journal"]

ISSUER = Issuer()
SERIAL = 7
"""The card that ``image_in`` makes."""
_CELLS_AT = 16 + JOURNAL_SIZE


def without_journal(image: bytes) -> bytes:
    """Everything that the card remembers; what is left over in the journal is no part of it."""
    return image[_CELLS_AT:]


class CopiedCard(SmartCard):
    """A real card over a copy of an image, with random numbers that can be repeated."""

    def __init__(self, image: bytes, seed: int = 0, protocol: Protocol = Protocol.T1) -> None:
        self._copy = MemoryBacking(image)
        super().__init__(self._copy, Random(seed).randbytes, protocol)

    def image(self) -> bytes:
        return self._copy.image()

    def send(
        self, cla: int, ins: int, p1: int = 0, p2: int = 0, data: bytes = b"", ne: int | None = None
    ) -> ResponseApdu:
        return ResponseApdu.decode(self.transmit(CommandApdu(cla, ins, p1, p2, data, ne).encode()))

    def selected(self) -> "CopiedCard":
        """Power on (or reset), select without FCI, return the card."""
        self.power_on()
        self.send(0x00, 0xA4, 0x04, 0x0C, AID)
        return self


def session(card: SmartCard) -> PurseSession:
    """Reset the card and select the purse."""
    return PurseSession(ModelSlot("slot", card).connect())


def blank(history: int = 16, unsettled: int = 4, seed: int = 0) -> CopiedCard:
    """A card as its maker delivers it."""
    return CopiedCard(blank_image(CHIP, history, unsettled), seed)


def purse(
    serial: int, initial: int = 0, role: Role = Role.PERSON, history: int = 16, unsettled: int = 4, **other: int
) -> CopiedCard:
    """A personalized purse; a float when it is given money."""
    card = blank(history, unsettled, serial)
    ISSUER.personalize(card, ISSUER.parameters(serial, Role.FLOAT if initial else role, initial, **other))
    return card


@cache
def image_in(state: LifeCycle) -> bytes:
    """Image of a card that was brought into a state by the commands that lead there."""
    card = blank() if state in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION) else purse(SERIAL)
    if state is LifeCycle.PERSONALIZATION:
        IssuerSession(ModelSlot("issuer", card).connect(), lambda _: STATIC).generate_key_pair()
    elif state is LifeCycle.LOCKED_OUT:
        edition = ISSUER.edition(1, SERIAL)
        session(card).lock_out(edition.head, edition.tree.prove(SERIAL))
    elif state is LifeCycle.TERMINATED:
        session(card).terminate(Signed.make(TerminateOrder(ORDERS, ISSUER.id(SERIAL), FAR), ISSUER.orders), NOW)
    assert session(card).selected.status.state is state
    return card.image()
