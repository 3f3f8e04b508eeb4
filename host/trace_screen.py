"""``saifu trace browse``: scroll through a trace, filter it, search it, open an exchange down to its bytes."""

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer, Input, Static, Tree
from textual.widgets.tree import TreeNode
from textual.worker import get_current_worker

from apdu.errors import SaifuError
from apdu.text import visible
from apdu.trace.detail import Detail
from apdu.trace.reading import Reading, summary
from apdu.trace.sections import Section, facts, sections
from host.trace_filter import HELP, Wanted, wanted
from host.trace_table import TraceTable

__all__ = ["ExchangeScreen", "HelpScreen", "TraceApp"]

_FIRST, _BATCH = 100, 2000
"""Readings that are put into the table at once: few at first, so that something is to be seen."""

_ROW = 16
"""Bytes in a row."""
_WHOLE = 2000
"""Characters of the row under the cursor that are told below the table."""

_KEYS = (
    ("up down, j k", "a row up or down"),
    ("page up, page down", "a screen up or down"),
    ("home end, g G", "the first or the last row"),
    ("enter", "open the exchange: each TLV and byte"),
    ("f", f"filter: {HELP}; an empty filter shows everything"),
    ("/, then n N", "search, with the words of a filter; the next and the previous one"),
    ("u U", "the next and the previous unexpected one"),
    ("t", "light or dark"),
    ("?", "this page"),
    ("q, ctrl+c", "quit"),
)


class HelpScreen(ModalScreen[None]):
    """What the keys do."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll { width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; padding: 0 1; background: $surface; }
    HelpScreen Horizontal { height: auto; }
    HelpScreen .key { width: 21; text-style: bold; }
    HelpScreen .does { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "app.pop_screen", "back")]

    def compose(self) -> ComposeResult:
        """Keys on the left, what they do on the right."""
        with VerticalScroll() as box:
            box.border_title = "keys"
            box.border_subtitle = "esc: back"
            for key, does in _KEYS:
                yield Horizontal(Static(key, classes="key", markup=False), Static(does, classes="does", markup=False))


class ExchangeScreen(Screen[None]):
    """One exchange in full: words, times, command and answer, and what the secure channel carried."""

    DEFAULT_CSS = """
    ExchangeScreen > #words { height: auto; max-height: 8; padding: 0 1; background: $panel; }
    ExchangeScreen > Tree { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "app.pop_screen", "back"),
        Binding("n", "step(1)", "next"),
        Binding("p", "step(-1)", "previous"),
    ]

    def __init__(self, table: TraceTable) -> None:
        """Show what is under the table's cursor, and move it."""
        super().__init__()
        self._table = table

    def compose(self) -> ComposeResult:
        """Words above, tree below."""
        yield Static(id="words", markup=False)
        yield Tree[None]("")
        yield Footer()

    def on_mount(self) -> None:
        """The tree has no root of its own."""
        tree = self.query_one(Tree)
        tree.show_root = False
        tree.guide_depth = 2
        tree.focus()
        self._show()

    def action_step(self, step: int) -> None:
        """Go to the next exchange that the table shows, or to the one before."""
        self._table.action_move(step)
        self._show()

    def _show(self) -> None:
        reading, tree = self._table.chosen, self.query_one(Tree)
        tree.clear()
        if reading is None:
            return
        self.query_one("#words", Static).update(Text(f"{reading.number}  {visible(summary(reading))}"))
        for name, text in facts(reading):
            tree.root.add_leaf(Text(f"{name}: {visible(text)}"))
        for section in sections(reading):
            _grow(tree.root, section.detail, section)


def _grow(node: TreeNode[None], detail: Detail, section: Section) -> None:
    """A part of a command or an answer with all that is below it, unfolded; the bytes stand where the tree ends."""
    text = Text(visible(f"{detail.label}: {detail.words}" if detail.words else detail.label))
    raw = section.raw[detail.start : detail.end]
    if not detail.children and len(raw) <= _ROW:
        text.append(f"  {raw.hex(' ').upper()}", "dim")
        node.add_leaf(text)
        return
    grown = node.add(text, expand=True)
    for each in detail.children:
        _grow(grown, each, section)
    if not detail.children or detail is section.detail:
        _dump(grown, raw)


def _dump(node: TreeNode[None], raw: bytes) -> None:
    """All bytes, so many in a row."""
    for at in range(0, len(raw), _ROW):
        node.add_leaf(Text(raw[at : at + _ROW].hex(" ").upper(), "dim"))


class TraceScreen(Screen[None]):
    """The table, a line below it that tells the row in full, and an input when it is wanted."""

    DEFAULT_CSS = """
    TraceScreen > #state { height: 1; background: $primary; color: $text; padding: 0 1; }
    TraceScreen > #whole { height: 3; background: $panel; padding: 0 1; }
    TraceScreen > #line { display: none; height: 1; padding: 0 1; }
    TraceScreen > #line.open { display: block; }
    TraceScreen #asks { width: auto; text-style: bold; }
    TraceScreen #asked { border: none; height: 1; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "ask('filter')", "filter"),
        Binding("slash", "ask('search')", "search", key_display="/"),
        Binding("n", "search(1)", "next", show=False),
        Binding("N", "search(-1)", "previous", show=False),
        Binding("u", "unexpected(1)", "unexpected"),
        Binding("U", "unexpected(-1)", "previous unexpected", show=False),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "app.quit", "quit"),
    ]

    def __init__(self, name: str, form: str, readings: Iterable[Reading]) -> None:
        """``name`` and ``form`` are those of the trace; its readings are taken in by a thread."""
        super().__init__()
        self._name, self._form, self._source = name, form, iter(readings)
        self._filter, self._asks, self._sought, self._told = "", "", "", ""
        self._unexpected, self._loading = 0, True
        self.failure: SaifuError | None = None
        """What ended the trace before its end."""

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Static(id="state", markup=False)
        yield TraceTable()
        yield Static(id="whole", markup=False)
        with Horizontal(id="line"):
            yield Static(id="asks", markup=False)
            yield Input(id="asked")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        self.query_one(TraceTable).focus()
        self._tell_state()
        self._load()

    # --- reading -------------------------------------------------------------------------------------------

    @work(thread=True)
    def _load(self) -> None:
        """Take readings in, in a thread; the screen gets them in pieces and stays awake."""
        worker, size, batch = get_current_worker(), _FIRST, list[Reading]()
        try:
            for reading in self._source:
                batch.append(reading)
                if len(batch) < size:
                    continue
                if worker.is_cancelled:
                    return
                self.app.call_from_thread(self._add, batch)
                size, batch = _BATCH, []
        except SaifuError as error:
            self.failure = error
        except Exception as error:
            # told without its bytes: a traceback on this screen would show what the trace has not yet been cleared of
            self.failure = SaifuError(f"the trace cannot be read on from here: {type(error).__name__}")
        if not worker.is_cancelled:
            self.app.call_from_thread(self._add, batch)
            self.app.call_from_thread(self._loaded)

    def _add(self, batch: list[Reading]) -> None:
        self._unexpected += sum(1 for reading in batch if reading.unexpected)
        self.query_one(TraceTable).add(batch)

    def _loaded(self) -> None:
        self._loading = False
        if self.failure is None:
            self._tell_state()
        elif self.query_one(TraceTable).readings:
            self._tell(f"the trace ends here: {self.failure}")
        else:
            self.app.exit()

    # --- what is told beside the table ---------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        """Say something in the place of the state, until the next key."""
        self._told = text
        self._tell_state()

    @on(TraceTable.Moved)
    def _tell_state(self) -> None:
        """Which trace, how much of it, and the row under the cursor in full."""
        table = self.query_one(TraceTable)
        shown = f"{table.count} of {len(table.readings)}" if self._filter else f"{len(table.readings)}"
        parts = [f"{self._name} ({self._form})", f"{shown} items", f"{self._unexpected} unexpected"]
        parts += [f"filter: {self._filter}"] if self._filter else []
        parts += ["reading …"] if self._loading else []
        parts += ["broken off"] if self.failure else []
        parts = [self._told] if self._told else parts
        self.query_one("#state", Static).update(Text("  ".join(map(visible, parts)), overflow="ellipsis", no_wrap=True))
        whole = Text(visible(summary(table.chosen))[:_WHOLE] if table.chosen else "nothing to show")
        whole.highlight_regex("!! .*", "bold")
        self.query_one("#whole", Static).update(whole)

    # --- filter and search ---------------------------------------------------------------------------------

    def action_ask(self, what: str) -> None:
        """Open the input for a filter or a search."""
        asked = self.query_one("#asked", Input)
        self._asks = what
        self.query_one("#asks", Static).update(what)
        asked.placeholder = HELP
        asked.value = self._filter if what == "filter" else ""
        self.query_one("#line").add_class("open")
        asked.focus()

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        self._close_input()
        if self._asks == "filter":
            self._filter = event.value.strip()
            self.query_one(TraceTable).filter(wanted(self._filter) if self._filter else None)
        elif event.value.strip():
            self._sought = event.value.strip()
            self.action_search(1)

    def on_key(self, event: Key) -> None:
        """Escape closes the input; what was told has been read."""
        if self._told:
            self._tell("")
        if event.key == "escape" and self.query_one("#line").has_class("open"):
            self._close_input()

    def _close_input(self) -> None:
        self.query_one("#line").remove_class("open")
        self.query_one(TraceTable).focus()

    def action_search(self, step: int) -> None:
        """To the next row that was searched for, or the one before."""
        if self._sought:
            self._find(wanted(self._sought), step, self._sought)
        else:
            self.action_ask("search")

    def action_unexpected(self, step: int) -> None:
        """To the next row in which something was unexpected, or the one before."""
        self._find(wanted("unexpected"), step, "unexpected")

    def _find(self, test: Wanted, step: int, sought: str) -> None:
        table = self.query_one(TraceTable)
        if table.find(test, step):
            return
        hidden = sum(map(test, table.readings)) if self._filter else 0
        self._tell(f"not found: {sought}" + (f"; the filter hides {hidden}" if hidden else ""))

    # --- other screens -------------------------------------------------------------------------------------

    @on(TraceTable.Chosen)
    def _open(self) -> None:
        self.app.push_screen(ExchangeScreen(self.query_one(TraceTable)))

    def action_help(self) -> None:
        """Tell the keys."""
        self.app.push_screen(HelpScreen())


class TraceApp(App[None]):
    """A trace on a terminal."""

    TITLE = "saifu trace"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "light", "light", show=False),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
    ]

    def __init__(self, name: str, form: str, readings: Iterable[Reading]) -> None:
        """Show the readings of the trace of this name and form."""
        super().__init__()
        self._first = TraceScreen(name, form, readings)

    def get_default_screen(self) -> Screen[None]:
        """The table."""
        return self._first

    @property
    def failure(self) -> SaifuError | None:
        """What ended the trace before its end."""
        return self._first.failure

    def action_light(self) -> None:
        """Change between a dark and a light screen."""
        self.theme = "textual-light" if self.theme == "textual-dark" else "textual-dark"
