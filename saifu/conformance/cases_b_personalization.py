"""Personalization: GENERATE KEY PAIR and STORE DATA.

The last valid block makes a card active for ever: none of these cases comes to it, but those with a card of their own.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from apdu.cipher import cbc_encrypt
from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import LifeCycle, Role
from apdu.objects import CenterKey, KeyUse
from apdu.signature import point_of
from apdu.status import StatusWord as W
from saifu.conformance.case import case
from saifu.conformance.channel import Channel
from saifu.conformance.issuer import PIN, PUK, Issuer
from saifu.conformance.provoking import cut_or_long, misshapen
from saifu.conformance.stand import SERIAL, Stand
from saifu.conformance.storing import begun, is_active, secret_codes, store, without
from saifu.conformance.subject import must

__all__: list[str] = []

B, P = LifeCycle.BLANK, LifeCycle.PERSONALIZATION
_PLACES = 4
"""Center keys that a card keeps."""
_stored = partial(case, ins=Ins.STORE_DATA)
_generated = partial(case, ins=Ins.GENERATE_KEY_PAIR)


def _key(number: int, use: KeyUse = KeyUse.CERTIFICATION) -> bytes:
    """A center key that nobody has the private half of."""
    return encode_dgi(Dgi.CENTER_KEY, CenterKey(number, use, point_of(Issuer(9, number).orders)).encode())


# --- GENERATE KEY PAIR -----------------------------------------------------------------------------------------


@_generated("GENERATE KEY PAIR", "where no pair was made there is none to read, and reading begins nothing", B)
def _no_pair(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    channel.send(Ins.GENERATE_KEY_PAIR, 0x81, sw=W.DATA_NOT_FOUND)
    channel.send(Ins.GENERATE_KEY_PAIR, 0x81, sw=W.DATA_NOT_FOUND)


@_generated("GENERATE KEY PAIR", "80 makes another pair each time; 81 reads the newest, over a reset too", P)
def _pairs(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    first, second = channel.generate(), channel.generate()
    must(first != second, "two pairs have one public key")
    for reset in (False, True):
        read = (Channel.open(stand.card) if reset else channel).public_key()
        must(read == bytes.fromhex("7F4943864104") + second, "the answer is not 7F49 { 86 04 X Y } of the newest pair")


@_generated("GENERATE KEY PAIR", "a new pair begins anew: nothing stored counts, and the places of keys are free", P)
def _anew(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    channel.store(b"".join(map(_key, (3, 4))))
    store(channel, without(groups, Dgi.CREDIT))
    channel.public_key()
    channel.store(_key(5), sw=W.WRONG_DATA)
    channel.generate()
    channel.store(groups[Dgi.CREDIT], 0x88, W.CONDITIONS_OF_USE)
    channel.store(b"".join(map(_key, (5, 6, 7))))
    channel.store(_key(8))


@case("Personalization", "interrupted and begun with a new key pair, nothing counts that was stored before", P)
def _interrupted(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    store(channel, without(groups, Dgi.CREDIT))
    again, groups, _ = begun(stand)
    again.store(groups[Dgi.CREDIT], 0x88, W.CONDITIONS_OF_USE)
    store(again, without(groups, Dgi.PARAMETERS), W.CONDITIONS_OF_USE)


@case(
    "Personalization", "interrupted, it goes on with the same key pair, and blocks are numbered from 0", P, spare=True
)
def _goes_on(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    store(channel, without(groups, Dgi.CREDIT, Dgi.CERTIFICATE))
    again = Channel.open(stand.card)
    again.store(groups[Dgi.CREDIT], block=4, sw=W.WRONG_P1_P2)
    again.store(groups[Dgi.CREDIT])
    Channel.open(stand.card).store(groups[Dgi.CERTIFICATE], 0x88)
    is_active(stand)


# --- blocks and groups -----------------------------------------------------------------------------------------


@_stored("STORE DATA 1", "blocks are numbered from 0, and a declined one does not count", P)
def _numbers(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    raw = groups[Dgi.PARAMETERS]
    for wrong in (1, 0xFF):
        channel.store(raw, block=wrong, sw=W.WRONG_P1_P2)
    channel.store(raw)
    channel.store(raw, block=0, sw=W.WRONG_P1_P2)
    channel.store(raw[:-1], sw=W.WRONG_DATA)
    channel.store(raw, block=2, sw=W.WRONG_P1_P2)
    channel.store(raw, 0x88, W.CONDITIONS_OF_USE)
    channel.store(raw)
    channel.store(raw, block=1, sw=W.WRONG_P1_P2)


@_stored("STORE DATA 1", "behind block FF comes block 00", P, spare=True)
def _wrap(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    for _ in range(256):
        channel.store(groups[Dgi.PARAMETERS])
    channel.store(groups[Dgi.PARAMETERS], block=0xFF, sw=W.WRONG_P1_P2)
    channel.store(groups[Dgi.PARAMETERS], block=0)


@_stored("STORE DATA 2", "a block has whole groups of known numbers; a length may also be FF and two bytes", P)
def _structure(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    good = groups[Dgi.PARAMETERS]
    number, size, value = good[:2], good[2:3], good[3:]
    beyond = b"\xff\x00" + bytes((size[0] + 1,))
    for cut in (b"", size, size + value[:-1], size + value + b"\0", b"\xff", beyond + value):
        channel.store(number + cut, sw=W.WRONG_DATA)
    for unknown in (0x0000, 0x0100, 0x0105, 0x0201, 0x8011):
        channel.store(good + unknown.to_bytes(2) + b"\0", sw=W.WRONG_DATA)
    channel.store(good + number + b"\xff\x00" + size + value)


@_stored("STORE DATA 8", "a block that is declined as wrong data has stored nothing of what is in it", P)
def _all_or_nothing(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    channel.store(b"".join(map(_key, (1, 2, 3))))
    channel.store(_key(4) + groups[Dgi.PARAMETERS][:-1], sw=W.WRONG_DATA)
    channel.store(_key(4) + encode_dgi(Dgi.CREDIT, bytes(96)), sw=W.WRONG_DATA)
    channel.store(_key(5))
    channel.store(_key(4), sw=W.WRONG_DATA)


@_stored("STORE DATA 3", "encrypted values have whole blocks of 16 bytes, at least one; credit may be one too", P)
def _whole_blocks(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    for size in (0, 1, 15, 17, 24):
        channel.store(encode_dgi(Dgi.REFERENCE_DATA, bytes(size)), 0x68, W.WRONG_DATA)
    channel.store(groups[Dgi.PARAMETERS], 0x68, W.WRONG_DATA)
    channel.store(groups[Dgi.REFERENCE_DATA] + groups[Dgi.PARAMETERS], 0x68, W.WRONG_DATA)
    channel.store(groups[Dgi.REFERENCE_DATA], 0x68)
    secret = cbc_encrypt(stand.card.keys.dek, bytes(16), groups[Dgi.CREDIT][3:])
    channel.store(encode_dgi(Dgi.CREDIT, secret), 0x68)


# --- each kind -------------------------------------------------------------------------------------------------


def _each(channel: Channel, dgi: Dgi, values: Iterable[bytes], sw: int = W.WRONG_DATA) -> None:
    for value in values:
        channel.store(encode_dgi(dgi, value), sw=sw)


@_stored("STORE DATA 4", "parameters have their layout; tries are from 1 to 15, and transfers move something", P)
def _parameters(stand: Stand) -> None:
    channel, _, _ = begun(stand)
    usual = stand.issuer.parameters(SERIAL)
    good = usual.encode()
    roles = (good[:6] + bytes((role,)) + good[7:] for role in (0x00, 0x04))
    tries = (replace(usual, pin_tries=wrong).encode() for wrong in (0, 16, 255))
    others = (replace(usual, puk_tries=wrong).encode() for wrong in (0, 16))
    _each(channel, Dgi.PARAMETERS, (*cut_or_long(good), *roles, *tries, *others))
    _each(channel, Dgi.PARAMETERS, [replace(usual, transfer_max=0).encode()])
    least, most = replace(usual, pin_tries=1, puk_tries=15), replace(usual, pin_tries=15, puk_tries=1, transfer_max=1)
    _each(channel, Dgi.PARAMETERS, (least.encode(), most.encode()), W.OK)


@_stored("STORE DATA 4", "only a float begins with money, and with no more than it may hold", P)
def _initial(stand: Stand) -> None:
    channel, _, _ = begun(stand)
    usual = partial(stand.issuer.parameters, SERIAL)
    rich = (usual(Role.PERSON, 1), usual(Role.MERCHANT, 1), usual(Role.FLOAT, 101, balance_max=100))
    _each(channel, Dgi.PARAMETERS, (one.encode() for one in rich))
    right = (usual(Role.MERCHANT), usual(Role.FLOAT, 100, balance_max=100), usual(Role.FLOAT, 0))
    _each(channel, Dgi.PARAMETERS, (one.encode() for one in right), W.OK)


@_stored("STORE DATA 5", "a center key has its layout and a number that is not 0", P)
def _key_layout(stand: Stand) -> None:
    channel, _, _ = begun(stand)
    good = stand.issuer.keys[0].encode()
    uses = (good[:1] + bytes((use,)) + good[2:] for use in (0x00, 0x03))
    _each(channel, Dgi.CENTER_KEY, (*cut_or_long(good), *uses, b"\0" + good[1:]))
    _each(channel, Dgi.CENTER_KEY, [good, b"\xff" + good[1:]], W.OK)


@_stored("STORE DATA 5", "there are four places; the same number and use take the same place", P)
def _key_places(stand: Stand) -> None:
    channel, _, _ = begun(stand)
    channel.store(_key(1) + _key(1, KeyUse.ORDERS) + _key(2))
    channel.store(_key(2) + _key(1))
    channel.store(_key(3))
    channel.store(_key(2, KeyUse.ORDERS), sw=W.WRONG_DATA)
    channel.store(_key(4), sw=W.WRONG_DATA)
    for number in range(1, _PLACES):
        channel.store(_key(number))


@_stored("STORE DATA 6", "certificate and credit information have their layout", P)
def _layouts(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    certificate, credit = groups[Dgi.CERTIFICATE][3:], groups[Dgi.CREDIT][3:]
    roles = (certificate[:8] + bytes((role,)) + certificate[9:] for role in (0x00, 0x04))
    _each(channel, Dgi.CERTIFICATE, (*misshapen(certificate), *roles))
    _each(channel, Dgi.CREDIT, misshapen(credit))
    _each(channel, Dgi.CERTIFICATE, [certificate], W.OK)
    _each(channel, Dgi.CREDIT, [credit], W.OK)


@_stored("STORE DATA 7", "PIN and resetting code come encrypted, and are blocks of digits", P)
def _codes(stand: Stand) -> None:
    channel, groups, _ = begun(stand)
    _each(channel, Dgi.REFERENCE_DATA, [PIN + PUK, groups[Dgi.REFERENCE_DATA][3:]])
    channel.store(encode_dgi(Dgi.REFERENCE_DATA, PIN + PUK), 0x68, W.WRONG_DATA)
    for plain in (PIN + PUK + PIN * 2, *(one + PUK for one in _NO_CODES), *(PIN + one for one in _NO_CODES)):
        channel.store(secret_codes(stand, plain), 0x68, W.WRONG_DATA)
    channel.store(secret_codes(stand, b"12345678" + b"0000\xff\xff\xff\xff"), 0x68)


_NO_CODES = (b"123\xff\xff\xff\xff\xff", bytes(8), b"\xff" * 8, b"1234567a", b"1234\xff5\xff\xff")
