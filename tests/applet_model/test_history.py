"""The history: chained, a ring that loses nothing the center has not seen, and the card's memory of receipts."""

from hashlib import sha256
from random import Random

import pytest

from apdu.messages import Receipt, Refusal
from apdu.objects import HistoryRecord, Kind
from apdu.status import StatusError
from apdu.status import StatusWord as W
from host.session import Answer, Paid, PurseSession
from tests.applet_model.cards import ISSUER, CopiedCard, purse, session
from tests.issuer import NOW

CAPACITY = 8
PAYER, PAYEE = 1, 2


def pair(history: int = CAPACITY, unsettled: int = 8) -> tuple[PurseSession, PurseSession]:
    """A float with money, and somebody who is paid; the tests name the capacity of both."""
    return (
        session(purse(PAYER, 100_000, history=history, unsettled=unsettled)),
        session(purse(PAYEE, history=history, unsettled=unsettled)),
    )


def pay(payer: PurseSession, payee: PurseSession, amount: int = 10) -> Paid:
    return payer.pay(payee.request(amount, payer.card, NOW), NOW)


def move(payer: PurseSession, payee: PurseSession, amount: int = 10) -> Answer:
    answer = payee.receive(pay(payer, payee, amount), NOW)
    payer.settle(answer)
    return answer


def upload(card: PurseSession) -> None:
    """The center has seen everything, and says so with the next credit information."""
    serial = card.get_credit()[0].body.serial + 1
    card.put_credit(ISSUER.credit(card.card.serial, serial, seen=card.get_counters().record))


def refused(sw: int) -> "pytest.RaisesExc[StatusError]":
    return pytest.raises(StatusError, match=f"{sw:04X}")


# --- records and chain -------------------------------------------------------------------------------------


def test_both_cards_record_a_transfer() -> None:
    payer, payee = pair()
    move(payer, payee, 10)
    move(payer, payee, 20)
    paid, received = payer.history(9), payee.history(9)
    assert paid[0] == HistoryRecord(2, Kind.PAID, payee.card, 2, 2, 20, 99_970, NOW)
    assert received[0] == HistoryRecord(2, Kind.RECEIVED, payer.card, 2, 2, 20, 30, NOW)
    assert [record.number for record in paid] == [record.number for record in received] == [2, 1]


def test_a_refund_is_recorded() -> None:
    payer, payee = pair()
    paid = pay(payer, payee)
    payee.request(1, payer.card, NOW)
    payer.settle(payee.receive(paid, NOW))
    assert payer.history(1) == [HistoryRecord(2, Kind.REFUNDED, payee.card, 1, 1, 10, 100_000, NOW)]
    assert payee.history(1) == []


def test_requests_and_settlements_leave_no_record() -> None:
    payer, payee = pair()
    for _ in range(20):
        payee.request(10, payer.card, NOW)
    assert (payee.get_counters().requests, payee.get_counters().record) == (20, 0)


def test_the_chain_is_over_every_record_there_ever_was() -> None:
    payer, payee = pair()
    chains = {card.card: sha256(card.card).digest() for card in (payer, payee)}
    for _ in range(3 * CAPACITY):
        move(payer, payee)
        for card in (payer, payee):
            chains[card.card] = sha256(chains[card.card] + card.read_record(0).encode()).digest()
            assert card.get_counters().chain == chains[card.card]
            upload(card)


def test_a_new_cards_chain_begins_with_its_id() -> None:
    assert pair()[0].get_counters().chain == sha256(ISSUER.id(PAYER)).digest()


# --- READ RECORD -------------------------------------------------------------------------------------------


def test_a_new_card_has_no_records() -> None:
    with refused(W.RECORD_NOT_FOUND):
        pair()[0].read_record(0)


def test_the_ring_keeps_the_newest() -> None:
    payer, payee = pair()
    for _ in range(2 * CAPACITY + 3):
        move(payer, payee)
        upload(payer)
        upload(payee)
    newest = 2 * CAPACITY + 3
    assert [record.number for record in payer.history(99)] == [*range(newest, newest - CAPACITY, -1)]
    with refused(W.RECORD_NOT_FOUND):
        payer.read_record(CAPACITY)


def test_older_records_are_in_the_next_file() -> None:
    payer, payee = pair(history=300)
    for _ in range(256):
        move(payer, payee)
    assert [payer.read_record(age).number for age in (0, 253, 254, 255)] == [256, 3, 2, 1]
    with refused(W.RECORD_NOT_FOUND):
        payer.read_record(256)


# --- nothing is lost before it is seen ---------------------------------------------------------------------


def test_a_payer_stops_before_unseen_records_are_overwritten() -> None:
    """The last place is kept for the refund of the last payment."""
    payer, payee = pair()
    for _ in range(CAPACITY - 1):
        move(payer, payee)
    with refused(W.HISTORY_FULL):
        pay(payer, payee)
    upload(payer)
    move(payer, payee)
    assert payer.get_counters().record == CAPACITY


def test_a_payee_stops_before_unseen_records_are_overwritten() -> None:
    payee = session(purse(PAYEE, history=CAPACITY))
    payer = session(purse(PAYER, 100_000, history=64))
    for _ in range(CAPACITY):
        move(payer, payee)
    with refused(W.HISTORY_FULL):
        payee.request(10, payer.card, NOW)
    upload(payee)
    move(payer, payee)


def test_every_unsettled_transfer_has_room_for_its_refund() -> None:
    """Four payments and four refunds: eight records."""
    payer, payee = pair()
    paid = [pay(payer, payee) for _ in range(CAPACITY // 2)]
    with refused(W.HISTORY_FULL):
        pay(payer, payee)
    for value in paid:
        payer.settle(payee.receive(value, NOW))
    assert [record.kind for record in payer.history(9)] == [Kind.REFUNDED] * 4 + [Kind.PAID] * 4
    assert payer.select().status.balance == 100_000


def test_an_open_request_has_room_for_its_receipt() -> None:
    """Who is to be paid may spend only what leaves that room."""
    payer = session(purse(PAYER, 100_000, history=CAPACITY))
    payee = session(purse(PAYEE, history=64))
    for _ in range(CAPACITY - 2):
        move(payer, payee)
    asked = payer.request(10, payee.card, NOW)
    with refused(W.HISTORY_FULL):
        payer.pay(session(purse(3)).request(10, payer.card, NOW), NOW)
    payer.receive(payee.pay(asked, NOW), NOW)
    assert payer.get_counters().record == CAPACITY - 1


def test_settling_with_a_receipt_needs_no_room() -> None:
    payer, payee = pair()
    for _ in range(CAPACITY - 2):
        move(payer, payee)
    receipt = payee.receive(pay(payer, payee), NOW)
    payer.settle(receipt)
    assert payer.get_unsettled() == []


def step(random: Random, cards: tuple[PurseSession, PurseSession], waiting: list[tuple[int, Paid]]) -> None:
    """Something that two people may do; what is declined for want of room may only be a new transfer."""
    who = random.randrange(2)
    payer, payee = cards[who], cards[1 - who]
    what = random.choice(("pay", "pay", "request", "finish", "upload"))
    if what == "finish" and waiting:
        owner, paid = waiting.pop(random.randrange(len(waiting)))
        cards[owner].settle(cards[1 - owner].receive(paid, NOW))
    elif what == "upload" and random.randrange(3) == 0:
        upload(payer)
    elif what in ("pay", "request"):
        try:
            asked = payee.request(10, payer.card, NOW)
            waiting += [(who, payer.pay(asked, NOW))] if what == "pay" else []
        except StatusError as error:
            if error.sw not in (W.HISTORY_FULL, W.UNSETTLED_FULL, W.INSUFFICIENT_MONEY):
                raise


def walk(seed: int) -> int:
    """Sixty steps; returns the most unseen records that a card held."""
    cards, waiting, random = pair(), list[tuple[int, Paid]](), Random(seed)
    unseen = []
    for _ in range(60):
        step(random, cards, waiting)
        counters = [card.get_counters() for card in cards]
        unseen += [counter.record - counter.seen for counter in counters]
    moving = sum(entry.amount for card in cards for entry in card.get_unsettled())
    assert sum(card.select().status.balance for card in cards) + moving == 100_000
    return max(unseen)


def test_no_walk_overwrites_what_the_center_has_not_seen() -> None:
    """Many walks fill the history to the last place, and none goes beyond."""
    assert max(map(walk, range(20))) == CAPACITY


# --- what was received before ------------------------------------------------------------------------------


def test_the_same_value_again_gives_the_same_receipt_and_no_money() -> None:
    payer, payee = pair()
    paid = pay(payer, payee)
    receipt = payee.receive(paid, NOW)
    move(payer, payee)
    assert isinstance(receipt.body, Receipt)
    assert payee.receive(paid, NOW) == receipt
    assert payee.select().status.balance == 20


def overwritten() -> tuple[PurseSession, PurseSession, Paid, Paid]:
    """Cards, a value whose record is gone from the payee's history, and one whose record is the oldest."""
    payer, payee = pair()
    values = []
    for _ in range(CAPACITY + 1):
        values.append(pay(payer, payee))
        payer.settle(payee.receive(values[-1], NOW))
        upload(payer)
        upload(payee)
    return payer, payee, values[0], values[1]


def test_a_value_older_than_the_history_is_the_centers_to_resolve() -> None:
    _, payee, gone, oldest = overwritten()
    with refused(W.BEYOND_HISTORY):
        payee.receive(gone, NOW)
    assert isinstance(payee.receive(oldest, NOW).body, Receipt)
    assert payee.select().status.balance == 10 * (CAPACITY + 1)


def test_a_request_given_up_before_the_history_began_is_the_centers_to_resolve() -> None:
    payer, payee = pair()
    lost = pay(payer, payee)
    for _ in range(CAPACITY):
        payer.settle(payee.receive(pay(payer, payee), NOW))
        upload(payer)
        upload(payee)
    assert isinstance(payee.receive(lost, NOW).body, Refusal)
    payer.settle(payee.receive(pay(payer, payee), NOW))
    with refused(W.BEYOND_HISTORY):
        payee.receive(lost, NOW)


def test_own_payments_that_fall_out_of_the_ring_move_no_floor() -> None:
    payer, payee = pair()
    for _ in range(2 * CAPACITY):
        move(payer, payee)
        upload(payer)
        upload(payee)
    back = payee.pay(payer.request(5, payee.card, NOW), NOW)
    payer.request(1, payee.card, NOW)
    assert isinstance(payer.receive(back, NOW).body, Refusal)


def test_two_values_with_one_counter_are_a_clone() -> None:
    image = purse(PAYER, 100_000).image()
    original, clone = (session(CopiedCard(image, seed)) for seed in (1, 2))
    payee = session(purse(PAYEE))
    payee.receive(pay(original, payee), NOW)
    second = pay(clone, payee, 11)
    payee.request(1, original.card, NOW)
    with refused(W.SAME_COUNTER):
        payee.receive(second, NOW)
    assert payee.select().status.balance == 10
