"""No order, loss, repetition or invention of messages makes or loses money: all of them are tried.

And the search bites: five cards that are broken in one place each, as designs of this kind have been, are
found out by it.
"""

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType

import pytest

from apdu import messages, signature
from apdu.messages import Certificate, Signed, Value
from apdu.objects import Request
from apdu.status import StatusWord
from applet_model import history, purse, unsettled
from applet_model.card_state import CardState
from applet_model.decline import Decline
from tests.applet_model.exploration import Exploration


@pytest.fixture(autouse=True)
def remembered_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same signature is worked out once: there are some hundred different ones."""
    monkeypatch.setattr(messages, "verify", lru_cache(maxsize=None)(signature.verify))
    monkeypatch.setattr(messages, "sign", lru_cache(maxsize=None)(signature.sign))


@pytest.mark.parametrize(
    ("purses", "transfers", "states"),
    [(2, 1, 100), (3, 1, 30_000), pytest.param(2, 2, 400_000, marks=pytest.mark.slow)],
)
def test_money_is_conserved_in_every_state(purses: int, transfers: int, states: int) -> None:
    exploration = Exploration(purses, transfers)
    assert exploration.violation() is None
    assert len(exploration.states) > states


def test_equal_states_are_equal_bytes() -> None:
    sizes = set()
    for _ in range(2):
        exploration = Exploration(2, 1)
        exploration.violation()
        sizes.add((len(exploration.states), exploration.executed))
    assert len(sizes) == 1


def _remember_no_receipt(_card: CardState, _value: Value) -> None:
    """The history is not asked."""


def _refuse_and_leave_open(card: CardState, value: Value, now: int, accept: bool) -> bool:
    return accept and _CLOSE(card, value, now, accept)


def _find_what_has_ended(card: CardState, counter: int) -> tuple[int, Signed[Value], bytes]:
    for place, cell in enumerate(card.cells.unsettled_value):
        signed = Signed.decode(Value, cell.get()) if any(cell.get()) else None
        if signed and signed.body.counter == counter:
            return place, signed, card.cells.unsettled_point[place].get()
    raise Decline(StatusWord.DATA_NOT_FOUND)


def _any_nonce(card: CardState, value: Value) -> bool:
    opened = Request.decode(card.cells.request.get())
    asked = (value.request, value.amount, value.payer)
    return bool(card.cells.request_open.number()) and asked == (
        opened.number,
        opened.amount,
        card.cells.request_payer.get(),
    )


def _credit_whatever_comes(card: CardState, value: Value, _payer: Certificate, now: int) -> bool:
    return _CLOSE(card, value, now, True)


_CLOSE = purse._close
BROKEN = [
    pytest.param(history, "received", _remember_no_receipt, 4, id="a refusal after a receipt"),
    pytest.param(purse, "_close", _refuse_and_leave_open, 4, id="a refusal that leaves the request open"),
    pytest.param(unsettled, "find", _find_what_has_ended, 3, id="a refund paid twice"),
    pytest.param(purse, "_is_open", _any_nonce, 4, id="a request without a nonce"),
    pytest.param(purse, "_credited", _credit_whatever_comes, 3, id="a value credited twice"),
]
"""Module, function, broken function, and how often memories change on the shortest way to a violation."""


@pytest.mark.parametrize(("module", "name", "broken", "changes"), BROKEN)
def test_search_finds(
    module: ModuleType,
    name: str,
    broken: Callable[..., object],
    changes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, name, broken)
    way = Exploration(2, 1).violation()
    assert way is not None
    assert len(way) == changes, way
