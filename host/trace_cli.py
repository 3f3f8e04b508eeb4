"""``saifu trace``: read a trace of any form that is known, look at it, and write it in another."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from apdu.errors import InputError
from apdu.trace.card_time import CARDS
from apdu.trace.detection import FORMS, form_named
from apdu.trace.forms import html
from apdu.trace.redaction import Redactor
from host.console import JsonOption, emit
from host.files import write_whole
from host.trace_compare_cli import stats
from host.trace_files import STDIN, open_trace
from host.trace_readings import following, open_readings
from host.trace_replay_cli import replay
from host.trace_text import Choice, View

__all__ = ["app"]

app = typer.Typer(help="Traces of what went to cards: show, browse, convert, replay, count.", no_args_is_help=True)

_WRITTEN = ", ".join([*(form.name for form in FORMS if form.write), html.NAME])

_File = Annotated[Path, typer.Argument(help="A trace: of saifu --trace, or of another program; - is standard input.")]
_Keys = Annotated[
    Path | None,
    typer.Option("--keys", help="A file with enc, mac and dek of the card, as hex: opens its secure channels."),
]
_Secrets = Annotated[
    bool,
    typer.Option("--secrets", help="Show PINs and keys, where the trace of another program or a channel has them."),
]


@app.command()
def show(
    file: _File,
    detail: Annotated[
        bool, typer.Option("--detail", "-d", help="Every exchange in full, to each TLV and byte.")
    ] = False,
    exchange: Annotated[
        list[int] | None, typer.Option("--exchange", "-e", help="This item in full, by its number; several times.")
    ] = None,
    unexpected: Annotated[
        bool, typer.Option("--unexpected", help="Only what a card or terminal that works would not have done.")
    ] = False,
    slot: Annotated[str, typer.Option("--slot", help="Only this slot: a part of its name.")] = "",
    card: Annotated[
        str | None, typer.Option("--card", help=f"Tell the modelled time on this real card: {', '.join(CARDS)}.")
    ] = None,
    keys: _Keys = None,
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
    view = View(detail or bool(exchange), card)
    choice = Choice(frozenset(exchange or ()), unexpected, slot)
    with _until_nobody_listens():
        if follow:
            _follow(file, keys, secrets, choice, view, as_json)
            return
        with open_readings(file, keys, secrets) as (form, found):
            chosen = choice.of(found, view)
            if as_json:
                items = [view.document(reading) for reading in chosen]
                emit(True, {"form": form, "items": items} | view.total(), [])
            else:
                view.print(chosen)
                view.print_total()


def _follow(file: Path, keys: Path | None, secrets: bool, choice: Choice, view: View, as_json: bool) -> None:
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
def browse(file: _File, keys: _Keys = None, secrets: _Secrets = False) -> None:
    """Browse a trace on the whole terminal: scroll, filter, search, open an exchange; ? tells the keys."""
    if file == STDIN or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(f"browse needs a terminal and the name of a file; for a pipe: saifu trace show {file}")
    # textual takes a third of a second to import, which no other command has to wait for
    from host.trace_screen import TraceApp

    with open_readings(file, keys, secrets) as (form, found):
        screen = TraceApp(file.name, form, found)
        screen.run()
        if screen.failure is not None:
            raise screen.failure


@app.command()
def convert(
    file: _File,
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[str, typer.Option("--to", help=f"The form: {_WRITTEN}.")] = "saifu",
    keys: _Keys = None,
    as_json: JsonOption = False,
) -> None:
    """Write a trace in another form, without PINs and keys.

    html is a report to read and to give away, with what --keys opens; gsmtap is for Wireshark; cardpeek and apdu4j
    for these; saifu is our own.
    """
    if out.exists():
        raise InputError(f"{out} is there already, and is not overwritten; name another place")
    found = _report(file, out, keys) if to == html.NAME else _converted(file, out, to, keys)
    emit(as_json, {"from": found, "to": to, "file": str(out)}, [f"{file} ({found}) is written as {to}: {out}"])


def _report(file: Path, out: Path, keys: Path | None) -> str:
    """Write the page; the trace is read twice, so that its head can tell what comes."""
    if file == STDIN:
        raise InputError("a report is made of a file, which is read twice; standard input can be read once")
    with open_readings(file, keys) as (form, first), open_readings(file, keys) as (_, second):
        passes = iter((first, second))
        write_whole(out, html.report(lambda: next(passes), file.name, form), 0o600)
    return form


def _converted(file: Path, out: Path, to: str, keys: Path | None) -> str:
    form = form_named(to)
    if form.write is None:
        raise InputError(f"--to {to}: this form can be read, and not written")
    if keys is not None:
        raise InputError(f"--keys opens channels for --to html; {to} has what went over the wire")
    redactor = Redactor()
    with open_trace(file) as (found, items):
        write_whole(out, form.write(redactor.redact(item) for item in items), 0o600)
    return found


app.command()(replay)
app.command()(stats)
