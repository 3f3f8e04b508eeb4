"""PUT KEY with the card under test: its data, so that a case can spoil any part of them, and the way back.

A case that changes the keys of a card puts its own again before it ends. What ends such a case early is put right when
the card is met the next time: the keys that the suite puts are known, see ``PUT`` and Subject.meet.
"""

from apdu.cipher import BLOCK, cbc_encrypt, key_check_value
from apdu.commands import Ins
from apdu.status import StatusWord
from host.issuer_session import TRANSPORT_VERSION
from host.scp03 import StaticKeys
from saifu.conformance.channel import Channel
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject

__all__ = ["VERSION", "change", "data_of", "give_back", "key_block", "put", "three", "to_replace"]

VERSION = 0x21
"""Under which the suite puts keys of its own."""
_KEYS, _AES = 0x81, 0x88


def to_replace(card: Subject) -> int:
    """P1: the version that the card has; 00 for the keys of its maker."""
    version = card.twin.cells.key_version.number()
    return 0 if version == TRANSPORT_VERSION else version


def three(keys: StaticKeys) -> tuple[bytes, bytes, bytes]:
    """ENC, MAC and DEK, in the order in which they are put."""
    return keys.enc, keys.mac, keys.dek


def key_block(dek: bytes, key: bytes, check: bytes | None = None, filling: int = 0x5A) -> bytes:
    """One key under a DEK; with another check value than its own, and filled up with another byte."""
    secret = cbc_encrypt(dek, bytes(BLOCK), key + bytes((filling,)) * (-len(key) % BLOCK))
    told = key_check_value(key) if check is None else check
    return bytes((_AES, 1 + len(secret), len(key))) + secret + bytes((len(told),)) + told


def data_of(dek: bytes, version: int, keys: StaticKeys) -> bytes:
    """The data of PUT KEY as they must be."""
    return bytes((version,)) + b"".join(key_block(dek, key) for key in three(keys))


def put(channel: Channel, data: bytes, sw: int = StatusWord.OK, p1: int | None = None) -> bytes:
    """PUT KEY that must end in ``sw``; returns the answer in clear."""
    return channel.send(Ins.PUT_KEY, to_replace(channel.card) if p1 is None else p1, _KEYS, data, sw)


def change(channel: Channel, version: int, keys: StaticKeys) -> bytes:
    """PUT KEY as it must be, and the channel is gone; returns the answer in clear."""
    card = channel.card
    told = put(channel, data_of(card.keys.dek, version, keys))
    card.take_keys(keys)
    return told


def give_back(stand: Stand) -> None:
    """The card has its own keys again, whichever it has now."""
    change(Channel.open(stand.card), stand.card.own_version, stand.card.own_keys)
