"""The cases on transfers hold on the model whatever its capacities and their order, and bite where it is tricky."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from random import Random
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.identity import CardId
from apdu.messages import Certificate, Value
from apdu.objects import HistoryRecord, Kind, Request
from apdu.payload import Tag
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.signature import ORDER, SIGNATURE_SIZE, verify
from apdu.status import StatusWord
from applet_model import history, purse, unsettled
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from applet_model.key_pair import KeyPair
from applet_model.memory import Transaction
from applet_model.memory_map import MemoryMap
from saifu.conformance import (
    cases_5_request,
    cases_6_pay,
    cases_6_payment,
    cases_7_receive,
    cases_7_received,
    cases_8_settle,
    cases_8_signatures,
    cases_9_flows,
)
from saifu.conformance.case import CASES
from saifu.conformance.running import Outcome, Running
from tests.saifu.conformance.cards import blank_card, stand_of
from tests.saifu.conformance.case_runs import failed_in, failing_clauses
from tests.saifu.conformance.mutants import Handler, Mutant, Mutants, handler, never, put

MODULES = (
    cases_5_request,
    cases_6_pay,
    cases_6_payment,
    cases_7_receive,
    cases_7_received,
    cases_8_settle,
    cases_8_signatures,
    cases_9_flows,
)
OURS = [case for case in CASES if case.run.__module__ in {module.__name__ for module in MODULES}]
MOST = 3_500
"""Exchanges that all of them take, at most, where the history has 16 records."""


# --- they hold -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history_places", "unsettled_places", "protocol"),
    [(8, 8, Protocol.T1), (9, 3, Protocol.T0), (65, 1, Protocol.T1), (1024, 2, Protocol.T0)],
)
def test_cases_hold_in_any_order_also_on_a_card_that_is_met_again(
    history_places: int, unsettled_places: int, protocol: Protocol
) -> None:
    card = blank_card(protocol, history_places, unsettled_places)
    for seed in range(2):
        stand = stand_of(card)
        assert failed_in(Running(stand, Random(seed).sample(OURS, len(OURS)))) == {}


def test_only_what_the_capacities_forbid_is_skipped() -> None:
    running = Running(stand_of(blank_card()), OURS)
    assert [result.case.name for result in running.run() if result.outcome is not Outcome.PASSED] == []
    assert running.stand.card.told.exchanges <= MOST


def test_reasons_are_given_for_rows_that_no_case_reaches() -> None:
    assert cases_9_flows.UNREACHED.keys() == {"REQUEST 6", "REQUEST 8", "REQUEST 10", "PAY 9", "PAY 14", "PAY 17"}


# --- they bite -----------------------------------------------------------------------------------------------

WRONG = Mutants()
wrong = WRONG.wrong


@wrong("REQUEST", "a declined REQUEST closes the open one")
def _() -> AbstractContextManager[object]:
    def request(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.request.get()
        put(card, request=before[:4] + bytes(8) + before[12:])
        return right(card, call)

    return handler(Ins.REQUEST, request)


@wrong("REQUEST 7", "the sum of the unsettled money has 16 bits")
def _() -> AbstractContextManager[object]:
    right = unsettled.total
    return patch.object(unsettled, "total", lambda card: right(card) & 0xFFFF)


@wrong("REQUEST 7", "of unsettled transfers the oldest alone is counted")
def _() -> AbstractContextManager[object]:
    return patch.object(unsettled, "total", lambda card: sum(one.amount for one in unsettled.entries(card)[:1]))


@wrong("REQUEST 9", "no place is kept for refunds")
def _() -> AbstractContextManager[object]:
    right = history.require_room
    return patch.object(history, "require_room", lambda card, records: right(card, 1 if records < 3 else records))


@wrong("PAY 15", "no place is kept for the receipt of an open request")
def _() -> AbstractContextManager[object]:
    right = history.require_room

    def room(card: CardState, records: int) -> None:
        right(card, records - (card.cells.request_open.number() if records > 1 else 0))

    return patch.object(history, "require_room", room)


@wrong("PAY 7", "the card's own date is not looked at")
def _() -> AbstractContextManager[object]:
    return patch.object(CardState, "now", lambda _, call: int.from_bytes(call.objects.get(Tag.DATE, b"")))


@wrong("PAY 7", "the payer's own certificate never ends")
def _() -> AbstractContextManager[object]:
    def certificate(card: CardState) -> Certificate:
        return replace(Certificate.decode(card.cells.certificate.get()[: Certificate.SIZE]), expiry=0xFFFF_FFFF)

    return patch.object(CardState, "certificate", property(certificate))


@wrong("How to read this page", "numbers have a sign")
def _() -> AbstractContextManager[object]:
    right = purse._check_payment

    def check(card: CardState, wanted: Request, payee: Certificate, now: int) -> None:
        unless(payee.expiry < 0x8000_0000, StatusWord.CERTIFICATE_EXPIRED)
        right(card, wanted, payee, now)

    return patch.object(purse, "_check_payment", check)


@wrong("PAY", "the history is looked at before the places")
def _() -> AbstractContextManager[object]:
    right = unsettled.free_place

    def free_place(card: CardState) -> int:
        history.require_room(card, len(unsettled.used(card)) + card.cells.request_open.number() + 2)
        return right(card)

    return patch.object(unsettled, "free_place", free_place)


@wrong("Signatures", "a signature that begins with zeros is thought too short")
def _() -> AbstractContextManager[object]:
    right = CardState.check_signature

    def check(card: CardState, signed: object, point: bytes | None, sw: StatusWord) -> object:
        raw: bytes = getattr(signed, "raw", b"")
        unless(raw[-SIGNATURE_SIZE] != 0 and raw[-32] != 0, sw)
        return right(card, signed, point, sw)  # type: ignore[arg-type]  # passed on as it came

    return patch.object(CardState, "check_signature", check)


@wrong("RECEIVE 7", "a clone's value is credited while its request is open")
def _() -> AbstractContextManager[object]:
    right = purse._credited

    def credited(card: CardState, value: Value, payer: Certificate, now: int) -> bool:
        if purse._is_open(card, value):
            return purse._close(card, value, now, True)
        return right(card, value, payer, now)

    return patch.object(purse, "_credited", credited)


@wrong("RECEIVE 8", "a counter that the card paid with counts as received")
def _() -> AbstractContextManager[object]:
    def received(card: CardState, value: Value) -> HistoryRecord | None:
        records = (HistoryRecord.decode(cell.get()) for cell in card.cells.records if cell.get()[0:4] != bytes(4))
        return next((one for one in records if (one.other, one.counter) == (value.payer, value.counter)), None)

    return patch.object(history, "received", received)


@wrong("RECEIVE 8", "a receipt is looked for only where the center has not seen the record")
def _() -> AbstractContextManager[object]:
    right = history.received

    def received(card: CardState, value: Value) -> HistoryRecord | None:
        record = right(card, value)
        return record if record and record.number > card.credit.seen else None

    return patch.object(history, "received", received)


@wrong("RECEIVE 10", "a refusal leaves the request open")
def _() -> AbstractContextManager[object]:
    right = purse._close
    return patch.object(purse, "_close", lambda card, value, now, accept: accept and right(card, value, now, accept))


@wrong("RECEIVE 11", "the card forgets that it has forgotten")
def _() -> AbstractContextManager[object]:
    return never(history, "_note_overwritten")


@wrong("RECEIVE 11", "own payments that are overwritten move the floor")
def _() -> AbstractContextManager[object]:
    def note(card: CardState, tx: Transaction, old: bytes) -> None:
        if old[4] in list(Kind):
            tx.put(card.cells.request_floor, int.from_bytes(old[15:19]))

    return patch.object(history, "_note_overwritten", note)


@wrong("RECEIVE 11", "a reset forgets the floor")
def _() -> AbstractContextManager[object]:
    right = CardState.__init__

    def forgetful(card: CardState, cells: MemoryMap, random: Callable[[int], bytes], key_pair: KeyPair) -> None:
        right(card, cells, random, key_pair)
        put(card, request_floor=0)

    return patch.object(CardState, "__init__", forgetful)


def _floor_after(ins: Ins) -> AbstractContextManager[object]:
    """A command that sets the floor back."""

    def forget(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        answer = right(card, call)
        put(card, request_floor=0)
        return answer

    return handler(ins, forget)


for ins in (Ins.UNLOCK, Ins.LOCK_OUT, Ins.PUT_CREDIT):
    wrong("RECEIVE 11", f"the floor is forgotten at {ins.name}")(partial(_floor_after, ins))


@wrong("Signatures", "s is taken modulo the order")
def _() -> AbstractContextManager[object]:
    return patch("apdu.messages.verify", lambda point, message, raw: verify(point, message, raw[:32] + _less(raw[32:])))


@wrong("Signatures", "r is taken modulo the order")
def _() -> AbstractContextManager[object]:
    return patch("apdu.messages.verify", lambda point, message, raw: verify(point, message, _less(raw[:32]) + raw[32:]))


def _less(half: bytes) -> bytes:
    """The half of a signature, less the order if it is more."""
    number = int.from_bytes(half)
    return (number - ORDER if number > ORDER else number).to_bytes(32)


@wrong("SETTLE 6", "any payee's key will do")
def _() -> AbstractContextManager[object]:
    right = unsettled.find

    def find(card: CardState, counter: int) -> object:
        place, value, _ = right(card, counter)
        return place, value, card.cells.unsettled_point[max(unsettled.used(card))].get()

    return patch.object(unsettled, "find", find)


@wrong("SETTLE", "unsettled transfers are told in the order of their places")
def _() -> AbstractContextManager[object]:
    right = unsettled.entries

    def entries(card: CardState) -> object:
        values = {entry.counter: entry for entry in right(card)}
        return [values[unsettled._value(card, place).counter] for place in unsettled.used(card)]

    return patch.object(unsettled, "entries", entries)


class _Anybody(CardId):
    """Equal to every card."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = CardId.__hash__


@wrong("SETTLE 5", "whoever signs rightly is the payee")
def _() -> AbstractContextManager[object]:
    right = unsettled.find

    def find(card: CardState, counter: int) -> object:
        place, value, point = right(card, counter)
        return place, replace(value, body=replace(value.body, payee=_Anybody(value.body.payee))), point

    return patch.object(unsettled, "find", find)


@pytest.mark.parametrize("mutant", WRONG, ids=lambda mutant: f"{mutant.clause}: {mutant.name}")
def test_a_wrong_card_fails(mutant: Mutant) -> None:
    assert mutant.clause in failing_clauses([case for case in OURS if case.clause == mutant.clause], mutant.broken)
