"""``saifu remit`` and ``terminal check``: the purse terminal from the command line, and what a POS shares with it."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from apdu.money import Money
from host.card_cli import record_document, record_line
from host.console import (
    JsonOption,
    PanelDisplay,
    PanelInput,
    ReaderOption,
    desk,
    emit,
    open_slot,
    parse_moved,
)
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.purse_terminal import PurseTerminal
from host.terminal.transfer import Transfer

__all__ = ["Panel", "check", "open_store", "remit", "transfer_document"]


def open_store(context: typer.Context) -> BlacklistStore:
    """The terminal's blacklist store; raises InputError when there is none."""
    return BlacklistStore(desk(context).terminal_folder)


@dataclass(frozen=True, slots=True)
class Panel:
    """Display and input of one run."""

    display: PanelDisplay
    input: PanelInput

    @classmethod
    def make(cls, as_json: bool) -> "Panel":
        """Make both; with JSON the display only remembers."""
        return cls(PanelDisplay(quiet=as_json), PanelInput())

    def result(self, as_json: bool, document: dict[str, Any], line: str) -> None:
        """Print the result behind the steps."""
        emit(as_json, document | {"steps": self.display.steps}, [line])


def check(context: typer.Context, reader: ReaderOption, as_json: JsonOption = False) -> None:
    """Check a card at insertion (fig. 3): a listed one is locked out, a clean one shows balance and history."""
    panel = Panel.make(as_json)
    terminal = PurseTerminal(open_store(context), panel.display, panel.input)
    seen = terminal.insert(open_slot(reader))
    unit = terminal.store.trust.unit
    document = {"card": seen.card.text, "balance": seen.balance, "history": list(map(record_document, seen.history))}
    lines = [record_line(record, unit) for record in seen.history]
    panel.result(as_json, document, "\n".join([f"balance {Money(seen.balance, unit)}", *lines]))


def remit(
    context: typer.Context,
    amount: Annotated[str, typer.Argument(help="Amount, as in 12.50.")],
    reader: Annotated[str, typer.Option("--reader", "-r", help="The paying card: model:FILE or a PC/SC reader.")],
    to: Annotated[str, typer.Option("--to", help="The receiving card: like --reader.")],
    as_json: JsonOption = False,
) -> None:
    """Move money from one card to another (fig. 2)."""
    panel = Panel.make(as_json)
    terminal = PurseTerminal(open_store(context), panel.display, panel.input)
    units = parse_moved(amount, terminal.store.trust.unit)
    done = terminal.remit(open_slot(reader), open_slot(to), units)
    panel.result(as_json, transfer_document(done), f"moved {terminal.money(done.amount)}")


def transfer_document(done: Transfer) -> dict[str, Any]:
    """A transfer for JSON."""
    return {"amount": done.amount, "counter": done.counter, "credited": done.credited, "settled": done.settled}
