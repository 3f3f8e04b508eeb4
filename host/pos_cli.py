"""``saifu pos``: a POS from the command line."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from apdu.counting import counted
from apdu.identity import CardId
from apdu.money import Currency, Money
from host.card_cli import date_text
from host.console import JsonOption, ReaderOption, desk, open_slot, parse_moved, say
from host.numbers import NUMBER_MAX, number_from
from host.terminal.pos import PointOfSale
from host.terminal.sales import Begun, Sale, SalesStore
from host.terminal_cli import Panel, open_store, transfer_document

__all__ = ["app"]

app = typer.Typer(help="A POS: sell, and see what was sold.", no_args_is_help=True)

_Merchant = "The merchant's card: like --reader."


def _open_sales(context: typer.Context) -> SalesStore:
    stores = SalesStore(desk(context).terminal_folder / "sales.sqlite")
    context.call_on_close(stores.close)
    return stores


@app.command()
def sell(
    context: typer.Context,
    amount: Annotated[str, typer.Argument(help="Amount, as in 12.50.")],
    reader: ReaderOption,
    merchant: Annotated[str, typer.Option("--merchant", "-m", help=_Merchant)],
    online: Annotated[
        bool, typer.Option("--online", help="Renew the customer's credit on the way if it has to be.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Sell something for an amount (fig. 5)."""
    panel = Panel.make(as_json)
    pos = PointOfSale(open_store(context), panel.display, panel.input)
    units = parse_moved(amount, pos.store.trust.unit)
    customer, till, stores = open_slot(reader), open_slot(merchant), _open_sales(context)
    if online:
        with desk(context).line() as line:
            done = pos.sell(customer, till, units, stores, line)
    else:
        done = pos.sell(customer, till, units, stores)
    panel.result(as_json, transfer_document(done), f"sold for {pos.money(done.amount)}")


@app.command()
def sales(
    context: typer.Context,
    merchant: Annotated[
        str | None,
        typer.Option("--merchant", "-m", help="A merchant's card, to book first what was cut: like --reader."),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--last",
            parser=number_from(0, NUMBER_MAX),
            help="Show so many of the newest sales; the totals are of all.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show sales amount (32) and sales history (33): what this POS has sold, by its own clock."""
    terminal, stores = open_store(context), _open_sales(context)
    if merchant is not None:
        panel = Panel.make(as_json)
        PointOfSale(terminal, panel.display, panel.input).open_till(open_slot(merchant), stores)
    unit = terminal.trust.unit
    with stores.snapshot():
        if as_json:
            for piece in _document(stores, unit, last):
                typer.echo(piece, nl=False)
            typer.echo()
        else:
            for line in _lines(stores, unit, last):
                say(line)


def _document(stores: SalesStore, unit: Currency, last: int | None) -> Iterator[str]:
    """One JSON document, in pieces: a history may be longer than memory."""
    yield f'{{"currency": {json.dumps(unit.code)}, "merchants": ['
    for number, merchant in enumerate(stores.merchants()):
        head = {
            "merchant": merchant.text,
            "amount": stores.amount(merchant),
            "count": stores.count(merchant),
            "begun": [_begun_document(one) for one in stores.begun(merchant)],
        }
        yield f'{", " if number else ""}{json.dumps(head)[:-1]}, "sales": ['
        for place, sale in enumerate(stores.history(merchant, last)):
            yield f"{', ' if place else ''}{json.dumps(_sale_document(sale))}"
        yield "]}"
    yield "]}"


def _sale_document(sale: Sale) -> dict[str, Any]:
    customer = {"customer": sale.customer.text, "counter": sale.counter}
    return {"time": sale.time, "amount": sale.amount, **customer, "request": sale.request}


def _begun_document(one: Begun) -> dict[str, Any]:
    what = {"time": one.time, "amount": one.amount, "customer": one.customer.text, "request": one.request}
    return what | {"in_doubt": one.in_doubt}


def _lines(stores: SalesStore, unit: Currency, last: int | None) -> Iterator[str]:
    merchants = stores.merchants()
    for merchant in merchants:
        yield f"{merchant}  {Money(stores.amount(merchant), unit)} in all, {counted(stores.count(merchant), 'sale')}"
        for one in stores.begun(merchant):
            unknown = "in doubt: the merchant's card does not know any more whether it was paid"
            waiting = "begun: booked or dropped when the merchant's card tells how it ended"
            yield f"{_line(one.time, one.amount, one.customer, unit)}  {unknown if one.in_doubt else waiting}"
        for sale in stores.history(merchant, last):
            yield _line(sale.time, sale.amount, sale.customer, unit)
    if not merchants:
        yield "nothing was sold yet"


def _line(time: int, amount: int, customer: CardId, unit: Currency) -> str:
    return f"  {date_text(time)}  {Money(amount, unit)!s:>14}  from {customer}"
