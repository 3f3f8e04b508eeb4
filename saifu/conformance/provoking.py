"""Situations and objects that several cases of the purse bring about."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.commands import Ins
from apdu.identity import LifeCycle, Role
from apdu.messages import Receipt, Refusal
from apdu.payload import Tag
from apdu.signature import ORDER, SIGNATURE_SIZE, private_key, sign
from host.session import Paid, Requested
from saifu.conformance.case import NotHereError, Run, case
from saifu.conformance.issuer import CERTIFICATION, ORDERS, Issuer
from saifu.conformance.partner import Partner
from saifu.conformance.stand import SERIAL, Objects, Stand
from saifu.conformance.subject import must

__all__ = [
    "MOST",
    "begun",
    "close",
    "cut_or_long",
    "dated",
    "fill",
    "forgeries",
    "last_seen",
    "made",
    "misshapen",
    "must_answer",
    "must_credit",
    "new_purse",
    "receive_from",
    "require_places",
    "see",
    "signed_by_other_center_keys",
    "through",
    "twin_of",
]

MOST = 0xFFFF_FFFF
"""The most that 4 bytes can say."""
_FILLED = 256
"""The most records that a case writes only to fill a history."""


# --- situations ------------------------------------------------------------------------------------------


def through(
    stand: Stand,
    partner: Partner,
    amount: int = 1,
    kind: type[Receipt | Refusal] = Receipt,
    date: Objects | None = None,
) -> Paid:
    """PAY a partner, and SETTLE with its receipt or refusal."""
    paid = stand.paid(partner.asks(amount), date)
    stand.settle(partner.answers(paid, kind))
    return paid


def dated(date: int | None = None) -> Objects:
    """The terminal's date of a command; None stands for a command without one."""
    return {Tag.DATE: None if date is None else date.to_bytes(4)}


def close(stand: Stand) -> None:
    """See to it that no request is open."""
    if stand.card.twin.cells.request_open.number():
        stand.give(1)


def last_seen(stand: Stand) -> dict[str, int]:
    """For credit information after which the center has seen no more than before."""
    return {"seen": stand.credit.seen}


def see(stand: Stand, records: int) -> None:
    """Credit information after which the center has seen so many records more."""
    stand.renew(seen=stand.credit.seen + records)


def fill(stand: Stand, unseen: int, **credit: int) -> None:
    """A ready card writes records until the center has not seen ``unseen`` of them; no request is open then.

    Each refund makes two. ``credit`` changes fields of the credit information that the card has then.
    Raises NotHereError where that would take too long.
    """
    if stand.card.twin.cells.history_capacity > _FILLED:
        raise NotHereError(f"a history of more than {_FILLED} records takes too long to fill")
    close(stand)
    stand.renew(**credit)
    partner = stand.partner()
    while unseen - stand.unseen >= 2:
        through(stand, partner, kind=Refusal)
    if unseen > stand.unseen:
        stand.give(1)


def new_purse(clause: str, title: str, ins: Ins | None = None) -> Callable[[Run], Run]:
    """Add a case that has a blank card, to make a purse of."""
    return case(clause, title, LifeCycle.BLANK, ins=ins, spare=True)


def made(stand: Stand, role: Role = Role.PERSON, serial: int = SERIAL, **parameters: int) -> None:
    """Make a blank card a purse of other parameters than the usual, with all the credit there is; reset and selected.

    ``parameters`` changes fields. Raises what personalization raises.
    """
    usual, issuer = stand.issuer_data(), stand.issuer
    own = replace(usual, parameters=issuer.parameters(serial, role, **parameters))
    credit = issuer.credit(serial, 1, count=MOST, amount=MOST)
    stand.secure().personalize(own, lambda point: (issuer.certificate(serial, point, role), credit))
    stand.card.fresh()


def require_places(stand: Stand, places: int) -> None:
    """Raise NotHereError unless the card can have so many unsettled transfers at a time, with their records."""
    cells = stand.card.twin.cells
    if cells.unsettled_capacity < places or cells.history_capacity < 2 * places:
        raise NotHereError(f"the card cannot have {places} unsettled transfers at a time")


# --- receiving -----------------------------------------------------------------------------------------------


def begun(stand: Stand, amount: int = 100) -> tuple[Partner, Requested]:
    """A ready card with an open request, and who is asked."""
    stand.ready()
    payer = stand.partner()
    return payer, stand.requested(amount, payer)


def must_credit(stand: Stand, paid: Paid, date: Objects | None = None) -> None:
    """The value is credited now, and answered with a receipt."""
    before, body = stand.balance, paid.value.body
    receipt = stand.answered(paid, date).body
    must(receipt == Receipt(body.payer, body.counter, stand.id), "the answer is not the receipt of the value")
    must(stand.balance == before + body.amount, "the value is not credited")


def must_answer(stand: Stand, paid: Paid, kind: type[Receipt | Refusal], date: Objects | None = None) -> None:
    """The value is answered as told, and nothing is credited."""
    before, body = stand.balance, paid.value.body
    answer = stand.answered(paid, date).body
    must(answer == kind(body.payer, body.counter, stand.id), f"the answer is not the {kind.__name__.lower()}")
    must(stand.balance == before, "the balance is another")


def receive_from(stand: Stand, payer: Partner, amount: int) -> None:
    """REQUEST, and RECEIVE of the value with which the payer answers it."""
    must_credit(stand, payer.pays(stand.requested(amount, payer)))


# --- objects that are none -------------------------------------------------------------------------------


def cut_or_long(raw: bytes) -> tuple[bytes, ...]:
    """Nothing, a byte less, and a byte more."""
    return b"", raw[:-1], raw + b"\0"


def misshapen(raw: bytes) -> tuple[bytes, ...]:
    """Sizes and a type byte that the object does not have."""
    return *cut_or_long(raw), bytes((raw[0] ^ 0x01,)) + raw[1:]


def forgeries(raw: bytes, key: EllipticCurvePrivateKey, at: int | None = None) -> Iterator[bytes]:
    """Everything that is not the signature of ``key`` over the body; also a body that was changed ``at`` a byte."""
    body, signature = raw[:-SIGNATURE_SIZE], raw[-SIGNATURE_SIZE:]
    r, s = signature[:32], signature[32:]
    yield body + sign(private_key(secrets.token_bytes(40)), body)
    yield body + sign(key, body + b"\0")
    if at is not None:
        yield body[:at] + bytes((body[at] ^ 0x01,)) + body[at + 1 :] + signature
    yield body + s + r
    yield body + signature[:-1] + bytes((signature[-1] ^ 0x01,))
    for halves in (bytes(64), bytes(32) + s, r + bytes(32), r + ORDER.to_bytes(32), b"\xff" * 64):
        yield body + halves


def twin_of(raw: bytes) -> bytes:
    """The same object with the other signature that a signature makes known: r and n - s; it verifies as well."""
    return raw[:-32] + (ORDER - int.from_bytes(raw[-32:])).to_bytes(32)


def signed_by_other_center_keys(raw: bytes, issuer: Issuer) -> Iterator[bytes]:
    """An object of the center's, rightly signed: with the key for the other use, and under numbers that are none."""
    keys = {CERTIFICATION: issuer.certification, ORDERS: issuer.orders}
    number = raw[1]
    own, other = keys.pop(number), keys.popitem()
    for named, key in ((number, other[1]), other, (other[0], own), (0, own), (3, own), (0xFF, own)):
        body = raw[:1] + bytes((named,)) + raw[2:-SIGNATURE_SIZE]
        yield body + sign(key, body)
