"""The cases on what comes between the steps of the secure channel hold on the model, and bite."""

from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest

from apdu.command import CommandApdu
from apdu.commands import Command, Ins
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import dispatch, transmission
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.scp03 import CardChannel
from applet_model.transmission import Transmission
from saifu.conformance import cases_a_between
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler, put

OURS = cases_of(cases_a_between)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()


def declined_begin_ends_channel(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    card.session.channel = None
    return right(card, call)


def declined_begin_numbers_anew(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    card.session.next_block = 0
    return right(card, call)


def forgotten_between() -> AbstractContextManager[object]:
    """Any other command makes a channel that has begun forgotten."""
    right = dispatch.execute

    def execute(card: CardState, row: Command, command: CommandApdu, protected: bool) -> ResponseApdu:
        begun = card.session.channel is not None and not card.session.channel.level
        if begun and row.ins not in (Ins.INITIALIZE_UPDATE, Ins.EXTERNAL_AUTHENTICATE):
            card.session.channel = None
        return right(card, row, command, protected)

    return patch("applet_model.transmission.execute", execute)


def open_before_the_proof() -> AbstractContextManager[object]:
    """A channel that has begun counts as open for commands in the clear."""

    def check(_self: Transmission, channel: CardChannel | None, row: Command) -> None:
        unless(channel is None or row.ins in transmission._PLAIN_IN_CHANNEL, StatusWord.SECURITY_STATUS)

    return patch.object(Transmission, "_check_plain", check)


def bare_selection() -> AbstractContextManager[object]:
    right = Transmission._protected

    def protected(self: Transmission, row: Command, command: CommandApdu) -> ResponseApdu:
        if row.ins is not Ins.SELECT:
            return right(self, row, command)
        with patch.object(CardChannel, "wrap", lambda _, answer: answer):
            return right(self, row, command)

    return patch.object(Transmission, "_protected", protected)


def wrong_mac(change: str) -> AbstractContextManager[object]:
    """6988 takes more with it than the channel."""
    right = Transmission._protected

    def protected(self: Transmission, row: Command, command: CommandApdu) -> ResponseApdu:
        try:
            return right(self, row, command)
        except Decline as declined:
            if declined.sw == StatusWord.SECURE_MESSAGING_DATA and change == "selection":
                self._card.selected = False
            elif declined.sw == StatusWord.SECURE_MESSAGING_DATA:
                put(self._card, scp_tries=self._card.cells.scp_tries.number() - 1)
            raise

    return patch.object(Transmission, "_protected", protected)


WRONG: list[tuple[set[str], Broken]] = [
    (
        {"Secure channel", "EXTERNAL AUTHENTICATE 1"},
        lambda: handler(Ins.INITIALIZE_UPDATE, declined_begin_ends_channel),
    ),
    ({"Secure channel"}, lambda: handler(Ins.INITIALIZE_UPDATE, declined_begin_numbers_anew)),
    ({"EXTERNAL AUTHENTICATE 1", "Order of checks 8"}, forgotten_between),
    ({"EXTERNAL AUTHENTICATE 1", "Order of checks 8"}, open_before_the_proof),
    ({"Secure channel"}, bare_selection),
    ({"Secure channel"}, lambda: wrong_mac("selection")),
    ({"Secure channel"}, lambda: wrong_mac("a try")),
]


@pytest.mark.parametrize(("clauses", "broken"), WRONG)
def test_they_bite_there_and_nowhere_else(clauses: set[str], broken: Broken) -> None:
    assert failing_clauses(OURS, broken) == clauses
