"""``saifu trace``: read a trace of any form that is known, look at it, and write it in another."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Annotated

import typer

from apdu.errors import InputError
from apdu.trace.detection import FORMS
from apdu.trace.forms import gsmtap, html
from apdu.trace.model import Item
from apdu.trace.reading import Reading
from apdu.trace.redaction import Redactor
from host.channel_keys import KeysOption, find_keys
from host.console import JsonOption, emit
from host.files import require_folder, write_whole
from host.numbers import number_from
from host.secure_connection import KeysFor
from host.trace_compare_cli import stats
from host.trace_files import STDIN, of_slot, open_trace
from host.trace_modelled import DEFAULT_LINE, CardOption, LineOption
from host.trace_readings import following, open_readings
from host.trace_replay_cli import replay
from host.trace_text import Choice, View

__all__ = ["app"]

app = typer.Typer(help="Traces of what went to cards: show, browse, convert, replay, count.", no_args_is_help=True)

STDOUT = Path("-")
"""The file that stands for standard output."""

_Write = Callable[[Iterable[Item]], Iterator[bytes]]
_WRITERS: dict[str, _Write | None] = {form.name: form.write for form in FORMS if form.write} | {html.NAME: None}
"""What is written; a report is made of readings, not of items."""
_WRITTEN = ", ".join(_WRITERS)
_SUFFIXES = {".jsonl": FORMS[0].name, ".html": html.NAME, ".pcapng": gsmtap.NAME}

_File = Annotated[Path, typer.Argument(help="A trace: of saifu --trace, or of another program; - is standard input.")]
_Slot = Annotated[str, typer.Option("--slot", help="Only this slot: a part of its name.")]
_Secrets = Annotated[
    bool,
    typer.Option(
        "--secrets",
        help="Show PINs, keys and account numbers, where the trace of another program or a channel has them.",
    ),
]


@app.command()
def show(
    context: typer.Context,
    file: _File,
    detail: Annotated[
        bool, typer.Option("--detail", "-d", help="Every exchange in full, to each TLV and byte.")
    ] = False,
    exchange: Annotated[
        list[int] | None,
        typer.Option(
            "--exchange",
            "-e",
            parser=number_from(1, 10**12),
            metavar="<int>",
            help="This item in full, by its number; several times.",
        ),
    ] = None,
    unexpected: Annotated[
        bool, typer.Option("--unexpected", help="Only what a card or terminal that works would not have done.")
    ] = False,
    slot: _Slot = "",
    card: CardOption = "",
    line: LineOption = DEFAULT_LINE,
    keys: KeysOption = None,
    secrets: _Secrets = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what a running program adds, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a trace: a line for each exchange, in words.

    A ! before the line and !! in it say what was unexpected; * is what a secure channel carried. With --follow the
    trace is one of saifu's own, and --json prints a document on each line.
    """
    view = View(detail or bool(exchange), card, line)
    choice, opening = Choice(frozenset(exchange or ()), unexpected, slot), find_keys(context, keys)
    with _until_nobody_listens():
        if follow:
            _follow(file, opening, secrets, choice, view, as_json)
            return
        with open_readings(file, opening, secrets) as (form, found):
            chosen = choice.of(found, view)
            if as_json:
                _print_document(form, chosen, view)
            else:
                view.print(chosen)
                view.print_total()


def _print_document(form: str, chosen: Iterable[Reading], view: View) -> None:
    """One JSON document, whole or not at all: it waits on the disk, since a trace may be of any length."""
    with TemporaryFile("w+", encoding="ascii") as waiting:
        waiting.write(f'{{"form": {json.dumps(form)}, "items": [')
        for number, reading in enumerate(chosen):
            waiting.write(", " * bool(number) + json.dumps(view.document(reading)))
        total = [f", {json.dumps(name)}: {json.dumps(value)}" for name, value in view.total().items()]
        waiting.write(f"]{''.join(total)}}}\n")
        waiting.seek(0)
        copyfileobj(waiting, sys.stdout)


def _follow(file: Path, keys: KeysFor | None, secrets: bool, choice: Choice, view: View, as_json: bool) -> None:
    """Show readings as they come; Ctrl-C is the usual end."""
    if file == STDIN:
        raise InputError("--follow wants the name of a file; standard input is shown as it comes without it")
    chosen = choice.of(following(file, keys, secrets), view)
    with suppress(KeyboardInterrupt):
        if as_json:
            for reading in chosen:
                emit(True, view.document(reading), [])
        else:
            view.print(chosen, flush=True)
            view.print_total()


@contextmanager
def _until_nobody_listens() -> Iterator[None]:
    """End quietly when who reads standard output, as ``head`` does, goes away."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # what is still in the buffer goes nowhere, and does not fail again at the end of the program
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@app.command()
def browse(
    context: typer.Context, file: _File, slot: _Slot = "", keys: KeysOption = None, secrets: _Secrets = False
) -> None:
    """Browse a trace on the whole terminal: scroll, filter, search, open an exchange; ? tells the keys."""
    if file == STDIN or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(f"browse needs a terminal and the name of a file; for a pipe: saifu trace show {file}")
    # textual takes a third of a second to import, which no other command has to wait for
    from host.trace_screen import TraceApp

    with open_readings(file, find_keys(context, keys), secrets) as (form, found):
        screen = TraceApp(file.name, form, of_slot(found, slot, _slot_of))
        screen.run()
        if screen.failure is not None:
            raise screen.failure


def _slot_of(reading: Reading) -> str:
    return reading.item.slot


@app.command()
def convert(
    context: typer.Context,
    file: _File,
    out: Annotated[Path, typer.Argument(help="The file to write; - is standard output.")],
    to: Annotated[
        str, typer.Option("--to", help=f"The form: {_WRITTEN}. Without it, what .html, .pcapng and .jsonl stand for.")
    ] = "",
    slot: _Slot = "",
    keys: KeysOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a trace in another form, without PINs and keys, and with the ends of account numbers alone.

    html is a report to read and to give away, with what --keys opens; gsmtap is for Wireshark; cardpeek and apdu4j
    for these; saifu is our own.
    """
    _require_free(out, as_json)
    form = to or _form_of(out)
    write = _writer(form)
    if write is None:
        found = _report(file, out, find_keys(context, keys), slot)
    elif keys is not None:
        raise InputError(f"--keys opens channels for --to html; {form} has what went over the wire")
    else:
        found = _converted(file, out, write, slot)
    if out != STDOUT:
        emit(as_json, {"from": found, "to": form, "file": str(out)}, [f"{file} ({found}) is written as {form}: {out}"])


def _require_free(out: Path, as_json: bool) -> None:
    """Raise InputError where nothing can be written, or something is already."""
    if out == STDOUT and as_json:
        raise InputError("--json tells what was written, and - writes it there: standard output takes one of them")
    if out != STDOUT:
        require_folder(out)
        if out.exists():
            raise InputError(f"{out} is there already, and is not overwritten; name another place")


def _form_of(out: Path) -> str:
    """The form that a file's name stands for; raises InputError where none does."""
    if (form := _SUFFIXES.get(out.suffix.casefold())) is not None:
        return form
    if out.suffix.casefold() == ".pcap":
        raise InputError(f"{out}: pcap is read, and not written; name it {out.with_suffix('.pcapng')}")
    name = "standard output" if out == STDOUT else f"the name {out}"
    raise InputError(f"{name} does not tell the form: say --to, one of {_WRITTEN}")


def _writer(form: str) -> _Write | None:
    """What writes a form; None for a report. Raises InputError for what is not written."""
    if form not in _WRITERS:
        read = " can be read, and not written" if any(form == each.name for each in FORMS) else ""
        raise InputError(f"--to {form}{read}: the forms that are written are {_WRITTEN}")
    return _WRITERS[form]


def _report(file: Path, out: Path, keys: KeysFor | None, slot: str) -> str:
    """Write the page; the trace is read twice, so that its head can tell what comes."""
    if file == STDIN:
        raise InputError("a report is made of a file, which is read twice; standard input can be read once")
    with open_readings(file, keys) as (form, first), open_readings(file, keys) as (_, second):
        passes = iter((first, second))
        _put(out, html.report(lambda: of_slot(next(passes), slot, _slot_of), file.name, form))
    return form


def _converted(file: Path, out: Path, write: _Write, slot: str) -> str:
    redactor = Redactor()
    with open_trace(file) as (found, items):
        _put(out, write(of_slot(map(redactor.redact, items), slot, lambda item: item.slot)))
    return found


def _put(out: Path, content: Iterable[bytes]) -> None:
    if out != STDOUT:
        write_whole(out, content, 0o600)
        return
    with _until_nobody_listens():
        sys.stdout.buffer.writelines(content)


app.command()(replay)
app.command()(stats)
