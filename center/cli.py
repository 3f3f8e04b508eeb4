"""``saifu center``: set a center up, take reports in, publish the blacklist."""

import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from apdu.counting import counted
from apdu.errors import InputError
from apdu.identity import TEST_ISSUER, CardId
from apdu.messages import Outcome
from apdu.money import Money, currency
from center import broadcast_cli, cases_cli, recovery_cli
from center.center import Center
from center.changes import changes, published
from center.editions import edition_file, listed, publish, report_found, report_stolen
from center.float_purse import create_float
from center.opening import PassphraseOption, open_center
from center.resolution import decide
from center.settings import Settings
from host.card_cli import date_text
from host.console import JsonOption, desk, emit, parse_amount
from host.files import make_folder, write_whole
from host.numbers import NUMBER_MAX, number_from
from host.secrets_input import PASSPHRASE_VARIABLE, read_secret

__all__ = ["app"]

app = typer.Typer(help="The center: keys, registry, reports, editions, float.", no_args_is_help=True)

_CLOCK_HELP = "the center signs nothing: saifu center clock --right, if the clock is right"
_OUTCOMES = {"received": Outcome.RECEIVED, "never-received": Outcome.NEVER_RECEIVED}
_Card = Annotated[str, typer.Argument(help="Card ID, as in 00001-0000000002-4.")]


@app.command()
def init(
    context: typer.Context,
    issuer: Annotated[int, typer.Option(parser=number_from(1, TEST_ISSUER - 1), help="The issuer's number.")] = 1,
    unit: Annotated[str, typer.Option("--currency", help="ISO 4217 letters, as in EUR.")] = "EUR",
    amount: Annotated[str, typer.Option("--float", help="All the money there will be, in the float.")] = "1000000",
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a new center up: keys, database, trust file, and the float with all the money."""
    folder = desk(context).center_folder
    if folder.exists():
        raise InputError(f"{folder}: there is a center here already; it is never overwritten")
    money = parse_amount(amount, currency(unit))
    secret = read_secret("passphrase for the new center", PASSPHRASE_VARIABLE, passphrase_file, confirm=True)
    _create(folder, Settings(issuer, unit.upper()), money, secret)
    document = {"issuer": issuer, "currency": unit.upper(), "float": money, "trust": str(folder / "trust.json")}
    lines = [
        f"center {issuer} is set up, {Money(money, currency(unit))} in its float",
        f"trust file: {folder / 'trust.json'}",
    ]
    emit(as_json, document, lines)


def _create(folder: Path, settings: Settings, money: int, secret: bytes) -> None:
    """Make the whole center beside its place, then move it there: all of it or nothing."""
    make_folder(folder.parent, 0o700)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".center."))
    witness: Path | None = None
    try:
        center = Center.create(partial, settings, secret)
        witness = center.witnesses.outer.path
        try:
            create_float(center, money)
        finally:
            center.close()
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if witness is not None:
            witness.unlink(missing_ok=True)
        raise


@app.command("report-stolen")
def report_stolen_command(
    context: typer.Context,
    card: _Card,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "stolen",
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a theft report in: the next edition lists the card [0013]."""
    wanted = CardId.parse(card)
    with open_center(desk(context).center_folder, passphrase_file) as center:
        new = report_stolen(center, wanted, reason)
    text = "is listed from the next edition on (saifu center publish)" if new else "was listed already"
    emit(as_json, {"card": wanted.text, "new": new}, [f"card {wanted} {text}"])


@app.command("report-found")
def report_found_command(
    context: typer.Context,
    card: _Card,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "found",
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a card off the list and allow an ATM to unlock it."""
    wanted = CardId.parse(card)
    with open_center(desk(context).center_folder, passphrase_file) as center:
        edition = report_found(center, wanted, reason)
    line = f"card {wanted} is off the list from edition {edition} on; an ATM can unlock it (saifu atm unlock)"
    emit(as_json, {"card": wanted.text, "edition": edition}, [line])


@app.command("publish")
def publish_command(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to copy it; edition-N in the center's folder keeps it.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign and publish the next edition of the blacklist."""
    with open_center(desk(context).center_folder, passphrase_file) as center:
        edition = publish(center)
        path = out or edition_file(center, edition.number)
    head = edition.head.body
    if out is not None:
        write_whole(out, edition.encode())
    document = {"edition": head.edition, "listed": head.count, "next": head.next, "file": str(path)}
    emit(as_json, document, [f"edition {head.edition}, {counted(head.count, 'card')} listed: {path}"])


@app.command()
def editions(context: typer.Context, passphrase_file: PassphraseOption = None, as_json: JsonOption = False) -> None:
    """List the published editions, the newest first."""
    with open_center(desk(context).center_folder, passphrase_file) as center:
        rows = published(center)
    lines = [
        f"edition {row.number}  {date_text(row.time)}  {counted(row.listed, 'card')} listed, "
        f"{counted(row.size, 'byte')}; next {date_text(row.next)}"
        for row in rows
    ]
    emit(as_json, {"editions": [asdict(row) for row in rows]}, lines or ["nothing was published yet"])


@app.command("edition")
def edition_command(
    context: typer.Context,
    number: Annotated[int, typer.Argument(parser=number_from(1, NUMBER_MAX), help="Number of the edition.")],
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what an edition changed, and why."""
    with open_center(desk(context).center_folder, passphrase_file) as center:
        rows = changes(center, number)
    document = [{"card": row.card.text, "kind": row.kind, "reason": row.reason, "date": row.date} for row in rows]
    words = {"stolen": "listed", "found": "off the list"}
    lines = [f"{row.card}  {words[row.kind]:12}  {date_text(row.date)}  {row.reason}" for row in rows]
    emit(as_json, {"edition": number, "changes": document}, lines or ["nothing changed"])


@app.command("decide")
def decide_command(
    context: typer.Context,
    card: _Card,
    counter: Annotated[
        int,
        typer.Argument(
            parser=number_from(1, NUMBER_MAX), help="The payer's counter of the payment, as card show tells it."
        ),
    ],
    outcome: Annotated[str, typer.Argument(help="received, or never-received: the money goes back.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "decided",
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide about an unsettled payment to a card that is lost or destroyed; the center bears the risk."""
    wanted, chosen = CardId.parse(card), _OUTCOMES.get(outcome)
    if chosen is None:
        raise InputError(f"outcome {outcome!r}: it is {' or '.join(_OUTCOMES)}")
    with open_center(desk(context).center_folder, passphrase_file) as center:
        decide(center, wanted, counter, chosen, reason)
    line = f"payment {counter} of card {wanted}: {outcome}; the card hears of it when its credit is renewed"
    emit(as_json, {"card": wanted.text, "counter": counter, "outcome": outcome}, [line])


@app.command()
def cards(context: typer.Context, passphrase_file: PassphraseOption = None, as_json: JsonOption = False) -> None:
    """List the registry: card, role, holder, and whether it is listed."""
    with open_center(desk(context).center_folder, passphrase_file) as center:
        blacklist = listed(center)
        rows = [
            {"card": card.text, "role": role.name.lower(), "holder": holder, "listed": card in blacklist}
            for card, role, holder in center.registered()
        ]
    lines = [
        f"{row['card']}  {row['role']:9} {'listed  ' if row['listed'] else '        '}{row['holder']}" for row in rows
    ]
    emit(as_json, {"cards": rows}, lines)


@app.command()
def clock(
    context: typer.Context,
    right: Annotated[
        bool, typer.Option("--right", help="Take the clock as it is: you have looked at it, and it is right.")
    ] = False,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the clock and the newest time signed; the center signs nothing while they are far apart."""
    with open_center(desk(context).center_folder, passphrase_file) as center:
        if right:
            center.confirm_clock()
        told, behind = center.clock(), center.is_behind
    verdict = "the clock lets the center sign" if told.signs else _CLOCK_HELP
    if behind:
        verdict += "; but this center is behind, and signs nothing: saifu center recover"
    lines = [
        f"the clock says             {date_text(told.now)}",
        f"newest time signed         {date_text(told.newest) if told.newest else 'none yet'}",
        verdict,
    ]
    emit(as_json, asdict(told) | {"signs": told.signs and not behind, "behind": behind}, lines)


broadcast_cli.add_to(app)
cases_cli.add_to(app)
recovery_cli.add_to(app)
