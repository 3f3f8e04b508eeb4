"""A report of a trace as one HTML page that needs nothing else: no network, no other file, no script to be read.

Its script only filters and unfolds. Nothing of a trace gets onto the page but as escaped text, and the page's
Content Security Policy lets no other script run. It is written, and not read again.
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape

from apdu.text import visible
from apdu.trace.detail import Detail
from apdu.trace.inspector import inspect
from apdu.trace.model import Item
from apdu.trace.reading import Reading
from apdu.trace.row import Row, Rows, tone
from apdu.trace.sections import facts, sections

__all__ = ["MOST_FINDINGS", "NAME", "report", "write"]

NAME = "html"

MOST_FINDINGS = 1000
"""Unexpected things that the head of a report lists; the rest are marked at their places only."""
_MOST_SLOTS = 100
_LONG, _PLAIN_DIGITS = 1000, 1e9
"""Seconds from which on a duration is told without milliseconds, and with an exponent."""
_PIECE = 1 << 16
"""Characters that are written at once."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #5b6470; --paper: #fff; --line: #d5dae0; --lift: #f4f6f8;
  --good: #116329; --warning: #7d4e00; --error: #a40e26; --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ed; --faint: #9aa4b0; --paper: #15181c; --line: #363c44;
  --lift: #1f242a; --good: #57c76f; --warning: #e0b040; --error: #ff7b72; --link: #79b8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 110rem; color: var(--ink); background: var(--paper);
  font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
a { color: var(--link); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0 0 1rem; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
.unexpected, .mark { color: var(--error); font-weight: 600; }
.findings { margin: 0; padding: 0; list-style: none; }
.findings li { display: grid; grid-template-columns: 3.5rem 1fr; padding: .15rem 0; overflow-wrap: anywhere; }
.tools { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: 0 0 .5rem; }
.tools[hidden], details[hidden] { display: none; }
.tools input[type=search] { flex: 1 1 16rem; max-width: 30rem; padding: .3rem .5rem; font: inherit; }
.row { display: grid; gap: 0 .75rem; padding: .2rem .4rem; align-items: baseline;
  grid-template-columns: 4rem 1ch 5.5rem 3.5rem minmax(7rem, 10rem) minmax(0, 1fr) minmax(0, 1fr); }
.slots .row { grid-template-columns: 4rem 1ch 5.5rem 3.5rem minmax(4rem, 9rem) minmax(7rem, 10rem)
  minmax(0, 1fr) minmax(0, 1fr); }
.row > * { overflow-wrap: anywhere; min-width: 0; }
.head { font-weight: 600; border-bottom: 2px solid var(--line); position: sticky; top: 0; background: var(--paper); }
.number, .time, .took { text-align: right; color: var(--faint); font-variant-numeric: tabular-nums; }
.slot { color: var(--faint); }
.name { font-weight: 600; }
.row > .unexpected { grid-column: 5 / -1; }
.slots .row > .unexpected { grid-column: 6 / -1; }
.good .outcome { color: var(--good); }
.warning .outcome { color: var(--warning); }
.error .outcome, .odd.none .what { color: var(--error); }
details { border-bottom: 1px solid var(--line); }
details:target { outline: 2px solid var(--link); }
summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary:hover, details[open] > summary { background: var(--lift); }
summary:focus-visible { outline: 2px solid var(--link); }
.full { padding: .3rem .4rem .8rem 2rem; }
.full ul { margin: 0; padding: 0 0 0 1.2rem; list-style: none; border-left: 1px solid var(--line); }
.full > ul { margin-top: .5rem; padding: 0; border: 0; }
.full li { overflow-wrap: anywhere; }
code { margin-left: .6rem; color: var(--faint); font: 12.5px ui-monospace, monospace; }
@media (max-width: 60rem) {
  .head { display: none; }
  .row, .slots .row { grid-template-columns: max-content 1ch max-content max-content 1fr; }
  .slot { text-align: right; }
  .name, .what, .outcome, .row > .unexpected, .slots .row > .unexpected { grid-column: 1 / -1; }
  .time:not(:empty)::after { content: " s"; }
  .took:not(:empty)::after { content: " ms"; }
  .full { padding-left: .4rem; }
}
@media print {
  body { font-size: 9pt; padding: 0; max-width: none; }
  .tools { display: none; }
  .head { position: static; }
  .row { break-inside: avoid; }
}
"""

_SCRIPT = """
"use strict";
const rows = document.querySelectorAll("main > details"), tools = document.querySelector(".tools");
const words = document.getElementById("words"), only = document.getElementById("only");
const told = document.getElementById("told");
function filter() {
  const wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.firstElementChild.textContent.toLowerCase();
    row.hidden = only.checked && !row.classList.contains("odd") || !wanted.every(word => text.includes(word));
    shown += !row.hidden;
  }
  told.textContent = shown + " of " + rows.length;
}
function reach() {
  const row = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (row) { row.hidden = false; row.open = true; row.scrollIntoView({block: "center"}); }
}
words.addEventListener("input", filter);
only.addEventListener("change", filter);
for (const [name, open] of [["unfold", true], ["fold", false]])
  document.getElementById(name).addEventListener("click", () => {
    for (const row of rows) if (!row.hidden) row.open = open;
  });
addEventListener("hashchange", reach);
tools.hidden = false;
filter();
reach();
"""


def write(items: Iterable[Item]) -> Iterator[bytes]:
    """A report of items, as ``report`` has it. Items of an iterator are kept, because they are gone through twice."""
    kept = list(items) if isinstance(items, Iterator) else items
    return report(lambda: inspect(kept), "trace")


def report(readings: Callable[[], Iterable[Reading]], title: str, form: str = "") -> Iterator[bytes]:
    """The page in pieces. ``readings`` is called twice: for the head with what was unexpected, and for the table.

    Memory is bounded whatever the trace is. ``title`` is the name of the trace, ``form`` that of its form.
    """
    overview = _Overview()
    for reading in readings():
        overview.add(reading)
    yield from _pieces(_page(overview, readings(), title, form))


def _pieces(parts: Iterable[str]) -> Iterator[bytes]:
    """Parts joined to what is worth a write."""
    waiting, size = list[str](), 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _PIECE:
            yield "".join(waiting).encode()
            waiting, size = [], 0
    yield "".join(waiting).encode()


@dataclass(slots=True)
class _Overview:
    """What the head of the page tells, gathered from all readings."""

    kinds: Counter[str] = field(default_factory=Counter)
    slots: dict[str, None] = field(default_factory=dict)
    findings: list[tuple[int, str]] = field(default_factory=list)
    unexpected: int = 0
    first: float | None = None
    last: float | None = None

    def add(self, reading: Reading) -> None:
        """Count one more."""
        item = reading.item
        self.kinds[type(item).__name__] += 1
        if item.slot and len(self.slots) < _MOST_SLOTS:
            self.slots[item.slot] = None
        if item.time is not None:
            self.first = item.time if self.first is None else self.first
            self.last = item.time
        self.unexpected += bool(reading.unexpected)
        room = MOST_FINDINGS - len(self.findings)
        self.findings += [(reading.number, text) for text in reading.unexpected[:room]]

    def facts(self, form: str) -> Iterator[tuple[str, str]]:
        """Names and values for the head."""
        if form:
            yield "form", form
        for kind, name in (("Exchange", "exchanges"), ("Reset", "resets"), ("Remark", "remarks")):
            yield name, str(self.kinds[kind])
        if self.slots:
            yield "slots", ", ".join(self.slots)
        if self.first is not None and self.last is not None:
            yield "duration", _duration(self.last - self.first)
        yield "unexpected", str(self.unexpected)


def _duration(seconds: float) -> str:
    """To the millisecond; whole seconds where there are many of them."""
    digits = ".3f" if abs(seconds) < _LONG else ",.0f" if abs(seconds) < _PLAIN_DIGITS else ".3g"
    return f"{seconds:{digits}} s"


def _page(overview: _Overview, readings: Iterable[Reading], title: str, form: str) -> Iterator[str]:
    with_slots = bool(overview.slots)
    yield _head(title, with_slots)
    yield f"<header><h1>{_text(title)}</h1><dl>"
    for name, value in overview.facts(form):
        yield f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>"
    yield "</dl></header>\n"
    yield from _findings(overview)
    yield "<h2>Exchanges</h2>\n"
    yield _TOOLS
    yield f'<main><div class="row head">{_cells(_TITLES, with_slots)}</div>\n'
    rows = Rows()
    for reading in readings:
        yield from _entry(reading, rows.row(reading), with_slots)
    yield f"</main>\n<script>{_SCRIPT}</script>\n</body></html>\n"


_TITLES = Row("no", "", "time s", "ms", "slot", "command", "meaning", "outcome")
_TOOLS = (
    '<div class="tools" hidden><label>Filter <input type="search" id="words"></label>'
    '<label><input type="checkbox" id="only"> unexpected only</label>'
    '<button type="button" id="unfold">unfold all</button><button type="button" id="fold">fold all</button>'
    '<output id="told"></output></div>\n'
)
_CLASSES = ("number", "mark", "time", "took", "slot", "name", "what", "outcome")


def _head(title: str, with_slots: bool) -> str:
    digest = b64encode(sha256(_SCRIPT.encode()).digest()).decode()
    slots = ' class="slots"' if with_slots else ""
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head>\n<body{slots}>\n"
    )


def _findings(overview: _Overview) -> Iterator[str]:
    if not overview.findings:
        return
    yield '<section><h2>Unexpected</h2><ul class="findings">\n'
    for number, text in overview.findings:
        yield f'<li><a href="#e{number}">{number}</a> <span class="unexpected">{_text(text)}</span></li>\n'
    yield "</ul>"
    if len(overview.findings) == MOST_FINDINGS:
        yield f"<p>There may be more: these are the first {MOST_FINDINGS}.</p>"
    yield "</section>\n"


def _entry(reading: Reading, row: Row, with_slots: bool) -> Iterator[str]:
    """An exchange that unfolds; of what has nothing below it, the line alone."""
    odd = " odd" if reading.unexpected else ""
    yield f'<details id="e{reading.number}" class="{tone(reading)}{odd}"><summary class="row">{_cells(row, with_slots)}'
    for text in reading.unexpected:
        if visible(text) != row.what:
            yield f'<span class="unexpected">!! {_text(text)}</span>'
    yield "</summary>"
    yield '<div class="full">'
    for name, text in facts(reading):
        yield f"<div>{_text(name)}: {_text(text)}</div>"
    for raw, detail in sections(reading):
        yield "<ul>"
        yield from _tree(detail, raw)
        yield "</ul>"
    yield "</div></details>\n"


def _cells(row: Row, with_slots: bool) -> str:
    cells = zip(_CLASSES, row, strict=True)
    return "".join(f'<span class="{name}">{_text(text)}</span>' for name, text in cells if with_slots or name != "slot")


def _tree(detail: Detail, raw: bytes) -> Iterator[str]:
    """A part in words with the parts below it; the bytes stand where it has none."""
    words = f"{detail.label}: {detail.words}" if detail.words else detail.label
    yield f"<li>{_text(words)}"
    if detail.children:
        yield "<ul>"
        for child in detail.children:
            yield from _tree(child, raw)
        yield "</ul>"
    else:
        yield f" <code>{raw[detail.start : detail.end].hex(' ').upper()}</code>"
    yield "</li>"


def _text(text: str) -> str:
    """Text as HTML has it; control characters and broken surrogates are spelt out before."""
    return escape(visible(text))
