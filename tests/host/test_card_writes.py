"""What the modelled time counts as writes is what the card model writes."""

from collections.abc import Callable

import pytest

from apdu.commands import BY_INS, Ins
from apdu.messages import Outcome, Resolution, Signed, TerminateOrder, UnlockOrder
from apdu.trace.card_time import writes
from host.model import ModelSlot, SmartCard, memory_card
from host.session import PurseSession, pin_block
from tests.issuer import CHIP, FAR, NOW, ORDERS, PIN, PUK, Issuer

Made = dict[str, tuple[int, int]]
"""By command: writes that are modelled, and those that were made."""


class CountingSlot(ModelSlot):
    """A slot that counts the physical writes of each command."""

    def __init__(self, name: str, card: SmartCard) -> None:
        super().__init__(name, card)
        self._counted = card
        self.made: Made = {}

    def transmit(self, command: bytes) -> bytes:
        before = self._counted.writes
        answer = super().transmit(command)
        if answer[-2:] == b"\x90\x00" and not command[0] & 0x10:
            made = self._counted.writes - before
            self.made[BY_INS[Ins(command[1])].name] = (writes(command, answer), made)
        return answer


class Pair:
    """A payer and a payee whose writes are counted, and their issuer."""

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.slots = [self._counting(self.issuer.purse(1, initial=10_000)), self._counting(self.issuer.purse(2))]
        self.payer, self.payee = (PurseSession(slot.connect()) for slot in self.slots)

    @staticmethod
    def _counting(slot: ModelSlot) -> CountingSlot:
        card = slot._card  # the same card, in a slot that counts
        assert card is not None
        return CountingSlot(slot.name, card)

    def transfer(self) -> None:
        asked = self.payee.request(100, self.payer.card, NOW)
        self.payer.settle(self.payee.receive(self.payer.pay(asked, NOW), NOW))

    def refund(self) -> None:
        self.payer.pay(self.payee.request(100, self.payer.card, NOW), NOW)
        self.payer.settle(
            Signed.make(Resolution(ORDERS, self.payer.card, 1, Outcome.NEVER_RECEIVED), self.issuer.orders)
        )

    def codes(self) -> None:
        self.payer.verify(PIN)
        self.payer.change_reference_data(PIN, pin_block("5678"))
        self.payer.reset_retry_counter(PUK, PIN)

    def center(self) -> None:
        self.payee.put_credit(self.issuer.credit(2, 2))
        self.payee.put_date(self.issuer.edition(1).head)
        edition = self.issuer.edition(2, 2)
        self.payee.lock_out(edition.head, edition.tree.prove(2))
        self.payee.unlock(Signed.make(UnlockOrder(ORDERS, self.payee.card, 3), self.issuer.orders))
        self.payee.terminate(Signed.make(TerminateOrder(ORDERS, self.payee.card, FAR), self.issuer.orders), NOW)


@pytest.mark.parametrize("business", [Pair.transfer, Pair.refund, Pair.codes, Pair.center])
def test_each_command_is_modelled_with_the_writes_that_it_makes(business: Callable[[Pair], None]) -> None:
    pair = Pair()
    business(pair)
    made = pair.slots[0].made | pair.slots[1].made
    assert len(made) >= 3
    assert {name: modelled for name, (modelled, _) in made.items()} == {name: real for name, (_, real) in made.items()}


def test_a_payment_writes_at_most_six_times() -> None:
    pair = Pair()
    pair.transfer()
    assert pair.slots[0].made["PAY"][1] <= 6


def test_personalization_is_modelled_with_its_channel() -> None:
    issuer, counted = Issuer(), dict[str, set[int]]()
    card = memory_card(CHIP)
    transmit = card.transmit

    def counting(command: bytes) -> bytes:
        before = card.writes
        answer = transmit(command)
        counted.setdefault(BY_INS[Ins(command[1])].name, set()).add(writes(command, answer) - (card.writes - before))
        return answer

    card.transmit = counting  # type: ignore[method-assign]  # counts, and is the card
    issuer.personalize(card, issuer.parameters(1))
    assert {name: counted[name] for name in ("INITIALIZE UPDATE", "EXTERNAL AUTHENTICATE")} == {
        "INITIALIZE UPDATE": {0},
        "EXTERNAL AUTHENTICATE": {0},
    }
