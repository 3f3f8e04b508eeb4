"""Cases on chains of commands. LOCK OUT alone takes them; what it is given here locks nobody out.

The head that goes in is the issuer's, of an edition that lists another card, and the proof is the other card's. So the
answer shows whether the parts were joined rightly: 950E comes behind everything that looks at the bytes.
"""

from collections.abc import Iterable
from dataclasses import replace

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.identity import AID, LifeCycle
from apdu.payload import Tag, pack
from apdu.status import StatusWord as W
from saifu.conformance.harmless import SELECT, in_states, require_in_process, take_extended
from saifu.conformance.issuer import PIN
from saifu.conformance.stand import Stand

__all__: list[str] = []

_CHAINING, _PLATFORM = "Command chaining", "What belongs to the platform"
_LISTED = (0xFFFF_FFFF, *(0xFFFF_FFFF ^ 1 << bit for bit in range(8, 17)))
"""Serials that are not the card's, and so far apart that head and proof want two commands: 363 bytes."""


def _data(stand: Stand) -> bytes:
    edition = stand.edition(*_LISTED, ahead=0)
    return pack({Tag.HEAD: edition.head.raw, Tag.PROOF: edition.tree.prove(_LISTED[0]).encode()})


def _part(data: bytes = b"", p1: int = 0, p2: int = 0, cla: int = 0x90) -> CommandApdu:
    return CommandApdu(cla, Ins.LOCK_OUT, p1, p2, data)


def _last(data: bytes = b"") -> CommandApdu:
    return _part(data, cla=0x80)


def _chain(stand: Stand, parts: Iterable[bytes], sw: int) -> None:
    *first, last = parts
    for data in first:
        stand.card.raw(_part(data), W.OK)
    stand.card.raw(_last(last), sw)


def _capacity(stand: Stand) -> int:
    return stand.card.twin.cells.capacities.chain


# --- joining ---------------------------------------------------------------------------------------------------


def _in_parts(size: int, stand: Stand) -> None:
    data = _data(stand)
    _chain(stand, [data[at : at + size] for at in range(0, len(data), size)], W.NOT_LISTED)


@in_states(_CHAINING, "parts of any sizes are one command", ins=Ins.LOCK_OUT)
def _any_sizes(stand: Stand) -> None:
    for size in (50, 254, 255):
        _in_parts(size, stand)


@in_states(_CHAINING, "a locked-out card takes a chain too", LifeCycle.LOCKED_OUT, ins=Ins.LOCK_OUT)
def _locked_out(stand: Stand) -> None:
    _in_parts(255, stand)


@in_states(_CHAINING, "empty parts add nothing, first, in the middle and last", ins=Ins.LOCK_OUT)
def _empty_parts(stand: Stand) -> None:
    data = _data(stand)
    _chain(stand, (b"", data[:1], b"", b"", data[1:200], data[200:], b""), W.NOT_LISTED)


@in_states(_CHAINING, "a chain of nothing is a command without data", ins=Ins.LOCK_OUT)
def _nothing(stand: Stand) -> None:
    _chain(stand, (b"", b"", b""), W.WRONG_LENGTH)


@in_states(_CHAINING, "a part gets 9000 whatever is in it: the joined data are judged at the end", ins=Ins.LOCK_OUT)
def _judged_at_the_end(stand: Stand) -> None:
    _chain(stand, (b"\xff" * 255, b"\xff"), W.WRONG_DATA)
    stand.card.raw(CommandApdu(0x90, Ins.LOCK_OUT, 0, 0, b"\xff", 256), W.OK)
    stand.card.raw(_last(_data(stand)[:255]), W.WRONG_DATA)


@in_states(_CHAINING, "P1 and P2 are judged in each part", ins=Ins.LOCK_OUT)
def _p1_p2(stand: Stand) -> None:
    data = _data(stand)
    for p1, p2 in ((1, 0), (0, 1), (0xFF, 0xFF)):
        stand.card.raw(_part(data[:200], p1, p2), W.WRONG_P1_P2)
        stand.card.raw(_last(data[200:]), W.WRONG_DATA)


@in_states(_CHAINING, "extended commands may be parts too", ins=Ins.LOCK_OUT)
def _extended_parts(stand: Stand) -> None:
    take_extended(stand.card)
    data = _data(stand)
    _chain(stand, (data[:260], data[260:]), W.NOT_LISTED)
    stand.card.raw(_last(data), W.NOT_LISTED)


# --- the capacity ----------------------------------------------------------------------------------------------


def _fill(stand: Stand) -> None:
    """As many bytes as a chain may have."""
    sizes = [255] * (_capacity(stand) // 255) + [_capacity(stand) % 255]
    for size in sizes:
        stand.card.raw(_part(bytes(size)), W.OK)


@in_states("Order of checks 13", "a chain may fill the capacity", ins=Ins.LOCK_OUT)
def _full(stand: Stand) -> None:
    _fill(stand)
    stand.card.raw(_part(), W.OK)
    stand.card.raw(_last(), W.WRONG_DATA)


@in_states("Order of checks 13", "one byte more than the capacity drops the chain, in any part", ins=Ins.LOCK_OUT)
def _too_long(stand: Stand) -> None:
    data = _data(stand)
    for cla in (0x90, 0x80):
        _fill(stand)
        stand.card.raw(_part(b"\0", cla=cla), W.WRONG_LENGTH)
        _chain(stand, (data[:200], data[200:]), W.NOT_LISTED)


@in_states("Order of checks 13", "P1 and P2 are judged before the length of the chain", ins=Ins.LOCK_OUT)
def _p1_before_length(stand: Stand) -> None:
    _fill(stand)
    stand.card.raw(_part(b"\0", p1=1), W.LAST_OF_CHAIN_EXPECTED)
    stand.card.raw(_part(bytes(255), p1=1), W.WRONG_P1_P2)


@in_states("Order of checks 13", "an extended command takes as much as a chain, and no more", ins=Ins.LOCK_OUT)
def _extended(stand: Stand) -> None:
    take_extended(stand.card)
    stand.card.raw(_last(bytes(_capacity(stand))), W.WRONG_DATA)
    stand.card.raw(_last(bytes(_capacity(stand) + 1)), W.WRONG_LENGTH)
    stand.card.raw(_part(bytes(_capacity(stand) + 1)), W.WRONG_LENGTH)


# --- what comes in the middle ----------------------------------------------------------------------------------


_OTHERS = (
    CommandApdu(0x00, Ins.GET_DATA, 1, 0, ne=256),
    CommandApdu(0x80, Ins.PAY, 0, 0),
    _part(bytes(9), 1, 0, 0x80),
    _part(bytes(9), 0, 1, 0x80),
    _part(bytes(9), 0, 1),
)
"""Other commands: another instruction, P1 or P2."""
_STRANGERS: tuple[tuple[CommandApdu, int], ...] = (
    (CommandApdu(0x00, Ins.GET_RESPONSE, 0, 0, ne=256), W.CONDITIONS_OF_USE),
    (CommandApdu(0x10, Ins.GET_RESPONSE, 0, 0), W.CHAINING_NOT_SUPPORTED),
    (CommandApdu(0x90, Ins.ATTEST, 0, 0, bytes(9)), W.CHAINING_NOT_SUPPORTED),
    (CommandApdu(0x10, Ins.SELECT, 4, 0, AID), W.CHAINING_NOT_SUPPORTED),
    (_part(bytes(9), cla=0x84), W.SECURE_MESSAGING_NOT_SUPPORTED),
    (_part(bytes(9), cla=0x20), W.CLA_NOT_SUPPORTED),
    (_part(bytes(9), cla=0x00), W.CLA_NOT_SUPPORTED),
    (replace(SELECT, data=AID + b"\0"), W.NOT_FOUND),
    (CommandApdu(0x80, 0x00, 0, 0), W.INS_NOT_SUPPORTED),
)
"""What gets in the middle of a chain what it gets without one."""


def _broken(stand: Stand, breaks: Iterable[tuple[CommandApdu, int]]) -> None:
    data = _data(stand)
    for other, sw in breaks:
        stand.card.raw(_part(data[:200]), W.OK)
        stand.card.raw(other, sw)
        stand.card.raw(_last(data[200:]), W.WRONG_DATA)
    _chain(stand, (data[:200], data[200:]), W.NOT_LISTED)


@in_states(_CHAINING, "another command drops the chain", ins=Ins.LOCK_OUT)
def _another_command(stand: Stand) -> None:
    _broken(stand, ((other, W.LAST_OF_CHAIN_EXPECTED) for other in _OTHERS))


@in_states(_CHAINING, "what no chain can have in it drops the chain, and gets what it gets without", ins=Ins.LOCK_OUT)
def _no_part_of_a_chain(stand: Stand) -> None:
    _broken(stand, _STRANGERS)


@in_states("Order of checks 9", "a command in the middle of a chain is not executed", ins=Ins.VERIFY)
def _not_executed(stand: Stand) -> None:
    stand.card.raw(_part(b"\0"), W.OK)
    stand.verify(PIN, W.LAST_OF_CHAIN_EXPECTED)
    stand.verify(b"", 0x63C0 | stand.card.twin.cells.pin_tries.number())


@in_states(_CHAINING, "SELECT in the middle of a chain selects anew, and the chain is dropped", ins=Ins.SELECT)
def _select_anew(stand: Stand) -> None:
    data = _data(stand)
    stand.verify()
    stand.card.raw(_part(data[:200]), W.OK)
    stand.card.select(W.OK)
    stand.card.raw(_last(data[200:]), W.WRONG_DATA)
    stand.verify(b"", 0x63C0 | stand.card.twin.cells.pin_tries.number())


@in_states(_PLATFORM, "a command of another logical channel drops the chain", ins=Ins.LOCK_OUT)
def _other_channel(stand: Stand) -> None:
    _broken(stand, ((_part(bytes(9), cla=0x81), W.CHANNEL_NOT_SUPPORTED),))


@in_states(_CHAINING, "bytes that are no command drop the chain", ins=Ins.LOCK_OUT)
def _no_command(stand: Stand) -> None:
    require_in_process(stand.card)
    data = _data(stand)
    stand.card.raw(_part(data[:200]), W.OK)
    stand.card.raw(b"\x80\x3e\x00", W.WRONG_LENGTH)
    stand.card.raw(_last(data[200:]), W.WRONG_DATA)


@in_states(_CHAINING, "a reset drops the chain", ins=Ins.LOCK_OUT)
def _reset(stand: Stand) -> None:
    data = _data(stand)
    stand.card.raw(_part(data[:200]), W.OK)
    stand.card.fresh()
    stand.card.raw(_last(data[200:]), W.WRONG_DATA)


@in_states(_CHAINING, "a chain that has ended is gone", ins=Ins.LOCK_OUT)
def _ended(stand: Stand) -> None:
    data = _data(stand)
    _chain(stand, (data[:200], data[200:]), W.NOT_LISTED)
    stand.card.raw(_last(data[200:]), W.WRONG_DATA)
    stand.card.send(Ins.GET_DATA, p1=1, p2=0)
