"""A table of readings that stays quick with hundreds of thousands of them: only the rows on the screen are made."""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from apdu.trace.reading import Reading
from apdu.trace.row import Row, Rows, Tone, tone
from host.trace_filter import Wanted

__all__ = ["TraceTable"]

_NARROW = 110
"""Columns of a terminal below which there is no time, and of the slot an end; the line below the table tells it."""
_SHORT_SLOT, _OUTCOME = 6, 30
"""Columns then of the slot, if there are several, and of a status word with the number of a card."""
_TONES = {Tone.GOOD: "status--good", Tone.WARNING: "status--warning", Tone.ERROR: "status--error"}


class _Column(NamedTuple):
    title: str
    width: int
    right: bool = False
    cut_left: bool = False
    """What does not fit shows its end."""


class TraceTable(ScrollView, can_focus=True):
    """Readings, a line each, with a cursor; shows those that are wanted."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head", "table--cursor", "table--faint", "table--unexpected", *_TONES.values(),
    }  # fmt: skip
    DEFAULT_CSS = """
    TraceTable { height: 1fr; background: $background; color: $foreground; overflow-x: hidden; overflow-y: scroll; }
    TraceTable > .table--head { text-style: bold; background: $panel; color: $foreground; }
    TraceTable > .table--cursor { background: $primary; color: $text; text-style: bold; }
    TraceTable > .table--faint { color: $text-muted; }
    TraceTable > .table--unexpected { color: $text-error; text-style: bold; }
    TraceTable > .status--good { color: $text-success; }
    TraceTable > .status--warning { color: $text-warning; }
    TraceTable > .status--error { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "page up", show=False),
        Binding("pagedown,space", "page(1)", "page down", show=False),
        Binding("home,g", "edge(0)", "first", show=False),
        Binding("end,G", "edge(-1)", "last", show=False),
        Binding("enter", "open", "open"),
    ]

    cursor = reactive(0)
    """Place of the cursor among the rows that are shown."""

    class Moved(Message):
        """The cursor is on another reading, or the rows have changed."""

    class Chosen(Message):
        """A reading is to be opened."""

        def __init__(self, reading: Reading) -> None:
            """Keep the reading."""
            self.reading = reading
            super().__init__()

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.readings: list[Reading] = []
        """All readings."""
        self._rows: list[Row] = []
        self._maker = Rows()
        self._shown: list[int] | None = None
        self._wanted: Wanted | None = None
        self._longest_slot, self._longest_name = 0, len("command")
        self._slots = set[str]()

    # --- what is in it -------------------------------------------------------------------------------------

    def add(self, readings: Iterable[Reading]) -> None:
        """Put readings behind those that are there."""
        for reading in readings:
            self.readings.append(reading)
            row = self._maker.row(reading)
            self._rows.append(row)
            self._longest_slot = max(self._longest_slot, len(row.slot))
            if row.slot:
                self._slots.add(row.slot)
            self._longest_name = max(self._longest_name, len(row.name))
            if self._shown is not None and self._wanted is not None and self._wanted(reading):
                self._shown.append(len(self.readings) - 1)
        self._changed()

    def filter(self, wanted: Wanted | None) -> None:
        """Show only what is wanted; None: everything. The cursor stays where it was, or at the next one after it."""
        before = self._place(self.cursor) if self.count else 0
        self._wanted = wanted
        self._shown = None if wanted is None else [n for n, each in enumerate(self.readings) if wanted(each)]
        places = range(len(self.readings)) if self._shown is None else self._shown
        self.cursor = next((at for at, place in enumerate(places) if place >= before), max(0, len(places) - 1))
        self._changed()

    @property
    def count(self) -> int:
        """Rows that are shown."""
        return len(self.readings) if self._shown is None else len(self._shown)

    @property
    def chosen(self) -> Reading | None:
        """The reading under the cursor."""
        return self.readings[self._place(self.cursor)] if self.count else None

    def find(self, wanted: Wanted, step: int) -> bool:
        """Move to the next reading of that kind, forward (1) or back (-1), round the end; whether there is one."""
        for distance in range(1, self.count + 1):
            place = (self.cursor + step * distance) % self.count
            if wanted(self.readings[self._place(place)]):
                self.cursor = place
                return True
        return False

    def _place(self, shown: int) -> int:
        return shown if self._shown is None else self._shown[shown]

    def _changed(self) -> None:
        self.virtual_size = Size(self.size.width, self.count + 1)
        self.refresh()
        self.post_message(self.Moved())

    # --- the cursor ----------------------------------------------------------------------------------------

    def validate_cursor(self, cursor: int) -> int:
        """Within the rows."""
        return max(0, min(cursor, self.count - 1))

    def watch_cursor(self) -> None:
        """Keep it in sight."""
        self._reveal()
        self.refresh()
        self.post_message(self.Moved())

    def _reveal(self) -> None:
        """Scroll so far that the cursor is below the head, and above the end."""
        top, height = self.scroll_offset.y, self.size.height - 1
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)

    def action_move(self, step: int) -> None:
        """A row up or down."""
        self.cursor += step

    def action_page(self, step: int) -> None:
        """A screen up or down."""
        self.cursor += step * max(1, self.size.height - 2)

    def action_edge(self, end: int) -> None:
        """To the first or the last row."""
        self.cursor = self.count - 1 if end else 0

    def action_open(self) -> None:
        """Open what is under the cursor."""
        if self.chosen is not None:
            self.post_message(self.Chosen(self.chosen))

    def on_click(self, event: Click) -> None:
        """Choose by pointing; open by pointing twice."""
        row = self.scroll_offset.y + event.y - 1
        if event.y and row < self.count:
            self.cursor = row
            if event.chain > 1:
                self.action_open()

    def on_resize(self, event: Resize) -> None:
        """Columns follow the width, and the cursor stays in sight."""
        self.virtual_size = Size(event.size.width, self.count + 1)
        self._reveal()

    # --- how it looks --------------------------------------------------------------------------------------

    def _columns(self) -> list[_Column]:
        """Columns for this width, in the order of the cells of a Row; the words share what the numbers leave."""
        width = self.scrollable_content_region.width
        wide = width >= _NARROW
        digits = max(4, len(str(len(self._rows))))
        columns = [
            _Column("no", digits, True), _Column("", 1), _Column("time s", 8 if wide else 0, True),
            _Column("ms", 6, True), _Column("slot", self._slot_width(width, wide), cut_left=True),
            _Column("command", min(self._longest_name, 24 if wide else 13)),
        ]  # fmt: skip
        rest = max(20, width - sum(column.width + 1 for column in columns if column.width) - 2)
        outcome = rest * 4 // 9 if wide else max(rest * 5 // 8, min(_OUTCOME, rest * 3 // 4))
        return [*columns, _Column("meaning", rest - outcome), _Column("outcome", outcome)]

    def _slot_width(self, width: int, wide: bool) -> int:
        """Narrow terminals have a column only if there are slots to tell apart."""
        if wide:
            return min(self._longest_slot, width // 6)
        return min(self._longest_slot, _SHORT_SLOT) if len(self._slots) > 1 else 0

    def render_line(self, y: int) -> Strip:
        """The head, or a row."""
        columns, width = self._columns(), self.scrollable_content_region.width
        if y == 0:
            return _strip([column.title for column in columns], columns, [self._style("table--head")] * 8, width)
        row = self.scroll_offset.y + y - 1
        if row >= self.count:
            return Strip.blank(width, self.rich_style)
        place = self._place(row)
        return _strip(self._rows[place], columns, self._styles(place, row == self.cursor), width)

    def _style(self, *names: str) -> Style:
        return self.rich_style + self.get_component_rich_style(*names)

    def _styles(self, place: int, under_cursor: bool) -> list[Style]:
        """A style for each cell: one for the whole row under the cursor, else by what the cell says."""
        if under_cursor:
            return [self._style("table--cursor")] * 8
        reading, plain, faint = self.readings[place], self.rich_style, self._style("table--faint")
        status = self._style(_TONES[tone(reading)]) if tone(reading) in _TONES else plain
        if reading.unexpected:
            status = plain = self._style("table--unexpected")
        return [faint, plain, faint, faint, faint, plain, plain, status]


def _strip(cells: Iterable[str], columns: list[_Column], styles: list[Style], width: int) -> Strip:
    segments = [
        Segment(_cell(cell, column) + " ", style)
        for cell, column, style in zip(cells, columns, styles, strict=True)
        if column.width
    ]
    return Strip(segments).adjust_cell_length(width, styles[-1])


def _cell(text: str, column: _Column) -> str:
    """Text of exactly a column's width; an ellipsis is where something does not fit."""
    width = column.width
    if len(text) > width or cell_len(text) > width:
        if column.cut_left:
            return set_cell_size("…" + text[-(width - 1) :], width)
        return set_cell_size(text[:width], width - 1) + "…"
    return text.rjust(width) if column.right else set_cell_size(text, width)
