"""Cases on RECEIVE: a value is credited once, or refused for ever."""

from dataclasses import replace
from functools import partial

from apdu.commands import Ins
from apdu.messages import Receipt, Refusal, Signed, Value
from apdu.objects import HistoryRecord, Kind
from apdu.payload import Tag
from apdu.status import StatusWord as W
from host.session import PurseSession
from saifu.conformance.case import case
from saifu.conformance.issuer import FAR, NOW
from saifu.conformance.partner import Partner
from saifu.conformance.provoking import begun, close, dated, fill, must_answer, must_credit, twin_of
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_case = partial(case, ins=Ins.RECEIVE)
_LATER = 100
"""Seconds."""


# --- the open request --------------------------------------------------------------------------------------


@_case("RECEIVE 9", "the value of the open request is credited, the request closed and a record written")
def _credited(stand: Stand) -> None:
    payer, asked = begun(stand, 1_234)
    paid, session = payer.pays(asked), PurseSession(stand.card)
    before = session.get_counters()
    must_credit(stand, paid)
    after, newest, balance = session.get_counters(), session.read_record(0), session.select().status.balance
    counter, number, record = paid.value.body.counter, asked.request.number, before.record + 1
    wanted = HistoryRecord(record, Kind.RECEIVED, payer.card, counter, number, 1_234, 11_234, before.date)
    must(newest == wanted, "the record does not say what was received")
    must((after.open, after.requests, after.record) == (0, before.requests, record), "the request is still open")
    must(balance == 11_234, "the balance is not what was there and what was received")


@_case("RECEIVE 9", "the last second of the payer's certificate counts")
def _last_second(stand: Stand) -> None:
    stand.ready()
    expiry = stand.now + _LATER
    payer = stand.partner(expiry=expiry)
    must_credit(stand, payer.pays(stand.requested(1, payer)), dated(expiry))


@_case("RECEIVE 9", "the purse is filled to its most, with money that is unsettled")
def _filled(stand: Stand) -> None:
    stand.ready(stand.parameters.balance_max - 40_000)
    payer = stand.partner()
    paid = stand.paid(payer.asks(5_000))
    must_credit(stand, payer.pays(stand.requested(40_000, payer)))
    stand.settle(payer.answers(paid, Refusal))
    must(stand.balance == stand.parameters.balance_max, "the purse is not full")
    stand.request(1, payer.card, W.BALANCE_LIMIT)


@_case("RECEIVE 9", "neither PIN nor credit nor room is wanted any more")
def _wants_nothing(stand: Stand) -> None:
    stand.ready()
    places = stand.card.twin.cells.history_capacity
    fill(stand, places - 1)
    payer = stand.partner()
    asked = stand.requested(50_000, payer)
    stand.renew(seen=stand.credit.seen, expiry=NOW - 1, count=0, amount=0)
    must_credit(stand, payer.pays(asked))
    must(stand.unseen == places, "the history is not full")


@_case("RECEIVE 9", "the payer's counter may be any number")
def _any_counter(stand: Stand) -> None:
    stand.ready()
    payer = stand.partner()
    for counter in (0xFFFF_FFFF, 0x8000_0000, 0):
        paid = payer.pays(stand.requested(1, payer))
        must_credit(stand, payer.gives(replace(paid.value.body, counter=counter)))


@_case("Signatures", "a value whose r or s begins with zeros, or whose s is high or low, is as good as any")
def _unusual_signatures(stand: Stand) -> None:
    payer, asked = begun(stand)
    for at in (Value.SIZE, Value.SIZE + 32):
        paid = next(one for one in (payer.pays(asked) for _ in range(100_000)) if not one.value.raw[at])
        must_credit(stand, paid)
        asked = stand.requested(100, payer)
    must_credit(stand, payer.pays(asked))
    again = payer.pays(stand.requested(100, payer))
    must_credit(stand, replace(again, value=Signed(again.value.body, twin_of(again.value.raw))))


# Row 10, "too much", cannot be reached: between REQUEST and RECEIVE balance and unsettled money together only fall.


@_case("RECEIVE 10", "a certificate that is out of date by the terminal's date closes the request with a refusal")
def _out_of_date(stand: Stand) -> None:
    stand.ready()
    expiry = stand.now + _LATER
    payer = stand.partner(expiry=expiry)
    paid = payer.pays(stand.requested(100, payer))
    must_answer(stand, paid, Refusal, dated(expiry + 1))
    must(PurseSession(stand.card).get_counters().open == 0, "the request is still open")
    must_answer(stand, paid, Refusal, dated(expiry))


@_case("RECEIVE 10", "a certificate that is out of date by the card's date closes the request with a refusal")
def _out_of_date_by_own_date(stand: Stand) -> None:
    stand.ready()
    today = stand.now + 1
    payer = stand.partner(expiry=today - 1)
    for date in (dated(today - 1), dated(None), {Tag.DATE: b""}):
        paid = payer.pays(stand.requested(100, payer))
        stand.renew(issued=today)
        must_answer(stand, paid, Refusal, date)
        must(PurseSession(stand.card).get_counters().open == 0, "the request is still open")


# --- neither -----------------------------------------------------------------------------------------------


@_case("RECEIVE 11", "at or below the newest received record that was overwritten the card cannot know, ever after")
def _beyond_history(stand: Stand) -> None:
    stand.ready()
    places, payer = stand.card.twin.cells.history_capacity, stand.partner()
    fill(stand, 0)
    lost = payer.pays(stand.requested(1, payer))
    first = payer.pays(stand.requested(1, payer))
    must_credit(stand, first)
    paid = stand.paid(payer.asks(1, number=0xFFFF_FFF0))
    stand.settle(payer.answers(paid, Refusal))
    above = payer.pays(stand.requested(1, payer))
    _receive_many(stand, payer, places - 3)
    must_answer(stand, lost, Refusal)
    must_answer(stand, first, Receipt)
    _receive_many(stand, payer, 3)
    never = payer.gives(replace(payer.pays(stand.requested(1, payer)).value.body, request=first.value.body.request))
    for later in (stand.card.select, stand.card.fresh, stand.renew, partial(_lock_out_and_unlock, stand)):
        later()
        for beyond in (lost, first, never):
            stand.receive(beyond, W.BEYOND_HISTORY)
    must_answer(stand, above, Refusal)


def _lock_out_and_unlock(stand: Stand) -> None:
    stand.lock_out()
    stand.unlock()


def _receive_many(stand: Stand, payer: Partner, times: int) -> None:
    for _ in range(times):
        if stand.unseen == stand.card.twin.cells.history_capacity:
            stand.renew()
        stand.answered(payer.pays(stand.requested(1, payer)))


# --- refusals ----------------------------------------------------------------------------------------------


@_case("RECEIVE 12", "a value with another nonce, amount, currency or number is refused, and the request stays open")
def _not_the_open_one(stand: Stand) -> None:
    payer, asked = begun(stand)
    request = asked.request
    for other in (
        replace(request, nonce=bytes((request.nonce[0] ^ 1,)) + request.nonce[1:]),
        replace(request, nonce=request.nonce[:-1] + bytes((request.nonce[-1] ^ 1,))),
        replace(request, amount=request.amount + 1),
        replace(request, amount=request.amount - 1),
        replace(request, currency=392),
        replace(request, number=request.number + 1),
        replace(request, number=0xFFFF_FFFF),
    ):
        must_answer(stand, payer.pays(replace(asked, request=other)), Refusal)
    must_credit(stand, payer.pays(asked))


@_case("RECEIVE 12", "a value of a payer that was not asked is refused, and the request stays open")
def _not_asked(stand: Stand) -> None:
    payer, asked = begun(stand)
    must_answer(stand, stand.partner().pays(asked), Refusal)
    must_credit(stand, payer.pays(asked))


@_case("RECEIVE 12", "a value for a request that was given up is refused, and the newer one stays open")
def _given_up(stand: Stand) -> None:
    payer, older = begun(stand)
    newer = stand.requested(100, payer)
    late = payer.pays(older)
    must_answer(stand, late, Refusal)
    must_answer(stand, late, Refusal, dated(FAR + 1))
    must_credit(stand, payer.pays(newer))
    must_answer(stand, late, Refusal)


@_case("RECEIVE 12", "a second value for a request that was answered is refused")
def _answered_before(stand: Stand) -> None:
    payer, asked = begun(stand)
    first, second = payer.pays(asked), payer.pays(asked)
    must_credit(stand, first)
    must_answer(stand, second, Refusal)
    must_answer(stand, first, Receipt)


@_case("RECEIVE 12", "a value that was made up for a request to come is refused before and after it is opened")
def _made_up(stand: Stand) -> None:
    payer, asked = begun(stand)
    stand.answered(payer.pays(asked))
    ahead = replace(asked, request=replace(asked.request, number=asked.request.number + 1, nonce=bytes(8)))
    paid = payer.pays(ahead)
    must_answer(stand, paid, Refusal)
    opened = stand.requested(100, payer)
    must_answer(stand, paid, Refusal)
    must_credit(stand, payer.pays(opened))


@_case("The purse", "for one value there is never a receipt behind a refusal, nor a refusal behind a receipt")
def _never_both(stand: Stand) -> None:
    payer, asked = begun(stand)
    credited, refused = payer.pays(asked), payer.pays(asked)
    must_credit(stand, credited)
    for _ in range(2):
        must_answer(stand, refused, Refusal)
        must_answer(stand, credited, Receipt)
        stand.requested(100, payer)
    close(stand)
    must_answer(stand, refused, Refusal)
    must_answer(stand, credited, Receipt, dated(FAR + 1))
