"""What the card must answer before a handler runs, worked out from the command table and never from the card.

The order: length of the command, CLA, INS, secure messaging, chaining, selection, life cycle, P1-P2, Lc,
security condition, objects.
"""

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import BY_INS, CHAIN_CAPACITY, COMMANDS, Command, Ins, Security
from apdu.errors import FormatError
from apdu.identity import LifeCycle
from apdu.payload import unpack
from apdu.status import StatusWord as W

__all__ = ["GENERAL_OF_HANDLERS", "expected", "may_answer", "valid"]

GENERAL_OF_HANDLERS = (W.OK, W.SECURITY_STATUS, W.CONDITIONS_OF_USE, W.WRONG_P1_P2)
"""General words that a handler may also give by itself."""


def _class(cla: int) -> W | None:
    if cla & ~(CHAINING | SECURE_MESSAGING | 0x03) not in (0x00, 0x80):
        return W.CLA_NOT_SUPPORTED
    return W.CHANNEL_NOT_SUPPORTED if cla & 0x03 else None


def _instruction(command: CommandApdu) -> W | None:
    row = BY_INS.get(command.ins)
    if row is None:
        return W.INS_NOT_SUPPORTED
    wrong = (row.cla ^ command.cla) & 0x80 or command.cla & row.cla != row.cla
    wrong = wrong or (row.ins is Ins.INITIALIZE_UPDATE and command.cla & SECURE_MESSAGING)
    return W.CLA_NOT_SUPPORTED if wrong else None


def _messaging(row: Command, command: CommandApdu, protected: bool) -> W | None:
    """Without a channel the class with secure messaging is refused, but for the command that opens one."""
    if command.cla & SECURE_MESSAGING and not protected and row.ins is not Ins.EXTERNAL_AUTHENTICATE:
        return W.SECURE_MESSAGING_NOT_SUPPORTED
    return W.CHAINING_NOT_SUPPORTED if command.cla & CHAINING and not row.chaining else None


def _circumstances(row: Command, state: LifeCycle, selected: bool) -> W | None:
    if not selected and row.ins is not Ins.SELECT:
        return W.CONDITIONS_OF_USE
    if state in row.states:
        return None
    locked = state is LifeCycle.LOCKED_OUT and LifeCycle.ACTIVE in row.states
    return W.LOCKED_OUT if locked else W.CONDITIONS_OF_USE


def _parameters(row: Command, command: CommandApdu, protected: bool) -> W | None:
    if command.p1 not in row.p1 or command.p2 not in row.p2:
        return W.WRONG_P1_P2
    if command.cla & CHAINING:
        return W.OK if len(command.data) <= CHAIN_CAPACITY else W.WRONG_LENGTH
    if len(command.data) not in row.lc or len(command.data) > CHAIN_CAPACITY:
        return W.WRONG_LENGTH
    return W.SECURITY_STATUS if row.security is Security.SECURE_CHANNEL and not protected else None


def _objects(row: Command, command: CommandApdu) -> W | None:
    if not row.carries:
        return None
    try:
        unpack(command.data, row.takes, row.carries)
    except FormatError:
        return W.WRONG_DATA
    return None


def expected(command: CommandApdu, state: LifeCycle, *, selected: bool = True, protected: bool = False) -> W | None:
    """The status word, or None when everything is in order and the handler has its turn."""
    if sw := _class(command.cla) or _instruction(command):
        return sw
    row = BY_INS[command.ins]
    if sw := _messaging(row, command, protected):
        return sw
    if row.ins is Ins.GET_RESPONSE:  # nothing is held, whatever is selected
        return _parameters(row, command, protected) or W.CONDITIONS_OF_USE
    return _circumstances(row, state, selected) or _parameters(row, command, protected) or _objects(row, command)


def may_answer(row: Command, sw: int) -> bool:
    """Whether the table lets a handler answer with a word."""
    pin = W.BLOCKED in row.status and sw & 0xFFF0 == 0x63C0
    return pin or sw >> 8 in (0x61, 0x6C) or sw in (*GENERAL_OF_HANDLERS, *row.status)


def valid(row: Command) -> CommandApdu:
    """A command that is in order up to its Lc: lowest P1 and P2 and fewest bytes that the row lets pass."""
    p1, p2 = (next(value for value in range(256) if value in wanted) for wanted in (row.p1, row.p2))
    size = next(size for size in range(CHAIN_CAPACITY) if size in row.lc)
    return CommandApdu(row.cla, row.ins, p1, p2, bytes(size))


assert len(BY_INS) == len(COMMANDS)
