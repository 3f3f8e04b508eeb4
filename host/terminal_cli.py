"""``saifu remit``, ``pos`` and ``terminal check``: purse terminal and POS from the command line."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from apdu.money import Currency, Money
from host.card_cli import date_text, record_document, record_line
from host.console import (
    JsonOption,
    PanelDisplay,
    PanelInput,
    ReaderOption,
    desk,
    emit,
    open_slot,
    parse_amount,
)
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.pos import PointOfSale
from host.terminal.purse_terminal import PurseTerminal
from host.terminal.sales import SalesStore
from host.terminal.transfer import Transfer

__all__ = ["Panel", "check", "open_store", "pos_app", "remit", "transfer_document"]

pos_app = typer.Typer(help="A POS: sell, and see what was sold.", no_args_is_help=True)

_Amount = Annotated[str, typer.Argument(help="Amount, as in 12.50.")]
_MerchantOption = Annotated[str, typer.Option("--merchant", "-m", help="The merchant's card: like --reader.")]


def open_store(context: typer.Context) -> BlacklistStore:
    """The terminal's blacklist store; raises InputError when there is none."""
    return BlacklistStore(desk(context).terminal_folder)


def _open_sales(context: typer.Context) -> SalesStore:
    return SalesStore(desk(context).terminal_folder / "sales.sqlite")


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
    amount: _Amount,
    reader: Annotated[str, typer.Option("--reader", "-r", help="The paying card: model:FILE or a PC/SC reader.")],
    to: Annotated[str, typer.Option("--to", help="The receiving card: like --reader.")],
    as_json: JsonOption = False,
) -> None:
    """Move money from one card to another (fig. 2)."""
    panel = Panel.make(as_json)
    terminal = PurseTerminal(open_store(context), panel.display, panel.input)
    units = parse_amount(amount, terminal.store.trust.unit)
    done = terminal.remit(open_slot(reader), open_slot(to), units)
    panel.result(as_json, transfer_document(done), f"moved {terminal.money(done.amount)}")


def transfer_document(done: Transfer) -> dict[str, Any]:
    """A transfer for JSON."""
    return {"amount": done.amount, "counter": done.counter, "credited": done.credited, "settled": done.settled}


@pos_app.command()
def sell(
    context: typer.Context,
    amount: _Amount,
    reader: ReaderOption,
    merchant: _MerchantOption,
    online: Annotated[
        bool, typer.Option("--online", help="Renew the customer's credit on the way if it has to be.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Sell something for an amount (fig. 5)."""
    panel = Panel.make(as_json)
    pos = PointOfSale(open_store(context), panel.display, panel.input)
    units = parse_amount(amount, pos.store.trust.unit)
    customer, till, stores = open_slot(reader), open_slot(merchant), _open_sales(context)
    if online:
        with desk(context).line() as line:
            done = pos.sell(customer, till, units, stores, line)
    else:
        done = pos.sell(customer, till, units, stores)
    panel.result(as_json, transfer_document(done), f"sold for {pos.money(done.amount)}")


@pos_app.command()
def sales(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show sales amount (32) and sales history (33)."""
    unit, stores = open_store(context).trust.unit, _open_sales(context)
    merchants: list[dict[str, Any]] = [
        {
            "merchant": merchant.text,
            "amount": stores.amount(merchant),
            "missing_records": stores.missing(merchant),
            "sales": [
                {"record": sale.record, "customer": sale.customer.text, "amount": sale.amount, "date": sale.date}
                for sale in stores.history(merchant)
            ],
        }
        for merchant in stores.merchants()
    ]
    emit(as_json, {"currency": unit.code, "merchants": merchants}, _sales_lines(merchants, unit))


def _sales_lines(merchants: list[dict[str, Any]], unit: Currency) -> list[str]:
    lines = []
    for merchant in merchants:
        lines.append(f"{merchant['merchant']}  {Money(merchant['amount'], unit)} in all")
        if missing := merchant["missing_records"]:
            lines.append(f"        without {missing} records that the card had overwritten before they were read")
        for sale in merchant["sales"]:
            amount = Money(sale["amount"], unit)
            lines.append(f"{sale['record']:6}  {date_text(sale['date'])}  {amount!s:>14}  from {sale['customer']}")
    return lines or ["nothing was sold yet"]
