"""Limits that a card holds by itself: PIN, credit, transfer, balance, places, counters, currency, dates."""

from dataclasses import replace
from hashlib import sha256

import pytest

from apdu.identity import Role
from apdu.objects import HistoryRecord, Kind, Request
from apdu.status import StatusWord
from host.session import Requested
from tests.applet_model.purses import ISSUER, Purse, personalized, refusal_of
from tests.issuer import EUR, FAR, NOW, PIN

W = StatusWord


def rich(
    serial: int,
    *,
    expiry: int = FAR,
    history: int = 64,
    unsettled: int = 4,
    allowed: tuple[int, int] = (1000, 1_000_000),
    **limits: int,
) -> Purse:
    """A purse with 10,000, and room for more."""
    usual = {"balance_max": 100_000, "transfer_max": 50_000, "pin_above": 5_000} | limits
    return Purse(personalized(serial, Role.FLOAT, 10_000, history, unsettled, expiry, ISSUER, allowed, **usual))


def asked(payer: Purse, amount: int = 100) -> Requested:
    """A request of some other card that may receive anything."""
    return rich(99).ask(payer, amount)


def refused(purse: Purse, requested: Requested, date: int = NOW) -> StatusWord | None:
    """PAY; nothing may change."""
    image = purse.image
    word = refusal_of(purse.pay, requested, date)
    assert purse.image == image
    return word


# --- PIN -------------------------------------------------------------------------------------------------


def test_pay_wants_the_pin_above_an_amount() -> None:
    purse = rich(2)
    requested = asked(purse, 5_001)
    assert refused(purse, requested) is W.SECURITY_STATUS
    purse.pay(asked(purse, 5_000))
    session = purse.session()
    session.verify(PIN)
    assert session.pay(asked(purse, 5_000), NOW).value.body.amount == 5_000


def test_the_pin_is_forgotten_at_reset_and_at_select() -> None:
    purse = rich(2)
    session = purse.session()
    session.verify(PIN)
    session.select()
    assert refusal_of(session.pay, asked(purse, 5_001), NOW) is W.SECURITY_STATUS
    session.verify(PIN)
    assert refused(purse, asked(purse, 5_001)) is W.SECURITY_STATUS


# --- credit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("date", [NOW + 51, FAR])
def test_credit_that_is_out_of_date_by_the_terminals_date_pays_nothing(date: int) -> None:
    purse = rich(2)
    purse.session().put_credit(ISSUER.credit(2, 2, expiry=NOW + 50))
    requested = asked(purse)
    assert refused(purse, requested, date) is W.CREDIT_EXPIRED
    assert refusal_of(purse.ask, rich(3), 100, date) is W.CREDIT_EXPIRED
    purse.pay(requested, NOW + 50)


def test_credit_that_is_out_of_date_by_the_cards_date_pays_nothing() -> None:
    purse = rich(2)
    purse.session().put_credit(ISSUER.credit(2, 2, expiry=NOW + 50))
    purse.session().put_date(ISSUER.edition(1, time=NOW + 51).head)
    assert refused(purse, asked(purse), 0) is W.CREDIT_EXPIRED
    purse.session().put_credit(ISSUER.credit(2, 3))
    purse.pay(asked(purse), 0)


def test_credit_counts_payments() -> None:
    purse = rich(2, allowed=(2, 10_000))
    for _ in range(2):
        purse.pay(asked(purse))
    assert refused(purse, asked(purse)) is W.CREDIT_LIMIT
    purse.session().put_credit(ISSUER.credit(2, 2, count=1))
    purse.pay(asked(purse))


def test_credit_adds_amounts_up() -> None:
    purse = rich(2, allowed=(10, 1_000))
    purse.pay(asked(purse, 999))
    assert refused(purse, asked(purse, 2)) is W.CREDIT_LIMIT
    purse.pay(asked(purse, 1))


# --- amounts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [0, 1_001])
def test_one_transfer_moves_something_and_no_more_than_its_limit(amount: int) -> None:
    purse = rich(2, transfer_max=1_000)
    made_up = Request(1, bytes(8), amount, EUR)
    assert refused(purse, replace(asked(purse, 1), request=made_up)) is W.TRANSFER_LIMIT
    image = purse.image
    assert refusal_of(purse.ask, rich(3), amount) is W.TRANSFER_LIMIT
    assert purse.image == image
    purse.pay(asked(purse, 1_000))


def test_too_little_money() -> None:
    purse = rich(2, pin_above=50_000)
    assert refused(purse, asked(purse, 10_001)) is W.INSUFFICIENT_MONEY
    purse.pay(asked(purse, 10_000))
    assert purse.balance == 0


def test_a_purse_asks_for_no_more_than_it_may_hold() -> None:
    purse = rich(2, balance_max=12_000)
    assert refusal_of(purse.ask, rich(3), 2_001) is W.BALANCE_LIMIT
    purse.ask(rich(3), 2_000)


def test_money_that_may_come_back_counts_for_the_balance_limit() -> None:
    purse, theirs = rich(2, balance_max=12_000), rich(3)
    paid = purse.pay(theirs.ask(purse, 1_000))
    assert refusal_of(purse.ask, theirs, 2_001) is W.BALANCE_LIMIT
    purse.session().settle(theirs.receive(paid))
    purse.ask(theirs, 3_000)


def test_another_currency_is_not_paid() -> None:
    purse, foreign = rich(2), rich(3, currency=392)
    assert refused(purse, foreign.ask(purse)) is W.CURRENCY


# --- who -------------------------------------------------------------------------------------------------


def test_a_card_does_not_pay_itself_or_cards_of_another_issuer() -> None:
    purse = rich(2)
    own = replace(asked(purse), certificate=purse.session().get_certificate())
    assert refused(purse, own) is W.NOT_THIS_CARD
    assert refusal_of(purse.ask, purse) is W.NOT_THIS_CARD


@pytest.mark.parametrize("whose", ["payer", "payee"])
def test_nobody_pays_with_or_to_a_certificate_that_has_run_out_by_the_terminals_date(whose: str) -> None:
    expiry = {whose: NOW + 50}
    payer, payee = rich(2, expiry=expiry.get("payer", FAR)), rich(3, expiry=expiry.get("payee", FAR))
    requested = payee.ask(payer)
    assert refused(payer, requested, NOW + 51) is W.CERTIFICATE_EXPIRED
    payer.pay(requested, NOW + 50)


@pytest.mark.parametrize("whose", ["payer", "payee"])
def test_nobody_pays_with_or_to_a_certificate_that_has_run_out_by_the_cards_date(whose: str) -> None:
    expiry = {whose: NOW + 50}
    payer, payee = rich(2, expiry=expiry.get("payer", FAR)), rich(3, expiry=expiry.get("payee", FAR))
    requested = payee.ask(payer)
    payer.session().put_date(ISSUER.edition(1, time=NOW + 51).head)
    assert refused(payer, requested, 0) is W.CERTIFICATE_EXPIRED


# --- places and counters ---------------------------------------------------------------------------------


def test_unsettled_transfers_have_so_many_places() -> None:
    purse, theirs = rich(2, unsettled=2), rich(3)
    paid = [purse.pay(theirs.ask(purse)) for _ in range(2)]
    assert refused(purse, theirs.ask(purse)) is W.UNSETTLED_FULL
    purse.session().settle(theirs.receive(paid[1]))
    purse.pay(theirs.ask(purse))


def test_records_that_the_center_has_not_seen_are_not_overwritten() -> None:
    """Eight records: each transfer needs its own, and one for the money that may come back."""
    purse, theirs = rich(2, history=8, unsettled=8), rich(3)
    for _ in range(4):
        purse.pay(theirs.ask(purse))
    assert refused(purse, theirs.ask(purse)) is W.HISTORY_FULL
    assert refusal_of(purse.ask, theirs) is W.HISTORY_FULL
    purse.session().put_credit(ISSUER.credit(2, 2, seen=2))
    purse.ask(theirs)
    assert refused(purse, theirs.ask(purse)) is W.HISTORY_FULL


def test_an_exhausted_counter_of_payments_pays_nothing() -> None:
    purse = rich(2)
    purse.put("payments", 0xFFFFFFFE)
    assert purse.pay(asked(purse)).value.body.counter == 0xFFFFFFFF
    assert refused(purse, asked(purse)) is W.COUNTER_EXHAUSTED


def test_records_whose_numbers_come_to_an_end_leave_room_for_a_refund() -> None:
    """The newest record is FFFFFFFE: one more could be booked, and PAY wants two, its own and a refund's."""
    purse = rich(2)
    purse.put("record", 0xFFFFFFFE)
    last = HistoryRecord(0xFFFFFFFE, Kind.REFUNDED, ISSUER.id(3), 1, 1, 1, purse.balance, NOW).encode()
    place = purse.cells.records[(0xFFFFFFFE - 1) % purse.cells.history_capacity]
    with purse.cells.memory.transaction() as tx:
        tx.put(place, last)
        tx.put(purse.cells.chain, sha256(purse.cells.chain_before.get() + last).digest())
    purse.put("credit", ISSUER.credit(2, 5, seen=0xFFFFFFFE).raw)
    assert refused(purse, asked(purse)) is W.COUNTER_EXHAUSTED
    assert purse.ask(rich(3)).request.number == 1


def test_an_exhausted_counter_of_requests_opens_nothing() -> None:
    purse = rich(2)
    purse.put("request", Request(0xFFFFFFFE, bytes(8), 1, EUR).encode())
    assert purse.ask(rich(3)).request.number == 0xFFFFFFFF
    image = purse.image
    assert refusal_of(purse.ask, rich(3)) is W.COUNTER_EXHAUSTED
    assert purse.image == image
