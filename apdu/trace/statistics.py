"""Figures of a trace, in one pass and in bounded memory: how many, how long, how many bytes, what went wrong.

Medians and percentiles come from a histogram whose classes grow by 2 %: each is within 1 % of the measured value of
its rank, however many exchanges there are. Count, sum, least and most are exact.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from apdu.commands import Ins
from apdu.errors import FormatError
from apdu.money import Money, currency
from apdu.objects import Request
from apdu.payload import Tag, unpack
from apdu.trace.card_time import CARDS, modelled
from apdu.trace.line_time import LINES, Line
from apdu.trace.model import Exchange, Remark, Reset
from apdu.trace.reading import Reading
from apdu.trace.row import Tone, tone

__all__ = [
    "MOST_COMMANDS",
    "MOST_KINDS",
    "MOST_SLOTS",
    "MOST_WORDS",
    "NO_ANSWER",
    "OTHERS",
    "CommandFigures",
    "Figures",
    "Statistics",
    "Times",
]

MOST_COMMANDS, MOST_SLOTS, MOST_WORDS, MOST_KINDS = 64, 256, 64, 256
"""Commands that no standard names, slots, status words of a command, and kinds of surprises that are counted by name.

Commands of standards are all counted by name: there are a few hundred.
"""
OTHERS = "others"
"""What is beyond these is counted under this name."""
NO_ANSWER = "no answer"

_STEP = math.log(1.02)
_LEAST, _MOST = 1e-6, 1e6
"""Seconds: the clock of a recording counts microseconds, and no exchange takes longer than eleven days."""
_LATEST = 1e12
"""Unix seconds beyond which a time is none that a clock tells."""
_DIGITS = re.compile(r"[0-9A-F.:-]+")


class Times:
    """Durations in seconds: a histogram of at most 1400 classes."""

    def __init__(self) -> None:
        """Nothing has been measured yet."""
        self.count = 0
        self.sum = self.most = 0.0
        self.least = math.inf
        self._classes = Counter[int]()

    def add(self, seconds: float) -> None:
        """Count one; what no clock measures is taken for the nearest that one does."""
        seconds = min(max(seconds, 0.0), _MOST)
        self.count += 1
        self.sum += seconds
        self.least, self.most = min(self.least, seconds), max(self.most, seconds)
        self._classes[math.floor(math.log(max(seconds, _LEAST)) / _STEP)] += 1

    def quantile(self, part: float) -> float:
        """The value below which ``part`` of all are (0.5: the median, nearest rank), within 1 %; 0 of none.

        What is shorter than a microsecond counts as that, unless all are.
        """
        rank, seen = math.ceil(part * self.count), 0
        if rank >= self.count:
            return self.most
        for number in sorted(self._classes):
            seen += self._classes[number]
            if seen >= rank:
                return min(max(math.exp((number + 0.5) * _STEP), self.least), self.most)
        return 0.0

    def document(self) -> dict[str, float] | None:
        """Seconds for JSON; None if nothing was measured."""
        if not self.count:
            return None
        named = {"min": self.least, "median": self.quantile(0.5), "p90": self.quantile(0.9), "max": self.most}
        return {"count": self.count} | {name: round(each, 9) for name, each in {"sum": self.sum, **named}.items()}


def _count(counter: Counter[str], name: str, most: int) -> None:
    """Count by name, as long as there are not too many names."""
    counter[name if name in counter or len(counter) < most else OTHERS] += 1


def _kind(text: str) -> str:
    """A surprise without its numbers, card IDs and hex."""
    return _DIGITS.sub(lambda found: "…" if any(map(str.isdigit, found[0])) else found[0], text)


@dataclass(slots=True)
class Figures:
    """What is counted of a whole trace, or of one slot."""

    exchanges: int = 0
    resets: int = 0
    remarks: int = 0
    sent: int = 0
    """Bytes of commands."""
    received: int = 0
    """Bytes of answers, with their status words."""
    errors: int = 0
    """Answers with a status word that is an error (ISO 7816-4 5.6), and commands without an answer."""
    unexpected: int = 0
    first: float | None = None
    """Unix seconds of the first and the last moment that the trace tells."""
    last: float | None = None
    times: Times = field(default_factory=Times)
    """How long the answers took."""

    @property
    def duration(self) -> float | None:
        """Seconds from the first to the last moment; None if the trace tells no times."""
        return None if self.first is None or self.last is None else self.last - self.first

    def add(self, reading: Reading) -> None:
        """Count one reading."""
        item = reading.item
        self.unexpected += len(reading.unexpected)
        self._moment(item.time, item.seconds if isinstance(item, Exchange) else None)
        match item:
            case Exchange():
                self._exchange(item, tone(reading))
            case Reset():
                self.resets += 1
            case Remark():
                # what the inspector says of the end of the trace is not in it
                self.remarks += item.text not in reading.unexpected

    def _exchange(self, item: Exchange, said: str) -> None:
        self.exchanges += 1
        self.sent += len(item.command)
        self.received += len(item.response or b"")
        self.errors += said == Tone.ERROR or item.response is None
        if item.seconds is not None:
            self.times.add(item.seconds)

    def _moment(self, time: float | None, seconds: float | None) -> None:
        if time is None or abs(time) > _LATEST:
            return
        end = time + min(max(seconds or 0.0, 0.0), _MOST)
        self.first = time if self.first is None else min(self.first, time)
        self.last = end if self.last is None else max(self.last, end)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        counts = {name: getattr(self, name) for name in ("exchanges", "resets", "remarks", "errors", "unexpected")}
        return counts | {
            "bytes": {"sent": self.sent, "received": self.received},
            "first": self.first,
            "last": self.last,
            "duration": None if self.duration is None else round(self.duration, 6),
            "times": self.times.document(),
        }


@dataclass(slots=True)
class CommandFigures:
    """What is counted of one command."""

    name: str
    standard: str
    """Whose command it is; empty: nobody's."""
    figures: Figures = field(default_factory=Figures)
    words: Counter[str] = field(default_factory=Counter)
    """Status words in hex, of the answers in clear; and NO_ANSWER."""
    modelled: dict[str, float] = field(default_factory=dict)
    """Seconds of all exchanges on real cards (apdu.trace.card_time)."""

    def add(self, reading: Reading, item: Exchange, cards: Iterable[str], line: Line) -> None:
        """Count one exchange."""
        self.figures.add(reading)
        said = reading.plain or item
        word = (said.response or b"")[-2:].hex().upper() or NO_ANSWER
        _count(self.words, word, MOST_WORDS)
        for card in cards:
            self.modelled[card] = self.modelled.get(card, 0.0) + modelled(item.command, item.response, card, line)


class Statistics:
    """The figures of a trace; feed it the readings of an inspector, in their order."""

    def __init__(self, cards: Iterable[str] = tuple(CARDS), line: str = next(iter(LINES))) -> None:
        """``cards`` and ``line``: names of CARDS and LINES for which times are modelled."""
        self.cards, self.line = tuple(cards), line
        self.whole = Figures()
        self.slots: dict[str, Figures] = {}
        self.commands: dict[tuple[str, str], CommandFigures] = {}
        """By name and standard."""
        self._unnamed = 0
        self.unexpected = Counter[str]()
        """By kind: the text with its numbers left out."""
        self.paid = Counter[int]()
        """Minor units that PAY has taken off cards, by the number of the currency (ISO 4217)."""

    def add(self, reading: Reading) -> None:
        """Count one reading."""
        item = reading.item
        self.whole.add(reading)
        self._slot(item.slot).add(reading)
        for text in reading.unexpected:
            _count(self.unexpected, _kind(text), MOST_KINDS)
        if isinstance(item, Exchange):
            self._command(reading).add(reading, item, self.cards, LINES[self.line])
            self._pay(reading.plain or item)

    def _slot(self, name: str) -> Figures:
        known = name in self.slots or len(self.slots) < MOST_SLOTS
        return self.slots.setdefault(name if known else OTHERS, Figures())

    def _command(self, reading: Reading) -> CommandFigures:
        key = reading.name, reading.standard
        if key not in self.commands and not reading.standard:
            self._unnamed += 1
            if self._unnamed > MOST_COMMANDS:
                key = OTHERS, ""
        return self.commands.setdefault(key, CommandFigures(*key))

    def _pay(self, said: Exchange) -> None:
        """Count what a PAY that went well was asked for; at 61xx its answer is on the way, and the money is gone."""
        if said.command[:2] != bytes((0x80, Ins.PAY)) or (said.response or b"")[-2:-1] not in (b"\x90", b"\x61"):
            return
        try:
            objects = unpack(said.command[5 : 5 + said.command[4]], (Tag.CERTIFICATE, Tag.REQUEST), (Tag.DATE,))
            request = Request.decode(objects[Tag.REQUEST])
        except (FormatError, IndexError):
            return
        self.paid[request.currency] += request.amount

    def document(self) -> dict[str, Any]:
        """For JSON; the commands that took longest come first."""
        return self.whole.document() | {
            "slots": [{"slot": name} | each.document() for name, each in self.slots.items()],
            "commands": [self._command_document(each) for each in self.ordered()],
            "line": self.line,
            "modelled": {card: round(self.modelled(card), 6) for card in self.cards},
            "unexpected_kinds": dict(self.unexpected.most_common()),
            "paid": [str(each) for each in self.money()],
        }

    def ordered(self) -> list[CommandFigures]:
        """Commands, those that took longest first; without times those that came most often."""
        return sorted(self.commands.values(), key=lambda each: (-each.figures.times.sum, -each.figures.exchanges))

    def share(self, each: CommandFigures) -> float | None:
        """Part of the time of all answers, 0 to 1; None without times."""
        return each.figures.times.sum / self.whole.times.sum if self.whole.times.sum else None

    def modelled(self, card: str) -> float:
        """Seconds of the whole trace on a real card."""
        return sum(each.modelled.get(card, 0.0) for each in self.commands.values())

    def money(self) -> list[Money]:
        """The money that PAY has taken off cards, by currency."""
        return [Money(amount, currency(number)) for number, amount in self.paid.items()]

    def _command_document(self, each: CommandFigures) -> dict[str, Any]:
        figures, share = each.figures, self.share(each)
        return {
            "name": each.name,
            "standard": each.standard,
            "count": figures.exchanges,
            "status_words": dict(each.words.most_common()),
            "errors": figures.errors,
            "unexpected": figures.unexpected,
            "bytes": {"sent": figures.sent, "received": figures.received},
            "times": figures.times.document(),
            "share": None if share is None else round(share, 6),
            "modelled": {card: round(seconds, 6) for card, seconds in each.modelled.items()},
        }
