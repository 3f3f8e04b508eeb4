"""``saifu reader``: list the PC/SC readers; run a virtual one, and put card images into it.

A slot of the virtual reader has two numbers: its own, from 1, for ``insert`` and ``eject``, and that of PC/SC, from 0,
for ``--reader``. Both are always shown.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from apdu.errors import InputError, PcscUnavailableError
from host.console import JsonOption, emit
from host.model import Protocol
from host.numbers import number_from
from host.pcsc import Reader, list_readers
from host.recording import TRACE
from host.virtual.cards import absolute
from host.virtual.parts import SOCKET_VARIABLE
from host.virtual.reader import Driver

__all__ = ["app"]

_HELP = "List the PC/SC readers; run a virtual one and put card images into it."

app = typer.Typer(help=_HELP, no_args_is_help=True)

_Slot = Annotated[int, typer.Argument(parser=number_from(1, 2), help="The virtual reader's slot, 1 or 2.")]


@app.command("list")
def list_command(json_output: JsonOption = False) -> None:
    """List the PC/SC readers: number, as --reader takes it, name, card; of the virtual reader the slot too."""
    readers = list_readers()
    emit(json_output, {"readers": [_as_json(reader) for reader in readers]}, map(_line, readers))
    if not readers and not json_output:
        typer.echo("There is no reader. Plug one in, or start `saifu reader run`.", err=True)


def _as_json(reader: Reader) -> dict[str, Any]:
    atr = None if reader.atr is None else reader.atr.hex().upper()
    document = {"number": reader.number, "name": reader.name, "card_present": reader.card_present, "atr": atr}
    return document | {"slot": _slot_of(reader)}


def _line(reader: Reader) -> str:
    slot = _slot_of(reader)
    return f"{f'slot {slot}  ' if slot else ''}reader {reader.number}  {reader.name}  {_card(reader)}"


def _slot_of(reader: Reader) -> int | None:
    """Which slot of the virtual reader this is, from 1; None for another reader."""
    if sys.platform != "linux":
        return None
    from host.virtual.daemon import PrivatePcscd

    return PrivatePcscd.readers.index(reader.name) + 1 if reader.name in PrivatePcscd.readers else None


def _card(reader: Reader) -> str:
    return "no card" if reader.atr is None else f"card, ATR {reader.atr.hex(' ').upper() or 'not readable'}"


@app.command()
def run(
    images: Annotated[list[Path] | None, typer.Argument(help="Card images for slots 1 and 2, or replay:TRACE.")] = None,
    driver: Annotated[Driver, typer.Option(help="pcscd's driver: for virtual cards, or for real CCID readers.")] = (
        Driver.VPCD
    ),
    protocol: Annotated[Protocol, typer.Option(help="What the cards speak.")] = Protocol.T1,
    json_output: JsonOption = False,
) -> None:
    """Run a virtual reader with two slots until Ctrl-C, and put card images into it.

    It is a pcscd of its own: yours is not touched. Other shells reach it with the line that is printed. With saifu
    --trace, what any program says to its cards is recorded.
    """
    _need_linux()
    from host.virtual.cards import CARD_PROGRAM
    from host.virtual.control import ControlServer
    from host.virtual.reader import VirtualReader

    program = (*CARD_PROGRAM, "--protocol", protocol.value)
    cards = images or []
    if len(cards) > 2:
        raise InputError(f"{len(cards)} images were given, and the virtual reader has two slots")
    trace = recording.path.absolute() if (recording := TRACE.get()) is not None else None
    with _until_told_to_end(), VirtualReader(program, driver, trace) as reader, ControlServer(reader) as control:
        for slot, image in enumerate(cards, 1):
            reader.insert(slot, absolute(image))
        _announce(str(reader.pcscd.socket_path), _numbered(control.do(b'{"do": "list"}')), json_output)
        control.serve()


def _need_linux() -> None:
    if sys.platform != "linux":
        raise PcscUnavailableError(
            "the virtual reader needs pcscd, which is for Linux; without it: --reader model:FILE"
        )


@contextmanager
def _until_told_to_end() -> Iterator[None]:
    """Both ways of ending a program, Ctrl-C and SIGTERM, end it in order."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("The reader is closed; the cards are out.", err=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def _announce(socket_path: str, slots: list[dict[str, Any]], json_output: bool) -> None:
    begin = "The virtual reader runs; Ctrl-C ends it. In each shell that is to use it, type first:"
    lines = [begin, "", f"  export {SOCKET_VARIABLE}={socket_path}", "", *_lines(slots)]
    emit(json_output, {"socket": socket_path, "pid": os.getpid(), "slots": slots}, lines)
    sys.stdout.flush()


@app.command()
def insert(
    slot: _Slot,
    image: Annotated[Path, typer.Argument(help="Card image, or replay:TRACE.")],
    json_output: JsonOption = False,
) -> None:
    """Put a card image into a slot of the running virtual reader."""
    _order({"do": "insert", "slot": slot, "image": str(absolute(image))}, json_output)


@app.command()
def eject(slot: _Slot, json_output: JsonOption = False) -> None:
    """Take the card out of a slot of the running virtual reader."""
    _order({"do": "eject", "slot": slot}, json_output)


def _order(order: dict[str, Any], json_output: bool) -> None:
    _need_linux()
    from host.virtual.control import ask

    try:
        slots = _numbered(ask(order))
    except InputError as error:
        if isinstance(error.__context__, (FileNotFoundError, ConnectionRefusedError)):
            raise InputError(_no_reader()) from None
        raise
    emit(json_output, {"slots": slots}, _lines(slots))


def _no_reader() -> str:
    """Nobody listens where this shell was told that a reader does."""
    return (
        f"no virtual reader of saifu runs at {os.environ[SOCKET_VARIABLE]}, which {SOCKET_VARIABLE} names in this "
        "shell: start `saifu reader run` in another one, and give the `export` line that it prints here"
    )


def _numbered(slots: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Slots with the numbers that PC/SC has for them: its daemon has no reader but this one."""
    return [each | {"number": number} for number, each in enumerate(slots)]


def _lines(slots: list[dict[str, Any]]) -> list[str]:
    return [
        f"slot {each['slot']}  reader {each['number']}  {each['reader']}  {each['image'] or 'empty'}" for each in slots
    ]
