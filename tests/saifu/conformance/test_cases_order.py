"""The cases on the order of checks hold on the model whatever its capacities, and bite."""

from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

import pytest

from apdu.command import CommandApdu
from apdu.commands import BY_INS, Command, Ins
from apdu.payload import Tag
from apdu.protocol import Protocol
from applet_model import dispatch
from applet_model.card_state import CardState
from applet_model.decline import Decline
from applet_model.transmission import Transmission
from saifu.conformance import cases_1_objects, cases_1_order
from saifu.conformance.harmless import at_edges, beside
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped

OURS = cases_of(cases_1_order, cases_1_objects)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()


@pytest.mark.parametrize(
    ("allowed", "edges", "others"),
    [
        (range(256), [0, 255], []),
        ((0,), [0], [1, 255]),
        ((0, 8), [0, 8], [1, 7, 9, 255]),
        (range(1, 255), [1, 254], [0, 255]),
        (range(5, 17), [5, 16], [0, 4, 17, 255]),
    ],
)
def test_edges_of_what_is_allowed(allowed: range | tuple[int, ...], edges: list[int], others: list[int]) -> None:
    assert (at_edges(allowed), beside(allowed)) == (edges, others)


def row(ins: Ins, **changed: object) -> AbstractContextManager[object]:
    """Another row for a command."""
    return patch.dict(BY_INS, {int(ins): replace(BY_INS[ins], **changed)})  # type: ignore[arg-type]  # fields of a row


def messaging_after_chaining() -> AbstractContextManager[object]:
    right = Transmission._protected

    def protected(self: Transmission, found: Command, command: CommandApdu) -> object:
        if command.cla & 0x10:
            raise Decline(0x6884)
        return right(self, found, command)

    return patch.object(Transmission, "_protected", protected)


def p1_before_state() -> AbstractContextManager[object]:
    right = dispatch.check_header

    def check(card: CardState, found: Command, command: CommandApdu) -> None:
        if card.selected and (command.p1 not in found.p1 or command.p2 not in found.p2):
            raise Decline(0x6A86)
        right(card, found, command)

    return patch("applet_model.transmission.check_header", check)


def always_selected() -> AbstractContextManager[object]:
    return patch.object(CardState, "selected", property(lambda _: True, lambda *_: None), create=True)


WRONG: list[tuple[str, Broken]] = [
    ("Order of checks 3", lambda: patch.dict(BY_INS, {0xEE: BY_INS[Ins.GET_DATA]})),
    ("Order of checks 4", lambda: row(Ins.PAY, cla=0x00)),
    ("Order of checks 4", lambda: row(Ins.EXTERNAL_AUTHENTICATE, cla=0x80)),
    ("Order of checks 7", messaging_after_chaining),
    ("Order of checks 8", lambda: patch("applet_model.transmission._PLAIN_IN_CHANNEL", tuple(Ins))),
    ("Order of checks 9", lambda: row(Ins.RECEIVE, chaining=True)),
    ("Order of checks 10", always_selected),
    ("Order of checks 11", lambda: row(Ins.SETTLE, states=BY_INS[Ins.ATTEST].states)),
    ("Order of checks 11", p1_before_state),
    ("Order of checks 12", lambda: row(Ins.READ_RECORD, p1=range(1, 256))),
    ("Order of checks 12", lambda: row(Ins.STORE_DATA, p1=(0x08, 0x48, 0x68, 0x88, 0xE8, 0xC8, 0x09))),
    ("Order of checks 14", lambda: row(Ins.GET_DATA, lc=range(2))),
    ("Order of checks 14", lambda: row(Ins.TERMINATE, lc=range(1, 255))),
    ("Order of checks 16", lambda: row(Ins.ATTEST, optional=(Tag.DATE,))),
    ("Order of checks 16", lambda: row(Ins.PUT_CREDIT, takes=(), optional=(Tag.CREDIT, Tag.DATE))),
]


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite(clause: str, broken: Broken) -> None:
    assert clause in failing_clauses(OURS, broken)
