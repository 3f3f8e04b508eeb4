"""Cases on what a record is dated, and on the two chains that it moves."""

from functools import partial
from hashlib import sha256

from apdu.commands import Ins
from apdu.messages import Receipt, Refusal
from apdu.objects import Counters
from apdu.payload import Tag, unpack
from apdu.status import StatusWord as W
from saifu.conformance.case import case
from saifu.conformance.partner import Partner
from saifu.conformance.provoking import dated, must_credit, new_purse, receive_from, through
from saifu.conformance.stand import Objects, Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_case = partial(case, "History")
_LATER = 100
"""Seconds."""


def _counters(stand: Stand) -> Counters:
    return Counters.decode(unpack(stand.card.send(Ins.GET_DATA, p1=0x01, p2=0x02), (Tag.COUNTERS,))[Tag.COUNTERS])


def _newest(stand: Stand) -> bytes:
    return stand.card.send(Ins.READ_RECORD, p1=1, p2=0x0C)


def _must_be_dated(stand: Stand, wanted: int, own: int) -> None:
    """The newest record has a date, and the card has its own as before."""
    date = int.from_bytes(_newest(stand)[-4:])
    must(date == wanted, f"the record is dated {date}, and not {wanted}")
    must(_counters(stand).date == own, "a terminal's date has become the card's own")


def _dates(own: int) -> tuple[tuple[Objects, int], ...]:
    """What a command may say, and what the record says then."""
    none: Objects = {Tag.DATE: b""}
    later, earlier = own + _LATER, own - _LATER
    return (dated(later), later), (dated(earlier), own), (dated(own), own), (dated(None), own), (none, own)


def _begun(stand: Stand) -> tuple[int, Partner]:
    """A ready card whose own date is later than it was, and somebody else."""
    stand.ready()
    own = stand.now + 1
    stand.renew(issued=own)
    return own, stand.partner()


# --- dates -------------------------------------------------------------------------------------------------


@_case("a payment's record has the later of the card's date and PAY's, and the card keeps its own", ins=Ins.PAY)
def _of_a_payment(stand: Stand) -> None:
    own, partner = _begun(stand)
    for said, date in _dates(own):
        through(stand, partner, date=said)
        _must_be_dated(stand, date, own)
        stand.renew(issued=own)


@_case("a receipt's record has the later of the card's date and RECEIVE's, whatever REQUEST said", ins=Ins.RECEIVE)
def _of_a_receipt(stand: Stand) -> None:
    own, partner = _begun(stand)
    for said, date in _dates(own):
        asked = stand.requested(1, partner, dated(own + 2 * _LATER))
        must_credit(stand, partner.pays(asked), said)
        _must_be_dated(stand, date, own)
        stand.renew(issued=own)


@_case("a refund's record has the later of the card's date and SETTLE's, whatever PAY said", ins=Ins.SETTLE)
def _of_a_refund(stand: Stand) -> None:
    own, partner = _begun(stand)
    for said, date in _dates(own):
        paid = stand.paid(partner.asks(1), dated(own + 2 * _LATER))
        stand.settle(partner.answers(paid, Refusal), changed=said)
        _must_be_dated(stand, date, own)
        stand.renew(issued=own)
        paid = stand.paid(partner.asks(1))
        stand.settle(stand.resolution(paid.value.body.counter), changed=said)
        _must_be_dated(stand, date, own)
        stand.renew(issued=own)


@case("SETTLE 2", "the date has 4 bytes, or 0, or is not there; a receipt may come with one", ins=Ins.SETTLE)
def _sizes_of_date(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    for kind in (Receipt, Refusal):
        answer = partner.answers(stand.paid(partner.asks(1)), kind)
        for size in (1, 3, 5):
            stand.settle(answer, W.WRONG_DATA, {Tag.DATE: bytes(size)})
        stand.settle(answer, changed=dated(stand.now))
    paid = stand.paid(partner.asks(1))
    stand.settle(stand.resolution(paid.value.body.counter), W.WRONG_DATA, {Tag.DATE: b"\0"})
    stand.settle(stand.resolution(paid.value.body.counter), changed={Tag.DATE: b""})


@case("SETTLE 1", "a date alone settles nothing", ins=Ins.SETTLE)
def _date_alone(stand: Stand) -> None:
    stand.ready()
    stand.card.send(Ins.SETTLE, {Tag.DATE: stand.date()}, W.WRONG_DATA, ne=None)


# --- the two chains ----------------------------------------------------------------------------------------


def _must_be_chained(stand: Stand, before: bytes) -> bytes:
    """The newest record leads from ``before`` to the chain; returns the latter."""
    told = _counters(stand)
    must(told.chain_before == before, "the chain without the newest record is not the chain of before")
    must(told.chain == sha256(before + _newest(stand)).digest(), "the chain is not that of the newest record")
    return told.chain


@_case("each record moves the chain on, and the chain of before is kept")
def _chains(stand: Stand) -> None:
    stand.ready()
    partner, chain = stand.partner(), _counters(stand).chain
    paid = stand.paid(partner.asks(2))
    chain = _must_be_chained(stand, chain)
    stand.settle(partner.answers(paid, Refusal))
    chain = _must_be_chained(stand, chain)
    receive_from(stand, partner, 3)
    chain = _must_be_chained(stand, chain)
    through(stand, partner)
    stand.card.fresh()
    _must_be_chained(stand, chain)


@new_purse("The check unit", "a new purse has no chain before its first record, and does business")
def _first(stand: Stand) -> None:
    stand.personalize()
    stand.card.fresh()
    told = _counters(stand)
    must(told.chain == sha256(stand.id).digest(), "the chain of a new purse is not SHA-256 of its card ID")
    must(told.chain_before == bytes(32), "a new purse has a chain before its first record")
    receive_from(stand, stand.partner(), 100)
    _must_be_chained(stand, told.chain)
