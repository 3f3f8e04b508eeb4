"""Replayed and reordered messages: whatever comes again or too late moves no money."""

import pytest

from apdu.commands import Ins
from apdu.messages import Outcome, Receipt, Refusal, Resolution, Signed
from apdu.objects import Request
from apdu.payload import Tag
from apdu.signature import SIGNATURE_SIZE
from apdu.status import StatusWord
from host.session import Answer, Paid, Requested
from tests.applet_model.offers import OFFERS, key_of, pair
from tests.applet_model.purses import ISSUER, Purse, new_purse, refusal_of
from tests.issuer import EUR, FAR, ORDERS

W = StatusWord
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
AGAIN = {
    "receipt in SETTLE": W.DATA_NOT_FOUND,
    "refusal in SETTLE": W.DATA_NOT_FOUND,
    "resolution in SETTLE": W.DATA_NOT_FOUND,
    "credit in PUT CREDIT": W.OLDER,
    "order in UNLOCK": W.CONDITIONS_OF_USE,
    "order in TERMINATE": W.CONDITIONS_OF_USE,
}
"""What the card says the second time."""


def refused(purse: Purse, answer: Answer | Signed[Resolution]) -> StatusWord | None:
    image = purse.image
    word = refusal_of(purse.session().settle, answer)
    assert purse.image == image
    return word


@pytest.mark.parametrize("name", AGAIN)
def test_a_message_works_once(name: str) -> None:
    offer = OFFERS[name]()
    assert offer.sw(offer.raw) == W.OK
    image = offer.purse.image
    assert offer.sw(offer.raw) == AGAIN[name]
    assert offer.purse.image == image


def test_the_same_value_again_gives_the_same_receipt_and_credits_nothing() -> None:
    mine, theirs = pair()
    paid = theirs.pay(mine.ask(theirs))
    receipt, image = mine.receive(paid), mine.image
    assert isinstance(receipt.body, Receipt)
    assert [mine.receive(paid) for _ in range(3)] == [receipt] * 3
    assert mine.image == image


def test_a_value_with_the_twin_of_its_signature_credits_nothing_more() -> None:
    """(r, n - s) verifies wherever (r, s) does: a value is known by what it says, not by its signature."""
    mine, theirs = pair()
    paid = theirs.pay(mine.ask(theirs))
    raw = paid.value.raw
    twin = raw[:-32] + (N - int.from_bytes(raw[-32:])).to_bytes(32)
    assert len(twin) == len(raw[:-SIGNATURE_SIZE]) + SIGNATURE_SIZE
    receipt, image = mine.receive(paid), mine.image
    assert mine.receive(Paid(paid.certificate, Signed(paid.value.body, twin))) == receipt
    assert mine.image == image


def test_a_refusal_is_for_ever() -> None:
    mine, theirs = pair()
    paid = theirs.pay(mine.ask(theirs))
    mine.ask(theirs)
    refusal, before = mine.receive(paid), mine.balance
    assert isinstance(refusal.body, Refusal)
    for _ in range(3):
        mine.ask(theirs)
        assert mine.receive(paid) == refusal
    assert mine.balance == before


def test_a_request_that_was_answered_is_closed_to_a_second_value() -> None:
    mine, theirs = pair()
    asked = mine.ask(theirs)
    first, second = theirs.pay(asked), theirs.pay(asked)
    assert isinstance(mine.receive(first).body, Receipt)
    assert isinstance(mine.receive(second).body, Refusal)
    assert mine.balance == 10_100


def test_a_value_for_a_made_up_request_is_refused_before_and_after_the_real_one() -> None:
    mine, theirs = pair()
    certificate = mine.session().get_certificate()
    paid = theirs.pay(Requested(certificate, Request(1, bytes(8), 100, EUR)))
    refusal = mine.receive(paid)
    assert isinstance(refusal.body, Refusal)
    theirs.session().settle(refusal)
    assert mine.ask(theirs).request.number == 1
    assert mine.receive(paid) == refusal
    assert (mine.balance, theirs.balance) == (10_000, 10_000)


def test_answers_may_come_in_any_order_but_each_ends_its_own_transfer() -> None:
    mine, theirs = pair()
    answers = [theirs.receive(mine.pay(theirs.ask(mine, amount))) for amount in (100, 200, 300)]
    mine.session().settle(answers[1])
    assert [entry.amount for entry in mine.session().get_unsettled()] == [100, 300]
    assert refused(mine, answers[1]) is W.DATA_NOT_FOUND
    for answer in (answers[2], answers[0]):
        mine.session().settle(answer)
    assert mine.session().get_unsettled() == []


def test_an_answer_before_its_payment_ends_nothing() -> None:
    """Their refusal of my payment 1, from another life of my card: nothing waits with that counter."""
    offer = OFFERS["refusal in SETTLE"]()
    mine, _ = pair()
    image = mine.image
    assert mine.offer(offer.ins, offer.objects) == W.DATA_NOT_FOUND
    assert mine.image == image


@pytest.mark.parametrize("name", ["receipt in SETTLE", "refusal in SETTLE", "resolution in SETTLE"])
def test_an_answer_to_another_payer_is_refused(name: str) -> None:
    offer, (_, theirs) = OFFERS[name](), pair()
    theirs.pay(pair()[0].ask(theirs))
    image = theirs.image
    assert theirs.offer(Ins.SETTLE, offer.objects) == W.NOT_THIS_CARD
    assert theirs.image == image


def test_a_receipt_of_another_payee_is_refused() -> None:
    """A third card may sign what it likes about my payment: it was not to receive it."""
    mine, theirs = pair()
    paid = mine.pay(theirs.ask(mine))
    third = new_purse(4, initial=10_000, transfer_max=50_000)
    mine.pay(third.ask(mine))
    own = Receipt(mine.id, paid.value.body.counter, third.id)
    forged = Receipt(mine.id, paid.value.body.counter, theirs.id)
    key = key_of(third)
    assert refused(mine, Signed.make(own, key)) is W.NOT_THIS_CARD
    assert refused(mine, Signed.make(forged, key)) is W.SIGNATURE_INVALID
    mine.session().settle(theirs.receive(paid))


def test_a_value_for_another_payee_is_refused() -> None:
    mine, theirs = pair()
    third = new_purse(4, initial=10_000)
    paid, image = theirs.pay(mine.ask(theirs)), third.image
    assert refusal_of(third.receive, paid) is W.NOT_THIS_CARD
    assert third.image == image


def test_a_value_with_the_certificate_of_another_card_is_refused() -> None:
    mine, theirs = pair()
    third = new_purse(4, initial=10_000)
    paid, image = theirs.pay(mine.ask(theirs)), mine.image
    for crossed in (third, mine):
        crossed_value = Paid(crossed.session().get_certificate(), paid.value)
        assert refusal_of(mine.receive, crossed_value) is W.NOT_THIS_CARD
        assert mine.image == image


def test_a_value_of_a_payer_that_was_not_asked_is_refused() -> None:
    """The third card pays my request to them: it gets its money back, and the request is still theirs."""
    mine, theirs = pair()
    third = new_purse(4, initial=10_000)
    asked = mine.ask(theirs)
    refusal = mine.receive(third.pay(asked))
    assert isinstance(refusal.body, Refusal)
    assert isinstance(mine.receive(theirs.pay(asked)).body, Receipt)


def cloned_values() -> tuple[Purse, Purse, Paid, Paid]:
    """Payee, payer, and two values with one counter: 100 from the payer, 200 from its clone."""
    mine, theirs = pair()
    clone = Purse(theirs.image)
    first = theirs.pay(mine.ask(theirs, 100))
    mine.receive(first)
    return mine, theirs, first, clone.pay(mine.ask(theirs, 200))


def test_two_values_with_one_counter_get_neither_receipt_nor_refusal() -> None:
    mine, _, first, second = cloned_values()
    mine.ask(new_purse(4, initial=100))
    image = mine.image
    assert refusal_of(mine.receive, second) is W.SAME_COUNTER
    assert mine.image == image
    assert isinstance(mine.receive(first).body, Receipt)


def test_no_refusal_is_signed_for_a_counter_that_was_received() -> None:
    """Not for an open request either: the refusal would refund the payment that was received."""
    mine, theirs, _, second = cloned_values()
    assert refusal_of(lambda: theirs.session().settle(mine.receive(second, FAR + 1))) is W.SAME_COUNTER
    assert theirs.balance == 9_900


def test_what_is_older_than_the_history_is_the_centers_to_resolve() -> None:
    mine, theirs = (new_purse(i, initial=10_000, history=8) for i in (2, 3))
    old = theirs.pay(mine.ask(theirs))
    mine.receive(old)
    for number in range(9):
        mine.session().put_credit(ISSUER.credit(2, number + 2, seen=mine.session().get_counters().record))
        other = new_purse(20 + number, initial=100)
        mine.receive(other.pay(mine.ask(other)))
    image = mine.image
    assert refusal_of(mine.receive, old) is W.BEYOND_HISTORY
    assert mine.image == image
    resolution = Resolution(ORDERS, theirs.id, old.value.body.counter, Outcome.RECEIVED)
    theirs.session().settle(Signed.make(resolution, ISSUER.orders))
    assert (theirs.balance, theirs.session().get_unsettled()) == (9_900, [])


def test_settle_takes_one_answer_at_a_time() -> None:
    offer, other = OFFERS["receipt in SETTLE"](), OFFERS["refusal in SETTLE"]()
    image = offer.purse.image
    assert offer.purse.offer(Ins.SETTLE, offer.objects | {Tag.REFUSAL: other.raw}) == W.WRONG_DATA
    assert offer.purse.offer(Ins.SETTLE, {}) != W.OK
    assert offer.purse.image == image
