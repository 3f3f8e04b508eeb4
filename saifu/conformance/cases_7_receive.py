"""Cases on RECEIVE: what it is given, what of that it does not take, and what it has received before."""

from dataclasses import replace
from functools import partial

from apdu.commands import Ins
from apdu.identity import CardId
from apdu.messages import Certificate, Receipt, Refusal, Signed
from apdu.payload import Tag
from apdu.status import StatusWord as W
from host.session import Paid
from saifu.conformance.case import case
from saifu.conformance.issuer import FAR
from saifu.conformance.provoking import (
    begun,
    dated,
    forgeries,
    misshapen,
    must_answer,
    must_credit,
    signed_by_other_center_keys,
    twin_of,
)
from saifu.conformance.stand import Stand

__all__: list[str] = []

_case = partial(case, ins=Ins.RECEIVE)
_EXPIRY_AT = 12
"""The last byte of a certificate's expiry."""
_AMOUNT_AT = 32
"""The last byte of the amount in a value."""


# --- what is no certificate, value or date -----------------------------------------------------------------


@_case("RECEIVE 1", "the certificate has the size, the type and a role of one")
def _certificate_layout(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid, raw = payer.pays(asked), payer.certificate.raw
    no_roles = (raw[:8] + bytes((role,)) + raw[9:] for role in (0, 4))
    for wrong in (*misshapen(raw), *no_roles):
        stand.receive(paid, W.WRONG_DATA, {Tag.CERTIFICATE: wrong})
    must_credit(stand, paid)


@_case("RECEIVE 2", "the value has the size and the type of one")
def _value_layout(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    for wrong in misshapen(paid.value.raw):
        stand.receive(paid, W.WRONG_DATA, {Tag.VALUE: wrong})
    must_credit(stand, paid)


@_case("RECEIVE 3", "the date has 4 bytes, or 0, or is not there")
def _sizes_of_date(stand: Stand) -> None:
    for date in ({Tag.DATE: b""}, dated(None)):
        payer, asked = begun(stand)
        paid = payer.pays(asked)
        for size in (1, 3, 5):
            stand.receive(paid, W.WRONG_DATA, {Tag.DATE: bytes(size)})
        must_credit(stand, paid, date)


# --- who pays whom -----------------------------------------------------------------------------------------


@_case("RECEIVE 4", "a value for another payee is not received")
def _other_payee(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    others = stand.issuer.id(stand.id.serial ^ 0x0001), CardId.of(stand.issuer.number ^ 0x0100, stand.id.serial)
    for payee in (payer.card, *others):
        stand.receive(payer.gives(replace(paid.value.body, payee=payee)), W.NOT_THIS_CARD)
    must_credit(stand, paid)


@_case("RECEIVE 4", "the certificate is that of the card that paid")
def _other_certificate(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    for raw in (stand.partner().certificate.raw, stand.card.twin.cells.certificate.get()):
        stand.receive(paid, W.NOT_THIS_CARD, {Tag.CERTIFICATE: raw})
    must_credit(stand, paid)


@_case("RECEIVE 5", "nobody but the center certifies a payer")
def _forged_certificate(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    for forged in forgeries(payer.certificate.raw, stand.issuer.certification, _EXPIRY_AT):
        stand.receive(paid, W.CERTIFICATE_INVALID, {Tag.CERTIFICATE: forged})
    must_credit(stand, paid)


@_case("RECEIVE 5", "a key of the center that is for orders, or unknown, certifies nobody")
def _other_keys(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    for forged in signed_by_other_center_keys(payer.certificate.raw, stand.issuer):
        stand.receive(paid, W.CERTIFICATE_INVALID, {Tag.CERTIFICATE: forged})
    must_credit(stand, paid)


@_case("RECEIVE 5", "a card of another issuer pays nobody here, though the center certified it")
def _other_issuer(stand: Stand) -> None:
    payer, asked = begun(stand)
    foreign = CardId.of(stand.issuer.number ^ 0x0001, payer.card.serial)
    body = replace(payer.certificate.body, subject=foreign)
    certificate = Signed.make(body, stand.issuer.certification)
    value = replace(payer.pays(asked).value.body, payer=foreign)
    stand.receive(Paid(certificate, payer.signs(value)), W.CERTIFICATE_INVALID)
    must_credit(stand, payer.pays(asked))


@_case("RECEIVE 6", "nobody but the payer signs its values")
def _forged_value(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    for forged in forgeries(paid.value.raw, payer.key, _AMOUNT_AT):
        stand.receive(paid, W.SIGNATURE_INVALID, {Tag.VALUE: forged})
    must_credit(stand, paid)


@_case("RECEIVE 6", "a point that is not on the curve signs nothing, though the center certified it")
def _no_point(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid, own = payer.pays(asked), payer.certificate.body.point
    for point in (bytes(64), b"\xff" * 64, own[:-1] + bytes((own[-1] ^ 1,))):
        body = replace(payer.certificate.body, point=point)
        raw = Signed.make(body, stand.issuer.certification).raw
        stand.receive(paid, W.SIGNATURE_INVALID, {Tag.CERTIFICATE: raw})
    must_credit(stand, paid)


# --- what was received before ------------------------------------------------------------------------------


@_case("RECEIVE 7", "another value with a counter that was received gets neither receipt nor refusal")
def _same_counter(stand: Stand) -> None:
    payer, asked = begun(stand)
    first = payer.pays(asked)
    must_credit(stand, first)
    again = stand.requested(200, payer)
    received, wanted = first.value.body, payer.pays(again).value.body
    clones = (
        replace(wanted, counter=received.counter),
        replace(wanted, counter=received.counter, amount=received.amount),
        replace(received, amount=received.amount + 1),
        replace(received, request=received.request + 1),
        replace(received, request=0),
    )
    for clone in clones:
        stand.receive(payer.gives(clone), W.SAME_COUNTER)
    stand.receive(payer.gives(clones[0]), W.SAME_COUNTER, dated(FAR + 1))
    must_credit(stand, payer.pays(again))


@_case("RECEIVE 8", "the same value again gets its receipt again, whenever it comes, and is credited once")
def _again(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    must_credit(stand, paid)
    must_answer(stand, paid, Receipt)
    stand.card.fresh()
    must_answer(stand, paid, Receipt)
    stand.give(1)
    stand.requested(100, payer)
    for date in (dated(), dated(FAR + 1), dated(0xFFFF_FFFF)):
        must_answer(stand, paid, Receipt, date)


@_case("RECEIVE 8", "a value whose record the center has seen is known as well, by its amount too")
def _seen(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    must_credit(stand, paid)
    stand.renew()
    must_answer(stand, paid, Receipt)
    stand.receive(payer.gives(replace(paid.value.body, amount=7)), W.SAME_COUNTER)


@_case("RECEIVE 8", "a value is known by payer, counter, request and amount, not by nonce or signature")
def _known_by(stand: Stand) -> None:
    payer, asked = begun(stand)
    paid = payer.pays(asked)
    must_credit(stand, paid)
    must_answer(stand, replace(paid, value=Signed(paid.value.body, twin_of(paid.value.raw))), Receipt)
    must_answer(stand, payer.gives(replace(paid.value.body, nonce=bytes(8))), Receipt)
    must_answer(stand, payer.gives(replace(paid.value.body, currency=392)), Receipt)


@_case("RECEIVE 8", "only what was received counts: a counter that the card paid with, or another payer's, is new")
def _not_received(stand: Stand) -> None:
    stand.ready()
    payer, other = stand.partner(), stand.partner()
    paid = stand.paid(payer.asks(100))
    stand.settle(payer.answers(paid, Refusal))
    counter = paid.value.body.counter
    for partner in (payer, other):
        asked = stand.requested(100, partner)
        must_credit(stand, partner.gives(replace(partner.pays(asked).value.body, counter=counter)))


# --- order -------------------------------------------------------------------------------------------------


@_case("RECEIVE", "of several things that are wrong at once the first of the table is told")
def _order(stand: Stand) -> None:
    payer, asked = begun(stand)
    first = payer.pays(asked)
    must_credit(stand, first)
    again = stand.requested(200, payer)
    used_up = payer.gives(replace(payer.pays(again).value.body, counter=first.value.body.counter))
    elsewhere = payer.signs(replace(used_up.value.body, payee=payer.card)).raw
    certificate = payer.certificate.raw[:-32] + bytes(32)
    forged, bad_date = used_up.value.raw[:-32] + bytes(32), {Tag.DATE: b"\0\0\0"}
    short = Certificate.SIZE
    for changed, sw in (
        ({Tag.CERTIFICATE: certificate[:short], Tag.VALUE: elsewhere[:-1], **bad_date}, W.WRONG_DATA),
        ({Tag.CERTIFICATE: certificate, Tag.VALUE: elsewhere[:-1]}, W.WRONG_DATA),
        ({Tag.CERTIFICATE: certificate, Tag.VALUE: elsewhere, **bad_date}, W.WRONG_DATA),
        ({Tag.CERTIFICATE: certificate, Tag.VALUE: elsewhere}, W.NOT_THIS_CARD),
        ({Tag.CERTIFICATE: certificate, Tag.VALUE: forged}, W.CERTIFICATE_INVALID),
        ({Tag.VALUE: forged}, W.SIGNATURE_INVALID),
        (dated(FAR + 1), W.SAME_COUNTER),
    ):
        stand.receive(used_up, sw, changed)
    must_credit(stand, payer.pays(again))
