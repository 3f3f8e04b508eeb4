"""The center's clock: what it may sign, and when it refuses to.

Theory of operation. No order comes from a clock: what came before what is told by the center's order, a counter in
its database (``Center.ordered``). A time is signed all the same, in certificates, credit information, heads and
orders, and cards keep the newest that they see: a date that was ahead once holds on to every card that met it. So
a wrong clock must not get into a signature, and afterwards it must be possible to go on:

1. The newest time that was signed is kept with each signature. A clock that is more than BEHIND seconds before it,
   or more than AHEAD after it, signs nothing: ClockError says both times, until an operator has looked and confirms
   the clock.
2. Within BEHIND the newest time is signed again: what is signed never goes back by itself.
3. A clock that is confirmed is taken as it is, also if it lies before times that were signed when it was wrong. The
   latest time ever signed is kept beside it, since no honest card can have a later date than that.
4. Credit runs from the later of the clock and the date that the card attests, at most the latest time ever signed:
   so a card whose date was moved ahead gets credit that it can use.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from apdu.errors import RefusedError
from center.models import MarkRow
from center.standing import mark, raise_mark

__all__ = ["AHEAD", "BEHIND", "Clock", "ClockError", "confirm", "read_clock", "signing_time", "start_for"]

BEHIND = 60
"""Seconds that the clock may be behind the newest time signed: as much as a service that sets clocks corrects."""
AHEAD = 7 * 86400
"""Seconds that it may be ahead: a center that was off for a week goes on by itself, and no credit is as short."""

_NEWEST, _LATEST = "newest time signed", "latest time ever signed"


class ClockError(RefusedError):
    """The clock is not where the newest signature says that it should be; nothing is signed."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What the clock says now, and the newest time that was signed, or confirmed since (Unix seconds; 0: none yet)."""

    now: int
    newest: int

    @property
    def signs(self) -> bool:
        """Whether the two are near enough to sign."""
        return not self.newest or self.newest - BEHIND <= self.now <= self.newest + AHEAD


def read_clock(session: Session, now: int) -> Clock:
    """The clock at ``now`` (Unix seconds)."""
    return Clock(now, mark(session, _NEWEST))


def signing_time(session: Session, now: int) -> int:
    """The time to sign at ``now``, which is kept as the newest; raises ClockError."""
    clock = read_clock(session, now)
    if not clock.signs:
        how = "before" if now < clock.newest else "far after"
        raise ClockError(
            f"the center's clock ({_text(now)}) is {how} the newest time that it has signed ({_text(clock.newest)}), "
            "so nothing is signed: put the clock right, or if it is right say so with saifu center clock --right"
        )
    time = max(now, clock.newest)
    raise_mark(session, _NEWEST, time)
    raise_mark(session, _LATEST, time)
    return time


def start_for(session: Session, time: int, card_date: int) -> int:
    """When validity signed at ``time`` begins for a card of that date: none is later than what was ever signed."""
    return max(time, min(card_date, mark(session, _LATEST)))


def confirm(session: Session, now: int) -> None:
    """Take the clock as right, because an operator has looked at it: the one mark that may fall."""
    session.merge(MarkRow(name=_NEWEST, number=now))


def _text(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
