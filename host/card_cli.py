"""``saifu card``: look at a card, read its history, change its PIN; ``saifu apdu``: send commands by hand."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from apdu.command import CommandApdu
from apdu.commands import BY_INS, SECRET_INS
from apdu.counting import counted
from apdu.errors import FormatError, InputError
from apdu.identity import LifeCycle
from apdu.money import Currency, Money, currency
from apdu.objects import NO_PIN_SUM, HistoryRecord, Kind
from apdu.response import ResponseApdu
from apdu.status import StatusError, status_text
from host.connection import CardConnection
from host.console import JsonOption, ReaderOption, emit, open_slot, read_pin
from host.numbers import number_from
from host.session import PurseSession

__all__ = ["UnexpectedAnswerError", "apdu_command", "app", "date_text", "record_document", "record_line"]


class UnexpectedAnswerError(StatusError):
    """The answer is not the one that --expect names; ``document`` has all answers, for --json."""

    def __init__(self, command: str, sw: int, document: dict[str, Any]) -> None:
        """``command`` says what was sent and expected."""
        super().__init__(command, sw)
        self.args = (f"{command}, and the card answered {sw:04X}: {status_text(sw)}",)
        self.document = document


app = typer.Typer(help="Look at a card, read its history, change its PIN.", no_args_is_help=True)

_KIND_TEXT = {Kind.PAID: "paid to", Kind.RECEIVED: "received from", Kind.REFUNDED: "refunded from"}


@contextmanager
def _connected(reader: str) -> Iterator[CardConnection]:
    """A card to look at; it stays in its reader."""
    slot = open_slot(reader)
    try:
        yield slot.connect()
    finally:
        slot.close()


def date_text(date: int) -> str:
    """A date for people, UTC; a dash for none."""
    return datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%d %H:%M") if date else "-"


@app.command()
def show(reader: ReaderOption, as_json: JsonOption = False) -> None:
    """Show everything that a card tells about itself; nothing on it changes."""
    with _connected(reader) as connection:
        session = PurseSession(connection)
        document = _describe(session)
    emit(as_json, document, _show_lines(document))


def _describe(session: PurseSession) -> dict[str, Any]:
    status, capacities = session.selected.status, session.get_capacities()
    document: dict[str, Any] = {
        "state": status.state.text,
        "card": session.selected.card.text if session.selected.card else None,
        "capacities": {"history": capacities.history, "unsettled": capacities.unsettled},
    }
    if session.selected.card is not None and status.state is not LifeCycle.TERMINATED:
        document |= _describe_purse(session)
    return document


def _describe_purse(session: PurseSession) -> dict[str, Any]:
    parameters, counters = session.get_parameters(), session.get_counters()
    (credit, used), tries = session.get_credit(), session.get_reference_data()
    unit = currency(parameters.currency)
    return {
        "role": parameters.role.name.lower(),
        "balance": session.selected.status.balance,
        "currency": unit.code,
        "balance_text": str(Money(session.selected.status.balance, unit)),
        "limits": {"balance": parameters.balance_max, "transfer": parameters.transfer_max, "pin": parameters.pin_above},
        "without_pin": {
            "paid": counters.without_pin,
            "most": None if parameters.pin_sum == NO_PIN_SUM else parameters.pin_sum,
        },
        "pin": {"tries": tries.pin_tries, "resetting_code_tries": tries.puk_tries},
        "credit": {
            "serial": credit.body.serial,
            "expiry": credit.body.expiry,
            "payments_left": credit.body.count - used.count,
            "amount_left": credit.body.amount - used.amount,
        },
        "edition": session.selected.status.edition,
        "date": counters.date,
        "counters": {"payments": counters.payments, "requests": counters.requests, "record": counters.record},
        "unsettled": [
            {"counter": entry.counter, "payee": entry.payee.text, "amount": entry.amount}
            for entry in session.get_unsettled()
        ],
    }


def _show_lines(document: dict[str, Any]) -> list[str]:
    rows = [("card", document["card"] or "no ID yet"), ("state", document["state"])]
    if "balance" in document:
        unit, credit = currency(document["currency"]), document["credit"]
        limits = {name: str(Money(amount, unit)) for name, amount in document["limits"].items()}
        without = {name: Money(amount, unit) for name, amount in document["without_pin"].items() if amount is not None}
        most = f", {without['most']} may be in all" if "most" in without else ""
        rows += [
            ("role", document["role"]),
            ("balance", document["balance_text"]),
            ("limits", f"{limits['balance']} on it, {limits['transfer']} at once, PIN above {limits['pin']}"),
            ("PIN", f"{counted(document['pin']['tries'], 'try', 'tries')} left"),
            ("", f"{without['paid']} paid without it since it was used last{most}"),
            ("credit", f"number {credit['serial']}, until {date_text(credit['expiry'])} UTC"),
            ("", f"{counted(credit['payments_left'], 'payment')}, {Money(credit['amount_left'], unit)} until renewal"),
            ("blacklist", f"believes edition {document['edition']} and newer"),
            ("its date", f"{date_text(document['date'])} UTC"),
        ]
        rows += [
            ("unsettled", f"{Money(entry['amount'], unit)} to {entry['payee']}, payment {entry['counter']}")
            for entry in document["unsettled"]
        ]
    return [f"{name:10} {value}" for name, value in rows]


def record_document(record: HistoryRecord) -> dict[str, Any]:
    """A history record for JSON."""
    return {
        "number": record.number,
        "kind": record.kind.name.lower(),
        "other": record.other.text,
        "counter": record.counter,
        "amount": record.amount,
        "balance": record.balance,
        "date": record.date,
    }


def record_line(record: HistoryRecord, unit: Currency) -> str:
    """A history record as a line."""
    amount, balance = Money(record.amount, unit), Money(record.balance, unit)
    what = f"{_KIND_TEXT[record.kind]} {record.other}"
    return f"{record.number:6}  {date_text(record.date)}  {amount!s:>14}  {what:34}  balance {balance}"


@app.command()
def history(
    reader: ReaderOption,
    most: Annotated[
        int, typer.Option("--most", parser=number_from(1, 1024), help="How many records, newest first.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Read the transaction history, newest first."""
    with _connected(reader) as connection:
        session = PurseSession(connection)
        card, unit = session.card, currency(session.get_parameters().currency)
        records = session.history(most)
    lines = [record_line(record, unit) for record in records] or ["no transfer yet"]
    document = {"card": card.text, "currency": unit.code, "records": list(map(record_document, records))}
    emit(as_json, document, lines)


@app.command()
def pin(reader: ReaderOption, as_json: JsonOption = False) -> None:
    """Change the PIN; asks for it, or takes SAIFU_PIN and SAIFU_NEW_PIN from the environment."""
    old, new = read_pin("PIN now"), read_pin("new PIN", "SAIFU_NEW_PIN", confirm=True)
    with _connected(reader) as connection:
        session = PurseSession(connection)
        card = session.card
        session.change_reference_data(old, new)
    emit(as_json, {"card": card.text, "changed": True}, [f"card {card}: the PIN is changed"])


def apdu_command(
    commands: Annotated[list[str], typer.Argument(help="Commands in hex; - reads them from standard input.")],
    reader: ReaderOption,
    expect: Annotated[str, typer.Option(help="Status word that the last command must give, X for any digit.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Send commands by hand, in one session, and show the answers with their meaning."""
    raw = _commands(commands)
    pattern = _pattern(expect)
    with _connected(reader) as connection:
        exchanges = [(command, ResponseApdu.decode(connection.transmit(command.encode()))) for command in raw]
    document = {"exchanges": [_exchange_document(command, response) for command, response in exchanges]}
    command, response = exchanges[-1]
    unexpected = any(wanted not in ("X", digit) for wanted, digit in zip(pattern, f"{response.sw:04X}", strict=False))
    if not (unexpected and as_json):
        emit(as_json, document, [line for pair in exchanges for line in _exchange_lines(*pair)])
    if unexpected:
        raise UnexpectedAnswerError(f"{_name(command)}: {pattern} was expected", response.sw, document)


def _commands(texts: list[str]) -> list[CommandApdu]:
    """Parse all before any is sent; what carries a PIN must not stand on the command line."""
    if texts == ["-"]:
        lines = [line for line in sys.stdin.read().splitlines() if line.strip()]
        if not lines:
            raise InputError("there is no command on standard input: give one a line, in hex")
        return [_parse(line) for line in lines]
    commands = [_parse(text) for text in texts]
    for command in commands:
        if command.ins in SECRET_INS and command.data:
            raise InputError(f"{BY_INS[command.ins].name} carries a PIN: give it on standard input, with -")
    return commands


def _parse(text: str) -> CommandApdu:
    digits = "".join(text.split())
    wrong = re.search("[^0-9A-Fa-f]", digits)
    try:
        if wrong or len(digits) % 2:
            raise FormatError(f"{wrong.group()!r} is no hex digit" if wrong else "the last byte has one digit")
        return CommandApdu.decode(bytes.fromhex(digits))
    except FormatError as error:
        raise InputError(f"a command in hex is wanted, as in 00A4040006F05341494655: {error}") from None


def _pattern(expect: str) -> str:
    if expect and (len(expect) != 4 or any(digit not in "0123456789ABCDEFX" for digit in expect.upper())):
        raise InputError(f"--expect {expect}: four hex digits are wanted, X for any, as in 9000 or 63CX")
    return expect.upper()


def _name(command: CommandApdu) -> str:
    row = BY_INS.get(command.ins)
    return row.name if row else f"INS {command.ins:02X}"


def _exchange_document(command: CommandApdu, response: ResponseApdu) -> dict[str, Any]:
    secret = command.ins in SECRET_INS
    return {
        "name": _name(command),
        "command": command.header.hex().upper() if secret else command.encode().hex().upper(),
        "data": response.data.hex().upper(),
        "sw": f"{response.sw:04X}",
        "meaning": status_text(response.sw),
    }


def _exchange_lines(command: CommandApdu, response: ResponseApdu) -> list[str]:
    shown = _exchange_document(command, response)
    answer = [f"< {shown['data']}"] if response.data else []
    return [f"> {shown['command']}  {shown['name']}", *answer, f"< {shown['sw']}  {shown['meaning']}"]
