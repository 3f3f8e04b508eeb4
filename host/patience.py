"""Bounded waits: calls that may block for ever are made where nobody has to wait for their end.

A command of PC/SC blocks in the system's library for as long as a card is mute, another program holds the reader, or
a driver hangs. There is no call that ends another one, and a signal is not heard meanwhile: Python runs its handler in
the main thread, once that is back from the call. So such calls go to a Worker, a thread that makes one after the other.

Whoever wants a result waits for it in pieces of 0.2 s, in which Ctrl-C is heard; is told, after 2 s, what is being
waited for; and gives up when the patience is over. What was given up, or left by Ctrl-C, cannot be stopped: it stays
with its thread. From then on that worker takes no further call that anybody waits for. It still takes ``leave``, the
last call, behind the one that hangs: so what a late call has opened is let go too, and by the thread that has opened
it. The thread is a daemon, so that it does not hold up the end of the process; what is not let go by then is the
system's to let go.

A result that comes when nobody waits any more must not be lost with it, for it may be a card that is held. Therefore
calls keep what they open in an object of their own and not in their result, and ``leave`` looks there.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

__all__ = ["PATIENCE", "PATIENCE_SECONDS", "GaveUpError", "Patience", "Worker"]

PATIENCE_SECONDS = 60.0
"""Longer than any honest command takes: cards make a key pair in less than 10 s, and few computers ask for more."""
_TELL_SECONDS, _PIECE_SECONDS = 2.0, 0.2

ResultT = TypeVar("ResultT")


class GaveUpError(Exception):
    """The patience is over; the call goes on in its thread."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds to wait for a card, a reader or the float, and who is told that it takes time."""

    seconds: float = PATIENCE_SECONDS
    tell: Callable[[str], None] = lambda _: None

    def wait(self, look: Callable[[float], bool], what: Callable[[], str]) -> None:
        """Look until there is what is waited for; ``look`` is given the seconds that it may take.

        Raises GaveUpError when the patience is over. After 2 s ``what`` says what is being waited
        for, and that is told.
        """
        begin, told = time.monotonic(), False
        while not look(min(_PIECE_SECONDS, self.seconds)):
            spent = time.monotonic() - begin
            if spent >= self.seconds:
                raise GaveUpError
            if spent >= min(_TELL_SECONDS, self.seconds / 2) and not told:
                told = True
                self.tell(f"{what()}; giving up after {self.seconds:g} s, Ctrl-C ends it now")


PATIENCE: ContextVar[Patience] = ContextVar("patience", default=Patience())  # noqa: B039  (it is frozen)
"""The patience of this run (``--patience``)."""


@dataclass(slots=True)
class _Call(Generic[ResultT]):
    """A call on its way, and what became of it."""

    function: Callable[[], ResultT]
    ended: SimpleQueue["_Call[ResultT]"]
    result: ResultT | None = None
    error: BaseException | None = None

    def make(self) -> None:
        """In the thread: whatever is raised belongs to the one who waits."""
        try:
            self.result = self.function()
        except BaseException as error:
            self.error = error
        self.ended.put(self)

    def value(self) -> ResultT:
        """The result; raises what the call has raised."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # None only where None is the result


class Worker:
    """A daemon thread for calls that may block."""

    def __init__(self, name: str) -> None:
        """``name`` of the thread, which begins at once."""
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._waiting = False

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    @property
    def hangs(self) -> bool:
        """Whether a call was given up, or left by Ctrl-C, and the thread has not ended since."""
        return self._waiting and self._thread.is_alive()

    def hangs_after(self, seconds: float) -> bool:
        """As ``hangs``, once the thread has had a while to end."""
        if self._waiting:
            self._thread.join(seconds)
        return self.hangs

    def call(self, function: Callable[[], ResultT], patience: Patience, what: Callable[[], str]) -> ResultT:
        """Make a call and wait for it; see Patience.wait. Raises GaveUpError, and what the call raises."""
        ended: SimpleQueue[_Call[ResultT]] = SimpleQueue()
        call = _Call(function, ended)

        def look(seconds: float) -> bool:
            """Whether it has ended."""
            try:
                ended.get(timeout=seconds)
            except Empty:
                return False
            return True

        self._waiting = True
        self._calls.put(call.make)
        patience.wait(look, what)
        self._waiting = False
        return call.value()

    def leave(self, function: Callable[[], None], seconds: float) -> bool:
        """Make the last call, behind what hangs, and end the thread; False if that has not come about in time.

        Nothing is waited for where a call hangs.
        """
        hangs = self._waiting
        self._calls.put(function)
        self._calls.put(None)
        if not hangs:
            self._thread.join(seconds)
        return not self._thread.is_alive()
