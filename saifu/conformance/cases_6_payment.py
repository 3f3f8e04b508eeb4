"""Cases on PAY: credit, balance, places and records; and what is paid."""

from functools import partial

from apdu.commands import Ins
from apdu.identity import Role
from apdu.messages import Receipt, Refusal, Value
from apdu.objects import CreditUsed
from apdu.payload import Tag
from apdu.status import StatusWord as W
from host.session import PurseSession
from saifu.conformance.case import case
from saifu.conformance.provoking import close, dated, fill, last_seen, require_places, see, through
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_case = partial(case, ins=Ins.PAY)


# --- credit and balance -------------------------------------------------------------------------------------


@_case("PAY", "the balance is the newest record's after money went, came back and arrived")
def _balance_and_record(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    for kind in (Receipt, Refusal, Receipt):
        through(stand, partner, 100, kind)
    stand.give(100)
    stand.pay(partner.asks(1))


@_case("PAY 10", "as many payments are made as the credit information counts, and none more")
def _credit_count(stand: Stand) -> None:
    stand.ready(count=2)
    partner = stand.partner()
    for kind in (Receipt, Refusal):
        through(stand, partner, 1, kind)
    stand.pay(partner.asks(1), W.CREDIT_LIMIT)
    stand.renew(count=0)
    stand.pay(partner.asks(1), W.CREDIT_LIMIT)
    stand.renew(count=1)
    stand.pay(partner.asks(1))


@_case("PAY 10", "as much is paid as the credit information allows, and not a cent more")
def _credit_amount(stand: Stand) -> None:
    stand.ready(amount=100)
    partner = stand.partner()
    stand.pay(partner.asks(101), W.CREDIT_LIMIT)
    through(stand, partner, 60, Refusal)
    stand.pay(partner.asks(41), W.CREDIT_LIMIT)
    through(stand, partner, 40)
    stand.pay(partner.asks(1), W.CREDIT_LIMIT)
    stand.renew(amount=1)
    stand.pay(partner.asks(1))


@_case("PAY 12", "everything may be paid that is on the purse, and not a cent more")
def _balance(stand: Stand) -> None:
    stand.ready(3_000)
    partner = stand.partner()
    stand.pay(partner.asks(3_001), W.INSUFFICIENT_MONEY)
    through(stand, partner, 3_000)
    must(stand.balance == 0, "the purse is not empty")
    stand.pay(partner.asks(1), W.INSUFFICIENT_MONEY)


# --- places and records ------------------------------------------------------------------------------------


@_case("PAY 13", "as many transfers are unsettled as the card has places, and none more")
def _places(stand: Stand) -> None:
    places = stand.card.twin.cells.unsettled_capacity
    require_places(stand, places)
    stand.ready()
    close(stand)
    stand.renew()
    partner = stand.partner()
    paid = [stand.paid(partner.asks(1)) for _ in range(places)]
    stand.pay(partner.asks(1), W.UNSETTLED_FULL)
    stand.settle(partner.answers(paid[places // 2]))
    stand.renew()
    stand.pay(partner.asks(1))
    stand.pay(partner.asks(1), W.UNSETTLED_FULL)


@_case("PAY 15", "a payment and its refund need places that the center's records leave")
def _room(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    fill(stand, stand.card.twin.cells.history_capacity - 1)
    stand.pay(partner.asks(1), W.HISTORY_FULL)
    see(stand, 1)
    through(stand, partner, 1, Refusal)
    stand.pay(partner.asks(1), W.HISTORY_FULL)


@_case("PAY 15", "the receipt of an open request keeps its place")
def _room_for_a_receipt(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    fill(stand, stand.card.twin.cells.history_capacity - 2)
    asked = stand.requested(1, partner)
    stand.pay(partner.asks(1), W.HISTORY_FULL)
    see(stand, 1)
    paid = stand.paid(partner.asks(1))
    stand.answered(partner.pays(asked))
    stand.settle(partner.answers(paid, Refusal))
    must(stand.unseen == stand.card.twin.cells.history_capacity, "the history is not full")


@_case("PAY 15", "each unsettled transfer keeps a place for its refund")
def _room_for_refunds(stand: Stand) -> None:
    require_places(stand, 3)
    stand.ready()
    partner, places = stand.partner(), stand.card.twin.cells.history_capacity
    fill(stand, places - 4)
    paid = [stand.paid(partner.asks(1)) for _ in range(2)]
    stand.pay(partner.asks(1), W.HISTORY_FULL)
    for one in paid:
        stand.settle(partner.answers(one, Refusal))
    must(stand.unseen == places, "the history is not full")


@_case("PAY", "of several things that forbid a payment the first of the table is told")
def _order_of_state(stand: Stand) -> None:
    places, partner = stand.card.twin.cells.unsettled_capacity, stand.partner()
    require_places(stand, places)
    stand.ready(2_000)
    forged = {Tag.CERTIFICATE: partner.certificate.raw[:-32] + bytes(32)}
    above, one = partner.asks(stand.parameters.pin_above + 1), partner.asks(1)
    fill(stand, stand.card.twin.cells.history_capacity - 2 * places)
    paid = [stand.paid(partner.asks(1)) for _ in range(places)]
    stand.renew(count=0, **last_seen(stand))
    stand.pay(above, W.CREDIT_LIMIT, forged)
    stand.renew(**last_seen(stand))
    stand.pay(above, W.SECURITY_STATUS, forged)
    stand.verify()
    stand.pay(above, W.INSUFFICIENT_MONEY, forged)
    stand.pay(one, W.UNSETTLED_FULL, forged)
    stand.settle(partner.answers(paid[0]))
    stand.pay(one, W.HISTORY_FULL, forged)
    stand.renew()
    stand.pay(one, W.CERTIFICATE_INVALID, forged)
    stand.pay(one)


# --- what is paid ------------------------------------------------------------------------------------------


@_case("PAY", "the value says what was asked for, from whom and to whom, with the payer's next counter")
def _value(stand: Stand) -> None:
    stand.ready()
    partner, session = stand.partner(), PurseSession(stand.card)
    for number in (1, 0xFFFF_FFFF, 0):
        before = session.get_counters().payments
        asked = partner.asks(1_234, number)
        paid = stand.paid(asked)
        wanted = Value(
            stand.id, before + 1, partner.card, number, asked.request.nonce, 1_234, stand.parameters.currency
        )  # fmt: skip
        must(paid.value.raw[: Value.SIZE] == wanted.encode(), "the value does not say what was asked for")
        must(paid.certificate.raw == stand.certificate, "the certificate in the answer is not the payer's")
        stand.settle(partner.answers(paid))


@_case("PAY", "the money is off the purse, counted in the credit used, and the transfer is unsettled")
def _bookkeeping(stand: Stand) -> None:
    stand.ready(count=10)
    partner, session = stand.partner(), PurseSession(stand.card)
    paid = stand.paid(partner.asks(700))
    entries, (_, used) = session.get_unsettled(), session.get_credit()
    wanted = (paid.value.body.counter, partner.card, 700)
    must([(one.counter, one.payee, one.amount) for one in entries] == [wanted], "GET DATA 0106 does not have it")
    must(used == CreditUsed(1, 700), "the credit used is not 1 payment of 700")
    status = session.select().status
    must((status.balance, status.unsettled) == (9_300, 1), "SELECT does not tell the balance behind the payment")


@_case("PAY", "the same request is paid as often as the payer is told to, each time with another counter")
def _twice(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    asked = partner.asks(5)
    counters = []
    for _ in range(3):
        paid = stand.paid(asked)
        counters.append(paid.value.body.counter)
        stand.settle(partner.answers(paid))
    must(counters == [*range(counters[0], counters[0] + 3)], "the payer's counter does not grow by one")


@_case("The parties", "the payee's role changes nothing")
def _roles(stand: Stand) -> None:
    stand.ready()
    for role in Role:
        through(stand, stand.partner(role))


@_case("How to read this page", "numbers are unsigned: dates, counts and amounts from 80000000 on are large")
def _unsigned(stand: Stand) -> None:
    most = 0xFFFF_FFFF
    stand.ready(count=most, amount=most, expiry=most)
    through(stand, stand.partner(expiry=most))
    through(stand, stand.partner(expiry=0x8000_0000))
    stand.renew(count=0x8000_0000, amount=0x8000_0000, expiry=0x8000_0000)
    through(stand, stand.partner(expiry=most))
    stand.request(1, stand.partner().card, changed=dated(0x8000_0000))
    stand.request(1, stand.partner().card, W.CREDIT_EXPIRED, dated(0x8000_0001))
