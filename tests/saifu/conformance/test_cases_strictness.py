"""The cases on what a stricter card would decline hold on the model whatever its capacities, and bite."""

from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.messages import Certificate, Receipt, Refusal, Value
from apdu.objects import Request
from apdu.payload import Tag
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import history, purse, unsettled
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from saifu.conformance import cases_6_strictness
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler

OURS = cases_of(cases_6_strictness)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped_where_there_is_room() -> None:
    assert skipped(OURS, (16, 4, Protocol.T1)) == set()


def one_payment_for_a_request(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    nonces = {unsettled._value(card, place).nonce for place in unsettled.used(card)}
    unless(Request.decode(call.objects[Tag.REQUEST]).nonce not in nonces, StatusWord.UNSETTLED_FULL)
    return right(card, call)


def room_for_the_open_request(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    enough, is_open = history.require_room, card.cells.request_open.number()
    with patch.object(history, "require_room", lambda card, records: enough(card, records + is_open)):
        return right(card, call)


def own_expiry_counts() -> AbstractContextManager[object]:
    right = purse._credited

    def credited(card: CardState, value: Value, payer: Certificate, now: int) -> bool:
        both = min(payer.expiry, card.certificate.expiry)
        return right(card, value, replace(payer, expiry=both), now)

    return patch.object(purse, "_credited", credited)


def request_zero_is_refused() -> AbstractContextManager[object]:
    right = purse._credited

    def credited(card: CardState, value: Value, payer: Certificate, now: int) -> bool:
        return value.request > 0 and right(card, value, payer, now)

    return patch.object(purse, "_credited", credited)


def no_floor_on_a_new_card() -> AbstractContextManager[object]:
    right = purse._credited

    def credited(card: CardState, value: Value, payer: Certificate, now: int) -> bool:
        new = card.cells.request_floor.number() == 0
        return not (new and value.request == 0) and right(card, value, payer, now)

    return patch.object(purse, "_credited", credited)


def payee_by_serial() -> AbstractContextManager[object]:
    def answered(card: CardState, call: Call, tag: Tag) -> None:
        kind: type[Receipt | Refusal] = Receipt if tag is Tag.RECEIPT else Refusal
        signed = card.decode(kind, call.objects[tag])
        unless(signed.body.payer == card.certificate.subject, StatusWord.NOT_THIS_CARD)
        place, value, point = unsettled.find(card, signed.body.counter)
        unless(signed.body.payee.serial == value.body.payee.serial, StatusWord.NOT_THIS_CARD)
        card.check_signature(signed, point, StatusWord.SIGNATURE_INVALID)
        purse._end(card, place, value.body, card.now(call), refund=kind is Refusal)

    return patch.object(purse, "_answered", answered)


WRONG: list[tuple[str, Broken]] = [
    ("PAY", lambda: handler(Ins.PAY, one_payment_for_a_request)),
    ("REQUEST 9", lambda: handler(Ins.REQUEST, room_for_the_open_request)),
    ("RECEIVE 9", own_expiry_counts),
    ("RECEIVE 11", request_zero_is_refused),
    ("RECEIVE 11", no_floor_on_a_new_card),
    ("SETTLE 5", payee_by_serial),
]


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite_there_and_nowhere_else(clause: str, broken: Broken) -> None:
    assert failing_clauses(OURS, broken) == {clause}
