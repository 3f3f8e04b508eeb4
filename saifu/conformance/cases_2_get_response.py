"""Cases on GET RESPONSE, and on what drops an answer that is held."""

from dataclasses import replace
from functools import partial

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.identity import LifeCycle
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
)
from saifu.conformance.stand import Stand
from saifu.conformance.subject import must

__all__: list[str] = []

_ANSWERS = "Answers longer than Le, and GET RESPONSE"

# --- GET RESPONSE ------------------------------------------------------------------------------------------------


@in_states(_ANSWERS, "a long answer comes in pieces of any size", ins=Ins.GET_RESPONSE)
def _in_pieces(stand: Stand) -> None:
    for piece in (70, 71, 255, 256):
        rest = fetch(stand.card, stand.card.raw(ATTEST, 0x6100), piece)
        must(len(rest) == ATTESTED, f"{ATTESTED} bytes should come in pieces, not {len(rest)}")
        stand.card.raw(GET_RESPONSE, W.CONDITIONS_OF_USE)


@in_states(_ANSWERS, "GET RESPONSE that asks for more than there is gets what there is; at T=0 it gets 6Cxx")
def _more_than_there_is(stand: Stand) -> None:
    for ne in (9, 255, 256):
        if stand.card.twin.protocol is Protocol.T1:
            stand.card.raw(CAPACITIES, 0x6108)
            stand.card.raw(replace(GET_RESPONSE, ne=ne), W.OK)
        else:
            stand.card.raw(CAPACITIES, 0x6C08)
            stand.card.raw(replace(GET_RESPONSE, ne=ne), 0x6C08)
            stand.card.raw(replace(GET_RESPONSE, ne=8), W.OK)


@in_states(_ANSWERS, "GET RESPONSE without Le brings nothing and loses nothing", ins=Ins.GET_RESPONSE)
def _without_le(stand: Stand) -> None:
    only_at(stand.card, Protocol.T1, "at T=0 there is always a P3")
    stand.card.raw(CAPACITIES, 0x6108)
    stand.card.raw(replace(GET_RESPONSE, ne=None), 0x6108)
    stand.card.raw(replace(GET_RESPONSE, ne=8), W.OK)


def _held(stand: Stand) -> None:
    stand.card.raw(ATTEST, 0x6100)


_WRONG_FETCHES: dict[str, tuple[str, tuple[CommandApdu, ...], tuple[int, ...]]] = {
    "Order of checks 5": (
        "GET RESPONSE is judged by its class first, then by P1 and P2, then by its data",
        (replace(GET_RESPONSE, cla=0x14, p1=1), replace(GET_RESPONSE, p1=1, data=b"\0", ne=None)),
        (W.SECURE_MESSAGING_NOT_SUPPORTED, W.WRONG_P1_P2),
    ),
    "GET RESPONSE 1": (
        "its class has neither secure messaging nor chaining",
        (replace(GET_RESPONSE, cla=0x04), replace(GET_RESPONSE, cla=0x10)),
        (W.SECURE_MESSAGING_NOT_SUPPORTED, W.CHAINING_NOT_SUPPORTED),
    ),
    "GET RESPONSE 2": (
        "its P1 and P2 are 00",
        (replace(GET_RESPONSE, p1=1), replace(GET_RESPONSE, p2=1), replace(GET_RESPONSE, p1=0xFF, p2=0xFF)),
        (W.WRONG_P1_P2, W.WRONG_P1_P2, W.WRONG_P1_P2),
    ),
    "GET RESPONSE 3": (
        "it has no data",
        (replace(GET_RESPONSE, data=b"\0", ne=None), replace(GET_RESPONSE, data=bytes(255), ne=None)),
        (W.WRONG_LENGTH, W.WRONG_LENGTH),
    ),
}


def _wrong_fetch(fetching: tuple[CommandApdu, ...], words: tuple[int, ...], stand: Stand) -> None:
    """Declined alike whether something is held or not, and it drops what is held."""
    for command, sw in zip(fetching, words, strict=True):
        stand.card.raw(command, sw)
        _held(stand)
        stand.card.raw(command, sw)
        stand.card.raw(GET_RESPONSE, W.CONDITIONS_OF_USE)


for _clause, (_title, _fetching, _words) in _WRONG_FETCHES.items():
    in_states(_clause, _title, ins=Ins.GET_RESPONSE)(partial(_wrong_fetch, _fetching, _words))


@in_states(
    "GET RESPONSE 4", "with nothing held it is declined", LifeCycle.BLANK, LifeCycle.ACTIVE, ins=Ins.GET_RESPONSE
)
def _nothing_held(stand: Stand) -> None:
    stand.card.raw(GET_RESPONSE, W.CONDITIONS_OF_USE)
    stand.card.send(Ins.GET_DATA, p1=1, p2=7)
    stand.card.raw(replace(GET_RESPONSE, ne=1), W.CONDITIONS_OF_USE)


# --- what drops a held answer ------------------------------------------------------------------------------------

_OBEYED = (replace(CAPACITIES, ne=8), replace(SELECT, p2=0x0C), CommandApdu(0x90, Ins.LOCK_OUT, 0, 0, b"\x8c"))
_DECLINED = (
    replace(SELECT, data=bytes(5)),
    CommandApdu(0x00, 0x00, 0, 0),
    CommandApdu(0x20, Ins.GET_DATA, 1, 0),
    CommandApdu(0x04, Ins.GET_DATA, 1, 0),
    CommandApdu(0x80, Ins.PAY, 1, 0),
    replace(GET_RESPONSE, cla=0x80),
)


def _dropping(others: tuple[CommandApdu, ...], stand: Stand) -> None:
    for other in others:
        _held(stand)
        stand.card.raw(other)
        stand.card.raw(GET_RESPONSE, W.CONDITIONS_OF_USE)


for _kind, _commands in (("obeyed", _OBEYED), ("declined", _DECLINED)):
    in_states(_ANSWERS, f"a command that is {_kind} drops what is held", ins=Ins.ATTEST)(partial(_dropping, _commands))


@in_states(_ANSWERS, "bytes that are no command drop what is held", ins=Ins.ATTEST)
def _dropped_by_bytes(stand: Stand) -> None:
    require_in_process(stand.card)
    _held(stand)
    stand.card.raw(b"\x00\xc0\x00", W.WRONG_LENGTH)
    stand.card.raw(GET_RESPONSE, W.CONDITIONS_OF_USE)


@in_states(_ANSWERS, "a new answer takes the place of the one that is held", ins=Ins.ATTEST)
def _replaced(stand: Stand) -> None:
    _held(stand)
    answer = stand.card.raw(SELECT)
    must(answer.sw >> 8 == 0x61, f"SELECT without Le should get 61xx, not {answer.sw:04X}")
    stand.card.raw(replace(GET_RESPONSE, ne=answer.sw & 0xFF), W.OK)
