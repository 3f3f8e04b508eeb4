"""Recording: whatever goes to a card and comes back is written to a trace, so that a crash loses nothing.

A command is in the file before it is sent, and its answer before anybody sees it. PINs and keys are taken out
before a byte reaches the file.
"""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from io import FileIO
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from apdu.errors import FormatError, InputError, StoreError
from apdu.protocol import Protocol as TransmissionProtocol
from apdu.trace import own
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.redaction import Redactor
from host.connection import CardConnection, CardSlot, Ejection, TellsProtocol
from host.files import hold_open

__all__ = ["TRACE", "Clock", "RecordingConnection", "RecordingSlot", "TellsAtr", "TraceFile", "recorded"]

_MICROSECOND = 6


class TraceFile:
    """A trace in the own form that only grows: every line is one write to the operating system.

    The purse comes first: when a line cannot be written (the disk is full), recording ends, business goes on, and
    ``close`` tells it. One program writes a file at a time.
    """

    def __init__(self, path: Path, program: str, *, sync: bool = False) -> None:
        """Make the file, readable by its owner alone, or go on with one of the same form.

        ``program`` is the writer's name and version; empty, if this is a process of the program that has written its
        header already. With ``sync`` each line survives a loss of power too, which costs the disk's time. Raises
        InputError for a file of another kind, StoreError when it cannot be written.
        """
        self.path = path
        self._sync = sync
        self._lock = Lock()
        self._failure: OSError | None = None
        with ExitStack() as opened:
            try:
                self._file = opened.enter_context(FileIO(path, "ab", opener=_private))
                cut = self._go_on() if program else ""
            except OSError as error:
                raise StoreError(f"{path} cannot be written: {error.strerror}") from None
            opened.pop_all()
        if program:
            self._write(cut + own.header(program))
        if self._failure is not None:
            self.close()

    def _go_on(self) -> str:
        """Hold the file, and say what has to be written before a header; raises StoreError, InputError, OSError."""
        if not S_ISREG(os.fstat(self._file.fileno()).st_mode):
            return ""
        hold_open(self._file.fileno(), self.path)
        return _end_of_cut_line(self.path)

    def write(self, item: Item) -> None:
        """Write one item; it has no secrets any more."""
        self._write(own.encode(item))

    def sent(self, exchange: Exchange) -> None:
        """Write a command that is about to be sent."""
        self._write(own.encode_sent(exchange))

    def answered(self, exchange: Exchange) -> None:
        """Write the answer to the command last written for its slot."""
        self._write(own.encode_answer(exchange))

    def _write(self, line: str) -> None:
        """Whole lines, one after the other; nothing more once something has failed."""
        with self._lock:
            if self._failure is not None:
                return
            try:
                self._put(line.encode("ascii") + b"\n")
            except OSError as error:
                self._failure = error

    def _put(self, line: bytes) -> None:
        """One write, unless the system takes a part only."""
        while written := self._file.write(line):
            line = line[written:]
            if not line:
                break
        if self._sync:
            os.fsync(self._file.fileno())

    def _raise_failure(self) -> None:
        if self._failure is not None:
            reason = self._failure.strerror or self._failure
            raise StoreError(f"{self.path}: the trace ends before the business did: {reason}") from None

    def close(self) -> None:
        """Close the file; raises StoreError when the trace is not complete."""
        self._file.close()
        self._raise_failure()

    def __enter__(self) -> Self:
        """The trace itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close; an error that is on its way is not replaced by one of the trace."""
        self._file.close()
        if error is None:
            self._raise_failure()


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _end_of_cut_line(path: Path) -> str:
    """The end of a line that a crash cut off, if there is one. Raises InputError, OSError."""
    with path.open("rb") as file:
        first = file.readline(own.LONGEST_LINE)
        if not first:
            return ""
        _require_trace(path, first)
        file.seek(-1, os.SEEK_END)
        return "" if file.read(1) == b"\n" else "\n"


def _require_trace(path: Path, first: bytes) -> None:
    try:
        list(own.decode([first.strip() or b"nothing"]))
    except FormatError as error:
        raise InputError(
            f"{path} is there already, and a trace cannot go on in it: {error}; give another name"
        ) from None


Clock = Callable[[], float]
"""Gives seconds."""


@runtime_checkable
class TellsAtr(Protocol):
    """A connection that knows what its card answered to reset."""

    @property
    def atr(self) -> bytes:
        """The answer to reset."""
        ...


class RecordingConnection:
    """Hands every command on, and writes what is said; is a CardConnection itself."""

    def __init__(
        self,
        connection: CardConnection,
        trace: TraceFile,
        slot: str = "",
        *,
        clock: Clock = time.time,
        timer: Clock = time.perf_counter,
        secrets: bool = False,
    ) -> None:
        """``clock`` gives Unix seconds, ``timer`` measures; ``secrets`` keeps PINs: only for cards made for tests."""
        self._connection, self._trace, self._slot = connection, trace, slot
        self._clock, self._timer = clock, timer
        self._redactor = None if secrets else Redactor()

    @property
    def atr(self) -> bytes:
        """The card's answer to reset; empty where the connection does not tell."""
        return self._connection.atr if isinstance(self._connection, TellsAtr) else b""

    def transmit(self, command: bytes) -> bytes:
        """Send a command and return the answer; raises what the connection raises, which is written too."""
        said = Exchange(command, None, self._slot, round(self._clock(), _MICROSECOND))
        said = self._redactor.sent(said) if self._redactor else said
        self._trace.sent(said)
        begin = self._timer()
        try:
            response = self._connection.transmit(command)
        except BaseException as error:
            self._answered(said, None, begin)
            self._trace.write(Remark(f"no answer: {str(error) or type(error).__name__}", self._slot))
            raise
        self._answered(said, response, begin)
        return response

    def _answered(self, said: Exchange, response: bytes | None, begin: float) -> None:
        seconds = round(self._timer() - begin, _MICROSECOND)
        if self._redactor:
            self._trace.answered(self._redactor.answered(said, response, seconds))
        else:
            self._trace.answered(Exchange(said.command, response, said.slot, said.time, seconds))


class RecordingSlot:
    """A slot whose cards are recorded; is a CardSlot itself."""

    def __init__(
        self,
        slot: CardSlot,
        trace: TraceFile,
        *,
        clock: Clock = time.time,
        timer: Clock = time.perf_counter,
        secrets: bool = False,
    ) -> None:
        """Record what happens in a slot; for the rest see RecordingConnection."""
        self._inner, self._trace = slot, trace
        self._clock, self._timer, self._secrets = clock, timer, secrets

    @property
    def inner(self) -> CardSlot:
        """The slot that is recorded."""
        return self._inner

    @property
    def name(self) -> str:
        """The slot's name for people, and in the trace."""
        return self._inner.name

    @property
    def protocol(self) -> TransmissionProtocol:
        """The slot's protocol; T=1 where it does not tell."""
        return self._inner.protocol if isinstance(self._inner, TellsProtocol) else TransmissionProtocol.T1

    def connect(self) -> RecordingConnection:
        """Power the card on, or reset it; raises what the slot raises, which is written too."""
        try:
            connection = self._inner.connect()
        except BaseException as error:
            self._remark(f"no card: {str(error) or type(error).__name__}")
            raise
        recording = RecordingConnection(
            connection, self._trace, self.name, clock=self._clock, timer=self._timer, secrets=self._secrets
        )
        self._trace.write(Reset(recording.atr, self.name, self._now()))
        return recording

    def eject(self) -> Ejection:
        """Put the card out, and write what became of it."""
        ejection = self._inner.eject()
        self._remark(ejection.value)
        return ejection

    def close(self) -> None:
        """Let go of the card; the trace stays open for the next one."""
        self._inner.close()

    def _remark(self, text: str) -> None:
        self._trace.write(Remark(text, self.name, self._now()))

    def _now(self) -> float:
        return round(self._clock(), _MICROSECOND)


TRACE: ContextVar[TraceFile | None] = ContextVar("trace", default=None)
"""The trace (``--trace``) that every slot of this run is recorded in."""


def recorded(slot: CardSlot) -> CardSlot:
    """The slot itself, or with ``--trace`` one that is recorded; every slot that is made goes through here."""
    trace = TRACE.get()
    return slot if trace is None else RecordingSlot(slot, trace)
