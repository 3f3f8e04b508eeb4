"""``saifu atm``: load, deposit, renewal, PIN unblocking, unlocking and termination, on the line to the center."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from host.card_cli import date_text
from host.console import JsonOption, ReaderOption, desk, open_slot, parse_moved, read_pin
from host.secrets_input import read_digits
from host.session import pin_block
from host.terminal.atm import Atm
from host.terminal.line import CenterLine
from host.terminal_cli import Panel, open_store, transfer_document

__all__ = ["app"]

app = typer.Typer(help="An ATM on the line to the center.", no_args_is_help=True)

_Amount = Annotated[str, typer.Argument(help="Amount, as in 12.50.")]


@contextmanager
def _online(context: typer.Context, panel: Panel) -> Iterator[tuple[Atm, CenterLine]]:
    """An ATM and its line."""
    atm = Atm(open_store(context), panel.display, panel.input)
    with desk(context).line() as line:
        yield atm, line


@app.command()
def load(context: typer.Context, amount: _Amount, reader: ReaderOption, as_json: JsonOption = False) -> None:
    """Put money on a card, out of the center's float; the credit is renewed on the way."""
    panel = Panel.make(as_json)
    with _online(context, panel) as (atm, line):
        done = atm.load(open_slot(reader), parse_moved(amount, atm.store.trust.unit), line)
    panel.result(as_json, transfer_document(done), f"loaded {atm.money(done.amount)}")


@app.command()
def deposit(context: typer.Context, amount: _Amount, reader: ReaderOption, as_json: JsonOption = False) -> None:
    """Take money off a card, back into the float."""
    panel = Panel.make(as_json)
    with _online(context, panel) as (atm, line):
        done = atm.deposit(open_slot(reader), parse_moved(amount, atm.store.trust.unit), line)
    panel.result(as_json, transfer_document(done), f"deposited {atm.money(done.amount)}")


@app.command()
def renew(context: typer.Context, reader: ReaderOption, as_json: JsonOption = False) -> None:
    """Renew the credit information (fig. 7); a listed card gets none."""
    panel = Panel.make(as_json)
    with _online(context, panel) as (atm, line):
        credit = atm.renew(open_slot(reader), line)
    document = {"card": credit.card.text, "serial": credit.serial, "expiry": credit.expiry}
    panel.result(as_json, document, f"credit number {credit.serial}, until {date_text(credit.expiry)} UTC")


@app.command()
def unblock(context: typer.Context, reader: ReaderOption, as_json: JsonOption = False) -> None:
    """Unblock the PIN with the resetting code of the holder's letter; asks for it and for a new PIN."""
    panel = Panel.make(as_json)
    code = pin_block(read_digits("resetting code", "SAIFU_RESETTING_CODE", None, range(8, 9)))
    new = read_pin("new PIN", "SAIFU_NEW_PIN", confirm=True)
    Atm(open_store(context), panel.display, panel.input).unblock_pin(open_slot(reader), code, new)
    panel.result(as_json, {"unblocked": True}, "the PIN is unblocked")


@app.command()
def unlock(context: typer.Context, reader: ReaderOption, as_json: JsonOption = False) -> None:
    """Unlock a locked-out card that was found again (saifu center report-found)."""
    panel = Panel.make(as_json)
    with _online(context, panel) as (atm, line):
        atm.unlock(open_slot(reader), line)
    panel.result(as_json, {"unlocked": True}, "the card is unlocked")


@app.command()
def terminate(context: typer.Context, reader: ReaderOption, as_json: JsonOption = False) -> None:
    """End the life of an empty card; there is no way back."""
    panel = Panel.make(as_json)
    with _online(context, panel) as (atm, line):
        atm.terminate(open_slot(reader), line)
    panel.result(as_json, {"terminated": True}, "the card is terminated")
