"""A recorded card plays its part again: the answers of a trace, to the same commands in the same order.

Strict: a command is the recorded one byte for byte, at its place. Two things may be otherwise: PINs and keys, which
are blanked on reading if the trace has them still, and what T=0 does to a command on its way.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from apdu.errors import InputError, MisbehaviourError, OutcomeUnknownError
from apdu.trace.forms import pcscd
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.names import name_of
from apdu.trace.redaction import Redactor, redact
from host.connection import Ejection
from host.trace_files import open_trace

__all__ = [
    "REPLAY",
    "Recorded",
    "Recording",
    "ReplayCard",
    "ReplayConnection",
    "ReplaySlot",
    "Session",
    "blanked",
    "load",
    "sessions",
]

REPLAY = "replay:"
"""With this a card out of a trace is named: ``replay:FILE`` or ``replay:FILE#SLOT``."""

_NO_DIAGNOSIS = b"\x6f\x00"
_ATR_SIZES = range(2, 34)
_ATR_UNKNOWN = bytes.fromhex("3B800181")
"""For a card whose own is not in the trace: T=1, and nothing else is said (ISO 7816-3 clause 8.2)."""
_MOST_BYTES = 65535
"""Bytes of an answer that the wire of a virtual card takes."""
_MOST_SHOWN = 16
"""Bytes of a command that an error shows: the header and a little more."""
_OBJECTS = (0xCA, 0xCB, 0xDA, 0xDB)
"""GET DATA and PUT DATA: P1-P2 is what they are about (ISO 7816-4 11.5)."""


class Recorded(NamedTuple):
    """An exchange and its place in its trace, counted from 1 over all items."""

    number: int
    exchange: Exchange


class Session(NamedTuple):
    """What was said from a reset of a card to the next; ``atr`` is empty where it is not known."""

    atr: bytes
    exchanges: tuple[Recorded, ...]


class Recording(NamedTuple):
    """One slot's part of a trace; ``name`` is ``FILE`` or ``FILE#SLOT``, as it was asked for."""

    name: str
    sessions: tuple[Session, ...]


def sessions(items: Iterable[tuple[int, Item]]) -> Iterator[Session]:
    """Cut the numbered items of one slot at its resets; what stands before the first is a session too."""
    atr: bytes | None = None
    said: list[Recorded] = []
    for number, item in items:
        if isinstance(item, Exchange):
            said.append(Recorded(number, item))
        elif isinstance(item, Reset):
            if atr is not None or said:
                yield Session(atr or b"", tuple(said))
            atr, said = item.atr, []
    if atr is not None or said:
        yield Session(atr or b"", tuple(said))


def load(source: str, slot: str | None = None, choosing: str = "replay:FILE#SLOT") -> Recording:
    """Read one slot's part of a trace of any form; ``source`` is ``FILE`` or ``FILE#SLOT``.

    A slot is named as in the trace, or by a part of its name that no other has; with one slot in the trace it
    need not be. ``choosing`` is how one is given where this is asked for. Commands come without PINs and keys, which
    are blanked whether the trace has them or not. A slot in which nothing was said is none, and resets of pcscd's own,
    which powers each card to look at it, are left out. Raises InputError for a file or slot that is not there,
    FormatError for what is no trace.
    """
    file, slot = (Path(source), slot) if slot is not None else _split(source)
    with open_trace(file) as (form, read):
        items = [(number, item) for number, item in enumerate(read, 1) if not isinstance(item, Remark)]
    used = [item.slot for _, item in items if isinstance(item, Exchange)] or [item.slot for _, item in items]
    chosen = _choose(list(dict.fromkeys(used)), slot, file, choosing)
    redactor = Redactor()
    played = ((number, _without_secrets(item, redactor)) for number, item in items if item.slot == chosen)
    found = sessions(played)
    return Recording(source, tuple(each for each in found if each.exchanges or form != pcscd.NAME))


def _without_secrets(item: Item, redactor: Redactor) -> Item:
    """The item with its command's secrets blanked; an answer stays, since a card that plays has to give it."""
    clean = redactor.redact(item)
    if not isinstance(clean, Exchange) or not isinstance(item, Exchange):
        return item
    blanks = [blank for blank in clean.redacted if blank[0] == "command"]
    kept = [blank for blank in item.redacted if blank[0] == "response"]
    return replace(item, command=clean.command, redacted=(*blanks, *kept))


def _split(source: str) -> tuple[Path, str | None]:
    """File and slot; both may have a # in their names, and the longest name of a file that is there is the file's."""
    parts = source.split("#")
    cuts = [("#".join(parts[:end]), "#".join(parts[end:])) for end in range(len(parts) - 1, 0, -1)]
    if not cuts or Path(source).exists():
        return Path(source), None
    file, slot = next((cut for cut in cuts if Path(cut[0]).exists()), cuts[0])
    return Path(file), slot


def _choose(slots: list[str], wanted: str | None, file: Path, choosing: str) -> str:
    if not slots:
        raise InputError(f"{file}: nothing was said to a card in this trace")
    if wanted is None:
        found = slots
    else:
        found = [wanted] if wanted in slots else [each for each in slots if wanted.casefold() in each.casefold()]
    if len(found) != 1:
        problem = "there are several slots in this trace" if wanted is None else f"{wanted!r} does not name one slot"
        raise InputError(f"{file}: {problem}: choose one of {', '.join(map(repr, slots))} with {choosing}")
    return found[0]


def blanked(part: str, raw: bytes, exchange: Exchange) -> bytes:
    """``raw`` with zeros where ``exchange`` has them in its ``part``, ``command`` or ``response``."""
    places = [(start, end) for name, start, end in exchange.redacted if name == part]
    if not places:
        return raw
    zeroed = bytearray(raw)
    for start, end in places:
        zeroed[start:end] = bytes(len(zeroed[start:end]))
    return bytes(zeroed)


def _at_t0(command: bytes) -> bytes:
    """A short command as T=0 carries it (ISO 7816-3 clause 12.2): case 1 gets a P3, case 4 loses its Le."""
    if len(command) == 4:
        return command + b"\0"
    return command[: 5 + command[4]] if len(command) > 5 and command[4] else command


def _is_same(recorded: Exchange, command: bytes) -> bool:
    given, wanted = blanked("command", command, recorded), blanked("command", recorded.command, recorded)
    return given in (wanted, _at_t0(wanted))


def _told(command: bytes) -> str:
    """A command for an error's text: its name, and how it begins. It has no secrets any more."""
    about = f" {command[2:4].hex().upper()}" if len(command) >= 4 and command[1] in _OBJECTS else ""
    cut = f"…, {len(command)} bytes" if len(command) > _MOST_SHOWN else ""
    return f"{name_of(command).name}{about} ({command[:_MOST_SHOWN].hex().upper()}{cut})"


def _difference(one: bytes, other: bytes) -> str:
    """Where two commands differ whose text is the same; empty if the texts, or what is blanked, tell them apart."""
    if _told(one) != _told(other):
        return ""
    places = (at for at, (left, right) in enumerate(zip(one, other, strict=True)) if left != right)
    return next((f", other from byte {at} on" for at in places), "")


class ReplayConnection:
    """Answers as a card once did between two resets; is a CardConnection."""

    def __init__(self, session: Session, recording: Recording) -> None:
        """Begin at the first exchange of ``session``; the ``recording`` that it is of is for errors."""
        self._session, self._recording = session, recording
        self._name = REPLAY + recording.name
        self._position = 0
        self._redactor = Redactor()

    @property
    def atr(self) -> bytes:
        """The recorded answer to reset; empty where it is not known."""
        return self._session.atr

    @property
    def begun(self) -> bool:
        """Whether anything has been played."""
        return self._position > 0

    @property
    def finished(self) -> bool:
        """Whether everything that was recorded has been played."""
        return self._position == len(self._session.exchanges)

    def transmit(self, command: bytes) -> bytes:
        """Return the recorded answer.

        Raises MisbehaviourError, with the item's number in the trace, for another command than the recorded one
        and for one after the last, and stays at its place; OutcomeUnknownError where no answer was recorded.
        """
        sent = self._redactor.sent(Exchange(command, None))
        if self.finished or not _is_same(self._session.exchanges[self._position].exchange, command):
            raise MisbehaviourError(f"{self._name}{self._wanted(sent.command)}; {self._whereabouts(command)}")
        number, recorded = self._session.exchanges[self._position]
        self._position += 1
        self._redactor.answered(sent, recorded.response)
        if recorded.response is None:
            recovery = OutcomeUnknownError.recovery
            raise OutcomeUnknownError(f"{self._name}, item {number}: no answer was recorded; {recovery}")
        return recorded.response

    def _wanted(self, came: bytes) -> str:
        """What was recorded at this place, and what came instead, which has no secrets any more."""
        if self.finished:
            after = f"after item {self._session.exchanges[-1].number} " if self._session.exchanges else ""
            return f": {after}no command was recorded before the next reset, and {_told(came)} came"
        number, recorded = self._session.exchanges[self._position]
        wanted = redact(recorded).command
        return f", item {number}: {_told(wanted)} was recorded here, and {_told(came)} came{_difference(wanted, came)}"

    def _whereabouts(self, command: bytes) -> str:
        """Where the trace has a command that came at another place: first what is still to come in this session."""
        here, everything = self._session.exchanges, [each for one in self._recording.sessions for each in one.exchanges]
        for number, exchange in (*here[self._position :], *everything):
            if _is_same(exchange, command):
                return f"this command is item {number} of the trace, and a replay keeps the order"
        return "this command is missing in the trace"


class ReplaySlot:
    """A slot with a recorded card; is a CardSlot. Each ``connect`` goes to the next reset in the trace."""

    def __init__(self, recording: Recording) -> None:
        """Begin at the first reset, or at the first command where it is recorded without one."""
        self._recording = recording
        self._connected = 0

    @property
    def name(self) -> str:
        """``replay:`` and what was asked for."""
        return REPLAY + self._recording.name

    def connect(self) -> ReplayConnection:
        """Go to the next reset, whatever is left before it; raises MisbehaviourError when there is none."""
        played = self._recording.sessions
        if self._connected == len(played):
            raise MisbehaviourError(f"{self.name}: the trace has {len(played)} resets, and this is one more")
        self._connected += 1
        return ReplayConnection(played[self._connected - 1], self._recording)

    def eject(self) -> Ejection:
        """Put the card out; the next ``connect`` is that of the card that was put in then."""
        return Ejection.EJECTED

    def close(self) -> None:
        """Nothing is held."""


class ReplayCard:
    """A recorded card for a virtual reader; is a SimulatedCard.

    A reader resets when it likes, and many programs never do: a reset before the first command of a session
    begins that session again, what comes after its last command begins the next one, and after the last session
    comes the first. What deviates is told, and answered with 6F00 (no diagnosis).
    """

    def __init__(self, recording: Recording, tell: Callable[[str], None]) -> None:
        """``tell`` takes a line for each deviation. Raises InputError for a recording without a command."""
        self._recording, self._tell = recording, tell
        self._played = [session for session in recording.sessions if session.exchanges]
        if not self._played:
            raise InputError(f"{recording.name}: no command was recorded")
        self._turn = 0
        self._connection = self._connect()

    def _connect(self) -> ReplayConnection:
        session = self._played[self._turn % len(self._played)]
        return ReplayConnection(session, self._recording)

    def _go_on(self) -> None:
        """To the next session, if anything was said in this one."""
        self._turn += self._connection.begun
        self._connection = self._connect()

    def power_on(self) -> bytes:
        """Begin the next session, if anything was said in this one; return the recorded answer to reset."""
        self._go_on()
        atr = self._connection.atr
        if atr and len(atr) not in _ATR_SIZES:
            self._tell(f"{self._recording.name}: an answer to reset of {len(atr)} bytes was recorded; not given")
        return atr if len(atr) in _ATR_SIZES else _ATR_UNKNOWN

    reset = power_on

    def power_off(self) -> None:
        """Nothing: power-on decides where to go on."""

    def transmit(self, command: bytes) -> bytes:
        """Return the recorded answer.

        Raises ConnectionAbortedError where none was recorded: for the reader the card is out, and in again.
        """
        if self._connection.finished:
            self._go_on()
        try:
            answer = self._connection.transmit(command)
        except OutcomeUnknownError as error:
            self._tell(str(error))
            raise ConnectionAbortedError from None
        except MisbehaviourError as error:
            self._tell(f"{error}; answered with 6F00")
            return _NO_DIAGNOSIS
        if not 2 <= len(answer) <= _MOST_BYTES:
            self._tell(f"{self._recording.name}: an answer of {len(answer)} bytes was recorded; answered with 6F00")
            return _NO_DIAGNOSIS
        return answer
