"""One good offer for each signed object that a card takes: the card, the command, and who signs it.

A test spoils the object in one way, and gives the good one at the end: so a refusal is for the spoilt part.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.commands import Ins
from apdu.layout import Record
from apdu.messages import (
    Certificate,
    Head,
    Outcome,
    Receipt,
    Refusal,
    Resolution,
    Signed,
    TerminateOrder,
    UnlockOrder,
    Value,
)
from apdu.payload import Tag
from apdu.signature import private_key
from host.session import Paid, Requested
from tests.applet_model.purses import ISSUER, Purse, new_purse
from tests.issuer import FAR, NOW, ORDERS

__all__ = ["MINE", "OFFERS", "THEIRS", "Offer", "key_of", "pair"]

MINE, THEIRS = 2, 3
"""Serials: the card that is tried, and the other one."""
_DATE = {Tag.DATE: NOW.to_bytes(4)}


@dataclass(frozen=True, slots=True)
class Offer:
    """A command with objects; ``tag`` is the one in question, of ``kind``, and ``key`` signs it."""

    purse: Purse
    ins: Ins
    objects: dict[Tag, bytes]
    tag: Tag
    kind: type[Record]
    key: EllipticCurvePrivateKey

    @property
    def raw(self) -> bytes:
        """The good object."""
        return self.objects[self.tag]

    @property
    def body(self) -> Record:
        """Its body."""
        return Signed.decode(self.kind, self.raw).body

    def sw(self, raw: bytes) -> int:
        """What the card says to another object in its place."""
        return self.purse.offer(self.ins, self.objects | {self.tag: raw})


def key_of(purse: Purse) -> EllipticCurvePrivateKey:
    """A card's own key, out of its memory."""
    return private_key(purse.cells.private_key.get())


def pair() -> tuple[Purse, Purse]:
    """My purse and theirs, both with money."""
    mine, theirs = (
        new_purse(serial, initial=10_000, balance_max=100_000, transfer_max=50_000, pin_above=50_000)
        for serial in (MINE, THEIRS)
    )
    return mine, theirs


def _asked(payee: Purse, payer: Purse) -> Requested:
    return payee.session().request(100, payer.id, NOW)


def _paid(payer: Purse, payee: Purse) -> Paid:
    return payer.session().pay(_asked(payee, payer), NOW)


def _pay() -> Offer:
    mine, theirs = pair()
    asked = _asked(theirs, mine)
    objects = {Tag.CERTIFICATE: asked.certificate.raw, Tag.REQUEST: asked.request.encode()} | _DATE
    return Offer(mine, Ins.PAY, objects, Tag.CERTIFICATE, Certificate, ISSUER.certification)


def _receive(tag: Tag) -> Offer:
    mine, theirs = pair()
    paid = _paid(theirs, mine)
    objects = {Tag.CERTIFICATE: paid.certificate.raw, Tag.VALUE: paid.value.raw} | _DATE
    if tag is Tag.VALUE:
        return Offer(mine, Ins.RECEIVE, objects, tag, Value, key_of(theirs))
    return Offer(mine, Ins.RECEIVE, objects, tag, Certificate, ISSUER.certification)


def _receipt() -> Offer:
    mine, theirs = pair()
    answer = theirs.session().receive(_paid(mine, theirs), NOW)
    return Offer(mine, Ins.SETTLE, {Tag.RECEIPT: answer.raw}, Tag.RECEIPT, Receipt, key_of(theirs))


def _refusal() -> Offer:
    mine, theirs = pair()
    paid = _paid(mine, theirs)
    _asked(theirs, mine)
    answer = theirs.session().receive(paid, NOW)
    return Offer(mine, Ins.SETTLE, {Tag.REFUSAL: answer.raw}, Tag.REFUSAL, Refusal, key_of(theirs))


def _resolution() -> Offer:
    mine, theirs = pair()
    counter = _paid(mine, theirs).value.body.counter
    return _of_center(mine, Ins.SETTLE, Tag.RESOLUTION, Resolution(ORDERS, mine.id, counter, Outcome.RECEIVED))


def _of_center(purse: Purse, ins: Ins, tag: Tag, body: Record, **more: bytes) -> Offer:
    signed = Signed.make(body, ISSUER.orders)
    objects = {tag: signed.raw} | {Tag[name]: raw for name, raw in more.items()}
    return Offer(purse, ins, objects, tag, type(body), ISSUER.orders)


def _credit() -> Offer:
    return _of_center(pair()[0], Ins.PUT_CREDIT, Tag.CREDIT, ISSUER.credit(MINE, 2).body)


def _head(ins: Ins) -> Offer:
    edition = ISSUER.edition(1, MINE, THEIRS)
    proof = {"PROOF": edition.tree.prove(MINE).encode()} if ins is Ins.LOCK_OUT else {}
    offer = _of_center(pair()[0], ins, Tag.HEAD, edition.head.body, **proof)
    assert offer.kind is Head
    return offer


def _unlock() -> Offer:
    mine, _ = pair()
    edition = ISSUER.edition(1, MINE)
    mine.session().lock_out(edition.head, edition.tree.prove(MINE))
    return _of_center(mine, Ins.UNLOCK, Tag.ORDER, UnlockOrder(ORDERS, mine.id, 2))


def _terminate() -> Offer:
    mine, _ = pair()
    return _of_center(mine, Ins.TERMINATE, Tag.ORDER, TerminateOrder(ORDERS, mine.id, FAR))


OFFERS: dict[str, Callable[[], Offer]] = {
    "certificate in PAY": _pay,
    "certificate in RECEIVE": lambda: _receive(Tag.CERTIFICATE),
    "value in RECEIVE": lambda: _receive(Tag.VALUE),
    "receipt in SETTLE": _receipt,
    "refusal in SETTLE": _refusal,
    "resolution in SETTLE": _resolution,
    "credit in PUT CREDIT": _credit,
    "head in LOCK OUT": lambda: _head(Ins.LOCK_OUT),
    "head in PUT DATE": lambda: _head(Ins.PUT_DATE),
    "order in UNLOCK": _unlock,
    "order in TERMINATE": _terminate,
}
"""Every place for a signed object, by name."""
