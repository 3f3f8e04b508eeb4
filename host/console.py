"""What the command lines of all rooms share: the desk, slots by name, display and input, JSON or text."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from apdu.errors import InputError, NoReaderError, PcscUnavailableError, RefusedError
from apdu.money import Currency, Money
from apdu.text import visible
from host.connection import CardSlot
from host.model import ModelSlot
from host.pcsc import PcscSlot, find_reader
from host.recording import recorded
from host.replay import REPLAY, ReplaySlot, load
from host.secrets_input import read_digits
from host.secure_connection import KeysFor
from host.session import pin_block
from host.terminal.line import CenterLine
from host.terminal.steps import Step

__all__ = [
    "Desk",
    "JsonOption",
    "PanelDisplay",
    "PanelInput",
    "ReaderOption",
    "desk",
    "emit",
    "open_slot",
    "parse_amount",
    "read_pin",
    "say",
]

PIN_LENGTHS = range(4, 9)
PIN_VARIABLE = "SAIFU_PIN"

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ReaderOption = Annotated[
    str,
    typer.Option("--reader", "-r", help="model:FILE, replay:TRACE, or a PC/SC reader by name, part of it, or number."),
]


class Desk(ABC):
    """Where a user's things are: the home folder, and the line to the center."""

    def __init__(self, home: Path) -> None:
        """``home`` is the folder for everything that is not given by path."""
        self.home = home

    @property
    def center_folder(self) -> Path:
        """Folder of the center."""
        return self.home / "center"

    @property
    def terminal_folder(self) -> Path:
        """Folder of the terminal: trust, blacklist, sales."""
        return self.home / "terminal"

    @abstractmethod
    def card_keys(self, name: str) -> KeysFor:
        """How the desk's cards get their static keys from the master key of that name; empty: from the usual one.

        Asks for the passphrase of the key store; raises InputError where there is none, or no such key.
        """

    @abstractmethod
    def line(self) -> AbstractContextManager[CenterLine]:
        """The line to the center; asks for the center's passphrase."""


def desk(context: typer.Context) -> Desk:
    """The desk that the front door has set up."""
    found = context.find_object(Desk)  # type: ignore[type-abstract]  # any desk will do
    if found is None:
        raise InputError("this command is part of saifu: run it as saifu …")
    return found


def open_slot(text: str) -> CardSlot:
    """Find a slot; with ``--trace`` it is recorded.

    ``model:FILE`` is a card image, ``replay:FILE`` or ``replay:FILE#SLOT`` a card out of a trace, anything else a
    PC/SC reader. Raises InputError without a file name or for no trace, FormatError for a damaged one,
    NoReaderError, PcscUnavailableError; a missing image is told at connect.
    """
    return recorded(_find_slot(text))


def _find_slot(text: str) -> CardSlot:
    if text.startswith("model:"):
        path = Path(text.removeprefix("model:"))
        if not path.name:
            raise InputError(f"--reader {text}: the name of a card image is wanted, as in model:aoi.card")
        return ModelSlot(f"model:{path}", path=path)
    if text.startswith(REPLAY):
        return ReplaySlot(load(text.removeprefix(REPLAY)))
    try:
        return PcscSlot(find_reader(text).name)
    except (NoReaderError, PcscUnavailableError):
        if Path(text).is_file():
            hint = f"--reader {text}: this is a file; for a card image say --reader model:{text}"
            raise InputError(hint) from None
        raise


def parse_amount(text: str, unit: Currency) -> int:
    """An amount of the command line in minor units; raises FormatError."""
    return Money.parse(text, unit).amount


def parse_moved(text: str, unit: Currency) -> int:
    """An amount that is to move, in minor units; raises FormatError, InputError for nothing."""
    if (amount := parse_amount(text, unit)) == 0:
        raise InputError(f"amount {text!r}: nothing would move; write it as in 12.50")
    return amount


def emit(as_json: bool, document: dict[str, Any], lines: Iterable[str]) -> None:
    """Print a result: one JSON document, or lines for people, in which nothing can steer a terminal."""
    if as_json:
        typer.echo(json.dumps(document))
        return
    for line in lines:
        say(line)


def say(text: str, *, error: bool = False) -> None:
    """Print lines for people, in which nothing can steer a terminal; ``error``: on standard error."""
    typer.echo("\n".join(map(visible, text.split("\n"))), err=error)


def read_pin(prompt: str, variable: str = PIN_VARIABLE, confirm: bool = False) -> bytes:
    """A PIN as the card takes it, from the environment or a hidden prompt."""
    return pin_block(read_digits(prompt, variable, None, PIN_LENGTHS, confirm))


class PanelDisplay:
    """A terminal's display on the console; with JSON it only remembers."""

    def __init__(self, quiet: bool) -> None:
        """``quiet`` shows nothing, for --json."""
        self._quiet = quiet
        self.steps: list[dict[str, str]] = []

    def step(self, step: Step, detail: str = "") -> None:
        """Show a step of the patent's flow under its number."""
        self.steps.append({"step": step.name, "text": step.text, "detail": detail})
        self._print(f"  {step.name}  {step.text}{': ' if detail else ''}{detail}")

    def show(self, text: str) -> None:
        """Show a message."""
        self.steps.append({"step": "", "text": text, "detail": ""})
        self._print(f"        {text}")

    def _print(self, line: str) -> None:
        if not self._quiet:
            say(line)


class PanelInput:
    """A terminal's input on the console."""

    def __init__(self) -> None:
        """Nothing has been asked yet."""
        self._asked = False

    def pin(self, reason: str) -> bytes:
        """Ask for the PIN; a wrong one out of the environment is not tried twice (RefusedError)."""
        if self._asked and PIN_VARIABLE in os.environ:
            raise RefusedError(f"the PIN in {PIN_VARIABLE} is wrong; it was tried once")
        self._asked = True
        return read_pin(f"PIN for {reason}")
