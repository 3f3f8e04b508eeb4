"""A recorded card against the model: where does it deviate first?

The model begins with the card's memory as it was before the trace, or with that of a blank card. After the first
deviation nothing more is told, since the two are not in step then.

Two things that a trace does not tell are found out. A PIN that was left out is the right one where the card accepted
it, else a wrong one. A command without an answer was executed, or was not: what fits what comes after it is taken.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from apdu.command import SECURE_MESSAGING
from apdu.commands import SECRET_INS, Ins
from apdu.errors import FormatError, InputError, StoreError
from apdu.protocol import Protocol
from apdu.status import StatusWord
from apdu.trace.difference import FieldDifference, Said, fields_that_differ
from apdu.trace.model import Exchange
from apdu.trace.reading import Reading
from host.replay import Recording
from host.scp03 import StaticKeys
from saifu.conformance.oracle import Deviation, Oracle
from saifu.conformance.twin import Twin

__all__ = ["Followed", "Guess", "TraceOracle"]

_MOST_REPEATS, _LOOKED_BACK = 64, 3
"""How often a trace is followed anew with another guess, and how many commands without an answer each looks at."""
_MOST_FOLLOWED = 1_000_000
"""Exchanges that are followed in all, before guessing ends."""
_OK, _WRONG_DATA = StatusWord.OK.to_bytes(2), StatusWord.WRONG_DATA.to_bytes(2)
_BEHIND_HEADER = 4
_LEAST_MARK = 8


class Guess(Enum):
    """What became of a command without an answer."""

    EXECUTED = "executed"
    NOT_EXECUTED = "not executed"
    DECLINED = "executed, with a wrong PIN"


@dataclass(frozen=True, slots=True)
class Followed:
    """How far a trace and the model were in step."""

    compared: int
    """Exchanges that are as the model's."""
    number: int = 0
    """Item of the trace that deviates; 0: none."""
    deviation: Deviation | None = None
    fields: tuple[FieldDifference, ...] = ()
    """What differs in the answer: ``old`` is the model's, ``new`` the card's."""
    hint: str = ""
    """What may be behind it, if not the card."""
    unanswered: tuple[int, ...] = ()
    """Items that are commands without an answer."""
    guesses: dict[int, Guess] = field(default_factory=dict)
    is_blind: bool = False
    """Bytes of the command that deviates were left out of the trace and cannot be replaced: the card may be right."""

    def guess(self, number: int) -> Guess:
        """What fits best for a command without an answer."""
        return self.guesses.get(number, Guess.EXECUTED)

    @property
    def reach(self) -> int:
        """How many items are in order; for comparing."""
        return self.number or 1 << 62


class TraceOracle:
    """One recorded card and the model."""

    def __init__(self, recording: Recording, image: bytes, keys: StaticKeys, protocol: Protocol) -> None:
        """``image`` is the card's memory before the trace; it is not changed. ``keys`` are the card's static keys."""
        self._recording, self._image, self._keys, self._protocol = recording, image, keys, protocol
        self._followed = 0

    def run(self) -> Followed:
        """Follow the trace; raises InputError where it lacks what the model would need, StoreError for a bad image."""
        try:
            followed = self._run()
        except (ValueError, FormatError) as error:
            # bytes of the trace end in no such error: the model has read a cell that no card writes
            raise StoreError(f"the card image is damaged: {error}") from None
        if followed.is_blind:
            raise InputError(
                f"item {followed.number}: bytes of this command were left out of the trace, and the model cannot "
                "follow without them"
            )
        return followed

    def _run(self) -> Followed:
        """Try one guess after the other about commands without an answer, as long as that leads further."""
        best = self._follow({})
        for _ in range(_MOST_REPEATS):
            if not best.number or not best.unanswered or self._followed > _MOST_FOLLOWED:
                break
            again = [self._follow(guesses) for guesses in _other_guesses(best)]
            furthest = max(again, key=lambda each: each.reach)
            if furthest.reach <= best.reach:
                break
            best = furthest
        return best

    def _follow(self, guesses: dict[int, Guess]) -> Followed:
        oracle = Oracle(Twin(self._image, self._protocol), self._keys)
        compared, unanswered = 0, list[int]()
        for session in self._recording.sessions:
            oracle.reset()
            for number, said in session.exchanges:
                guess = guesses.get(number, Guess.EXECUTED)
                if said.response is None:
                    unanswered.append(number)
                    if guess is Guess.NOT_EXECUTED:
                        continue
                self._followed += 1
                deviation = oracle.hear(_filled(oracle.twin, said, guess), said.response)
                if deviation is None:
                    compared += 1
                elif said.response is not None:
                    fields = tuple(_fields(deviation, oracle.twin))
                    hint, is_blind = self._hint(number, deviation, fields), _is_blind(said)
                    return Followed(compared, number, deviation, fields, hint, tuple(unanswered), guesses, is_blind)
        return Followed(compared, unanswered=tuple(unanswered), guesses=guesses)

    def _hint(self, number: int, deviation: Deviation, fields: Iterable[FieldDifference]) -> str:
        first = next(each.number for session in self._recording.sessions for each in session.exchanges)
        if deviation.command[1:2] == bytes((Ins.SELECT,)) and any("card id" in each.field for each in fields):
            return "the card ID is another one: this is probably not the card of the image"
        if deviation.command[1:2] == bytes((Ins.SELECT,)) and number == first:
            return (
                "the first SELECT deviates: the image may be of another card, or of another time than before the trace"
            )
        if number == first:
            return "the first command deviates: the trace may not begin where the card was powered on"
        return ""


def _other_guesses(best: Followed) -> Iterator[dict[int, Guess]]:
    """Other guesses about the last commands without an answer."""
    for number in best.unanswered[-_LOOKED_BACK:]:
        for guess in Guess:
            if guess is not best.guess(number):
                yield best.guesses | {number: guess}


# --- secrets that are not in the trace ---------------------------------------------------------------------


def _blanks(said: Exchange) -> list[tuple[int, int]]:
    return [(start, end) for part, start, end in said.redacted if part == "command"]


def _is_blind(said: Exchange) -> bool:
    """Whether bytes were left out for which there is no replacement: they are no PIN, or a MAC is over them."""
    cla, ins = int.from_bytes(said.command[:1]), int.from_bytes(said.command[1:2])
    return bool(_blanks(said)) and (ins not in SECRET_INS or bool(cla & SECURE_MESSAGING))


def _filled(twin: Twin, said: Exchange, guess: Guess) -> bytes:
    """The command, with the twin's own PIN where the card accepted one that was left out, and else a wrong one.

    Other bytes that were left out stay zeros: that is no matter where the card declined the command before it saw them.
    """
    command, ins = said.command, int.from_bytes(said.command[1:2])
    if not _blanks(said) or _is_blind(said):
        return command
    start, end = _blanks(said)[0]
    size = end - start
    if start == _BEHIND_HEADER:
        # it did not parse, and must not parse now: Lc says too many bytes, or too few
        return command[:start] + (b"\xff" if size < 4 else b"\x01") + bytes(size - 1) + command[end:]
    right = said.response == _OK if said.response is not None else guess is not Guess.DECLINED
    given = _codes(twin, ins, right, is_digits=said.response != _WRONG_DATA)
    return command[:start] + given[:size].ljust(size, b"\0") + command[end:]


def _codes(twin: Twin, ins: int, right: bool, is_digits: bool) -> bytes:
    """Data of a command with a PIN; a new PIN is not known, and the old one stays."""
    pin = twin.cells.pin.get()
    known = twin.cells.puk.get() if ins == Ins.RESET_RETRY_COUNTER else pin
    code = known if right else bytes(byte ^ 0xFF for byte in known)
    if ins == Ins.VERIFY:
        return code
    return code + (pin if is_digits else bytes(len(pin)))


# --- what differs ------------------------------------------------------------------------------------------


def _fields(deviation: Deviation, twin: Twin) -> Iterator[FieldDifference]:
    """The answer field by field; where the card is free, the model has nothing to show."""
    answers = (deviation.expected, deviation.answered)
    model, card = (Reading(0, Exchange(deviation.command, answer)) for answer in answers)
    for each in fields_that_differ(model, card, strict=True).differences:
        raw = each.old.raw if each.old is not None else b""
        is_mark = len(raw) >= _LEAST_MARK and any(raw in mark for mark in twin.marks)
        yield each._replace(old=Said(b"", "of the card's own choice, within its rules")) if is_mark else each
