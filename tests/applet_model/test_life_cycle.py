"""The life cycle: every state can be reached, a terminated card stays so, and only the table moves a card."""

import re
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest

import applet_model
from apdu.errors import SaifuError
from apdu.identity import LifeCycle
from apdu.messages import Signed, TerminateOrder, UnlockOrder
from applet_model.life_cycle import TRANSITIONS, Event, next_state
from host.issuer_session import IssuerSession
from host.model import ModelSlot
from tests.applet_model.cards import ISSUER, SERIAL, CopiedCard, image_in, session
from tests.issuer import FAR, NOW, ORDERS, STATIC

STATES = list(LifeCycle)
EDITION = ISSUER.edition(1, SERIAL)
UNLOCK = Signed.make(UnlockOrder(ORDERS, ISSUER.id(SERIAL), 2), ISSUER.orders)
TERMINATE = Signed.make(TerminateOrder(ORDERS, ISSUER.id(SERIAL), FAR), ISSUER.orders)


def first_data(card: CopiedCard) -> None:
    IssuerSession(ModelSlot("issuer", card).connect(), lambda _: STATIC).generate_key_pair()


ACTS: dict[Event, Callable[[CopiedCard], None]] = {
    Event.FIRST_DATA: first_data,
    Event.ACTIVATE: lambda card: ISSUER.personalize(card, ISSUER.parameters(SERIAL)),
    Event.LOCK_OUT: lambda card: session(card).lock_out(EDITION.head, EDITION.tree.prove(SERIAL)),
    Event.UNLOCK: lambda card: session(card).unlock(UNLOCK),
    Event.TERMINATE: lambda card: session(card).terminate(TERMINATE, NOW),
}


def following(states: set[LifeCycle]) -> set[LifeCycle]:
    """All states that can come of some states, at once or later."""
    more = {after for (before, _), after in TRANSITIONS.items() if before in states}
    return states if more <= states else following(states | more)


def test_every_state_can_be_reached() -> None:
    assert following({LifeCycle.BLANK}) == set(STATES)


def test_terminated_is_the_end() -> None:
    assert following({LifeCycle.TERMINATED}) == {LifeCycle.TERMINATED}
    assert all(before is not LifeCycle.TERMINATED for before, _ in TRANSITIONS)


def test_a_purse_is_never_blank_again() -> None:
    issued = {LifeCycle.ACTIVE, LifeCycle.LOCKED_OUT, LifeCycle.TERMINATED}
    assert following({LifeCycle.ACTIVE}) == issued


def test_every_event_moves_some_card() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event) == ACTS.keys()


@pytest.mark.parametrize(("state", "event"), sorted(set(product(STATES, Event)) - TRANSITIONS.keys(), key=str))
def test_what_is_not_in_the_table_cannot_happen(state: LifeCycle, event: Event) -> None:
    with pytest.raises(KeyError):
        next_state(state, event)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", [event for event in Event if event is not Event.ACTIVATE])
def test_cards_move_as_the_table_says(state: LifeCycle, event: Event) -> None:
    card = CopiedCard(image_in(state))
    with suppress(SaifuError):
        ACTS[event](card)
    assert session(card).selected.status.state is TRANSITIONS.get((state, event), state)


@pytest.mark.parametrize("state", STATES)
def test_a_whole_personalization_activates_only_what_is_no_purse_yet(state: LifeCycle) -> None:
    card = CopiedCard(image_in(state))
    open_yet = state in (LifeCycle.BLANK, LifeCycle.PERSONALIZATION)
    with suppress(SaifuError):
        ACTS[Event.ACTIVATE](card)
    assert session(card).selected.status.state is (LifeCycle.ACTIVE if open_yet else state)


@pytest.mark.parametrize("state", STATES)
def test_a_state_survives_reset_and_selection(state: LifeCycle) -> None:
    card = CopiedCard(image_in(state))
    assert {session(card).selected.status.state for _ in range(3)} == {state}
    assert card.image() == image_in(state)


def test_the_state_is_written_in_two_places_only() -> None:
    """One makes the blank image; the other asks the table."""
    written = re.compile(r"put\([\w.]*\.life_cycle,")
    files = Path(applet_model.__path__[0]).glob("*.py")
    found = {path.name: written.findall(path.read_text("utf-8")) for path in files}
    assert {name: len(hits) for name, hits in found.items() if hits} == {"card_state.py": 1, "memory_map.py": 1}
