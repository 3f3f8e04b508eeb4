"""Cases on REQUEST: what the payee asks for, and when it asks for nothing."""

from functools import partial

from apdu.commands import Ins
from apdu.identity import CardId
from apdu.messages import Receipt, Refusal
from apdu.objects import Request
from apdu.payload import Tag, unpack
from apdu.status import StatusWord as W
from host.session import Paid, PurseSession
from saifu.conformance.case import case
from saifu.conformance.issuer import FAR, NOW
from saifu.conformance.provoking import close, dated, fill, require_places, see, through
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_case = partial(case, ins=Ins.REQUEST)
_LATER = 100
"""Seconds."""


def _amount(amount: int) -> dict[Tag, bytes]:
    return {Tag.AMOUNT: amount.to_bytes(4)}


# --- what is declined --------------------------------------------------------------------------------------


@_case("REQUEST 1", "the amount has 4 bytes, and the card ID 6")
def _sizes(stand: Stand) -> None:
    stand.ready()
    payer = stand.partner().card
    for raw in (b"", b"\0\0\1", b"\0\0\0\0\1", bytes(8)):
        stand.request(1, payer, W.WRONG_DATA, {Tag.AMOUNT: raw})
    for raw in (b"", payer[:-1], payer + b"\0", payer * 2):
        stand.request(1, payer, W.WRONG_DATA, {Tag.CARD_ID: raw})
    stand.request(1, payer)


@_case("REQUEST 2", "nobody asks for money of its own, nor of another issuer's card, whatever its serial")
def _own_and_foreign(stand: Stand) -> None:
    stand.ready()
    stand.request(1, stand.id, W.NOT_THIS_CARD)
    for number in (stand.issuer.number ^ 0x0001, stand.issuer.number ^ 0x0100, 0):
        for serial in (stand.id.serial, stand.partner().card.serial):
            stand.request(1, CardId.of(number, serial), W.NOT_THIS_CARD)


@_case("REQUEST 2", "any other serial of the same issuer may be asked")
def _other_serials(stand: Stand) -> None:
    stand.ready()
    for serial in (0, stand.id.serial ^ 0x0000_0001, stand.id.serial ^ 0x0100_0000, 0xFFFF_FFFF):
        stand.request(1, stand.issuer.id(serial))


@_case("REQUEST 3", "one transfer moves something, and no more than the purse's most")
def _amounts(stand: Stand) -> None:
    stand.ready()
    payer, most = stand.partner().card, stand.parameters.transfer_max
    for amount in (0, most + 1, 0x0001_0001, 0x8000_0000, 0xFFFF_FFFF):
        stand.request(amount, payer, W.TRANSFER_LIMIT)
    for amount in (1, most):
        stand.request(amount, payer)


@_case("REQUEST 4", "the date has 4 bytes, or 0, or is not there")
def _sizes_of_date(stand: Stand) -> None:
    stand.ready()
    payer = stand.partner().card
    for size in (1, 3, 5, 8):
        stand.request(1, payer, W.WRONG_DATA, {Tag.DATE: bytes(size)})
    stand.request(1, payer, changed={Tag.DATE: b""})
    stand.request(1, payer, changed=dated(None))


@_case("REQUEST 5", "the last second of the credit information counts, by the terminal's date")
def _expiry(stand: Stand) -> None:
    expiry = stand.now + _LATER
    stand.ready(expiry=expiry)
    payer = stand.partner().card
    for date in (expiry + 1, 0x8000_0000, 0xFFFF_FFFF):
        stand.request(1, payer, W.CREDIT_EXPIRED, dated(date))
    stand.request(1, payer, changed=dated(expiry))


@_case("REQUEST 5", "the card's own date counts where the terminal has an earlier one, or none")
def _expiry_by_own_date(stand: Stand) -> None:
    stand.ready()
    today, payer = stand.now + 1, stand.partner().card
    stand.renew(issued=today, expiry=today - 1)
    for date in (dated(today - 1), dated(NOW), dated(0), dated(None), {Tag.DATE: b""}):
        stand.request(1, payer, W.CREDIT_EXPIRED, date)
    stand.renew(expiry=today)
    for date in (dated(0), dated(None), {Tag.DATE: b""}):
        stand.request(1, payer, changed=date)


@_case("REQUEST", "the balance is the newest record's after money went, came back and arrived")
def _balance_and_record(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    for kind in (Receipt, Refusal):
        through(stand, partner, 100, kind)
        stand.request(1, partner.card)
    stand.give(100)
    stand.request(1, partner.card)


@_case("REQUEST 7", "the purse may be filled to its most, and not a cent beyond")
def _room_in_the_purse(stand: Stand) -> None:
    most, payer = stand.parameters.balance_max, stand.partner().card
    stand.ready(most - 40_000)
    stand.request(40_001, payer, W.BALANCE_LIMIT)
    stand.request(40_000, payer)


@_case("REQUEST 7", "unsettled money counts until it is settled, for it may come back")
def _unsettled_in_the_purse(stand: Stand) -> None:
    most, partner = stand.parameters.balance_max, stand.partner()
    stand.ready(most - 40_000)
    paid = stand.paid(partner.asks(5_000))
    stand.request(40_001, partner.card, W.BALANCE_LIMIT)
    stand.request(40_000, partner.card)
    stand.settle(partner.answers(paid))
    stand.request(45_001, partner.card, W.BALANCE_LIMIT)
    stand.request(45_000, partner.card)


@_case("REQUEST 7", "every unsettled transfer counts, and their sum may be more than 16 bits hold")
def _unsettled_sum(stand: Stand) -> None:
    require_places(stand, 2)
    stand.ready(stand.parameters.balance_max)
    partner, paid = stand.partner(), list[Paid]()
    for _ in range(2):
        stand.verify()
        paid.append(stand.paid(partner.asks(40_000)))
    stand.request(1, partner.card, W.BALANCE_LIMIT)
    stand.settle(partner.answers(paid[0]))
    stand.request(40_001, partner.card, W.BALANCE_LIMIT)
    stand.request(40_000, partner.card)


@_case("REQUEST 9", "the record of the receipt needs a place that the center's records leave")
def _room_in_the_history(stand: Stand) -> None:
    stand.ready()
    payer, places = stand.partner(), stand.card.twin.cells.history_capacity
    fill(stand, places - 1)
    asked = stand.requested(1, payer)
    stand.answered(payer.pays(asked))
    stand.request(1, payer.card, W.HISTORY_FULL)
    see(stand, 1)
    stand.request(1, payer.card)


@_case("REQUEST 9", "each unsettled transfer keeps a place for its refund")
def _room_for_refunds(stand: Stand) -> None:
    stand.ready()
    partner, places = stand.partner(), stand.card.twin.cells.history_capacity
    fill(stand, places - 2)
    paid = stand.paid(partner.asks(1))
    stand.request(1, partner.card, W.HISTORY_FULL)
    stand.settle(partner.answers(paid))
    stand.request(1, partner.card)


@_case("REQUEST", "of several things that are wrong at once the first of the table is told")
def _order(stand: Stand) -> None:
    stand.ready(stand.parameters.balance_max - 40_000)
    expiry = stand.now + _LATER
    fill(stand, stand.card.twin.cells.history_capacity, expiry=expiry)
    payer, own = stand.partner().card, {Tag.CARD_ID: stand.id}
    bad_date, late = {Tag.DATE: b"\0\0\0"}, dated(expiry + 1)
    for changed, sw in (
        (own | bad_date | {Tag.AMOUNT: b"\0\0\0"}, W.WRONG_DATA),
        (own | bad_date | _amount(0), W.NOT_THIS_CARD),
        (bad_date | _amount(0), W.TRANSFER_LIMIT),
        (bad_date | _amount(50_000), W.WRONG_DATA),
        ({**late, **_amount(50_000)}, W.CREDIT_EXPIRED),
        (_amount(50_000), W.BALANCE_LIMIT),
        (_amount(1), W.HISTORY_FULL),
    ):
        stand.request(1, payer, sw, changed)
    stand.renew()
    stand.request(1, payer)


# --- what is asked -----------------------------------------------------------------------------------------


@_case("REQUEST", "the answer has the card's certificate, the next number, and what was asked for")
def _answer(stand: Stand) -> None:
    stand.ready()
    payer, session = stand.partner().card, PurseSession(stand.card)
    certificate, before = session.get_certificate(), session.get_counters()
    objects = unpack(stand.request(1_234, payer), (Tag.CERTIFICATE, Tag.REQUEST))
    request, after = Request.decode(objects[Tag.REQUEST]), session.get_counters()
    must(objects[Tag.CERTIFICATE] == certificate.raw, "the certificate in the answer is not the card's")
    wanted = (before.requests + 1, 1_234, stand.parameters.currency)
    must((request.number, request.amount, request.currency) == wanted, "the request does not say what was asked for")
    must((after.requests, after.open, after.record) == (before.requests + 1, 1, before.record), "REQUEST opens one")


@_case("REQUEST", "numbers grow by one, and each request has a nonce of its own, also after a reset")
def _fresh(stand: Stand) -> None:
    stand.ready()
    payer, requests = stand.partner(), []
    for again in range(6):
        if again % 3 == 2:
            stand.card.fresh()
        requests.append(stand.requested(1, payer).request)
    numbers, nonces = [one.number for one in requests], {one.nonce for one in requests}
    must(numbers == [*range(numbers[0], numbers[0] + 6)], "request numbers do not grow by one")
    must(len(nonces) == 6, "two requests have the same nonce")


@_case("REQUEST", "another request closes the one that was open")
def _gives_up(stand: Stand) -> None:
    stand.ready()
    payer = stand.partner()
    first, second = stand.requested(10, payer), stand.requested(10, payer)
    must(isinstance(stand.answered(payer.pays(first)).body, Refusal), "a request that was given up was answered")
    must(isinstance(stand.answered(payer.pays(second)).body, Receipt), "the open request was not answered")


@_case("REQUEST", "a request that is declined gives up nothing and takes no number")
def _declined_changes_nothing(stand: Stand) -> None:
    stand.ready()
    payer = stand.partner()
    asked = stand.requested(10, payer)
    for changed, sw in (
        ({Tag.AMOUNT: b""}, W.WRONG_DATA),
        ({Tag.CARD_ID: stand.id}, W.NOT_THIS_CARD),
        (_amount(0), W.TRANSFER_LIMIT),
        ({Tag.DATE: b"\0"}, W.WRONG_DATA),
        (dated(FAR + 1), W.CREDIT_EXPIRED),
    ):
        stand.request(20, payer.card, sw, changed)
    must(isinstance(stand.answered(payer.pays(asked)).body, Receipt), "a declined REQUEST closed the open one")
    must(stand.requested(1, payer).request.number == asked.request.number + 1, "a declined REQUEST took a number")


@_case("Credit information", "who may pay nothing any more is still paid")
def _credit_used_up(stand: Stand) -> None:
    stand.ready(count=0, amount=0)
    close(stand)
    stand.give(100)
    stand.pay(stand.partner().asks(1), W.CREDIT_LIMIT)
