"""The last block of STORE DATA: what must be there, and belong together, before a card's life begins.

The last valid block makes a card active for ever, which only the run itself does to the card under test: cases
stay below it, or take a card of their own. Forged credit keeps a last block from being valid: it is judged last.
"""

from dataclasses import replace
from functools import partial

from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import LifeCycle, Role
from apdu.messages import Certificate, Credit, Signed
from apdu.status import StatusWord as W
from saifu.conformance.case import case
from saifu.conformance.channel import Channel
from saifu.conformance.issuer import PIN, PUK, Issuer
from saifu.conformance.provoking import forgeries, signed_by_other_center_keys
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.storing import (
    OTHER,
    Groups,
    begun,
    forged_credit,
    groups_for,
    is_active,
    p1_of,
    secret_codes,
    store,
    without,
)
from saifu.conformance.subject import must

__all__: list[str] = []

B, P = LifeCycle.BLANK, LifeCycle.PERSONALIZATION
_stored = partial(case, ins=Ins.STORE_DATA)


# --- the last block --------------------------------------------------------------------------------------------


@_stored("STORE DATA 8", "without any one of the groups the last block is declined", P)
def _left_out(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    for dgi in Dgi:
        groups = groups_for(stand, channel.generate())
        store(channel, without(groups, dgi), W.CONDITIONS_OF_USE)


def _corrected(late: Dgi, stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    store(channel, without(groups, late), W.CONDITIONS_OF_USE)
    channel.store(groups[late], p1_of(late, last=True))
    is_active(stand)


for _dgi in Dgi:
    _stored("STORE DATA 8", f"{_dgi.name} ({_dgi:04X}) may come late, in a last block of its own", P, spare=True)(
        partial(_corrected, _dgi)
    )


@_stored("STORE DATA 8", "without a key pair the last block is declined", B, spare=True)
def _no_key_pair(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    store(channel, groups_for(stand, bytes(64)), W.CONDITIONS_OF_USE)
    channel.store(groups_for(stand, channel.generate())[Dgi.CREDIT], 0x88, W.CONDITIONS_OF_USE)


def _almost(stand: Stand) -> tuple[Channel, Groups, bytes]:
    """Everything is stored but a certificate; forged credit keeps the card from becoming active.

    The last is the public key.
    """
    channel, groups, point = begun(stand)
    groups[Dgi.CREDIT] = forged_credit(stand)
    store(channel, without(groups, Dgi.CERTIFICATE))
    return channel, groups, point


def _certificate(signed: Signed[Certificate]) -> bytes:
    return encode_dgi(Dgi.CERTIFICATE, signed.raw)


@_stored("STORE DATA 9", "the certificate has the subject, role and public key of parameters and key pair", P)
def _foreign_certificates(stand: Stand) -> None:
    old = Channel.open(stand.card).generate()
    channel, groups, point = _almost(stand)
    certify = stand.issuer.certificate
    others = (certify(OTHER, point), certify(SERIAL, point, Role.MERCHANT), certify(SERIAL, old))
    for other in (*others, Issuer(2).certificate(SERIAL, point)):
        channel.store(_certificate(other), 0x88, W.NOT_THIS_CARD)
    channel.store(groups[Dgi.CERTIFICATE], 0x88, W.SIGNATURE_INVALID)
    for wrong in (stand.issuer.parameters(OTHER), stand.issuer.parameters(SERIAL, Role.FLOAT)):
        channel.store(encode_dgi(Dgi.PARAMETERS, wrong.encode()), 0x88, W.NOT_THIS_CARD)
    channel.store(groups[Dgi.PARAMETERS], 0x88, W.SIGNATURE_INVALID)


@_stored("STORE DATA 10", "the certificate is signed by a center key for certificates that was stored", P)
def _forged_certificates(stand: Stand) -> None:
    channel, groups, _ = _almost(stand)
    raw = groups[Dgi.CERTIFICATE][3:]
    for forged in forgeries(raw, stand.issuer.certification, 12):
        channel.store(encode_dgi(Dgi.CERTIFICATE, forged), 0x88, W.CERTIFICATE_INVALID)
    for other in signed_by_other_center_keys(raw, stand.issuer):
        channel.store(encode_dgi(Dgi.CERTIFICATE, other), 0x88, W.CERTIFICATE_INVALID)
    channel.store(groups[Dgi.CERTIFICATE], 0x88, W.SIGNATURE_INVALID)


@_stored("STORE DATA 11", "the first credit information is for this card, and has seen nothing", P)
def _foreign_credit(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    store(channel, without(groups, Dgi.CREDIT))
    issuer = stand.issuer
    for other in (issuer.credit(OTHER, 1), Issuer(2).credit(SERIAL, 1), issuer.credit(SERIAL, 1, seen=1)):
        channel.store(encode_dgi(Dgi.CREDIT, other.raw), 0x88, W.NOT_THIS_CARD)
    channel.store(forged_credit(stand), 0x88, W.SIGNATURE_INVALID)


@_stored("STORE DATA 12", "the first credit information is signed by a center key for orders that was stored", P)
def _forged_credits(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    store(channel, without(groups, Dgi.CREDIT))
    raw = groups[Dgi.CREDIT][3:]
    for forged in (*forgeries(raw, stand.issuer.orders, 16), *signed_by_other_center_keys(raw, stand.issuer)):
        channel.store(encode_dgi(Dgi.CREDIT, forged), 0x88, W.SIGNATURE_INVALID)


@_stored("STORE DATA 12", "what was wrong may come again rightly, and then the card is active", P, spare=True)
def _right_at_last(stand: Stand) -> None:
    channel, groups, _ = _almost(stand)
    channel.store(groups[Dgi.CERTIFICATE], 0x88, W.SIGNATURE_INVALID)
    channel.store(encode_dgi(Dgi.CREDIT, stand.issuer.credit(SERIAL, 1).raw), 0x88)
    is_active(stand)


# --- a purse ---------------------------------------------------------------------------------------------------


@case("Personalization", "groups may come in the other order", P, spare=True)
def _other_order(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    store(channel, dict(reversed(groups.items())), W.OK)
    is_active(stand)


@case("Personalization", "groups may share blocks, and of one that comes twice the last counts", P, spare=True)
def _shared_blocks(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    wrong = encode_dgi(Dgi.PARAMETERS, stand.issuer.parameters(OTHER).encode())
    channel.store(wrong + groups[Dgi.PARAMETERS] + groups[Dgi.CENTER_KEY])
    channel.store(secret_codes(stand, PUK + PIN) + groups[Dgi.REFERENCE_DATA], 0x68)
    channel.store(wrong + groups[Dgi.PARAMETERS] + groups[Dgi.CERTIFICATE])
    channel.store(forged_credit(stand) + groups[Dgi.CREDIT], 0x88)
    is_active(stand)
    stand.verify()


@case("Personalization", "four center keys of any number serve, each for its use", P, spare=True)
def _other_keys(stand: Stand) -> None:
    channel, groups, point = begun(stand)
    first, second = (replace(key, number=200) for key in stand.issuer.keys)
    channel.store(groups[Dgi.CENTER_KEY])
    channel.store(encode_dgi(Dgi.CENTER_KEY, first.encode()) + encode_dgi(Dgi.CENTER_KEY, second.encode()))
    certificate = replace(stand.issuer.certificate(SERIAL, point).body, key=200)
    credit: Credit = replace(stand.issuer.credit(SERIAL, 1).body, key=200)
    groups[Dgi.CERTIFICATE] = _certificate(Signed.make(certificate, stand.issuer.certification))
    groups[Dgi.CREDIT] = encode_dgi(Dgi.CREDIT, Signed.make(credit, stand.issuer.orders).raw)
    store(channel, without(groups, Dgi.CENTER_KEY), W.OK)
    is_active(stand)


@case("Personalization", "a float begins with its money, and its date is that of the credit information", P, spare=True)
def _float(stand: Stand) -> None:
    channel, groups, point = begun(stand)
    usual = stand.issuer.parameters(SERIAL, Role.FLOAT, 700, balance_max=700)
    groups[Dgi.PARAMETERS] = encode_dgi(Dgi.PARAMETERS, usual.encode())
    groups[Dgi.CERTIFICATE] = _certificate(stand.issuer.certificate(SERIAL, point, Role.FLOAT))
    store(channel, groups, W.OK)
    session = stand.card.session()
    must(session.selected.status.balance == 700, "the float does not begin with its money")
    must(session.get_counters().date == stand.credit.issued, "the date is not that of the credit information")


@case("Secure channel", "the last block ends the channel, and there is no other one", P, spare=True)
def _over(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    store(channel, groups, W.OK)
    stand.card.raw(channel.wrapped(Ins.GENERATE_KEY_PAIR, 0x81), W.SECURE_MESSAGING_NOT_SUPPORTED)
    stand.card.send(Ins.GET_DATA, p1=0x01, p2=0x01)
    stand.card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.CONDITIONS_OF_USE)
