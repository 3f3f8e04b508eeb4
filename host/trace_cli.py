"""``saifu trace``: read a trace of any form that is known, and write it in another."""

from pathlib import Path
from typing import Annotated, Any

import typer

from apdu.commands import Ins
from apdu.errors import InputError
from apdu.status import status_text
from apdu.trace.detection import FORMS, form_named
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.redaction import Redactor
from host.console import JsonOption, emit
from host.files import write_whole
from host.trace_files import open_trace

__all__ = ["app"]

app = typer.Typer(help="Traces of what went to cards: show one, convert one.", no_args_is_help=True)

_File = Annotated[Path, typer.Argument(help="A trace: of saifu --trace, or of another program.")]
_NAMES = {int(ins): ins.name.replace("_", " ") for ins in Ins}
_SHOWN = 24
"""Bytes of a command or an answer that a line shows."""


@app.command()
def show(file: _File, as_json: JsonOption = False) -> None:
    """Show a trace: a line for each exchange, with the command's name and what the status word means."""
    with open_trace(file) as (form, items):
        if as_json:
            emit(True, {"form": form, "items": [_document(item) for item in items]}, [])
            return
        for item in items:
            typer.echo(_line(item))


def _document(item: Item) -> dict[str, Any]:
    match item:
        case Reset():
            return {"reset": item.atr.hex().upper(), "slot": item.slot, "time": item.time}
        case Remark():
            return {"remark": item.text, "slot": item.slot, "time": item.time}
        case Exchange():
            answer = None if item.response is None else item.response.hex().upper()
            names = {"name": _name(item), "meaning": _meaning(item)}
            bytes_of = {"command": item.command.hex().upper(), "response": answer}
            return names | bytes_of | {"slot": item.slot, "time": item.time, "seconds": item.seconds}


def _line(item: Item) -> str:
    slot = f"{item.slot}  " if item.slot else ""
    match item:
        case Reset():
            return f"{slot}reset  {item.atr.hex().upper()}".rstrip()
        case Remark():
            return f"{slot}# {item.text}"
        case Exchange():
            blanked = "  (secrets left out)" if item.redacted else ""
            return f"{slot}{_name(item):24}  {_meaning(item)}{blanked}  {_short(item.command)}"


def _name(exchange: Exchange) -> str:
    """The command's name; one that no table has stays visible as bytes."""
    ins = exchange.command[1] if len(exchange.command) > 1 else -1
    if ins in _NAMES:
        return _NAMES[ins]
    return f"CLA {exchange.command[:1].hex().upper()} INS {exchange.command[1:2].hex().upper()}"


def _meaning(exchange: Exchange) -> str:
    if exchange.response is None:
        return "no answer"
    sw = int.from_bytes(exchange.response[-2:])
    data = len(exchange.response) - 2
    return f"{sw:04X} {status_text(sw)}" + (f", {data} bytes" if data > 0 else "")


def _short(raw: bytes) -> str:
    return raw[:_SHOWN].hex().upper() + ("…" if len(raw) > _SHOWN else "")


@app.command()
def convert(
    file: _File,
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    to: Annotated[
        str, typer.Option("--to", help=f"The form: {', '.join(form.name for form in FORMS if form.write)}.")
    ] = "saifu",
    as_json: JsonOption = False,
) -> None:
    """Write a trace in another form, without PINs and keys: for Wireshark (gsmtap), cardpeek, apdu4j, or our own."""
    form = form_named(to)
    if form.write is None:
        raise InputError(f"--to {to}: this form can be read, and not written")
    if out.exists():
        raise InputError(f"{out} is there already, and is not overwritten; name another place")
    redactor = Redactor()
    with open_trace(file) as (found, items):
        write_whole(out, b"".join(form.write(redactor.redact(item) for item in items)), 0o600)
    emit(as_json, {"from": found, "to": to, "file": str(out)}, [f"{file} ({found}) is written as {to}: {out}"])
