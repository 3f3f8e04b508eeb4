"""The cases on the order in which the center's objects are judged hold on the model, and bite."""

from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.messages import Credit, Head, Signed, TerminateOrder, UnlockOrder
from apdu.objects import KeyUse
from apdu.payload import Tag
from apdu.proof import Proof
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import lock_out
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from saifu.conformance import cases_d_judged
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler

OURS = cases_of(cases_d_judged)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()


# --- a signature that is judged too early ----------------------------------------------------------------------


def credit_signature_before_serial(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    signed = card.decode(Credit, call.objects[Tag.CREDIT])
    unless(signed.body.card == card.certificate.subject, StatusWord.NOT_THIS_CARD)
    card.center_signed(signed, signed.body.key)
    return right(card, call)


def credit_signature_before_records(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    signed, old = card.decode(Credit, call.objects[Tag.CREDIT]), card.credit
    unless(signed.body.card == card.certificate.subject, StatusWord.NOT_THIS_CARD)
    unless(signed.body.serial > old.serial and signed.body.seen >= old.seen, StatusWord.OLDER)
    card.center_signed(signed, signed.body.key)
    return right(card, call)


def head_signature_before_edition() -> AbstractContextManager[object]:
    right = lock_out._head

    def head(card: CardState, raw: bytes) -> Signed[Head]:
        signed = card.decode(Head, raw)
        unless(signed.body.issuer == card.certificate.subject.issuer, StatusWord.NOT_THIS_CARD)
        card.center_signed(signed, signed.body.key)
        return right(card, raw)

    return patch.object(lock_out, "_head", head)


def _check_proof(card: CardState, call: Call) -> None:
    proof, head = Proof.decode(call.objects[Tag.PROOF]), card.decode(Head, call.objects[Tag.HEAD])
    serial = card.certificate.subject.serial
    unless(proof.lists(serial) and proof.root(serial) == head.body.root, StatusWord.NOT_LISTED)


def proof_before_head(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    _check_proof(card, call)
    return right(card, call)


def proof_before_signature(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    head = card.decode(Head, call.objects[Tag.HEAD]).body
    mine = head.issuer == card.certificate.subject.issuer
    if mine and head.edition >= card.cells.edition.number():
        _check_proof(card, call)
    return right(card, call)


def unlock_signature_before_edition(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    signed = card.decode(UnlockOrder, call.objects[Tag.ORDER])
    unless(signed.body.card == card.certificate.subject, StatusWord.NOT_THIS_CARD)
    card.center_signed(signed, signed.body.key)
    return right(card, call)


def unlock_signature_before_card(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    signed = card.decode(UnlockOrder, call.objects[Tag.ORDER])
    card.check_signature(signed, card.center_point(signed.body.key, KeyUse.ORDERS), StatusWord.SIGNATURE_INVALID)
    return right(card, call)


def terminate_signature_before_date(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    signed = card.decode(TerminateOrder, call.objects[Tag.ORDER])
    card.center_signed(signed, signed.body.key)
    return right(card, call)


# --- what is not judged ----------------------------------------------------------------------------------------


def successor_must_come() -> AbstractContextManager[object]:
    right = lock_out._head

    def head(card: CardState, raw: bytes) -> Signed[Head]:
        signed = right(card, raw)
        unless(signed.body.next >= card.cells.date.number(), StatusWord.OLDER)
        return signed

    return patch.object(lock_out, "_head", head)


WRONG: list[tuple[set[str], Broken]] = [
    ({"PUT CREDIT 5"}, lambda: handler(Ins.PUT_CREDIT, credit_signature_before_serial)),
    ({"PUT CREDIT 5"}, lambda: handler(Ins.PUT_CREDIT, credit_signature_before_records)),
    ({"PUT DATE 4", "LOCK OUT 5", "LOCK OUT 6"}, head_signature_before_edition),
    ({"LOCK OUT 6"}, lambda: handler(Ins.LOCK_OUT, proof_before_head)),
    ({"LOCK OUT 6"}, lambda: handler(Ins.LOCK_OUT, proof_before_signature)),
    ({"UNLOCK 4"}, lambda: handler(Ins.UNLOCK, unlock_signature_before_edition)),
    ({"UNLOCK 4"}, lambda: handler(Ins.UNLOCK, unlock_signature_before_card)),
    ({"TERMINATE 4"}, lambda: handler(Ins.TERMINATE, terminate_signature_before_date)),
    ({"PUT DATE", "LOCK OUT"}, successor_must_come),
]


@pytest.mark.parametrize(("clauses", "broken"), WRONG)
def test_they_bite_there_and_nowhere_else(clauses: set[str], broken: Broken) -> None:
    assert failing_clauses(OURS, broken) == clauses
