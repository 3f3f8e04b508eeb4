"""PUT KEY: the keys of a card's maker give way to the issuer's (GlobalPlatform Card Specification 2.3.1, 11.8).

A card is delivered with transport keys that its maker knows, under key version FF. The issuer opens a channel with
them and puts three keys of his own, under a version from 01 to 7F. Each comes in a block as Amendment D 7.2 has it for
AES: type 88, a length, the length of the key, the key under the DEK of the card, and a check value with its length. A
key of 24 bytes is filled up to two blocks before it is encrypted, with bytes that nobody looks at.

What must never be is a mixture: ENC of one set with MAC of the other opens nothing, and the card would be lost. So
everything is judged before anything is written, and then keys, their size and their version are written in one
transaction. After a cut the card has the old set or the new one, and INITIALIZE UPDATE tells which.

The channel was made with keys that are not there any more, and its DEK is gone: it carries the answer, and ends.
The sequence counter goes on: a card that began anew at 0 would, with a set of keys that it had before, give challenges
a second time, and whoever had recorded the first would open the channel by repeating it (ADR 30).
"""

from dataclasses import dataclass
from hmac import compare_digest

from apdu.cipher import BLOCK, cbc_decrypt, key_check_value
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.memory_map import KEY_ROOM

__all__ = ["put_key"]

_TRANSPORT_VERSION = 0xFF
_VERSIONS = range(0x01, 0x80)
_AES, _CHECK_SIZE = 0x88, 3
_SIZES = (16, 24, 32)
_KEYS = 3


@dataclass(frozen=True, slots=True, repr=False)
class _Block:
    """One key as it came: its size in bytes, itself under the DEK, and its check value."""

    size: int
    secret: bytes
    check: bytes


def put_key(card: CardState, call: Call) -> ResponseApdu:
    """PUT KEY: all three keys, their size and version in one transaction; the answer names them by check values."""
    cells, data = card.cells, call.command.data
    old = cells.key_version.number()
    unless(call.command.p1 == (0 if old == _TRANSPORT_VERSION else old), StatusWord.DATA_NOT_FOUND)
    version, blocks = data[0], _blocks(data[1:])
    unless(version in _VERSIONS and len({block.size for block in blocks}) == 1, StatusWord.WRONG_DATA)
    dek = cells.static_dek.get()[: cells.key_size.number()]
    keys = [cbc_decrypt(dek, bytes(BLOCK), block.secret)[: block.size] for block in blocks]
    checks = b"".join(map(key_check_value, keys))
    unless(compare_digest(checks, b"".join(block.check for block in blocks)), StatusWord.KEY_CHECK_VALUE)
    with cells.memory.transaction() as tx:
        for cell, key in zip((cells.static_enc, cells.static_mac, cells.static_dek), keys, strict=True):
            tx.put(cell, key.ljust(KEY_ROOM, b"\0"))
        tx.put(cells.key_size, blocks[0].size)
        tx.put(cells.key_version, version)
    card.session.channel = None
    return ResponseApdu(bytes((version,)) + checks)


def _blocks(data: bytes) -> list[_Block]:
    """Three whole blocks and nothing behind them; declines with 6A80."""
    blocks: list[_Block] = []
    while data:
        block, data = _block(data)
        blocks.append(block)
    unless(len(blocks) == _KEYS, StatusWord.WRONG_DATA)
    return blocks


def _block(data: bytes) -> tuple[_Block, bytes]:
    """The first block, and what follows it."""
    head, size = data[:3], int.from_bytes(data[2:3])
    if size not in _SIZES:
        raise Decline(StatusWord.WRONG_DATA)
    padded = size + -size % BLOCK
    check = 3 + padded + 1
    unless(head == bytes((_AES, 1 + padded, size)), StatusWord.WRONG_DATA)
    unless(data[check - 1 : check] == bytes((_CHECK_SIZE,)), StatusWord.WRONG_DATA)
    unless(len(data) >= check + _CHECK_SIZE, StatusWord.WRONG_DATA)
    block = _Block(size, data[3 : 3 + padded], data[check : check + _CHECK_SIZE])
    return block, data[check + _CHECK_SIZE :]
