"""Cases on transmission: the class byte, answers longer than Le and GET RESPONSE, bytes that are no command."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from apdu.command import CommandApdu
from apdu.commands import PIN_REFERENCE, Ins
from apdu.identity import AID, LifeCycle
from apdu.payload import Tag, pack
from apdu.protocol import Protocol
from apdu.status import StatusWord as W
from saifu.conformance.harmless import (
    ATTEST,
    ATTESTED,
    CAPACITIES,
    GET_RESPONSE,
    SELECT,
    fetch,
    in_states,
    only_at,
    require_in_process,
    take_extended,
)
from saifu.conformance.issuer import PIN
from saifu.conformance.platform import names_channel
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_ANSWERS = "Answers longer than Le, and GET RESPONSE"
_SIZES = {Ins.GET_DATA: 8, Ins.ATTEST: ATTESTED}


# --- class byte ------------------------------------------------------------------------------------------------


def _class_word(cla: int) -> int | None:
    """What a class alone gets for a command of class 00; None where GET DATA is carried out."""
    if cla & 0x68:
        return W.CLA_NOT_SUPPORTED
    if cla & 0x03:
        return W.CHANNEL_NOT_SUPPORTED
    if cla & 0x80:
        return W.CLA_NOT_SUPPORTED
    return {0x04: W.SECURE_MESSAGING_NOT_SUPPORTED, 0x10: W.CHAINING_NOT_SUPPORTED, 0x14: 0x6882}.get(cla)


def _in_classes(stand: Stand, of_channels: bool) -> None:
    low = (0x00, 0x01, 0x03, 0x04, 0x07, 0x08, 0x0C, 0x0F)
    for cla in (high | nibble for high in range(0, 0x100, 0x10) for nibble in low):
        # FF is the reader's own class in PC/SC
        if names_channel(cla) is of_channels and (cla < 0xF0 or stand.card.in_process):
            stand.card.raw(replace(CAPACITIES, cla=cla, ne=8), _class_word(cla))


@in_states("Class byte", "each class has the meaning of the table", ins=Ins.GET_DATA)
def _each_class(stand: Stand) -> None:
    _in_classes(stand, of_channels=False)


@in_states("What belongs to the platform", "there is no logical channel but the basic one", ins=Ins.GET_DATA)
def _each_channel(stand: Stand) -> None:
    _in_classes(stand, of_channels=True)


# --- bytes that are no command -----------------------------------------------------------------------------------

_MALFORMED = (
    "", "00", "00A404", "00A4040006F053414946", "00A4040006F053414946550000", "00A404000000",
    "00A4040000000000", "00A404000000000100", "00A40400000006F053414946",
    "00A40400000006F0534149465500", "00A40400000006F05341494655000000",
)  # fmt: skip


@in_states("Order of checks 1", "bytes that are no command APDU are of wrong length", LifeCycle.BLANK, LifeCycle.ACTIVE)
def _malformed(stand: Stand) -> None:
    require_in_process(stand.card)
    t0 = stand.card.twin.protocol is Protocol.T0
    for raw in map(bytes.fromhex, _MALFORMED):
        if not (t0 and 0 < int.from_bytes(raw[4:5]) < len(raw) - 5):  # there P3 alone says how many bytes go
            stand.card.raw(raw, W.WRONG_LENGTH)
    stand.card.send(Ins.GET_DATA, p1=1, p2=0)


@in_states("Order of checks 1", "the length is judged before class and instruction", LifeCycle.LOCKED_OUT)
def _length_first(stand: Stand) -> None:
    require_in_process(stand.card)
    for raw in ("FF", "6F0000000000", "80FF00000500", "0300FFFF0000"):
        stand.card.raw(bytes.fromhex(raw), W.WRONG_LENGTH)


@in_states("Commands and answers", "extended Le is allowed on every command", ins=Ins.GET_DATA)
def _extended_le(stand: Stand) -> None:
    take_extended(stand.card)
    for ne in (257, 1000, 65536):
        stand.card.raw(replace(CAPACITIES, ne=ne), W.OK)
        stand.card.raw(CommandApdu(0x80, Ins.PAY, 1, 0, ne=ne), W.WRONG_P1_P2)
    stand.card.raw(bytes.fromhex("00CA0107000008"), W.OK)
    stand.card.raw(bytes.fromhex("00CA0107000001"), 0x6C08)


@in_states("Commands and answers", "extended Lc is allowed on every command", ins=Ins.VERIFY)
def _extended_lc(stand: Stand) -> None:
    take_extended(stand.card)
    stand.card.raw(bytes((0x00, Ins.VERIFY, 0, PIN_REFERENCE, 0, 0, 8)) + PIN, W.OK)
    stand.card.raw(bytes((0x00, Ins.VERIFY, 0, PIN_REFERENCE, 1, 0, 0)) + bytes(253), W.WRONG_LENGTH)
    stand.card.raw(CommandApdu(0x80, Ins.PAY, 0, 0, bytes(256)), W.WRONG_LENGTH)
    stand.card.raw(CommandApdu(0x00, Ins.SELECT, 4, 0, bytes(300), 256), W.WRONG_LENGTH)


# --- Le ----------------------------------------------------------------------------------------------------------


def _wanted(protocol: Protocol, command: CommandApdu, n: int) -> tuple[int, int]:
    """Bytes of data and status word by the table, for an answer of ``n`` bytes."""
    ne = command.ne
    if protocol is Protocol.T0:
        ne = None if command.data else ne or 256
    if ne is None:
        return 0, 0x6100 | (n if n < 256 else 0)
    if ne < n and n > 256:
        return ne, 0x6100 | (n - ne if n - ne < 256 else 0)
    if ne < n or (ne > n and protocol is Protocol.T0):
        return 0, 0x6C00 | n
    return n, 0x9000


def _asked(stand: Stand, command: CommandApdu, n: int) -> None:
    """One row of the table, and the rest of the answer."""
    size, sw = _wanted(stand.card.twin.protocol, command, n)
    answer = stand.card.raw(command, sw)
    must(len(answer.data) == size, f"{size} bytes of data should come at once, not {len(answer.data)}")
    if sw >> 8 == 0x61:
        rest = fetch(stand.card, answer)
        must(len(rest) == n, f"{n} bytes should come in all, not {len(rest)}")
    elif sw >> 8 == 0x6C:
        again = command if stand.card.twin.protocol is Protocol.T0 and command.data else replace(command, ne=n)
        must(len(stand.card.raw(again, W.OK).data) == n, f"{n} bytes should come at the second time")


def _edges_of_le(command: CommandApdu, stand: Stand) -> None:
    n = _SIZES.get(Ins(command.ins)) or len(stand.card.select())
    edges = {1, n - 256, n - 255, n - 1, n, n + 1, 255, 256}
    for ne in (None, *sorted(edges.intersection(range(1, 257)))):
        _asked(stand, replace(command, ne=ne), n)


for _command in (CAPACITIES, SELECT, ATTEST):
    _name = Ins(_command.ins).name.replace("_", " ")
    in_states(_ANSWERS, f"{_name} gives what Le asks for, and tells what it has", ins=Ins(_command.ins))(
        partial(_edges_of_le, _command)
    )


@in_states(_ANSWERS, "an answer of more than 256 bytes comes whole if Le allows", ins=Ins.ATTEST)
def _long_at_once(stand: Stand) -> None:
    take_extended(stand.card)
    for ne in (257, 325, 326, 327, 65536):
        _asked(stand, replace(ATTEST, ne=ne), _SIZES[Ins.ATTEST])


@in_states(_ANSWERS, "a declined command has no answer to hold, whatever Le asks for", ins=Ins.GET_DATA)
def _nothing_to_hold(stand: Stand) -> None:
    for ne in (None, 1, 256):
        stand.card.raw(CommandApdu(0x00, Ins.GET_DATA, 0, 0, ne=ne), W.DATA_NOT_FOUND)
        stand.card.raw(GET_RESPONSE, W.CONDITIONS_OF_USE)
    stand.card.raw(CommandApdu(0x00, Ins.SELECT, 4, 0x0C, AID, 1), W.OK)


@in_states(_ANSWERS, "a warning comes with the last piece", LifeCycle.LOCKED_OUT, ins=Ins.SELECT)
def _warning(stand: Stand) -> None:
    answer = stand.card.raw(SELECT)
    must(answer.sw >> 8 == 0x61, f"SELECT without Le should get 61xx, not {answer.sw:04X}")
    stand.card.raw(replace(GET_RESPONSE, ne=answer.sw - 1 & 0xFF), 0x6101)
    stand.card.raw(replace(GET_RESPONSE, ne=1), W.SELECTED_LOCKED_OUT)


# --- 6Cxx and the same command again -----------------------------------------------------------------------------


def _request(stand: Stand, ne: int | None, amount: int = 5) -> CommandApdu:
    objects = {Tag.AMOUNT: amount.to_bytes(4), Tag.CARD_ID: stand.issuer.id(0x0FFF_FFFF), Tag.DATE: stand.date()}
    return CommandApdu(0x80, Ins.REQUEST, 0, 0, pack(objects), ne)


_REQUESTED = 163
"""Bytes of REQUEST's answer."""


def _opened(stand: Stand) -> int:
    return stand.card.session().get_counters().requests


def _again(ways: tuple[Callable[[Stand], object], ...], more: int, stand: Stand) -> None:
    """After REQUEST with a wrong Le each of the ways opens so many requests in all."""
    only_at(stand.card, Protocol.T1, "at T=0 a command that changes something has no Le")
    stand.ready(0)
    for way in ways:
        before = _opened(stand)
        stand.card.raw(_request(stand, 1), 0x6C00 | _REQUESTED)
        way(stand)
        told = _opened(stand) - before
        must(told == more, f"{more} requests should be opened, not {told}")


def _right_le(stand: Stand) -> None:
    stand.card.raw(_request(stand, _REQUESTED), W.OK)


def _wrong_again(stand: Stand) -> None:
    for ne in (1, _REQUESTED - 1):
        stand.card.raw(_request(stand, ne), 0x6C00 | _REQUESTED)
    stand.card.raw(_request(stand, None), 0x6100 | _REQUESTED)
    stand.card.raw(replace(GET_RESPONSE, ne=_REQUESTED), W.OK)


def _fetched(stand: Stand) -> None:
    stand.card.raw(replace(GET_RESPONSE, ne=_REQUESTED), W.OK)


def _other_data(stand: Stand) -> None:
    stand.card.raw(_request(stand, _REQUESTED, amount=6), W.OK)


def _delivered(stand: Stand) -> None:
    _right_le(stand)
    _right_le(stand)


def _broken_off(stand: Stand) -> None:
    stand.card.raw(replace(CAPACITIES, ne=8), W.OK)
    _right_le(stand)


def _other_class(stand: Stand) -> None:
    stand.card.raw(replace(_request(stand, _REQUESTED), cla=0x00), W.CLA_NOT_SUPPORTED)
    _right_le(stand)


_REPETITIONS: tuple[tuple[str, int, tuple[Callable[[Stand], object], ...]], ...] = (
    ("the same command with another wrong Le is not executed again", 1, (_right_le, _wrong_again)),
    ("GET RESPONSE fetches the answer", 1, (_fetched,)),
    ("the answer is delivered once: then the same command is a new one", 2, (_delivered,)),
    ("any other command drops the answer", 2, (_other_data, _broken_off, _other_class)),
)

for _title, _more, _ways in _REPETITIONS:
    in_states(_ANSWERS, f"after 6Cxx: {_title}", ins=Ins.REQUEST)(partial(_again, _ways, _more))
in_states("Order of checks 6", "the same command with the right Le is not executed again", ins=Ins.REQUEST)(
    partial(_again, (_right_le,), 1)
)


@in_states("Order of checks 6", "a repetition is answered before selection and P1 P2 are judged anew", ins=Ins.SELECT)
def _select_again(stand: Stand) -> None:
    only_at(stand.card, Protocol.T1, "at T=0 SELECT has no Le")
    answer = stand.card.raw(replace(SELECT, ne=1))
    stand.card.raw(replace(SELECT, ne=answer.sw & 0xFF), W.OK)
    stand.card.raw(replace(CAPACITIES, ne=1), 0x6C08)
    stand.card.raw(replace(CAPACITIES, ne=1, p2=0x08), 0x6C05)
