"""How long an exchange would take on real Java Cards: bytes on the wire at T=1, and the cryptography of the command.

The times are those of JCAlgTest for the cards' own coprocessors; what the processor does beside is not in them.
"""

from collections.abc import Callable
from typing import NamedTuple

from apdu.command import CHAINING, SECURE_MESSAGING
from apdu.commands import BY_INS, Ins
from apdu.messages import ROOT_SIZE, Head
from apdu.payload import Tag
from apdu.proof import BITMAP_SIZE, DEPTH
from apdu.signature import SIGNATURE_SIZE
from apdu.status import StatusWord as W

__all__ = ["BITS_PER_BYTE", "BLOCK_FRAME", "CARDS", "RATE", "CardTimes", "modelled"]

BITS_PER_BYTE, RATE, BLOCK_FRAME = 11, 115_200, 4
"""T=1 at 115.2 kbit/s: 11 bits a character, 4 bytes of prologue and epilogue a block, one block each way."""


class CardTimes(NamedTuple):
    """Milliseconds of one operation."""

    sign: int
    """ECDSA P-256; making a key pair counts as one, which is a multiplication of the same size."""
    verify: int
    sha: int
    """SHA-256 of a short message."""
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
    mac: int = 0


_HEAD_OBJECTS = 2 + Head.SIZE + SIGNATURE_SIZE + 2 + BITMAP_SIZE + DEPTH // 8
"""Bytes before the siblings in the data of LOCK OUT."""


def _lock_out(command: bytes) -> _Work:
    """One hash for each sibling and one for the leaf; in a chain, a part counts the siblings that it carries."""
    siblings = max(0, len(command) - 5 - (_HEAD_OBJECTS if command[5:6] == bytes((Tag.HEAD,)) else 0))
    last = not command[0] & CHAINING
    return _Work(verify=last, sha=last + siblings / ROOT_SIZE)


_ONE_VERIFICATION = _Work(verify=1)
_WORK: dict[int, _Work] = {
    Ins.PAY: _Work(sign=1, verify=1, sha=1),
    Ins.RECEIVE: _Work(sign=1, verify=2, sha=1),
    Ins.SETTLE: _ONE_VERIFICATION,
    Ins.ATTEST: _Work(sign=1),
    Ins.PUT_CREDIT: _ONE_VERIFICATION,
    Ins.UNLOCK: _ONE_VERIFICATION,
    Ins.PUT_DATE: _ONE_VERIFICATION,
    Ins.TERMINATE: _ONE_VERIFICATION,
    # card challenge, three session keys, card cryptogram; then the MAC and the host cryptogram
    Ins.INITIALIZE_UPDATE: _Work(mac=5),
    Ins.EXTERNAL_AUTHENTICATE: _Work(mac=2),
}
"""A hash in PAY and RECEIVE is the link of the chain over the history; a refund's is not counted."""
_MAKE_KEY, _LAST_BLOCK = 0x80, 0x80
_BY_COMMAND: dict[int, Callable[[bytes], _Work]] = {
    Ins.LOCK_OUT: _lock_out,
    Ins.GENERATE_KEY_PAIR: lambda command: _Work(sign=command[2] == _MAKE_KEY),
    # certificate and first credit information; the beginning of the history's chain
    Ins.STORE_DATA: lambda command: _Work(verify=2, sha=1) if command[2] & _LAST_BLOCK else _Work(),
}
_AFTER_WORK = frozenset(
    (W.CERTIFICATE_INVALID, W.SIGNATURE_INVALID, W.NOT_LISTED, W.BEYOND_HISTORY, W.SAME_COUNTER)
)  # fmt: skip
"""Words that come after a verification; any other decline comes before the first."""
_WORKED = (0x90, 0x61, 0x62)


def _work(command: bytes, response: bytes) -> _Work:
    """What a card has computed to give this answer; a command that is not the purse's counts none."""
    row = BY_INS.get(command[1])
    if row is None or (command[0] ^ row.cla) & ~(CHAINING | SECURE_MESSAGING):
        return _Work()
    if response[-2] not in _WORKED and int.from_bytes(response[-2:]) not in _AFTER_WORK:
        return _Work()
    by_command = _BY_COMMAND.get(row.ins)
    return by_command(command) if by_command is not None else _WORK.get(row.ins, _Work())


def _wrapped(command: bytes, response: bytes) -> int:
    """AES operations of secure messaging: MAC and cipher of the command, and of an answer that has any."""
    if not command[0] & SECURE_MESSAGING or command[0] & 0x40 or command[1] == Ins.EXTERNAL_AUTHENTICATE:
        return 0
    return 2 if len(response) == 2 else 4


def modelled(command: bytes, response: bytes | None, card: str) -> float:
    """Seconds of one exchange on a card of CARDS; KeyError for another.

    The work of a command counts with its first answer, 61xx too, and not with GET RESPONSE; with 6Cxx it counts in the
    repetition. A command without an answer has its bytes alone.
    """
    times = CARDS[card]
    size = len(command) + len(response or b"")
    wire = (size + 2 * BLOCK_FRAME) * BITS_PER_BYTE / RATE
    if len(command) < 4 or response is None or len(response) < 2:
        return wire
    work = _work(command, response)
    macs = work.mac + _wrapped(command, response)
    milliseconds = work.sign * times.sign + work.verify * times.verify + work.sha * times.sha + macs * times.mac
    return wire + milliseconds / 1000
