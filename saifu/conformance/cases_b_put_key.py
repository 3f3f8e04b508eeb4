"""PUT KEY: what it takes, what becomes of the old keys and of their channel. Each case gives the card its keys back."""

from collections.abc import Iterator
from functools import partial

from apdu.cipher import key_check_value
from apdu.commands import Ins
from apdu.dgi import Dgi, encode_dgi
from apdu.identity import LifeCycle
from apdu.status import StatusWord as W
from host.scp03 import StaticKeys
from saifu.conformance.case import case
from saifu.conformance.changing_keys import VERSION, change, data_of, give_back, key_block, put, three, to_replace
from saifu.conformance.channel import CAPACITIES, TRIES, Channel, is_open, lose_try
from saifu.conformance.issuer import PIN, PUK, PUT
from saifu.conformance.stand import Stand
from saifu.conformance.storing import begun, forged_credit, secret_codes, store, without
from saifu.conformance.subject import must

__all__: list[str] = []

B, P = LifeCycle.BLANK, LifeCycle.PERSONALIZATION
_SHORT, _MIDDLE, _LONG = PUT
_put = partial(case, ins=Ins.PUT_KEY)


def _good(channel: Channel, version: int = VERSION, keys: StaticKeys = _SHORT) -> bytes:
    """Data that the card would take."""
    return data_of(channel.card.keys.dek, version, keys)


def _declined(stand: Stand, channel: Channel, sw: int, wrong: Iterator[bytes]) -> None:
    """Each is declined and the channel stays open; then the card has the keys that it had."""
    for data in wrong:
        put(channel, data, sw)
    is_open(stand.card)
    channel.send(Ins.GET_DATA, *CAPACITIES, cla=0x00)
    Channel.open(stand.card)


# --- what it takes ---------------------------------------------------------------------------------------------


@_put("PUT KEY 1", "P1 is 00 for the keys of the maker, else their version, and another is declined", B)
def _version_to_replace(stand: Stand) -> None:
    channel, right = Channel.open(stand.card), to_replace(stand.card)
    for other in {0x00, 0x01, 0x7F, right ^ 0x01} - {right}:
        put(channel, _good(channel), W.DATA_NOT_FOUND, p1=other)
    _declined(stand, channel, W.DATA_NOT_FOUND, iter(()))


@_put("PUT KEY 1", "keys that were put are replaced by their version, and by 00 no more", B)
def _put_to_replace(stand: Stand) -> None:
    change(Channel.open(stand.card), VERSION, _SHORT)
    channel = Channel.open(stand.card)
    for other in (0x00, 0x01, VERSION + 1, 0x7F):
        put(channel, _good(channel), W.DATA_NOT_FOUND, p1=other)
    give_back(stand)


def _misshapen(dek: bytes) -> Iterator[bytes]:
    """A version and blocks that are cut, too many, too few, of another type, or with lengths that are not right."""
    good = data_of(dek, VERSION, _SHORT)
    block = key_block(dek, _SHORT.enc)
    yield from (good[:1], good[:-1], good + b"\0", good[:-4], good[: 1 + 2 * len(block)], good + block)
    for at, value in (
        (0, 0x80),
        (0, 0x82),
        (1, 0x10),
        (1, 0x12),
        (1, 0x21),
        (2, 0x00),
        (2, 0x0F),
        (2, 0x11),
        (2, 0x18),
    ):
        yield good[:1] + block[:at] + bytes((value,)) + block[at + 1 :] + good[1 + len(block) :]
    for length in (0x00, 0x02, 0x04):
        yield good[: len(block) - 3] + bytes((length,)) + good[len(block) - 2 :]
    for check in (b"", key_check_value(_SHORT.mac)[:2], key_check_value(_SHORT.mac) + b"\0"):
        yield good[: 1 + len(block)] + key_block(dek, _SHORT.mac, check) + key_block(dek, _SHORT.dek)


@_put("PUT KEY 2", "the data are a version and three whole blocks of AES keys", B)
def _layout(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    _declined(stand, channel, W.WRONG_DATA, _misshapen(stand.card.keys.dek))


@_put("PUT KEY 3", "the new version is from 01 to 7F, and may be the one that the card has", B)
def _versions(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    _declined(stand, channel, W.WRONG_DATA, (_good(channel, version) for version in (0x00, 0x80, 0xFF)))
    for version, keys in ((0x01, _SHORT), (0x01, _LONG), (0x7F, _SHORT)):
        change(Channel.open(stand.card), version, keys)
    give_back(stand)


@_put("PUT KEY 3", "the three keys are of one size", B)
def _one_size(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    sizes = ((_SHORT, _SHORT, _LONG), (_LONG, _SHORT, _SHORT), (_MIDDLE, _MIDDLE, _LONG), (_LONG, _MIDDLE, _LONG))
    blocks = (b"".join(key_block(stand.card.keys.dek, three(keys)[at]) for at, keys in enumerate(of)) for of in sizes)
    _declined(stand, channel, W.WRONG_DATA, (bytes((VERSION,)) + each for each in blocks))


def _wrong_checks(dek: bytes) -> Iterator[bytes]:
    """One check value is wrong in a bit, all are there in another order, or a key is under no DEK or another one."""
    keys = three(_SHORT)
    checks = [key_check_value(key) for key in keys]
    for spoilt in range(3):
        wrong = [bytes((check[0], check[1], check[2] ^ (at == spoilt))) for at, check in enumerate(checks)]
        yield bytes((VERSION,)) + b"".join(map(partial(key_block, dek), keys, wrong))
    yield bytes((VERSION,)) + b"".join(map(partial(key_block, dek), keys, checks[1:] + checks[:1]))
    yield data_of(_SHORT.dek, VERSION, _SHORT)
    good = data_of(dek, VERSION, _SHORT)
    yield good[:4] + keys[0] + good[4 + len(keys[0]) :]


@_put("PUT KEY 4", "a check value that is not that of its key changes nothing, and costs no try", B)
def _check_values(stand: Stand) -> None:
    for _ in range(1 + TRIES // 6):
        channel = Channel.open(stand.card)
        _declined(stand, channel, W.KEY_CHECK_VALUE, _wrong_checks(stand.card.keys.dek))


# --- what it does ----------------------------------------------------------------------------------------------


@_put("PUT KEY", "new keys of each size open the channel, the old ones do not; version and check values are told", B, P)
def _other_keys(stand: Stand) -> None:
    card = stand.card
    for keys in (*PUT, _MIDDLE):
        before = card.keys
        told = change(Channel.open(card), VERSION, keys)
        checks = b"".join(map(key_check_value, three(keys)))
        must(told == bytes((VERSION,)) + checks, "the answer is not the version and the three check values")
        card.fresh()
        channel = Channel(card)
        must(channel.answer.key_version == VERSION, "INITIALIZE UPDATE does not tell the new version")
        card.raw(channel.with_keys(before).proof(channel.with_keys(before).cryptogram), W.SECURITY_STATUS)
        Channel.open(card)
    give_back(stand)


@_put("PUT KEY", "a key of 24 bytes may be filled up with anything", B)
def _filling(stand: Stand) -> None:
    for filling in (0x00, 0x80, 0xFF):
        channel = Channel.open(stand.card)
        blocks = (key_block(stand.card.keys.dek, key, filling=filling) for key in three(_MIDDLE))
        put(channel, bytes((VERSION,)) + b"".join(blocks))
        stand.card.take_keys(_MIDDLE)
    give_back(stand)


@_put("PUT KEY", "its answer goes through the channel, and then the channel is gone", P)
def _channel_gone(stand: Stand) -> None:
    channel = Channel.open(stand.card)
    change(channel, VERSION, _SHORT)
    stand.card.raw(channel.wrapped(Ins.GENERATE_KEY_PAIR, 0x81), W.SECURE_MESSAGING_NOT_SUPPORTED)
    stand.card.send(Ins.GENERATE_KEY_PAIR, sw=W.SECURITY_STATUS, p1=0x81)
    stand.card.send(Ins.GET_DATA, p1=CAPACITIES[0], p2=CAPACITIES[1])
    give_back(stand)


@_put("PUT KEY", "the old version is not there any more, and the sequence counter goes on", B)
def _goes_on(stand: Stand) -> None:
    card = stand.card
    for version in (VERSION, VERSION + 1):
        old, channel = card.twin.cells.key_version.number(), Channel.open(card)
        before = int.from_bytes(channel.answer.sequence_counter)
        change(channel, version, _SHORT)
        card.send(Ins.INITIALIZE_UPDATE, bytes(8), W.DATA_NOT_FOUND, p1=old)
        after = int.from_bytes(Channel(card, version=version).answer.sequence_counter)
        must(after == before + 1, "the sequence counter does not go on where it was")
    give_back(stand)


@_put("PUT KEY", "all ten tries are there for the new keys", B, spare=True)
def _tries(stand: Stand) -> None:
    for _ in range(2):
        stand.card.fresh()
        for _ in range(TRIES - 1):
            lose_try(stand.card)
        change(Channel.open(stand.card), VERSION, _SHORT)
    stand.card.fresh()
    for _ in range(TRIES - 1):
        lose_try(stand.card)
    Channel.open(stand.card)


@_put("PUT KEY", "values come under the new DEK", P)
def _new_dek(stand: Stand) -> None:
    channel, _, _ = begun(stand)
    under_old = secret_codes(stand, PIN + PUK)
    change(channel, VERSION, _SHORT)
    channel = Channel.open(stand.card)
    channel.store(under_old, 0x68, W.WRONG_DATA)
    channel.store(secret_codes(stand, PIN + PUK), 0x68)
    give_back(stand)


@_put("PUT KEY", "a blank card stays blank", B)
def _blank(stand: Stand) -> None:
    change(Channel.open(stand.card), VERSION, _LONG)
    stand.audit()
    must(stand.card.state is B, "the card is not blank any more")
    give_back(stand)


@_put("PUT KEY", "key pair and everything that was stored count on, and blocks are numbered from 0", P)
def _stored_counts(stand: Stand) -> None:
    channel, groups, point = begun(stand)
    store(channel, without(groups, Dgi.CREDIT))
    change(channel, VERSION, _SHORT)
    channel = Channel.open(stand.card)
    must(channel.public_key()[-64:] == point, "the key pair is another one")
    channel.store(encode_dgi(Dgi.PARAMETERS, b""), block=5, sw=W.WRONG_P1_P2)
    channel.store(forged_credit(stand), 0x88, W.SIGNATURE_INVALID)
    give_back(stand)
