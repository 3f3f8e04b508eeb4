"""Readings as lines for people, plain or in colours, and as JSON documents."""

import re
import sys
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from apdu.counting import counted
from apdu.errors import InputError
from apdu.text import visible
from apdu.trace.card_time import modelled
from apdu.trace.detail import Detail, lines
from apdu.trace.model import Exchange, Remark, Reset
from apdu.trace.reading import Reading, summary
from apdu.trace.row import Rows, Tone, tone
from apdu.trace.sections import Section, facts, sections
from host.trace_modelled import DEFAULT_LINE, known_card, known_line

__all__ = ["Choice", "View"]

_TONES = {Tone.GOOD: "green", Tone.WARNING: "yellow", Tone.ERROR: "red", Tone.NONE: ""}
_STATUS = re.compile(r" → (\S+)")
_UNEXPECTED = re.compile(r"  !! .*")
_INDENT = " " * 8
"""Blanks before a line of detail."""


class Choice(NamedTuple):
    """Which readings are wanted; empty or False: all of them."""

    numbers: frozenset[int] = frozenset()
    unexpected: bool = False
    slot: str = ""
    """A part of the slot's name."""

    def of(self, readings: Iterable[Reading], view: "View") -> Iterator[Reading]:
        """Those that are wanted; ``view`` sees all, since times count from the first.

        Raises InputError for a number that the trace does not have, or a slot of which nothing is there.
        """
        missing, last, slot, there = set(self.numbers), 0, self.slot.casefold(), not self.slot
        for reading in readings:
            view.see(reading)
            last = reading.number
            if self.numbers and last not in missing:
                continue
            missing.discard(last)
            if slot in reading.item.slot.casefold():
                there = True
                if reading.unexpected or not self.unexpected:
                    yield reading
            if self.numbers and not missing:
                break
        if missing:
            raise InputError(f"there is no item {min(missing)}: the trace has {last}")
        if not there:
            what = "none of these items" if self.numbers else "nothing in this trace"
            raise InputError(f"--slot {self.slot}: {what} is of such a slot")


class View:
    """How readings are told: a line each, or in full."""

    def __init__(self, full: bool = False, card: str = "", line: str = DEFAULT_LINE) -> None:
        """``full`` tells each TLV and byte too; ``card`` the modelled time on that card, over ``line`` (InputError)."""
        self._full, self._card, self._line_name, self._line = full, known_card(card), line, known_line(line)
        self._rows = Rows()
        self._exchanges, self._modelled = 0, 0.0

    def see(self, reading: Reading) -> None:
        """Take note of a reading that is not told."""
        self._rows.see(reading)

    def lines(self, reading: Reading) -> Iterator[str]:
        """What is told of a reading."""
        row = self._rows.row(reading)
        head = f"{row.number:>5}{row.mark:1} {row.time:>9} {row.milliseconds:>7}"
        took = self._model(reading)
        on_card = "" if took is None else f"  ({took * 1000:.0f} ms on {self._card})"
        yield f"{head}  {visible(summary(reading))}{on_card}"
        if self._full:
            yield from (_INDENT + visible(text) for text in _full(reading))

    def _model(self, reading: Reading) -> float | None:
        """Modelled seconds of an exchange, which are added up; None where nothing is to be told."""
        if not self._card or not isinstance(reading.item, Exchange):
            return None
        took = modelled(reading.item.command, reading.item.response, self._card, self._line)
        self._exchanges += 1
        self._modelled += took
        return took

    def total(self) -> dict[str, Any]:
        """The modelled time of all that was told, as a part of a document; empty without a card."""
        if not self._card:
            return {}
        return {
            "card": self._card,
            "line": self._line_name,
            "exchanges": self._exchanges,
            "modelled": round(self._modelled, 6),
        }

    def print_total(self) -> None:
        """Print the modelled time of all that was told; nothing without a card."""
        if self._card:
            took = f"{self._modelled:.3f} s for {counted(self._exchanges, 'exchange')}"
            sys.stdout.write(f"modelled time on {self._card}, {self._line_name} kbit/s: {took}\n")

    def print(self, readings: Iterable[Reading], flush: bool = False) -> None:
        """Print readings as they come: in colours on a terminal, plain elsewhere; no line is cut."""
        console = Console(highlight=False, markup=False, emoji=False)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        for reading in readings:
            told = list(self.lines(reading))
            if console.is_terminal:
                console.print(_coloured(told[0], reading), *told[1:], sep="\n", soft_wrap=True)
            else:
                sys.stdout.write("\n".join(told) + "\n")
            if flush:
                sys.stdout.flush()

    def document(self, reading: Reading) -> dict[str, Any]:
        """A reading as a JSON document."""
        item = reading.item
        said = {"number": reading.number, "slot": item.slot, "time": item.time}
        match item:
            case Reset():
                said |= {"reset": item.atr.hex().upper()}
            case Remark():
                said |= {"remark": item.text}
            case Exchange():
                said |= _exchange(item, reading)
        said |= {"unexpected": list(reading.unexpected)}
        if (took := self._model(reading)) is not None:
            said |= {"modelled": round(took, 6)}
        return said | ({"detail": [_tree(each.detail, each) for each in sections(reading)]} if self._full else {})


def _exchange(item: Exchange, reading: Reading) -> dict[str, Any]:
    words = {"standard": reading.standard, "name": reading.name, "what": reading.what, "outcome": reading.outcome}
    words |= {"step": reading.step}
    plain = {} if reading.plain is None else {"plain": _bytes(reading.plain)}
    return words | _bytes(item) | {"seconds": item.seconds} | plain


def _bytes(exchange: Exchange) -> dict[str, Any]:
    answer = None if exchange.response is None else exchange.response.hex().upper()
    said: dict[str, Any] = {"command": exchange.command.hex().upper(), "response": answer}
    # as in the own form: where zeros stand for secrets
    return said | ({"redacted": list(exchange.redacted)} if exchange.redacted else {})


def _tree(detail: Detail, section: Section) -> dict[str, Any]:
    """A part of a command or an answer, with its bytes and the parts below it."""
    said = {"label": detail.label, "words": detail.words, "start": detail.start, "end": detail.end}
    below = [_tree(each, section) for each in detail.children]
    return said | ({"parts": below} if below else {"bytes": section.raw[detail.start : detail.end].hex().upper()})


def _full(reading: Reading) -> Iterator[str]:
    for name, text in facts(reading):
        yield f"{name}: {text}"
    for raw, detail in sections(reading):
        yield from lines(detail, raw)


def _coloured(text: str, reading: Reading) -> Text:
    """A line in colours: what was unexpected in red, the status word by what it says."""
    styled = Text(text)
    styled.stylize("dim", 0, 24)
    if isinstance(reading.item, Exchange) and (found := _STATUS.search(text)):
        styled.stylize(_TONES[tone(reading)], *found.span(1))
    if reading.unexpected:
        styled.stylize("bold red", 0, 6)
        styled.highlight_regex(_UNEXPECTED, "bold red")
    return styled
