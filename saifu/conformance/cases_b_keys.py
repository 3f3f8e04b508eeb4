"""Center keys on a card: which place a key takes, and that each serves; and what a first block and credit may be."""

from dataclasses import replace
from functools import partial

from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import LifeCycle
from apdu.messages import Outcome, Resolution, Signed
from apdu.payload import Tag
from apdu.status import StatusWord as W
from saifu.conformance.case import case
from saifu.conformance.channel import Channel
from saifu.conformance.issuer import CERTIFICATION, ORDERS, Issuer
from saifu.conformance.provoking import must_credit
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.storing import OTHER, begun, center_keys, forged_credit, groups_for, is_active, store, without
from saifu.conformance.subject import must

__all__: list[str] = []

B, P = LifeCycle.BLANK, LifeCycle.PERSONALIZATION
_NEXT = 200
"""Number of the keys that follow those with which the card was certified."""
_stored = partial(case, ins=Ins.STORE_DATA)


# --- places ----------------------------------------------------------------------------------------------------


def _bogus(stand: Stand) -> bytes:
    """Keys of somebody else under the numbers of the center's."""
    return center_keys(*Issuer(stand.issuer.number, seed=9).keys)


def _numbered(stand: Stand, number: int) -> bytes:
    """The center's two keys under another number."""
    return center_keys(*(replace(key, number=number) for key in stand.issuer.keys))


@_stored("STORE DATA 5", "of two keys with one number and use the later counts", P)
def _later_certifies(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    channel.store(_bogus(stand))
    groups[Dgi.CREDIT] = forged_credit(stand)
    store(channel, groups, W.SIGNATURE_INVALID)


@_stored("STORE DATA 5", "of two keys with one number and use the later counts, and makes a purse", P, spare=True)
def _later_activates(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    channel.store(_bogus(stand))
    store(channel, groups, W.OK)
    is_active(stand)


@case("GENERATE KEY PAIR", "the first pair too makes the places of keys free", B, ins=Ins.GENERATE_KEY_PAIR, spare=True)
def _first_pair(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    for number in (_NEXT, _NEXT + 1):
        channel.store(_numbered(stand, number))
    store(channel, groups_for(stand, channel.generate()), W.OK)
    is_active(stand)


# --- the keys of a purse ---------------------------------------------------------------------------------------


@case("Signatures", "each of the four keys of a purse serves: keys that follow others, and those before them", P,
      spare=True)  # fmt: skip
def _next_keys(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    channel.store(_numbered(stand, _NEXT))
    store(channel, groups, W.OK)
    stand.card.fresh()
    for certifying, ordering in ((_NEXT, _NEXT), (CERTIFICATION, ORDERS), (_NEXT, _NEXT)):
        _put_under(stand, ordering)
        _do_business_under(stand, certifying, ordering)


def _put_under(stand: Stand, number: int) -> None:
    """Credit information and a head under a key for orders."""
    seen = stand.card.twin.cells.record.number()
    credit = replace(stand.issuer.credit(SERIAL, stand.credit.serial + 1, seen=seen).body, key=number)
    stand.card.send(Ins.PUT_CREDIT, {Tag.CREDIT: Signed.make(credit, stand.issuer.orders).raw}, ne=None)
    head = replace(stand.edition().head.body, key=number)
    stand.card.send(Ins.PUT_DATE, {Tag.HEAD: Signed.make(head, stand.issuer.orders).raw}, ne=None)


def _do_business_under(stand: Stand, certifying: int, ordering: int) -> None:
    """Money comes from a card that is certified under a key, and goes to it; an order under the other settles."""
    partner = stand.partner()
    partner.certificate = Signed.make(replace(partner.certificate.body, key=certifying), stand.issuer.certification)
    must_credit(stand, partner.pays(stand.requested(9, partner)))
    paid = stand.paid(partner.asks(5))
    resolution = Resolution(ordering, stand.id, paid.value.body.counter, Outcome.RECEIVED)
    stand.settle(Signed.make(resolution, stand.issuer.orders))


# --- what need not be ------------------------------------------------------------------------------------------


@_stored("STORE DATA 8", "a first block that is declined as wrong data leaves the card blank", B)
def _still_blank(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    for wrong in (encode_dgi(Dgi.CREDIT, bytes(96)), center_keys(*stand.issuer.keys) + b"\0"):
        channel.store(wrong, sw=W.WRONG_DATA)
    stand.audit()
    must(stand.card.state is B, "the card is not blank any more")


@_stored("STORE DATA 11", "the first credit information may have any serial, allow nothing and be out of date", P,
         spare=True)  # fmt: skip
def _useless_credit(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    credit = stand.issuer.credit(SERIAL, 7, count=0, amount=0, expiry=1)
    groups[Dgi.CREDIT] = encode_dgi(Dgi.CREDIT, credit.raw)
    store(channel, groups, W.OK)
    is_active(stand)


@_stored("STORE DATA 11", "whose the credit information is, is judged behind the certificate's signature", P)
def _certificate_first(stand: Stand) -> None:
    channel, groups, point = begun(stand)
    forged = Issuer(stand.issuer.number, seed=9).certificate(SERIAL, point)
    foreign = encode_dgi(Dgi.CREDIT, stand.issuer.credit(OTHER, 1).raw)
    wrong = {Dgi.CERTIFICATE: encode_dgi(Dgi.CERTIFICATE, forged.raw), Dgi.CREDIT: foreign}
    store(channel, without(groups, *wrong) | wrong, W.CERTIFICATE_INVALID)
    channel.store(groups[Dgi.CERTIFICATE], 0x88, W.NOT_THIS_CARD)
