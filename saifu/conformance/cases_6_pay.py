"""Cases on PAY: what it is given, and what of that it does not take."""

from dataclasses import replace
from functools import partial

from apdu.commands import Ins
from apdu.identity import CardId
from apdu.messages import Certificate, Signed
from apdu.payload import Tag
from apdu.status import StatusWord as W
from host.session import Requested
from saifu.conformance.case import case
from saifu.conformance.issuer import FAR, NOW
from saifu.conformance.partner import Partner
from saifu.conformance.provoking import (
    cut_or_long,
    dated,
    forgeries,
    misshapen,
    signed_by_other_center_keys,
    through,
    twin_of,
)
from saifu.conformance.stand import Stand

__all__: list[str] = []

_case = partial(case, ins=Ins.PAY)
_LATER = 100
"""Seconds."""
_EXPIRY_AT = 12
"""The last byte of a certificate's expiry."""


def _with(requested: Requested, certificate: bytes) -> Requested:
    """A request with another certificate that has the layout of one."""
    return replace(requested, certificate=Signed.decode(Certificate, certificate))


def _foreign(stand: Stand, partner: Partner) -> bytes:
    """A certificate of another issuer's card, signed by the key of this one."""
    other = CardId.of(stand.issuer.number ^ 0x0001, partner.card.serial)
    return Signed.make(replace(partner.certificate.body, subject=other), stand.issuer.certification).raw


# --- what is no certificate, request or date ---------------------------------------------------------------


@_case("PAY 1", "the certificate has the size, the type and a role of one")
def _certificate_layout(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    asked, raw = partner.asks(1), partner.certificate.raw
    no_roles = (raw[:8] + bytes((role,)) + raw[9:] for role in (0, 4))
    for wrong in (*misshapen(raw), *no_roles):
        stand.pay(asked, W.WRONG_DATA, {Tag.CERTIFICATE: wrong})
    stand.pay(asked)


@_case("PAY 2", "the request has the size of one")
def _request_layout(stand: Stand) -> None:
    stand.ready()
    asked = stand.partner().asks(1)
    for wrong in (*cut_or_long(asked.request.encode()), asked.request.encode() * 2):
        stand.pay(asked, W.WRONG_DATA, {Tag.REQUEST: wrong})
    stand.pay(asked)


@_case("PAY 3", "the date has 4 bytes, or 0, or is not there")
def _sizes_of_date(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    for size in (1, 3, 5, 8):
        stand.pay(partner.asks(1), W.WRONG_DATA, {Tag.DATE: bytes(size)})
    for date in ({Tag.DATE: b""}, dated(None)):
        through(stand, partner, date=date)


# --- who, what and how much --------------------------------------------------------------------------------


@_case("PAY 4", "nobody pays its own card, nor one of another issuer, though the center certified it")
def _others(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    asked = partner.asks(1)
    for raw in (stand.certificate, _foreign(stand, partner)):
        stand.pay(_with(asked, raw), W.NOT_THIS_CARD)
    stand.pay(asked)


@_case("PAY 5", "money of another currency is not paid")
def _currency(stand: Stand) -> None:
    stand.ready()
    partner, own = stand.partner(), stand.parameters.currency
    for currency in (0, 392, own ^ 0x0001, own ^ 0x0100, 0xFFFF):
        stand.pay(partner.asks(1, currency=currency), W.CURRENCY)
    stand.pay(partner.asks(1, currency=own))


@_case("PAY 6", "one transfer moves something, and no more than the purse's most")
def _amounts(stand: Stand) -> None:
    most, partner = stand.parameters.transfer_max, stand.partner()
    stand.ready(most + 2)
    for amount in (0, most + 1, 0x8000_0000, 0xFFFF_FFFF):
        stand.pay(partner.asks(amount), W.TRANSFER_LIMIT)
    for amount in (1, most):
        stand.verify()
        through(stand, partner, amount)


# --- dates -------------------------------------------------------------------------------------------------


@_case("PAY 7", "the last second of the payee's certificate counts, by the terminal's date")
def _payee_expiry(stand: Stand) -> None:
    expiry = stand.now + _LATER
    stand.ready()
    partner = stand.partner(expiry=expiry)
    for date in (expiry + 1, FAR):
        stand.pay(partner.asks(1), W.CERTIFICATE_EXPIRED, dated(date))
    stand.pay(partner.asks(1), changed=dated(expiry))


@_case("PAY 7", "the last second of the payer's certificate counts, by the terminal's date")
def _payer_expiry(stand: Stand) -> None:
    stand.ready(expiry=0xFFFF_FFFF)
    expiry = Certificate.decode(stand.certificate[: Certificate.SIZE]).expiry
    partner = stand.partner(expiry=0xFFFF_FFFF)
    for date in (expiry + 1, 0x8000_0000, 0xFFFF_FFFF):
        stand.pay(partner.asks(1), W.CERTIFICATE_EXPIRED, dated(date))
    stand.pay(partner.asks(1), changed=dated(expiry))


@_case("PAY 7", "the card's own date counts where the terminal has an earlier one, or none")
def _certificate_by_own_date(stand: Stand) -> None:
    stand.ready()
    today = stand.now + 1
    stand.renew(issued=today)
    late, last = stand.partner(expiry=today - 1), stand.partner(expiry=today)
    for date in (dated(today - 1), dated(NOW), dated(0), dated(None), {Tag.DATE: b""}):
        stand.pay(late.asks(1), W.CERTIFICATE_EXPIRED, date)
    stand.pay(last.asks(1), changed=dated(0))


@_case("PAY 8", "the last second of the credit information counts, by the terminal's date")
def _credit_expiry(stand: Stand) -> None:
    expiry, partner = stand.now + _LATER, stand.partner()
    stand.ready(expiry=expiry)
    for date in (expiry + 1, FAR):
        stand.pay(partner.asks(1), W.CREDIT_EXPIRED, dated(date))
    stand.pay(partner.asks(1), changed=dated(expiry))


@_case("PAY 8", "the card's own date counts where the terminal has an earlier one, or none")
def _credit_by_own_date(stand: Stand) -> None:
    stand.ready()
    today, partner = stand.now + 1, stand.partner()
    stand.renew(issued=today, expiry=today - 1)
    for date in (dated(today - 1), dated(0), dated(None), {Tag.DATE: b""}):
        stand.pay(partner.asks(1), W.CREDIT_EXPIRED, date)
    stand.renew(expiry=today)
    stand.pay(partner.asks(1), changed=dated(None))


# --- the payee's certificate -------------------------------------------------------------------------------


@_case("PAY 16", "nobody but the center certifies a payee")
def _forged(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    asked = partner.asks(1)
    for forged in forgeries(partner.certificate.raw, stand.issuer.certification, _EXPIRY_AT):
        stand.pay(asked, W.CERTIFICATE_INVALID, {Tag.CERTIFICATE: forged})
    stand.pay(asked)


@_case("PAY 16", "a key of the center that is for orders, or unknown, certifies nobody")
def _other_keys(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    for forged in signed_by_other_center_keys(partner.certificate.raw, stand.issuer):
        stand.pay(_with(partner.asks(1), forged), W.CERTIFICATE_INVALID)
    stand.pay(partner.asks(1))


@_case("Signatures", "s may be high or low in a payee's certificate")
def _high_and_low(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    for raw in (partner.certificate.raw, twin_of(partner.certificate.raw)):
        stand.settle(partner.answers(stand.paid(_with(partner.asks(1), raw))))


@_case("Signatures", "a certificate whose r or s begins with zeros is as good as any")
def _leading_zeros(stand: Stand) -> None:
    stand.ready()
    partner = stand.partner()
    for at in (Certificate.SIZE, Certificate.SIZE + 32):
        bodies = (replace(partner.certificate.body, expiry=FAR + more) for more in range(1, 100_000))
        signed = (Signed.make(body, stand.issuer.certification) for body in bodies)
        raw = next(one.raw for one in signed if not one.raw[at])
        stand.settle(partner.answers(stand.paid(_with(partner.asks(1), raw))))


# --- order -------------------------------------------------------------------------------------------------


@_case("PAY", "of several objects that are wrong at once the first of the table is told")
def _order_of_objects(stand: Stand) -> None:
    stand.ready()
    partner, most = stand.partner(expiry=stand.now + 2 * _LATER), stand.parameters.transfer_max
    stand.renew(expiry=stand.now + _LATER, count=0)
    bad_date, late, out = {Tag.DATE: b"\0\0\0"}, dated(stand.now + 3 * _LATER), dated(stand.now + 2 * _LATER)
    request = partner.asks(0, currency=392).request.encode()
    for asked, changed, sw in (
        (partner.asks(0), bad_date | {Tag.CERTIFICATE: stand.certificate[:-1]}, W.WRONG_DATA),
        (partner.asks(0), bad_date | {Tag.CERTIFICATE: stand.certificate, Tag.REQUEST: request[:-1]}, W.WRONG_DATA),
        (partner.asks(0), bad_date | {Tag.CERTIFICATE: stand.certificate}, W.WRONG_DATA),
        (partner.asks(0, currency=392), {**late, Tag.CERTIFICATE: stand.certificate}, W.NOT_THIS_CARD),
        (partner.asks(0, currency=392), late, W.CURRENCY),
        (partner.asks(most + 1), late, W.TRANSFER_LIMIT),
        (partner.asks(most), late, W.CERTIFICATE_EXPIRED),
        (partner.asks(most), out, W.CREDIT_EXPIRED),
        (partner.asks(most), {}, W.CREDIT_LIMIT),
    ):
        stand.pay(asked, sw, changed)
