"""Cards under test that live in this process, right and wrong ones."""

from collections.abc import Callable

from apdu.commands import CHAIN_CAPACITY
from apdu.identity import TEST_ISSUER
from apdu.protocol import Protocol
from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from applet_model.memory_map import blank_image
from host.model import ModelSlot
from saifu.conformance.issuer import CHIP, STATIC, Issuer
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject

__all__ = ["ISSUER", "Spoil", "SpoiltCard", "active", "blank_card", "stand_of", "subject_of"]

ISSUER = Issuer(TEST_ISSUER)
Spoil = Callable[[bytes, bytes], bytes]
"""Command and right answer to what the card says instead."""


class SpoiltCard(SmartCard):
    """A card that answers what somebody else makes of its answers."""

    spoil: Spoil = staticmethod(lambda _, answer: answer)

    def transmit(self, command: bytes) -> bytes:
        return self.spoil(command, super().transmit(command))


def blank_card(
    protocol: Protocol = Protocol.T1, history: int = 16, unsettled: int = 4, chain: int = CHAIN_CAPACITY
) -> SpoiltCard:
    return SpoiltCard(MemoryBacking(blank_image(CHIP, history, unsettled, chain)), protocol=protocol)


def subject_of(card: SmartCard) -> Subject:
    return Subject(ModelSlot("card under test", card), ISSUER, STATIC)


def stand_of(card: SmartCard, make: Callable[[], SmartCard] | None = None) -> Stand:
    """A stand with one card; ``make`` makes spare ones."""
    return Stand(subject_of(card), lambda: subject_of(make()) if make else None)


def active(protocol: Protocol = Protocol.T1, history: int = 16, unsettled: int = 4) -> tuple[SpoiltCard, Stand]:
    """A personalized card, ready for business, which is right until it is spoilt."""
    card = blank_card(protocol, history, unsettled)
    stand = stand_of(card)
    stand.personalize()
    stand.ready()
    return card, stand
