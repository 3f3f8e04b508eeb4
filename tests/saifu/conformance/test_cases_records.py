"""The cases on dates and chains of records hold on the model, and each card that is wrong there fails at its clause."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest

from apdu.commands import Ins
from apdu.messages import Value
from apdu.objects import Kind
from apdu.payload import Tag
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusWord
from applet_model import history, personalization
from applet_model.card_state import Call, CardState
from applet_model.decline import unless
from applet_model.memory import Transaction
from saifu.conformance import cases_9_records
from tests.saifu.conformance.case_runs import CARDS, Broken, cases_of, failed, failing_clauses, skipped
from tests.saifu.conformance.mutants import Handler, handler, put

OURS = cases_of(cases_9_records)


@pytest.mark.parametrize("card", CARDS)
def test_they_hold(card: tuple[int, int, Protocol]) -> None:
    assert failed(OURS, card) == {}


def test_none_is_skipped() -> None:
    assert skipped(OURS, CARDS[0]) == set()


# --- dates ---------------------------------------------------------------------------------------------------


def appended(after: Callable[[CardState, Transaction], None], *, own: frozenset[Kind] = frozenset()) -> Broken:
    """Records of some kinds have the card's own date; ``after`` changes what else is written."""

    def broken() -> AbstractContextManager[object]:
        right = history.append

        def append(card: CardState, tx: Transaction, kind: Kind, value: Value, balance: int, now: int) -> None:
            right(card, tx, kind, value, balance, card.cells.date.number() if kind in own else now)
            after(card, tx)

        return patch.object(history, "append", append)

    return broken


def nothing(_card: CardState, _tx: Transaction) -> None:
    """All is as it was."""


def own_date(kind: Kind) -> Broken:
    return appended(nothing, own=frozenset((kind,)))


def terminals_date_alone() -> AbstractContextManager[object]:
    def now(card: CardState, call: Call) -> int:
        return int.from_bytes(call.objects.get(Tag.DATE, b"")) or card.cells.date.number()

    return patch.object(CardState, "now", now)


def stores_the_date(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    answer = right(card, call)
    put(card, date=card.now(call))
    return answer


def wants_no_date(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    unless(Tag.DATE not in call.objects, StatusWord.WRONG_DATA)
    return right(card, call)


def any_date(right: Handler, card: CardState, call: Call) -> ResponseApdu:
    """The size of a date is not looked at."""
    own = card.cells.date.number()
    with patch.object(CardState, "now", lambda *_: own):
        return right(card, call)


# --- chains --------------------------------------------------------------------------------------------------


def not_kept(card: CardState, tx: Transaction) -> None:
    tx.put(card.cells.chain_before, card.cells.chain_before.get())


def the_new_one(card: CardState, tx: Transaction) -> None:
    tx.put(card.cells.chain_before, tx.get(card.cells.chain))


def there_at_activation() -> AbstractContextManager[object]:
    right = personalization._activate

    def activate(card: CardState) -> None:
        right(card)
        put(card, chain_before=card.cells.chain.get())

    return patch.object(personalization, "_activate", activate)


PAY, RECEIVE, SETTLE = Ins.PAY, Ins.RECEIVE, Ins.SETTLE
WRONG: dict[str, tuple[str, Broken]] = {
    "a payment has the card's own date": ("History", own_date(Kind.PAID)),
    "a receipt has the card's own date": ("History", own_date(Kind.RECEIVED)),
    "a refund has the card's own date": ("History", own_date(Kind.REFUNDED)),
    "the terminal's date alone counts": ("History", terminals_date_alone),
    "PAY stores the terminal's date": ("History", lambda: handler(PAY, stores_the_date)),
    "RECEIVE stores the terminal's date": ("History", lambda: handler(RECEIVE, stores_the_date)),
    "SETTLE stores the terminal's date": ("History", lambda: handler(SETTLE, stores_the_date)),
    "SETTLE takes no date": ("SETTLE 2", lambda: handler(SETTLE, wants_no_date)),
    "SETTLE takes any date": ("SETTLE 2", lambda: handler(SETTLE, any_date)),
    "the chain before is not kept": ("History", appended(not_kept)),
    "the chain before is the new one": ("History", appended(the_new_one)),
    "there is a chain before the first record": ("The check unit", there_at_activation),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_card_fails_at_its_clause(name: str) -> None:
    clause, broken = WRONG[name]
    assert clause in failing_clauses(OURS, broken)
