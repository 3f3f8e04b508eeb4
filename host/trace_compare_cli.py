"""``saifu trace stats``, and the comparison of two traces for ``saifu trace diff``: what they print."""

import sys
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from apdu.errors import InputError
from apdu.text import visible
from apdu.trace.card_time import CARDS
from apdu.trace.difference import Comparison, Difference, FieldDifference, Said
from apdu.trace.names import status_of
from apdu.trace.reading import Reading, summary
from apdu.trace.statistics import NO_ANSWER, CommandFigures, Figures, Statistics
from host.console import JsonOption, emit, say
from host.secure_connection import KeysFor
from host.trace_files import STDIN, of_slot
from host.trace_modelled import DEFAULT_LINE, CardOption, LineOption, known_card, known_line
from host.trace_readings import open_readings

__all__ = ["compare", "field_document", "field_lines", "place", "place_document", "stats"]

_PIPE_WIDTH = 240
"""Columns where there is no terminal: no line of a table is broken."""
_SHOWN = 32
"""Bytes of a field that are shown."""
_SLOT_WIDTH, _WORDS = 40, 6
"""Characters of a slot's name, and status words of a command, that a table shows."""


def stats(
    file: Annotated[
        Path, typer.Argument(help="A trace: of saifu --trace, or of another program; - is standard input.")
    ],
    card: CardOption = "",
    line: LineOption = DEFAULT_LINE,
    slot: Annotated[str, typer.Option("--slot", help="Only this slot: a part of its name.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Count what is in a trace: exchanges, status words, times, bytes; and model the time on real cards.

    Medians and percentiles are within 1 %, however long the trace is.
    """
    cards, _ = [known_card(card)] if card else list(CARDS), known_line(line)
    statistics = Statistics(cards, line)
    with open_readings(file) as (form, found):
        for reading in of_slot(found, slot, lambda reading: reading.item.slot):
            statistics.add(reading)
    emit(as_json, {"form": form} | statistics.document(), [])
    if not as_json:
        _show(statistics)


def _show(statistics: Statistics) -> None:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_PIPE_WIDTH)
    tables = (_slots(statistics), _commands(statistics), _surprises(statistics))
    for table in (_fitted(console, each) for each in tables if each.rows):
        console.print(table, "")
    for line in _totals(statistics):
        console.print(line)


class _Grid(NamedTuple):
    """A table, and what a narrow terminal has no room for."""

    titles: tuple[str, ...]
    rows: list[list[str]]
    last_is_text: bool = False
    left_out: tuple[str, ...] = ()
    """Titles of columns."""

    def table(self) -> Table:
        """All columns: numbers are whole, and texts take what is left."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, title in enumerate(self.titles):
            text = number == 0 or (self.last_is_text and number == len(self.titles) - 1)
            table.add_column(title, justify="left" if text else "right", no_wrap=not text, overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table

    def brief(self) -> "_Grid":
        """Without what a narrow terminal has no room for."""
        kept = [number for number, title in enumerate(self.titles) if title not in self.left_out]
        rows = [[row[number] for number in kept] for row in self.rows]
        return self._replace(titles=tuple(self.titles[number] for number in kept), rows=rows)


def _fitted(console: Console, grid: _Grid) -> Table:
    """The table as wide as it is, or what there is room for."""
    table = grid.table()
    wanted = console.measure(table, options=console.options.update(width=_PIPE_WIDTH)).maximum
    return table if wanted <= console.width else grid.brief().table()


def _slots(statistics: Statistics) -> _Grid:
    rows = list(statistics.slots.items()) if len(statistics.slots) > 1 else []
    cells = []
    for name, each in (*rows, ("all" if rows else "trace", statistics.whole)):
        shown = visible(name) if len(name) <= _SLOT_WIDTH else f"{visible(name[: _SLOT_WIDTH - 1])}…"
        cells.append([shown or "(no name)", *_figures(each)])
    numbers = (
        "exchanges",
        "resets",
        "remarks",
        "errors",
        "unexpected",
        "bytes sent",
        "received",
        "duration",
        "waiting",
    )
    return _Grid(("slot", *numbers), cells, left_out=("remarks", "bytes sent", "received", "waiting"))


def _figures(each: Figures) -> Iterator[str]:
    for number in (each.exchanges, each.resets, each.remarks, each.errors, each.unexpected, each.sent, each.received):
        yield str(number)
    yield _seconds(each.duration)
    yield _seconds(each.times.sum if each.times.count else None)


def _commands(statistics: Statistics) -> _Grid:
    times = ("min ms", "median ms", "p90 ms", "max ms")
    titles = ("command", "count", "errors", *times, "share", "sent", "received", *statistics.cards, "status words")
    cells = [list(_command(statistics, each)) for each in statistics.ordered()]
    left_out = ("min ms", "p90 ms", "sent", "received", *statistics.cards)
    return _Grid(titles, cells, last_is_text=True, left_out=left_out)


def _command(statistics: Statistics, each: CommandFigures) -> Iterator[str]:
    figures, share = each.figures, statistics.share(each)
    yield visible(f"{each.name} ({each.standard})" if each.standard else each.name)
    yield str(figures.exchanges)
    yield str(figures.errors or "")
    times = figures.times
    measured = (times.least, times.quantile(0.5), times.quantile(0.9), times.most) if times.count else ()
    yield from map(_milliseconds, measured or [None] * 4)
    yield "" if share is None or not times.count else f"{share:.1%}"
    yield str(figures.sent)
    yield str(figures.received)
    for card in statistics.cards:
        yield _seconds(each.modelled.get(card))
    counted = each.words.most_common()
    more = f", and {len(counted) - _WORDS} others" if len(counted) > _WORDS else ""
    yield ", ".join(f"{word} {count}" for word, count in counted[:_WORDS]) + more


def _surprises(statistics: Statistics) -> _Grid:
    return _Grid(("unexpected", "times"), [[visible(text), str(n)] for text, n in statistics.unexpected.most_common()])


def _totals(statistics: Statistics) -> Iterator[str]:
    """What the status words mean, and the sums that no table has."""
    words = sorted({word for each in statistics.commands.values() for word in each.words} - {"9000", NO_ANSWER})
    for word in words:
        if len(word) == 4:
            yield f"{word}: {_meaning(statistics, word)}"
    for card in statistics.cards:
        yield f"on a {card}, {statistics.line} kbit/s: {_seconds(statistics.modelled(card))}"
    if money := statistics.money():
        yield f"paid with PAY: {', '.join(map(str, money))}"


def _meaning(statistics: Statistics, word: str) -> str:
    """A status word in words; the purse's if there is a purse in the trace."""
    ours = any(each.standard == "saifu" for each in statistics.commands.values())
    return status_of(int(word, 16), "saifu" if ours else "")


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f} s"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value * 1000:.3g}" if value < 1 else f"{value * 1000:.0f}"


# --- two traces --------------------------------------------------------------------------------------------


def compare(old: Path, new: Path, *, keys: KeysFor | None = None, strict: bool = False, as_json: bool = False) -> bool:
    """Print where two traces differ, the first difference at the top; whether they are equal.

    ``keys`` open the secure channels of both. Raises InputError, FormatError.
    """
    if old == new == STDIN:
        raise InputError("standard input can be one of the two traces, and not both")
    comparison = Comparison(strict=strict)
    with open_readings(old, keys) as (_, one), open_readings(new, keys) as (_, other):
        found = comparison.differences(one, other)
        if as_json:
            documents = [_document(each) for each in found]
            counts = {name: getattr(comparison.counts, name) for name in comparison.counts.__slots__}
            first = documents[0] if documents else None
            emit(True, {"equal": comparison.counts.equal, "first": first, **counts, "differences": documents}, [])
        else:
            _print(found, comparison, old, new)
    return comparison.counts.equal


def _print(found: Iterable[Difference], comparison: Comparison, old: Path, new: Path) -> None:
    """As they are found, so that the first is there at once."""
    for number, each in enumerate(found):
        if not number:
            say(f"{new} deviates from {old} first here:")
        for line in _lines(each):
            say(line)
        if not number:
            say("")
    say(_summary(comparison))


def _summary(comparison: Comparison) -> str:
    counts = comparison.counts
    parts = [f"{counts.same} exchanges and resets are the same", f"{counts.different} differ"]
    parts += [f"{counts.only_old} are only in the old trace"] if counts.only_old else []
    parts += [f"{counts.only_new} are only in the new one"] if counts.only_new else []
    free = f"; {counts.free} free fields differ (nonces, signatures, keys, times)" if counts.free else ""
    return ", ".join(parts) + free


def place(reading: Reading) -> str:
    """An exchange or a reset with its number, as ``saifu trace show`` tells it."""
    return f"{reading.number:>6}  {visible(summary(reading._replace(unexpected=())))}"


def _lines(each: Difference) -> Iterator[str]:
    for mark, reading in (("-", each.old), ("+", each.new)):
        if reading is not None:
            yield f"{mark}{place(reading)}"
    yield from field_lines(each.fields, "was", "is")


def field_lines(fields: Iterable[FieldDifference], old: str, new: str) -> Iterator[str]:
    """A field on a line, and below it what it is on both sides, which ``old`` and ``new`` name."""
    width = max(len(old), len(new))
    for each in fields:
        yield f"          {each.part}: {visible(each.field)}"
        yield f"            {old:<{width}}  {_said(each.old)}"
        yield f"            {new:<{width}}  {_said(each.new)}"


def _said(said: Said | None) -> str:
    if said is None:
        return "not there"
    shown = said.raw[:_SHOWN].hex().upper() + ("…" if len(said.raw) > _SHOWN else "")
    return visible("  ".join(filter(None, (shown, said.words))))


def _document(each: Difference) -> dict[str, Any]:
    fields = [field_document(one, "old", "new") for one in each.fields]
    return {"old": place_document(each.old), "new": place_document(each.new), "fields": fields}


def field_document(each: FieldDifference, old: str, new: str) -> dict[str, Any]:
    """For JSON: a field on both sides, which ``old`` and ``new`` name."""
    return {"part": each.part, "field": each.field, old: _said_document(each.old), new: _said_document(each.new)}


def place_document(reading: Reading | None) -> dict[str, Any] | None:
    """For JSON: an item's number, slot and words."""
    if reading is None:
        return None
    return {"number": reading.number, "slot": reading.item.slot, "name": reading.name, "text": summary(reading)}


def _said_document(said: Said | None) -> dict[str, str] | None:
    """A field's bytes in hex, and its words."""
    return None if said is None else {"bytes": said.raw.hex().upper(), "words": said.words}
