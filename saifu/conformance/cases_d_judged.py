"""What the center signs for a card: in which order it is judged, and what of it is not judged.

Each object here is forged as well, and its signature is judged behind the rest: so the order shows.
"""

from dataclasses import replace
from functools import partial

from apdu.commands import Ins
from apdu.identity import LifeCycle
from apdu.messages import BodyT, Credit, Head, Signed, TerminateOrder, UnlockOrder
from apdu.payload import Tag
from apdu.status import StatusWord as W
from saifu.conformance.case import case
from saifu.conformance.harmless import in_states
from saifu.conformance.issuer import ORDERS, Issuer
from saifu.conformance.stand import SERIAL, Stand

__all__: list[str] = []

LOCKED_OUT = LifeCycle.LOCKED_OUT
_OTHER = 3
"""A serial that is not the card's."""
_OTHER_ISSUER = 2
_MANY = 0xFFFF_FFFF
_TWO_DAYS = 2 * 86_400
"""Seconds; a head names its successor's date one day ahead."""


def _forged(stand: Stand, body: BodyT) -> bytes:
    """An object under the number of the center's key for orders, signed by somebody else."""
    return Signed.make(body, Issuer(stand.issuer.number, seed=9).orders).raw


# --- PUT CREDIT ------------------------------------------------------------------------------------------------


@case("PUT CREDIT 5", "the signature is judged behind everything else", ins=Ins.PUT_CREDIT)
def _credit(stand: Stand) -> None:
    stand.ready()
    stand.renew()
    old, newest = stand.credit, stand.card.twin.cells.record.number()
    _offer_credit(stand, replace(old, card=stand.issuer.id(_OTHER), serial=0), W.NOT_THIS_CARD)
    for older in (replace(old, seen=_MANY), replace(old, serial=_MANY, seen=old.seen - 1)):
        _offer_credit(stand, older, W.OLDER)
    _offer_credit(stand, replace(old, serial=old.serial + 1, seen=newest + 1), W.WRONG_DATA)
    _offer_credit(stand, replace(old, serial=old.serial + 1, seen=newest), W.SIGNATURE_INVALID)


def _offer_credit(stand: Stand, body: Credit, sw: int) -> None:
    stand.card.send(Ins.PUT_CREDIT, {Tag.CREDIT: _forged(stand, body)}, sw, ne=None)


# --- heads -----------------------------------------------------------------------------------------------------


def _heads(stand: Stand, ins: Ins, listed: int = _OTHER) -> None:
    """Forged heads with one thing less wrong each time; where the command takes a proof, that of the listed serial."""
    edition = stand.edition(listed, ahead=0)
    good: Head = edition.head.body
    proof = {Tag.PROOF: edition.tree.prove(listed).encode()} if ins is Ins.LOCK_OUT else {}
    wrong = (
        (replace(good, issuer=_OTHER_ISSUER, edition=0), W.NOT_THIS_CARD),
        (replace(good, edition=good.edition - 1), W.OLDER),
        (good, W.SIGNATURE_INVALID),
    )
    for head, sw in wrong:
        stand.card.send(ins, {Tag.HEAD: _forged(stand, head), **proof}, sw, ne=None)


@in_states("PUT DATE 4", "the signature is judged behind issuer and edition", LOCKED_OUT, ins=Ins.PUT_DATE)
def _date(stand: Stand) -> None:
    _heads(stand, Ins.PUT_DATE)


@in_states("LOCK OUT 5", "the signature is judged behind issuer and edition", LOCKED_OUT, ins=Ins.LOCK_OUT)
def _signature(stand: Stand) -> None:
    _heads(stand, Ins.LOCK_OUT, SERIAL)


@in_states("LOCK OUT 6", "what the proof shows is judged behind everything of the head", LOCKED_OUT, ins=Ins.LOCK_OUT)
def _proof(stand: Stand) -> None:
    _heads(stand, Ins.LOCK_OUT)


def _overdue(stand: Stand) -> Head:
    """A head whose successor is due already, by the card's own date."""
    head: Head = stand.edition(SERIAL).head.body
    return replace(head, time=stand.now - _TWO_DAYS, next=stand.now - 1)


@case("PUT DATE", "a head is kept whatever it says of its successor: a terminal judges that", ins=Ins.PUT_DATE)
def _successor_is_due(stand: Stand) -> None:
    stand.ready()
    head = Signed.make(_overdue(stand), stand.issuer.orders)
    stand.card.send(Ins.PUT_DATE, {Tag.HEAD: head.raw}, ne=None)


@case("LOCK OUT", "a head locks the card out whatever it says of its successor", ins=Ins.LOCK_OUT)
def _locked_by_overdue(stand: Stand) -> None:
    stand.ready()
    head, proof = Signed.make(_overdue(stand), stand.issuer.orders), stand.edition(SERIAL).tree.prove(SERIAL)
    stand.card.send(Ins.LOCK_OUT, {Tag.HEAD: head.raw, Tag.PROOF: proof.encode()}, ne=None)
    stand.unlock()


# --- orders ----------------------------------------------------------------------------------------------------


@in_states("UNLOCK 4", "the signature is judged behind card and edition", LOCKED_OUT, ins=Ins.UNLOCK)
def _unlock(stand: Stand) -> None:
    seen = stand.card.twin.cells.edition.number()
    order = partial(UnlockOrder, ORDERS)
    wrong = (
        (order(stand.issuer.id(_OTHER), 0), W.NOT_THIS_CARD),
        (order(stand.issuer.id(_OTHER), seen + 1), W.NOT_THIS_CARD),
        (order(stand.id, seen), W.OLDER),
        (order(stand.id, seen + 1), W.SIGNATURE_INVALID),
    )
    for body, sw in wrong:
        stand.card.send(Ins.UNLOCK, {Tag.ORDER: _forged(stand, body)}, sw, ne=None)


@in_states("TERMINATE 4", "the signature is judged behind the card and the date", LOCKED_OUT, ins=Ins.TERMINATE)
def _terminate(stand: Stand) -> None:
    late = stand.now - 1
    for serial, expiry, sw in (
        (_OTHER, late, W.NOT_THIS_CARD),
        (SERIAL, late, W.ORDER_EXPIRED),
        (SERIAL, stand.now, W.SIGNATURE_INVALID),
    ):
        order = _forged(stand, TerminateOrder(ORDERS, stand.issuer.id(serial), expiry))
        stand.card.send(Ins.TERMINATE, {Tag.ORDER: order, Tag.DATE: stand.date()}, sw, ne=None)
