"""A run of the cases over one card, in the order of its life; and what came out of it."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from apdu.errors import OutcomeUnknownError, ReaderError, SaifuError
from apdu.identity import LifeCycle
from saifu.conformance.case import Case, NotHereError, Run
from saifu.conformance.oracle import Deviation
from saifu.conformance.stand import Stand
from saifu.conformance.subject import DeviationError, PlatformError, Told, UnmetError

__all__ = ["Outcome", "Result", "Running", "failures", "unmet"]

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
_BETWEEN: dict[LifeCycle, Case] = {
    LifeCycle.ACTIVE: Case("Life cycle", "the center's order unlocks the card", LifeCycle.ACTIVE, Stand.unlock),
    LifeCycle.LOCKED_OUT: Case(
        "Life cycle", "the center's proof locks the card out again", LifeCycle.LOCKED_OUT, Stand.lock_out
    ),
}
"""The two states that a case may leave for one another, and how a card comes into each of them from the other."""
_GIVEN_BACK: dict[LifeCycle, Case] = {
    LifeCycle.ACTIVE: Case("Life cycle", "the card is active at the end", LifeCycle.ACTIVE, Stand.ready),
    LifeCycle.LOCKED_OUT: Case(
        "Life cycle", "the card is locked out again at the end", LifeCycle.LOCKED_OUT, _lock_out
    ),
}
"""How a card is left, and how it comes to that."""


class Outcome(Enum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    PLATFORM = "platform"
    """The platform answered in the purse's place, where it may, and otherwise than the purse would."""


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
    found: LifeCycle | None = None
    """The state in which the card was found; None until it is used, which is after those that the run may spend."""
    lost: str = ""
    """Why the card cannot be tested any more, after a failure."""
    seconds: float = 0.0
    """Seconds that the whole run took."""
    interrupted: BaseException | None = None
    """Why the run ended before its end, if it did."""
    _told: list[Told] = field(default_factory=list)
    _paid: int = 0
    """Counter of the last transfer that the card had made when it was found."""

    def run(self) -> list[Result]:
        """Go through the card's life from where it is; ends with the card as it was found, where that can be.

        What costs a card comes first, each on a card of its own. Results are in the order of life; when the reader is
        gone, there are no other cards any more, or the user wants an end, the rest is skipped and ``interrupted`` says
        why. The card is given back then too, unless the user wants an end of that as well.
        """
        begin = time.perf_counter()
        try:
            self._live()
            self._give_back()
        except (SaifuError, KeyboardInterrupt) as error:
            self.interrupted = error
            self._skip_rest(f"interrupted: {_said(error)}")
        if self.found is not None and (self.lost or self.interrupted is not None):
            self._bring_back()
        self.seconds = time.perf_counter() - begin
        self.results.sort(key=lambda result: _LIFE.index(result.case.state))
        return self.results

    def _live(self) -> None:
        for state in _LIFE:
            self._run_spare([case for case in self.cases if case.state is state and _spends(case)])
        if not self._find():
            return
        cases = [case for case in self.cases if not _spends(case)]
        last = max((_LIFE.index(case.state) for case in cases), default=-1)
        for state in _LIFE[: last + 1]:
            if not self._ended:
                self._run_state(state, [case for case in cases if case.state is state])

    def _find(self) -> bool:
        """The card that the run does not spend, as it is; where it cannot be met, nothing more can be tried."""
        if self.afresh is not None:
            try:
                self.stand = self.afresh().beside(self.stand)
            except UnmetError as error:
                self._tell_once(unmet(error))
                self._skip_rest(f"the card cannot be tested: {error}")
                return False
        card = self.stand.card
        self.found, self._paid = card.state, card.twin.cells.payments.number()
        self._told.append(card.told)
        return True

    @property
    def exchanges(self) -> int:
        """Exchanges with all the cards of the run."""
        return sum(told.exchanges for told in self._told)

    @property
    def covered(self) -> set[tuple[LifeCycle, int]]:
        """State and instruction of every command that was sent."""
        return set().union(*(told.commands for told in self._told))

    @property
    def _ended(self) -> bool:
        return self.stop and any(failures(self.results))

    def _run_state(self, state: LifeCycle, cases: list[Case]) -> None:
        if self.lost or not self._come_into(state):
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

    def _come_into(self, state: LifeCycle) -> bool:
        """Whether the card is in the state, after the one step that leads to it if that is needed."""
        now = self.stand.card.state
        if now is state:
            return True
        if now is LifeCycle.LOCKED_OUT and state is LifeCycle.ACTIVE:
            return self._step(_BETWEEN[state])
        return _LIFE.index(now) + 1 == _LIFE.index(state) and self._step(_entering(state))

    def _step(self, step: Case) -> bool:
        """Whether a step leads the card to its state."""
        self._judge(self.stand, step, self._tell_once)
        return self.stand.card.state is step.state

    def _run_spare(self, cases: list[Case]) -> None:
        """Each of these has a card of its own."""
        for case in cases:
            if self._ended:
                return
            try:
                stand = self.stand.spare()
            except UnmetError as error:
                self._tell_once(unmet(error))
                self._skip([case], f"the card for it cannot be tested: {error}")
            else:
                self._spend(stand, case)

    def _spend(self, stand: Stand | None, case: Case) -> None:
        if stand is None:
            self._skip([case], "it costs the card, and no other can be made on this connection")
            return
        self._told.append(stand.card.told)
        if why := self._enter(stand, case.state):
            self._skip([case], why)
        else:
            self._run_one(stand, case)

    def _enter(self, stand: Stand, wanted: LifeCycle) -> str:
        """Why a spare card does not come into a state, or nothing; its steps are told only when they fail."""
        for state in _LIFE[1 : _LIFE.index(wanted) + 1]:
            if state is not LifeCycle.LOCKED_OUT and (why := self._quietly(stand, _entering(state))):
                return f"the card for it does not become {state.text}: {why}"
        return ""

    def _quietly(self, stand: Stand, step: Case) -> str:
        """Why a step fails, or nothing; the same failing step is told once in a run."""
        result = self._tried(stand, step)
        if result.outcome is Outcome.PASSED:
            return ""
        self._tell_once(result)
        self._recover(stand)
        return result.why

    def _tell_once(self, result: Result) -> None:
        """What many cards or cases need, unless it has failed already."""
        if result.case.name not in {failed.case.name for failed in failures(self.results)}:
            self._add(result)

    def _run_one(self, stand: Stand, case: Case) -> None:
        """A case, if the card is where it begins, or can be brought back there."""
        if why := self._return(stand, case.state):
            self._skip([case], why)
        else:
            self._judge(stand, case)

    def _return(self, stand: Stand, state: LifeCycle) -> str:
        """Why the card is not where a case begins and does not come back there, or nothing.

        Another case may have left it active or locked out. What fails on the way is the failure of no case.
        """
        now = stand.card.state
        if now is state:
            return ""
        if not {now, state} <= _BETWEEN.keys():
            return f"the card is {now.text} now"
        why = self._quietly(stand, _BETWEEN[state])
        return why and f"the card is {now.text} now, and does not become {state.text}: {why}"

    def _judge(self, stand: Stand, case: Case, tell: Callable[[Result], object] | None = None) -> None:
        result = self._tried(stand, case)
        (tell or self._add)(result)
        if result.outcome is Outcome.FAILED and not self._ended:
            self._recover(stand)

    def _tried(self, stand: Stand, case: Case) -> Result:
        told, begin = stand.card.told, time.perf_counter()
        said, platforms = told.exchanges, len(told.platforms)
        try:
            outcome, why, deviation = _outcome(stand, case)
            if outcome is Outcome.PASSED and told.platforms[platforms:]:
                outcome, why, deviation = _of_platform(told.platforms[platforms:])
        except ReaderError as error:
            self._require_reader(stand, error)
            outcome, why, deviation = Outcome.FAILED, f"the card gave no answer: {_said(error)}", None
        spent = time.perf_counter() - begin
        return Result(case, outcome, why, deviation, stand.card.told.exchanges - said, spent)

    def _require_reader(self, stand: Stand, error: ReaderError) -> None:
        """A card that answers after a reset has failed; one that does not, or a reader, is gone: raises the error."""
        try:
            stand.card.slot.connect()
        except ReaderError:
            raise error from None

    def _recover(self, stand: Stand) -> None:
        """After a failure the twin is made what the card is now; a card that makes that impossible is given up."""
        if stand is not self.stand:
            return
        try:
            stand.card.meet()
        except SaifuError as error:
            self.lost = f"after a failure the card cannot be tested any more: {error}"

    def _skip(self, cases: list[Case], why: str) -> None:
        for case in cases:
            self._add(Result(case, Outcome.SKIPPED, why))

    def _skip_rest(self, why: str) -> None:
        tried = {result.case for result in self.results}
        self._skip([case for case in self.cases if case not in tried], why)

    def _add(self, result: Result) -> None:
        self.results.append(result)
        self.watch(result)

    @property
    def _end(self) -> Case:
        """The card is given back active, or locked out if it was found so."""
        return _GIVEN_BACK[LifeCycle.LOCKED_OUT if self.found is LifeCycle.LOCKED_OUT else LifeCycle.ACTIVE]

    def _give_back(self) -> None:
        """The card as it was found, if there is a way to it; and nothing of ours unsettled."""
        if self.found is None or self.lost:
            return
        now, end = self.stand.card.state, self._end
        if {now, end.state} == _BETWEEN.keys():
            self._step(end)
        elif now is end.state is LifeCycle.ACTIVE and self.stand.waiting:
            self._step(Case("Life cycle", "nothing is left unsettled at the end", now, self._refund))

    def _refund(self, stand: Stand) -> None:
        """What was unsettled when the card was found stays so, if no case has made the card ready since."""
        stand.refund(beyond=self._paid)

    def _bring_back(self) -> None:
        """The same outside of lock-step, since the twin may not be where the card is; told only when it fails."""
        try:
            self.stand.restore(self._end.state)
        except (Exception, KeyboardInterrupt) as error:
            self._skip([self._end], f"it is left as it is: {_said(error)}")


def unmet(error: UnmetError) -> Result:
    """A card that cannot be tested at all, as the failure of a case."""
    case = Case(error.clause, "the card tells what it is when it is met", LifeCycle.BLANK, Stand.audit)
    return Result(case, Outcome.FAILED, str(error))


def _entering(state: LifeCycle) -> Case:
    """The step into a state from the one before."""
    return Case("Life cycle", _TITLES[state], state, _ENTER[state])


def _spends(case: Case) -> bool:
    """Whether the card is worth nothing after it, or has to be before it."""
    return case.spare or case.state is LifeCycle.TERMINATED


def _of_platform(answers: list[Deviation]) -> tuple[Outcome, str, Deviation]:
    """The first of what the platform has answered, and how many there are."""
    more = f", and to {len(answers) - 1} more commands" if len(answers) > 1 else ""
    return Outcome.PLATFORM, f"the platform answers in the purse's place{more}: {answers[0].why}", answers[0]


def _outcome(stand: Stand, case: Case) -> tuple[Outcome, str, Deviation | None]:
    try:
        with suppress(PlatformError):
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
