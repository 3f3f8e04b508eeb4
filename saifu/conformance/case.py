"""What a conformance case is, and the list of all of them in the order of a card's life."""

from collections.abc import Callable
from dataclasses import dataclass

from apdu.commands import BY_INS, Ins
from apdu.identity import LifeCycle
from saifu.conformance.stand import Stand
from saifu.conformance.subject import NotHereError

__all__ = ["CASES", "Case", "NotHereError", "Run", "case"]

Run = Callable[[Stand], object]


@dataclass(frozen=True, slots=True)
class Case:
    """One promise of the protocol, and how to see whether a card keeps it."""

    clause: str
    """Where protocol.md makes the promise: ``PAY 11``, ``Order of checks 12``, ``Answers``, ``Life cycle``."""
    title: str
    """The promise, as a sentence."""
    state: LifeCycle
    """The state in which the card has to be."""
    run: Run
    ins: Ins | None = None
    """The command that it is about."""
    spare: bool = False
    """The card is worth nothing afterwards: only for cards of which another can be made."""

    @property
    def name(self) -> str:
        """Unique: clause, state and title."""
        return f"{self.clause} [{self.state.text}]: {self.title}"

    @property
    def command(self) -> str:
        """Name of the command, or what stands for all of them."""
        return BY_INS[self.ins].name if self.ins is not None else "any command"


CASES: list[Case] = []
"""All cases; a module of cases adds its own when it is imported."""


def case(
    clause: str, title: str, *states: LifeCycle, ins: Ins | None = None, spare: bool = False
) -> Callable[[Run], Run]:
    """Add a case, once for each state; ACTIVE where none is named."""

    def add(run: Run) -> Run:
        """Keep the case for each of its states."""
        CASES.extend(Case(clause, title, state, run, ins, spare) for state in states or (LifeCycle.ACTIVE,))
        return run

    return add
