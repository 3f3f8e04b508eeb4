"""How long an exchange would take on real Java Cards: bytes on the line, cryptography, and writes of the command.

The times of cryptography are those of JCAlgTest for the cards' own coprocessors. A hash is told there for 256 bytes,
which are five blocks of SHA-256 with the padding; another message counts by its own blocks. No maker tells what a
write to non-volatile memory takes: WRITE is an assumption that stands in one place, for a write of up to a page, and
the number of writes is that of the card model's memory, journal included. What the card's processor does beside, and
reader and driver, are not in it.
"""

from collections.abc import Callable
from typing import NamedTuple

from apdu.command import CHAINING, SECURE_MESSAGING
from apdu.commands import BY_INS, Ins
from apdu.messages import ROOT_SIZE, Head
from apdu.objects import HistoryRecord
from apdu.payload import Tag
from apdu.proof import BITMAP_SIZE, DEPTH
from apdu.signature import SIGNATURE_SIZE
from apdu.status import StatusWord as W
from apdu.trace.line_time import CONTACT, Line

__all__ = ["CARDS", "WRITE", "CardTimes", "modelled", "writes"]

WRITE = 4
"""Milliseconds of one write to non-volatile memory; assumed."""
_MEASURED_BLOCKS = 5
"""Blocks of SHA-256 in the 256 bytes that JCAlgTest hashes."""


class CardTimes(NamedTuple):
    """Milliseconds of one operation."""

    sign: int
    """ECDSA P-256; making a key pair counts as one, which is a multiplication of the same size."""
    verify: int
    sha: int
    """SHA-256 of 256 bytes."""
    mac: int
    """AES over a short message: a CMAC, an encryption or a decryption; the longest time that was measured."""


CARDS: dict[str, CardTimes] = {
    "J3R180": CardTimes(sign=32, verify=30, sha=8, mac=8),
    "J3H145": CardTimes(sign=56, verify=50, sha=9, mac=10),
}
"""Two cards by JCAlgTest."""


class _Work(NamedTuple):
    """Operations of one command."""

    sign: int = 0
    verify: int = 0
    sha: float = 0
    """Blocks of SHA-256; what is signed is hashed in the time of its signature."""
    mac: int = 0
    writes: int = 0
    """Physical writes to non-volatile memory, where the command is done."""


_HEAD_OBJECTS = 2 + Head.SIZE + SIGNATURE_SIZE + 2 + BITMAP_SIZE + DEPTH // 8
"""Bytes before the siblings in the data of LOCK OUT."""


def _hashed(size: int) -> int:
    """Blocks of SHA-256 in a message of so many bytes, with its padding (FIPS 180-4 clause 5.1.1)."""
    return (size + 9 + 63) // 64


_LINK = _hashed(32 + HistoryRecord.SIZE)
"""A link of the chain over the history: made for each record, and judged by the credit check unit."""
_NODE = _hashed(1 + 2 * ROOT_SIZE)


def _lock_out(command: bytes) -> _Work:
    """One hash for each sibling and one for the leaf; in a chain, a part counts the siblings that it carries."""
    siblings = max(0, len(command) - 5 - (_HEAD_OBJECTS if command[5:6] == bytes((Tag.HEAD,)) else 0))
    last = not command[0] & CHAINING
    return _Work(verify=last, sha=_NODE * (last + siblings / ROOT_SIZE), writes=4 * last)


def _settle(command: bytes) -> _Work:
    """A receipt frees the transfer's place; what brings the money back also writes balance and record."""
    refund = command[5:6] != bytes((Tag.RECEIPT,))
    return _Work(verify=1, sha=_LINK * refund, writes=5 if refund else 3)


_WORK: dict[int, _Work] = {
    Ins.REQUEST: _Work(sha=_LINK, writes=3),
    Ins.PAY: _Work(sign=1, verify=1, sha=2 * _LINK, writes=5),
    Ins.RECEIVE: _Work(sign=1, verify=2, sha=_LINK, writes=4),
    Ins.ATTEST: _Work(sign=1),
    Ins.PUT_CREDIT: _Work(verify=1, writes=4),
    Ins.UNLOCK: _Work(verify=1, writes=4),
    Ins.PUT_DATE: _Work(verify=1, writes=3),
    Ins.TERMINATE: _Work(verify=1, writes=3),
    Ins.VERIFY: _Work(writes=6),
    Ins.CHANGE_REFERENCE_DATA: _Work(writes=9),
    Ins.RESET_RETRY_COUNTER: _Work(writes=10),
    # card challenge, three session keys, card cryptogram; then the MAC and the host cryptogram
    Ins.INITIALIZE_UPDATE: _Work(mac=5, writes=3),
    Ins.EXTERNAL_AUTHENTICATE: _Work(mac=2, writes=6),
    # each of three keys is decrypted, and its check value is made
    Ins.PUT_KEY: _Work(mac=6, writes=7),
}
"""Work of a command that is done. A refusal of RECEIVE, and an answer given again, write less."""
_MAKE_KEY, _LAST_BLOCK = 0x80, 0x80
_BY_COMMAND: dict[int, Callable[[bytes], _Work]] = {
    Ins.LOCK_OUT: _lock_out,
    Ins.SETTLE: _settle,
    Ins.GENERATE_KEY_PAIR: lambda command: _Work(sign=command[2] == _MAKE_KEY),
    # certificate and first credit information; the beginning of the history's chain
    Ins.STORE_DATA: lambda command: _Work(verify=2, sha=1) if command[2] & _LAST_BLOCK else _Work(),
}
_AFTER_WORK = frozenset(
    (W.KEY_CHECK_VALUE, W.CERTIFICATE_INVALID, W.SIGNATURE_INVALID, W.NOT_LISTED, W.BEYOND_HISTORY, W.SAME_COUNTER)
)  # fmt: skip
"""Words that come after a verification; any other decline comes before the first."""
_WORKED = (0x90, 0x61, 0x62)


def _work(command: bytes, response: bytes) -> _Work:
    """What a card has computed to give this answer; a command that is not the purse's counts none."""
    row = BY_INS.get(command[1])
    if row is None or (command[0] ^ row.cla) & ~(CHAINING | SECURE_MESSAGING):
        return _Work()
    done = response[-2] in _WORKED
    if not done and int.from_bytes(response[-2:]) not in _AFTER_WORK:
        return _Work()
    by_command = _BY_COMMAND.get(row.ins)
    work = by_command(command) if by_command is not None else _WORK.get(row.ins, _Work())
    return work if done else work._replace(writes=0)


def writes(command: bytes, response: bytes) -> int:
    """Physical writes to non-volatile memory of a command with this response."""
    return _work(command, response).writes


def _wrapped(command: bytes, response: bytes) -> int:
    """AES operations of secure messaging: MAC and cipher of the command, and of an answer that has any."""
    if not command[0] & SECURE_MESSAGING or command[0] & 0x40 or command[1] == Ins.EXTERNAL_AUTHENTICATE:
        return 0
    return 2 if len(response) == 2 else 4


def modelled(command: bytes, response: bytes | None, card: str, line: Line = CONTACT) -> float:
    """Seconds of one exchange on a card of CARDS, over a line of ``line_time``; KeyError for another card.

    The work of a command counts with its first answer, 61xx too, and not with GET RESPONSE; with 6Cxx it counts in the
    repetition. A command without an answer has its bytes alone.
    """
    times = CARDS[card]
    wire = line.seconds(len(command), len(response or b""))
    if len(command) < 4 or response is None or len(response) < 2:
        return wire
    work = _work(command, response)
    macs = work.mac + _wrapped(command, response)
    hashes = work.sha / _MEASURED_BLOCKS * times.sha
    milliseconds = work.sign * times.sign + work.verify * times.verify + hashes + macs * times.mac + work.writes * WRITE
    return wire + milliseconds / 1000
