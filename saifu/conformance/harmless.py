"""Commands without consequences, worked out from the command table: for cases that go through all of it.

What they carry lets them pass up to their length, or up to their objects, and no further: a command that could
change the card is declined before it does.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from functools import partial

from apdu.command import CommandApdu
from apdu.commands import BY_INS, COMMANDS, Command, Ins
from apdu.identity import AID, LifeCycle
from apdu.payload import Tag, pack
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord as W
from saifu.conformance.case import NotHereError, Run, case
from saifu.conformance.issuer import PIN
from saifu.conformance.stand import Stand
from saifu.conformance.subject import Subject

__all__ = [
    "ATTEST",
    "ATTESTED",
    "CAPACITIES",
    "GET_RESPONSE",
    "OPEN_STATES",
    "ROWS",
    "SELECT",
    "at_edges",
    "beside",
    "fetch",
    "harmless",
    "in_states",
    "known",
    "only_at",
    "require_in_process",
    "state_word",
    "take_extended",
    "unknown_instructions",
    "usual_state",
]

_BYTE = range(256)
OPEN_STATES = (LifeCycle.BLANK, LifeCycle.PERSONALIZATION)
"""States of a card without an ID."""
ROWS = sorted(COMMANDS, key=lambda row: row.ins is Ins.INITIALIZE_UPDATE)
"""The command table; INITIALIZE UPDATE comes last, or EXTERNAL AUTHENTICATE behind it would cost a try."""

CAPACITIES = CommandApdu(0x00, Ins.GET_DATA, 0x01, 0x07)
"""A command without data that is there in every state; its answer has 8 bytes."""
SELECT = CommandApdu(0x00, Ins.SELECT, 0x04, 0x00, AID)
"""A command with data that is there in every state, with a short answer."""
ATTEST = CommandApdu(0x80, Ins.ATTEST, 0, 0, pack({Tag.CHALLENGE: bytes(range(16))}))
"""The command with the longest answer."""
ATTESTED = 326
"""Bytes of it."""
GET_RESPONSE = CommandApdu(0x00, Ins.GET_RESPONSE, 0, 0, ne=256)
"""For all there is."""


def at_edges(allowed: Container[int], size: int = 256) -> list[int]:
    """The first and the last of each run of allowed values below ``size``."""
    inside = [value for value in range(size) if value in allowed]
    return [value for value in inside if value - 1 not in inside or value + 1 not in inside]


def beside(allowed: Container[int], size: int = 256) -> list[int]:
    """Values below ``size`` that are not allowed, next to those that are; and the lowest and the highest."""
    near = {value + step for value in at_edges(allowed, size) for step in (-1, 1)} | {0, size - 1}
    return sorted(value for value in near if 0 <= value < size and value not in allowed)


def harmless(row: Command, size: int | None = None) -> CommandApdu:
    """A command with the lowest P1 and P2 that are allowed, and the fewest bytes of data, or ``size`` of them.

    The data are zeros; for VERIFY the PIN, since another one would cost a try. SELECT has a name, which is nobody's:
    without one it selects.
    """
    p1, p2 = (next(value for value in _BYTE if value in allowed) for allowed in (row.p1, row.p2))
    least = 1 if row.ins is Ins.SELECT else 0
    size = next(size for size in _BYTE[least:] if size in row.lc) if size is None else size
    data = PIN if row.ins is Ins.VERIFY and size == len(PIN) else bytes(size)
    return CommandApdu(row.cla, row.ins, p1, p2, data)


def known(cla: int = 0) -> Iterator[CommandApdu]:
    """A harmless command of each row; ``cla`` is added to its class."""
    return (replace(command, cla=command.cla | cla) for command in map(harmless, ROWS))


def unknown_instructions(card: Subject) -> list[int]:
    """Instructions that no row has; at T=0 no byte that ISO 7816-3 10.3.2 keeps for procedure bytes."""
    procedure = (0x60, 0x90) if card.twin.protocol is Protocol.T0 else ()
    return [ins for ins in _BYTE if ins not in BY_INS and ins & 0xF0 not in procedure]


def state_word(row: Command, state: LifeCycle) -> W | None:
    """What the life cycle declines a command with (Order of checks 11); None where it is allowed."""
    if state in row.states:
        return None
    locked = state is LifeCycle.LOCKED_OUT and LifeCycle.ACTIVE in row.states
    return W.LOCKED_OUT if locked else W.CONDITIONS_OF_USE


def usual_state(row: Command) -> LifeCycle:
    """A state in which a command is allowed: where a card does business, if it can be there."""
    wanted = (LifeCycle.ACTIVE, LifeCycle.LOCKED_OUT, LifeCycle.BLANK)
    return next(state for state in wanted if state in row.states)


def in_states(clause: str, title: str, *states: LifeCycle, ins: Ins | None = None) -> Callable[[Run], Run]:
    """Add a case for each state, ACTIVE where none is named; it finds the card there, reset and selected."""
    return partial(_add, clause, title, states or (LifeCycle.ACTIVE,), ins)


def _add(clause: str, title: str, states: tuple[LifeCycle, ...], ins: Ins | None, run: Run) -> Run:
    for state in states:
        case(clause, title, state, ins=ins)(partial(_run_in, state, run))
    return run


def _run_in(state: LifeCycle, run: Run, stand: Stand) -> None:
    if state is LifeCycle.LOCKED_OUT:
        stand.locked()
    elif stand.card.state is LifeCycle.LOCKED_OUT:
        stand.ready()
    else:
        stand.card.fresh()
    run(stand)


def fetch(card: Subject, answer: ResponseApdu, ne: int = 256) -> bytes:
    """The data of an answer and of what 61xx announces, in pieces of at most ``ne`` bytes."""
    data = answer.data
    while answer.sw >> 8 == 0x61:
        answer = card.raw(replace(GET_RESPONSE, ne=min(ne, answer.sw & 0xFF or 256)))
        data += answer.data
    return data


def only_at(card: Subject, protocol: Protocol, why: str) -> None:
    """Raise NotHereError where the other protocol is spoken."""
    if card.twin.protocol is not protocol:
        raise NotHereError(why)


def require_in_process(card: Subject) -> None:
    """Raise NotHereError where drivers stand before the card: they send no bytes that are no command."""
    if not card.in_process:
        raise NotHereError("a driver sends no bytes that are no command")


def take_extended(card: Subject) -> None:
    """Go on only where extended length fields are carried, and the card has them; it need not.

    Raises NotHereError. The card is asked outside of lock-step: nothing changes by GET DATA, and its twin is reset.
    """
    only_at(card, Protocol.T1, "at T=0 there are no extended length fields")
    connection = card.reset()
    connection.transmit(CommandApdu(0x00, Ins.SELECT, 0x04, 0x0C, AID).encode())
    answer = connection.transmit(CommandApdu(0x00, Ins.GET_DATA, 0x01, 0x07, ne=65536).encode())
    card.fresh()
    if answer == W.WRONG_LENGTH.to_bytes(2):
        raise NotHereError("the card takes short commands only")
