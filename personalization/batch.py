"""A batch: every row of an order list becomes a card; what is done stays done, what is not can be resumed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apdu.errors import RefusedError
from apdu.identity import CardId, LifeCycle
from host.connection import CardSlot
from host.session import PurseSession
from personalization.card_keys import CardKeys
from personalization.diversification import resetting_code
from personalization.issuer_line import IssuerLine
from personalization.journal import Journal
from personalization.one import Letter, personalize_card, random_pin
from personalization.orders import Order, OrderList
from personalization.profile import Profile

__all__ = ["Batch", "Line", "SlotFor"]

SlotFor = Callable[[Order], CardSlot]
"""Finds the slot with the blank card for a row: makes an image, or asks for the next card."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report; ``earlier`` says that an earlier run had finished the card."""

    order: Order
    card: CardId
    earlier: bool


class Batch:
    """A batch that can be run until every row is done."""

    def __init__(self, orders: OrderList, profile: Profile, keys: CardKeys, line: IssuerLine, journal: Journal) -> None:
        """Everything else has been checked before; from here on cards are made.

        Raises InputError when an earlier run has given a card that is not done keys of another master key.
        """
        journal.require_key(keys.issuer)
        self._orders, self._profile, self._keys = orders, profile, keys
        self._line, self._journal = line, journal

    def run(self, slot_for: SlotFor, deliver: Callable[[Letter], None]) -> Iterator[Line]:
        """Make card after card; ``deliver`` has the holder's letter before the card is personalized.

        A row that is tried again gets a new letter, and a new ID if the center has certified the old one,
        unless the run before was cut just after its card was made: then the card is its own proof.

        Raises what personalize_card raises, at the first card that fails: wrong keys must not
        burn the tries of a whole tray.
        """
        for order in self._orders.orders:
            if order.line in self._journal.done:
                yield Line(order, self._journal.allotted[order.line], earlier=True)
                continue
            slot, tried = slot_for(order), self._journal.allotted.get(order.line)
            made_before = _is_made(slot, tried)
            card = tried if tried is not None and made_before else self._make(order, tried, slot, deliver)
            self._journal.finish(order)
            yield Line(order, card, earlier=made_before)

    def _make(self, order: Order, tried: CardId | None, slot: CardSlot, deliver: Callable[[Letter], None]) -> CardId:
        """Personalize the blank card; an ID that was certified in an earlier try has its key, and is spent."""
        card = self._allot(order) if tried is None or self._line.is_certified(tried) else tried
        letter = Letter(card, order.holder, order.pin or random_pin(), resetting_code(self._keys.issuer.key, card))
        deliver(letter)
        personalize_card(
            slot,
            letter,
            self._profile,
            self._keys,
            self._line,
            lambda chip: self._journal.put_keys(order, chip, self._keys.issuer),
        )
        return card

    def _allot(self, order: Order) -> CardId:
        card = self._line.allot(self._profile.role, order.holder)
        self._journal.allot(order, card)
        return card


def _is_made(slot: CardSlot, card: CardId | None) -> bool:
    """Whether the card in the slot is this very purse; raises RefusedError for another one."""
    try:
        session = PurseSession(slot.connect())
        if session.selected.status.state in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION):
            return False
        if session.card != card:
            raise RefusedError(f"card {session.card} is in the reader, a blank card is wanted")
        return True
    finally:
        slot.close()
