"""The life cycle, in one table: (state, event) to state. Nothing else changes the state of a card."""

from enum import Enum

from apdu.identity import LifeCycle

__all__ = ["TRANSITIONS", "Event", "next_state"]


class Event(Enum):
    """What moves a card from one state to another."""

    FIRST_DATA = "GENERATE KEY PAIR or STORE DATA"
    ACTIVATE = "STORE DATA, last block, everything there and valid"
    LOCK_OUT = "LOCK OUT with the center's head and a proof"
    UNLOCK = "UNLOCK with the center's order"
    TERMINATE = "TERMINATE with the center's order"


_S, _E = LifeCycle, Event
TRANSITIONS: dict[tuple[LifeCycle, Event], LifeCycle] = {
    (_S.BLANK, _E.FIRST_DATA): _S.PERSONALIZATION,
    (_S.PERSONALIZATION, _E.FIRST_DATA): _S.PERSONALIZATION,
    (_S.PERSONALIZATION, _E.ACTIVATE): _S.ACTIVE,
    (_S.ACTIVE, _E.LOCK_OUT): _S.LOCKED_OUT,
    (_S.LOCKED_OUT, _E.LOCK_OUT): _S.LOCKED_OUT,
    (_S.LOCKED_OUT, _E.UNLOCK): _S.ACTIVE,
    (_S.ACTIVE, _E.TERMINATE): _S.TERMINATED,
    (_S.LOCKED_OUT, _E.TERMINATE): _S.TERMINATED,
}
"""The whole life cycle; a pair that is not here cannot happen."""


def next_state(state: LifeCycle, event: Event) -> LifeCycle:
    """Return the state after an event; raises KeyError for one that the table does not allow."""
    return TRANSITIONS[state, event]
