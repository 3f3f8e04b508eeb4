"""Cases on the order of checks: every state x INS, and for every row of the command table what is wrong with it.

Two things are wrong at once in most of them, so that the order shows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import BY_INS, COMMANDS, Command, Ins, Security
from apdu.identity import LifeCycle
from apdu.payload import Tag
from apdu.status import StatusWord as W
from saifu.conformance.harmless import (
    OPEN_STATES,
    ROWS,
    at_edges,
    beside,
    harmless,
    in_states,
    known,
    state_word,
    unknown_instructions,
    usual_state,
)
from saifu.conformance.platform import MANAGE_CHANNEL
from saifu.conformance.stand import Stand

__all__: list[str] = []

_IN_THE_CLEAR = (Ins.SELECT, Ins.INITIALIZE_UPDATE, Ins.EXTERNAL_AUTHENTICATE, Ins.GET_RESPONSE)
"""What may come in the clear while a channel is open."""
_OTHER_CLASS, _PLATFORM = 0x80, "What belongs to the platform"


def _all(stand: Stand, commands: Iterable[CommandApdu], sw: int) -> None:
    for command in commands:
        stand.card.raw(command, sw)


def _amiss(command: CommandApdu) -> CommandApdu:
    """The same, wrong in P1 and P2, and in Lc where the command takes no objects."""
    return replace(command, p1=0xFF, p2=0xFF, data=b"\xff\xff\xff")


def _selected_and_not(stand: Stand) -> Iterator[None]:
    """Once with the purse selected, and once after a reset, where a platform may answer in its place."""
    yield
    stand.card.reset()
    yield


# --- class and instruction -----------------------------------------------------------------------------------


@in_states("Order of checks 2", "the class is judged before anything else", LifeCycle.BLANK, LifeCycle.ACTIVE)
def _class_first_of_all(stand: Stand) -> None:
    stand.card.reset()
    for ins in (Ins.GET_DATA, Ins.PAY, 0x00):
        unknown = (CommandApdu(cla, ins, 0xFF, 0xFF, b"\xff") for cla in (0x08, 0x20, 0x40, 0x7F, 0xA0, 0xC0, 0xE3))
        _all(stand, unknown, W.CLA_NOT_SUPPORTED)
        channels = (CommandApdu(cla, ins, 0xFF, 0xFF, b"\xff") for cla in (0x01, 0x02, 0x03, 0x13, 0x17, 0x87, 0x91))
        _all(stand, channels, W.CHANNEL_NOT_SUPPORTED)


@in_states("Order of checks 2", "the class is judged before all else of a selected purse", ins=Ins.GET_DATA)
def _class_first(stand: Stand) -> None:
    for ins in (Ins.GET_DATA, Ins.PAY, 0x00):
        unknown = (CommandApdu(cla, ins, 0xFF, 0xFF, b"\xff") for cla in (0x08, 0x20, 0x2C, 0x38, 0xA0, 0xB8))
        _all(stand, unknown, W.CLA_NOT_SUPPORTED)


@in_states(_PLATFORM, "MANAGE CHANNEL is not there", LifeCycle.BLANK, LifeCycle.ACTIVE)
def _manage_channel(stand: Stand) -> None:
    for p1, p2 in ((0x00, 0x00), (0x00, 0x01), (0x80, 0x01)):
        stand.card.raw(CommandApdu(0x00, MANAGE_CHANNEL, p1, p2, ne=1), W.INS_NOT_SUPPORTED)


@in_states("Order of checks 3", "no instruction is there beside the table's", *LifeCycle)
def _each_unknown(stand: Stand) -> None:
    """In both classes where the card does business; else in the one where cards have commands of their own."""
    for cla in (0x00, 0x80) if stand.card.state is LifeCycle.ACTIVE else (0x80,):
        unknown = (CommandApdu(cla, ins, 0, 0) for ins in unknown_instructions(stand.card))
        _all(stand, (one for one in unknown if (one.cla, one.ins) != (0, MANAGE_CHANNEL)), W.INS_NOT_SUPPORTED)


@in_states("Order of checks 3", "an unknown instruction is told before secure messaging, chaining and selection")
def _unknown_first(stand: Stand) -> None:
    for _ in _selected_and_not(stand):
        for cla in (0x00, 0x04, 0x10, 0x14, 0x80, 0x84, 0x90, 0x94):
            stand.card.raw(_amiss(CommandApdu(cla, 0x00, 0, 0)), W.INS_NOT_SUPPORTED)


@in_states("Order of checks 4", "a command is declined in the class of the others", *LifeCycle)
def _other_class(stand: Stand) -> None:
    _all(stand, (replace(command, cla=command.cla ^ _OTHER_CLASS) for command in known()), W.CLA_NOT_SUPPORTED)


@in_states("Order of checks 4", "the class of a command is judged before secure messaging, chaining and selection")
def _other_class_first(stand: Stand) -> None:
    for _ in _selected_and_not(stand):
        for command in known(SECURE_MESSAGING | CHAINING):
            stand.card.raw(replace(_amiss(command), cla=command.cla ^ _OTHER_CLASS), W.CLA_NOT_SUPPORTED)


@in_states(
    "Order of checks 4", "EXTERNAL AUTHENTICATE has secure messaging in its class", LifeCycle.BLANK,
    ins=Ins.EXTERNAL_AUTHENTICATE,
)  # fmt: skip
def _always_secure(stand: Stand) -> None:
    for cla in (0x00, 0x04, 0x10, 0x14, 0x80, 0x90):
        stand.card.raw(CommandApdu(cla, Ins.EXTERNAL_AUTHENTICATE, 0x01, 0x00, bytes(16)), W.CLA_NOT_SUPPORTED)


# --- secure messaging and chaining where there is none ---------------------------------------------------------


def _send_with(stand: Stand, bits: int, sw: int, amiss: bool = True) -> None:
    for command in known(bits):
        wanted = W.CLA_NOT_SUPPORTED if command.ins == Ins.INITIALIZE_UPDATE else sw
        if command.ins != Ins.EXTERNAL_AUTHENTICATE:
            stand.card.raw(_amiss(command) if amiss else command, wanted)


@in_states(
    "Order of checks 7", "without a channel nothing comes with secure messaging", LifeCycle.BLANK, LifeCycle.ACTIVE
)
def _no_channel(stand: Stand) -> None:
    _send_with(stand, SECURE_MESSAGING, W.SECURE_MESSAGING_NOT_SUPPORTED, amiss=False)


@in_states(
    "Order of checks 4", "INITIALIZE UPDATE never has secure messaging in its class", LifeCycle.BLANK,
    ins=Ins.INITIALIZE_UPDATE,
)  # fmt: skip
def _never_secure(stand: Stand) -> None:
    for cla in (0x84, 0x94):
        stand.card.raw(CommandApdu(cla, Ins.INITIALIZE_UPDATE, 0, 0, bytes(8), 256), W.CLA_NOT_SUPPORTED)


@in_states("Order of checks 7", "secure messaging is judged before chaining, selection, state, P1, P2 and Lc")
def _no_channel_first(stand: Stand) -> None:
    for _ in _selected_and_not(stand):
        _send_with(stand, SECURE_MESSAGING | CHAINING, W.SECURE_MESSAGING_NOT_SUPPORTED)


@in_states("Order of checks 8", "while a channel is open, a command in the clear is declined", LifeCycle.BLANK)
def _in_the_clear(stand: Stand) -> None:
    stand.secure()
    for row in ROWS:
        if row.ins not in _IN_THE_CLEAR:
            stand.card.raw(harmless(row), W.SECURITY_STATUS)
    chained = replace(_amiss(harmless(BY_INS[Ins.PAY])), cla=0x90)
    stand.card.raw(chained, W.SECURITY_STATUS)
    stand.card.raw(replace(chained, ins=Ins.LOCK_OUT), W.SECURITY_STATUS)


@in_states("Order of checks 8", "class and instruction are judged before the channel", LifeCycle.BLANK)
def _before_the_channel(stand: Stand) -> None:
    stand.secure()
    stand.card.raw(CommandApdu(0x00, 0x00, 0, 0), W.INS_NOT_SUPPORTED)
    stand.card.raw(CommandApdu(0x80, Ins.GET_DATA, 1, 0), W.CLA_NOT_SUPPORTED)
    stand.card.raw(CommandApdu(0x01, Ins.GET_DATA, 1, 0), W.CHANNEL_NOT_SUPPORTED)
    stand.card.raw(CommandApdu(0x00, Ins.GET_RESPONSE, 0, 0, ne=256), W.CONDITIONS_OF_USE)
    stand.card.raw(CommandApdu(0x00, Ins.GET_DATA, 1, 0, ne=256), W.SECURITY_STATUS)


@in_states("Order of checks 8", "SELECT comes in the clear, and ends the channel if it succeeds", LifeCycle.BLANK)
def _select_ends_channel(stand: Stand) -> None:
    stand.secure()
    stand.card.raw(harmless(BY_INS[Ins.SELECT]), W.NOT_FOUND)
    stand.card.raw(CommandApdu(0x00, Ins.GET_DATA, 1, 0, ne=256), W.SECURITY_STATUS)
    stand.card.select()
    stand.card.send(Ins.GET_DATA, p1=1, p2=0)
    stand.card.raw(CommandApdu(0x04, Ins.GET_DATA, 1, 0, bytes(8), 256), W.SECURE_MESSAGING_NOT_SUPPORTED)


@in_states(
    "Order of checks 9",
    "a command that takes no chain is declined before all that follows",
    LifeCycle.BLANK,
    LifeCycle.ACTIVE,
)
def _no_chain(stand: Stand) -> None:
    for _ in _selected_and_not(stand):
        for row in ROWS:
            if not row.chaining:
                stand.card.raw(replace(_amiss(harmless(row)), cla=row.cla | CHAINING), W.CHAINING_NOT_SUPPORTED)


# --- selection and life cycle ----------------------------------------------------------------------------------


@in_states("Order of checks 10", "after a reset nothing is there but SELECT, whatever else is wrong", *LifeCycle)
def _unselected(stand: Stand) -> None:
    stand.card.reset()
    stand.card.raw(CommandApdu(0x00, Ins.SELECT, 0x04, 0x00, b"\xf0OTHER", 256), W.NOT_FOUND)
    for row in ROWS:
        if row.ins not in (Ins.SELECT, Ins.GET_RESPONSE):
            stand.card.raw(_amiss(harmless(row)), W.CONDITIONS_OF_USE)
    stand.card.raw(CommandApdu(0x00, Ins.GET_DATA, 1, 7, ne=256), W.CONDITIONS_OF_USE)


@in_states(
    "Order of checks 11",
    "each command is there in its states, and in others it is told before P1, P2 and Lc",
    *LifeCycle,
)
def _each_command(stand: Stand) -> None:
    for row in ROWS:
        sw = state_word(row, stand.card.state)
        stand.card.raw(harmless(row) if sw is None else _amiss(harmless(row)), sw)


@in_states("Order of checks 11", "the state is judged in every part of a chain", LifeCycle.BLANK, ins=Ins.LOCK_OUT)
def _state_of_chain(stand: Stand) -> None:
    stand.card.raw(CommandApdu(0x90, Ins.LOCK_OUT, 0, 0, bytes(9)), W.CONDITIONS_OF_USE)
    stand.card.raw(CommandApdu(0x90, Ins.LOCK_OUT, 0, 1), W.CONDITIONS_OF_USE)


# --- P1, P2, Lc ------------------------------------------------------------------------------------------------


def _size_not_taken(row: Command) -> int:
    return next(size for size in (0, 1, 4) if size not in row.lc)


def _p1_p2(row: Command, stand: Stand) -> None:
    good = harmless(row)
    bad = [replace(good, p1=p1) for p1 in beside(row.p1)] + [replace(good, p2=p2) for p2 in beside(row.p2)]
    _all(stand, bad, W.WRONG_P1_P2)
    _all(stand, (command.with_data(bytes(_size_not_taken(row))) for command in bad[:1]), W.WRONG_P1_P2)


def _lc(row: Command, stand: Stand) -> None:
    good = harmless(row)
    _all(stand, (good.with_data(bytes(size)) for size in beside(row.lc)), W.WRONG_LENGTH)
    short = good.with_data(bytes(_size_not_taken(row)))
    _all(stand, (replace(short, p1=p1) for p1 in at_edges(row.p1)), W.WRONG_LENGTH)
    _all(stand, (replace(short, p2=p2) for p2 in at_edges(row.p2)), W.WRONG_LENGTH)
    for size in at_edges(row.lc)[row.ins is Ins.SELECT :]:  # without a name it selects
        stand.card.raw(harmless(row, size))  # taken: what else is wrong the oracle knows


for _row in COMMANDS:
    if _row.ins is not Ins.GET_RESPONSE:
        _at = usual_state(_row)
        if beside(_row.p1) or beside(_row.p2):
            _title = f"{_row.name} takes no other P1 and P2 than its own, and they are judged before Lc"
            in_states("Order of checks 12", _title, _at, ins=_row.ins)(partial(_p1_p2, _row))
        _title = f"{_row.name} takes the lengths of its own and no others, with every P1 and P2 of its own"
        in_states("Order of checks 14", _title, _at, ins=_row.ins)(partial(_lc, _row))


def _wants_channel(row: Command, stand: Stand) -> None:
    for p1 in at_edges(row.p1):
        stand.card.raw(replace(harmless(row), p1=p1), W.SECURITY_STATUS)
    stand.card.raw(harmless(row).with_data(bytes(_size_not_taken(row))), W.WRONG_LENGTH)


for _row in COMMANDS:
    if _row.security is Security.SECURE_CHANNEL:
        _title = f"{_row.name} wants a secure channel, after the length and before what it carries"
        in_states("Order of checks 15", _title, *OPEN_STATES, ins=_row.ins)(partial(_wants_channel, _row))


# --- all of it -------------------------------------------------------------------------------------------------


@in_states("Order of checks 14", "each repair of a command uncovers the next complaint", LifeCycle.LOCKED_OUT)
def _one_after_another(stand: Stand) -> None:
    stand.card.reset()
    steps = (
        (0xE7, 0x00, 0x6E00), (0x97, 0x00, 0x6881), (0x14, 0x00, 0x6D00), (0x14, Ins.PAY, 0x6E00),
        (0x94, Ins.PAY, 0x6882), (0x90, Ins.PAY, 0x6884), (0x80, Ins.PAY, 0x6985),
    )  # fmt: skip
    for cla, ins, sw in steps:
        stand.card.raw(CommandApdu(cla, ins, 1, 2), sw)
    stand.card.fresh()
    stand.card.raw(CommandApdu(0x80, Ins.PAY, 1, 2), W.LOCKED_OUT)
    stand.card.raw(CommandApdu(0x80, Ins.ATTEST, 1, 2), W.WRONG_P1_P2)
    stand.card.raw(CommandApdu(0x80, Ins.ATTEST, 0, 0), W.WRONG_LENGTH)
    stand.card.raw(CommandApdu(0x80, Ins.ATTEST, 0, 0, bytes(5)), W.WRONG_DATA)
    stand.card.send(Ins.ATTEST, {Tag.CHALLENGE: bytes(16)})
