"""What personalization stores, group by group: so that a case can leave out, change or repeat any of it."""

from apdu.cipher import cbc_encrypt
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import LifeCycle
from apdu.objects import CenterKey
from apdu.status import StatusWord
from saifu.conformance.channel import Channel, parameters
from saifu.conformance.issuer import PIN, PUK, Issuer
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.subject import must

__all__ = [
    "OTHER",
    "Groups",
    "begun",
    "center_keys",
    "forged_credit",
    "groups_for",
    "is_active",
    "p1_of",
    "secret_codes",
    "store",
    "without",
]

Groups = dict[Dgi, bytes]
"""Groups in the order in which they are stored; of center keys all together."""
OTHER = 8
"""A serial that is not the card's."""
_LAST, _ENCRYPTED = 0x80, 0x60


def secret_codes(stand: Stand, plain: bytes) -> bytes:
    """PIN and resetting code as they go: under the DEK."""
    return encode_dgi(Dgi.REFERENCE_DATA, cbc_encrypt(stand.card.keys.dek, bytes(16), plain))


def center_keys(*keys: CenterKey) -> bytes:
    """A group for each key."""
    return b"".join(encode_dgi(Dgi.CENTER_KEY, key.encode()) for key in keys)


def groups_for(stand: Stand, point: bytes) -> Groups:
    """Everything that makes a purse, in the usual order."""
    certificate, credit = stand.certify(point)
    return {
        Dgi.PARAMETERS: parameters(stand),
        Dgi.CENTER_KEY: center_keys(*stand.issuer.keys),
        Dgi.REFERENCE_DATA: secret_codes(stand, PIN + PUK),
        Dgi.CERTIFICATE: encode_dgi(Dgi.CERTIFICATE, certificate.raw),
        Dgi.CREDIT: encode_dgi(Dgi.CREDIT, credit.raw),
    }


def begun(stand: Stand) -> tuple[Channel, Groups, bytes]:
    """A channel, what makes a purse with the new key pair, and its public key."""
    channel = Channel.open(stand.card)
    point = channel.generate()
    return channel, groups_for(stand, point), point


def p1_of(dgi: Dgi, last: bool = False) -> int:
    """P1 of a block with one group."""
    return 0x08 | _ENCRYPTED * (dgi is Dgi.REFERENCE_DATA) | _LAST * last


def store(channel: Channel, groups: Groups, sw: int | None = None) -> None:
    """A block for each; with ``sw``, the last one says that it is the last, and has to end so."""
    *_, last = groups
    for dgi, raw in groups.items():
        is_last = dgi is last and sw is not None
        channel.store(raw, p1_of(dgi, is_last), sw if is_last and sw is not None else StatusWord.OK)


def without(groups: Groups, *left_out: Dgi) -> Groups:
    """All groups but some."""
    return {dgi: raw for dgi, raw in groups.items() if dgi not in left_out}


def is_active(stand: Stand) -> None:
    """The card has become a purse; raises DeviationError when it has not."""
    must(stand.card.state is LifeCycle.ACTIVE, f"the card is {stand.card.state.text}, not active")
    stand.card.select(StatusWord.OK)


def forged_credit(stand: Stand) -> bytes:
    """Credit information for the card that somebody else has signed."""
    return encode_dgi(Dgi.CREDIT, Issuer(stand.issuer.number, seed=9).credit(SERIAL, 1).raw)
