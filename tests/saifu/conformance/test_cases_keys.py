"""The cases on center keys, first blocks and first credit information hold on the model, and bite."""

from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.dgi import Dgi
from apdu.identity import LifeCycle
from apdu.messages import Credit, Signed
from apdu.objects import KeyUse, Parameters
from apdu.payload import Tag
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import personalization
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline, unless
from applet_model.memory import Transaction
from saifu.conformance import cases_b_keys
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler, put

OURS = cases_of(cases_b_keys)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()


# --- keys ------------------------------------------------------------------------------------------------------


def first_key_stays() -> AbstractContextManager[object]:
    right = personalization._store_center_key

    def store(card: CardState, tx: Transaction, value: bytes, encrypted: bool) -> None:
        if value[:2] not in {tx.get(cell)[:2] for cell in card.cells.center_keys}:
            right(card, tx, value, encrypted)

    return patch.dict(personalization._STORE, {Dgi.CENTER_KEY: store})


def first_pair_keeps_keys(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    keys = {cell: cell.get() for cell in card.cells.center_keys}
    is_first = not card.cells.stored.number() & personalization._KEY_PAIR_STORED
    answer = right(card, call)
    with card.cells.memory.transaction() as tx:
        for cell, key in keys.items() if is_first else ():
            tx.put(cell, key)
    return answer


def only_the_key_of_its_own_certificate() -> AbstractContextManager[object]:
    right = CardState.center_point

    def point(card: CardState, number: int, use: KeyUse) -> bytes | None:
        followed = card.life_cycle is LifeCycle.ACTIVE and use is KeyUse.CERTIFICATION
        return None if followed and number != card.certificate.key else right(card, number, use)

    return patch.object(CardState, "center_point", point)


def only_the_key_of_the_first_credit(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    signed = card.decode(Credit, call.objects[Tag.CREDIT])
    unless(signed.body.key == card.credit.key, StatusWord.SIGNATURE_INVALID)
    return right(card, call)


def two_keys_are_searched() -> AbstractContextManager[object]:
    def point(card: CardState, number: int, use: KeyUse) -> bytes | None:
        keys = (cell.get() for cell in card.cells.center_keys[:2])
        return next((key[2:] for key in keys if key[:2] == bytes((number, use))), None)

    return patch.object(CardState, "center_point", point)


# --- blocks and credit -----------------------------------------------------------------------------------------


def declined_and_begun(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    try:
        return right(card, call)
    except Decline:
        put(card, life_cycle=LifeCycle.PERSONALIZATION)
        raise


def credit_must(holds: str) -> AbstractContextManager[object]:
    """The first credit information has to be one of serial 1, or one with which something can be paid."""
    right = personalization._check_credit

    def check(card: CardState, parameters: Parameters) -> Credit:
        credit = right(card, parameters)
        wanted = {"first": credit.serial == 1, "useful": credit.count > 0 < credit.amount, "new": credit.expiry > 1}
        unless(wanted[holds], StatusWord.NOT_THIS_CARD)
        return credit

    return patch.object(personalization, "_check_credit", check)


def credit_before_certificate() -> AbstractContextManager[object]:
    right = personalization._check_certificate

    def check(card: CardState, parameters: Parameters) -> None:
        credit = Signed.decode(Credit, card.cells.credit.get()).body
        unless(credit.card == parameters.card, StatusWord.NOT_THIS_CARD)
        right(card, parameters)

    return patch.object(personalization, "_check_certificate", check)


WRONG: list[tuple[str, Broken]] = [
    ("STORE DATA 5", first_key_stays),
    ("GENERATE KEY PAIR", lambda: handler(Ins.GENERATE_KEY_PAIR, first_pair_keeps_keys)),
    ("Signatures", only_the_key_of_its_own_certificate),
    ("Signatures", lambda: handler(Ins.PUT_CREDIT, only_the_key_of_the_first_credit)),
    ("Signatures", two_keys_are_searched),
    ("STORE DATA 8", lambda: handler(Ins.STORE_DATA, declined_and_begun)),
    ("STORE DATA 11", lambda: credit_must("first")),
    ("STORE DATA 11", lambda: credit_must("useful")),
    ("STORE DATA 11", lambda: credit_must("new")),
    ("STORE DATA 11", credit_before_certificate),
]


@pytest.mark.parametrize(("clause", "broken"), WRONG)
def test_they_bite_there_and_nowhere_else(clause: str, broken: Broken) -> None:
    assert failing_clauses(OURS, broken) == {clause}
