"""A run of the cases over one card, in the order of its life; and what came out of it."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from apdu.errors import OutcomeUnknownError, ReaderError, SaifuError
from apdu.identity import LifeCycle
from saifu.conformance.case import Case, NotHereError, Run
from saifu.conformance.oracle import Deviation
from saifu.conformance.stand import Stand
from saifu.conformance.subject import DeviationError, Told

__all__ = ["Outcome", "Result", "Running", "failures"]

_LIFE = (
    LifeCycle.BLANK,
    LifeCycle.PERSONALIZATION,
    LifeCycle.ACTIVE,
    LifeCycle.LOCKED_OUT,
    LifeCycle.TERMINATED,
)
"""The order of a card's life."""


def _lock_out(stand: Stand) -> None:
    stand.ready()
    stand.lock_out()


_ENTER: dict[LifeCycle, Run] = {
    LifeCycle.PERSONALIZATION: Stand.begun,
    LifeCycle.ACTIVE: Stand.personalize,
    LifeCycle.LOCKED_OUT: _lock_out,
    LifeCycle.TERMINATED: Stand.terminate,
}
"""How a card comes into a state from the one before."""
_TITLES = {
    LifeCycle.PERSONALIZATION: "GENERATE KEY PAIR begins personalization",
    LifeCycle.ACTIVE: "the last block makes a purse of a blank card",
    LifeCycle.LOCKED_OUT: "the center's proof locks the card out",
    LifeCycle.TERMINATED: "the center's order ends the card's life",
}


class Outcome(Enum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """A case and its outcome; ``why`` in words, if it did not pass."""

    case: Case
    outcome: Outcome
    why: str = ""
    deviation: Deviation | None = None
    exchanges: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Running:
    """One run. ``watch`` is told every result as it comes."""

    stand: Stand
    cases: Iterable[Case]
    watch: Callable[[Result], object] = lambda _: None
    stop: bool = False
    """Whether to end with the first failure."""
    afresh: Callable[[], Stand] | None = None
    """Makes the stand anew, where the cards that were spent had to go through the same reader."""
    results: list[Result] = field(default_factory=list)
    found: LifeCycle = LifeCycle.BLANK
    lost: str = ""
    """Why the card cannot be tested any more, after a failure."""
    seconds: float = 0.0
    """Seconds that the whole run took."""
    interrupted: BaseException | None = None
    """Why the run ended before its end, if it did."""
    _told: list[Told] = field(default_factory=list)

    def run(self) -> list[Result]:
        """Go through the card's life from where it is; ends with the card as it was found, where that can be.

        What costs a card comes first, each on a card of its own. Results are in the order of life; when the reader is
        gone, or the user wants an end, the rest is skipped and ``interrupted`` says why.
        """
        begin = time.perf_counter()
        try:
            self._live()
        except (ReaderError, KeyboardInterrupt) as error:
            self.interrupted = error
            tried = {result.case for result in self.results}
            self._skip([case for case in self.cases if case not in tried], f"interrupted: {_said(error)}")
        self.seconds = time.perf_counter() - begin
        self.results.sort(key=lambda result: _LIFE.index(result.case.state))
        return self.results

    def _live(self) -> None:
        for state in _LIFE:
            self._run_spare([case for case in self.cases if case.state is state and _spends(case)])
        if self.afresh is not None:
            self.stand = self.afresh()
        self.found = self.stand.card.state
        self._told.append(self.stand.card.told)
        cases = [case for case in self.cases if not _spends(case)]
        last = max((_LIFE.index(case.state) for case in cases), default=-1)
        for state in _LIFE[: last + 1]:
            if not self._ended:
                self._run_state(state, [case for case in cases if case.state is state])
        if not self.lost:
            self._give_back()

    @property
    def exchanges(self) -> int:
        """Exchanges with all the cards of the run."""
        return sum(result.exchanges for result in self.results)

    @property
    def covered(self) -> set[tuple[LifeCycle, int]]:
        """State and instruction of every command that was sent."""
        return set().union(*(told.commands for told in self._told))

    @property
    def _ended(self) -> bool:
        return self.stop and any(failures(self.results))

    def _run_state(self, state: LifeCycle, cases: list[Case]) -> None:
        if self.lost or not self._come_into(self.stand, state):
            self._skip(cases, self.lost or f"the card is {self.stand.card.state.text}: it cannot become {state.text}")
        else:
            self._run_all(cases)

    def _run_all(self, cases: list[Case]) -> None:
        for case in cases:
            if self.lost:
                self._skip([case], self.lost)
            else:
                self._run_one(self.stand, case)
            if self._ended:
                return

    def _come_into(self, stand: Stand, state: LifeCycle) -> bool:
        """Whether the card is in the state, after the one step that leads to it if that is needed."""
        if stand.card.state is state:
            return True
        if stand.card.state is LifeCycle.LOCKED_OUT and state is LifeCycle.ACTIVE:
            return self._step(stand, Case("Life cycle", "the center's order unlocks the card", state, Stand.unlock))
        if _LIFE.index(stand.card.state) + 1 != _LIFE.index(state):
            return False
        return self._step(stand, Case("Life cycle", _TITLES[state], state, _ENTER[state]))

    def _step(self, stand: Stand, step: Case) -> bool:
        self._run_one(stand, step, come_into=False)
        return stand.card.state is step.state

    def _run_spare(self, cases: list[Case]) -> None:
        """Each of these has a card of its own."""
        for case in cases:
            if self._ended:
                return
            stand = self.stand.spare()
            if stand is None:
                self._skip([case], "it costs the card, and no other can be made on this connection")
            elif all(self._enter(stand, state) for state in _LIFE[1 : _LIFE.index(case.state) + 1]):
                self._told.append(stand.card.told)
                self._run_one(stand, case)

    def _enter(self, stand: Stand, state: LifeCycle) -> bool:
        """One step of a spare card's life; told only when it fails, since the first card has shown it."""
        if state is LifeCycle.LOCKED_OUT:
            return True
        try:
            _ENTER[state](stand)
            stand.audit()
        except SaifuError as error:
            step = Case("Life cycle", _TITLES[state], state, _ENTER[state])
            self._add(Result(step, Outcome.FAILED, str(error), getattr(error, "deviation", None)))
            return False
        return True

    def _run_one(self, stand: Stand, case: Case, come_into: bool = True) -> None:
        if come_into and stand.card.state is not case.state and not _is_undone(stand, case):
            self._skip([case], f"the card is {stand.card.state.text} now")
            return
        said, begin = stand.card.told.exchanges, time.perf_counter()
        try:
            outcome, why, deviation = _outcome(stand, case)
        except ReaderError as error:
            self._require_reader(stand, error)
            outcome, why, deviation = Outcome.FAILED, f"the card gave no answer: {_said(error)}", None
        spent = time.perf_counter() - begin
        self._add(Result(case, outcome, why, deviation, stand.card.told.exchanges - said, spent))
        if outcome is Outcome.FAILED and stand is self.stand and not self._ended:
            self._meet_again()

    def _require_reader(self, stand: Stand, error: ReaderError) -> None:
        """A card that answers after a reset has failed; one that does not, or a reader, is gone: raises the error."""
        try:
            stand.card.slot.connect()
        except ReaderError:
            raise error from None

    def _meet_again(self) -> None:
        """After a failure the twin is made what the card is now; a card that makes that impossible is given up."""
        try:
            self.stand.card.meet()
        except SaifuError as error:
            self.lost = f"after a failure the card cannot be tested any more: {error}"

    def _skip(self, cases: list[Case], why: str) -> None:
        for case in cases:
            self._add(Result(case, Outcome.SKIPPED, why))

    def _add(self, result: Result) -> None:
        self.results.append(result)
        self.watch(result)

    def _give_back(self) -> None:
        """The state in which the card was found, if there is a way back to it."""
        now, locked = self.stand.card.state, LifeCycle.LOCKED_OUT
        if self.found is locked and now is LifeCycle.ACTIVE:
            self._step(self.stand, Case("Life cycle", "the card is locked out again at the end", locked, _lock_out))
        elif self.found is not locked and now is locked:
            self._step(self.stand, Case("Life cycle", "the card is active at the end", LifeCycle.ACTIVE, Stand.ready))


def _spends(case: Case) -> bool:
    """Whether the card is worth nothing after it, or has to be before it."""
    return case.spare or case.state is LifeCycle.TERMINATED


def _is_undone(stand: Stand, case: Case) -> bool:
    """Whether the case itself brings the card back from where another has left it: active and locked out."""
    both = {LifeCycle.ACTIVE, LifeCycle.LOCKED_OUT}
    return {stand.card.state, case.state} <= both


def _outcome(stand: Stand, case: Case) -> tuple[Outcome, str, Deviation | None]:
    try:
        case.run(stand)
        stand.audit()
    except NotHereError as error:
        return Outcome.SKIPPED, str(error), None
    except DeviationError as error:
        return Outcome.FAILED, str(error), error.deviation
    except ReaderError:
        raise
    except SaifuError as error:
        return Outcome.FAILED, str(error), None
    except Exception as error:
        # a card that says what cannot be must not end the run: dates that overflow, lengths that do not fit
        return Outcome.FAILED, f"the suite cannot go on from what the card says: {error!r}", None
    return Outcome.PASSED, "", None


def _said(error: BaseException) -> str:
    """An error in words, without the advice for a purse that is in the middle of a payment."""
    return str(error).removesuffix(f"; {OutcomeUnknownError.recovery}") or "by the user"


def failures(results: Iterable[Result]) -> Iterator[Result]:
    """The results that failed."""
    return (result for result in results if result.outcome is Outcome.FAILED)
