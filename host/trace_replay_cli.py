"""``saifu trace replay``: the commands of a trace are sent to a card again, and its answers compared."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from apdu.commands import PIN_REFERENCE, Ins
from apdu.errors import InputError
from apdu.status import StatusWord
from apdu.trace.model import Exchange, Reset
from apdu.trace.names import name_of, status_of
from apdu.trace.redaction import Redactor
from host.connection import CardConnection, CardSlot
from host.console import JsonOption, ReaderOption, emit, open_slot, read_pin, say
from host.recording import TellsAtr
from host.replay import Recorded, Recording, blanked, load

__all__ = ["Verdict", "replay"]


class Verdict(Enum):
    """What became of a recorded command."""

    SAME = "the same"
    DATA = "the same status word, other data"
    STATUS = "another status word"
    UNKNOWN = "no answer was recorded"
    LEFT_OUT = "left out"
    HELD = "not sent: the card has deviated, and this may change it"


_DEVIATIONS = (Verdict.DATA, Verdict.STATUS)
_PIN_HEADER, _PIN_DATA = bytes((0x00, Ins.VERIFY, 0x00, PIN_REFERENCE)), ("command", 5, 13)
"""VERIFY of a purse, and where it has the PIN."""
_TO_READER = 0xFF
"""Class byte of what a reader keeps for itself (PC/SC part 3)."""
_OK = StatusWord.OK.to_bytes(2)
_AUTHENTICATE = (0x82, 0x86, 0x87)
"""EXTERNAL, MUTUAL and GENERAL AUTHENTICATE (ISO 7816-4 11.6)."""
_READING = frozenset((0x70, 0x84, 0xA2, 0xA4, 0xB0, 0xB1, 0xB2, 0xB3, 0xC0, 0xCA, 0xCB))
"""Of ISO 7816-4: MANAGE CHANNEL, GET CHALLENGE, SEARCH, SELECT, READ, GET RESPONSE and GET DATA change nothing."""
_READING_PROPRIETARY = frozenset((0xC0, 0xCA, 0xCB, 0xF2))
"""Of GlobalPlatform (2.3, chapter 11), class 80: GET RESPONSE, GET DATA and GET STATUS."""


def _reads(command: bytes) -> bool:
    """Whether a command surely changes nothing on a card; VERIFY without data asks only."""
    if len(command) < 4 or command[0] == _TO_READER:
        return False
    if command[0] & 0x80:
        return command[0] & 0xF0 == 0x80 and command[1] in _READING_PROPRIETARY
    return command[1] in _READING or (command[1] == Ins.VERIFY and len(command) <= 5)


def _secured(command: bytes) -> bool:
    """Whether the class byte says secure messaging (ISO 7816-4 5.4.1; GlobalPlatform 2.3, 11.1.4)."""
    if command[0] & 0x40:
        return bool(command[0] & 0x20) and command[0] != _TO_READER
    return bool(command[0] & 0x0C)


def _blanks(exchange: Exchange) -> list[tuple[str, int, int]]:
    return [blank for blank in exchange.redacted if blank[0] == "command"]


def _takes_pin(exchange: Exchange) -> bool:
    """Whether this is a VERIFY of a purse that went well: the PIN is asked for again."""
    is_verify = exchange.command[:4] == _PIN_HEADER and exchange.response == _OK
    return is_verify and _blanks(exchange) == [_PIN_DATA]


def _obstacle(exchange: Exchange, with_pin: bool) -> str:
    """Why a command cannot be sent a second time; empty if it can be. ``with_pin``: the PIN is put in again."""
    command = exchange.command
    if with_pin and _takes_pin(exchange):
        return ""
    if _blanks(exchange):
        return "the PIN or key in it is not sent out of a trace, because a wrong one could cost a try"
    if len(command) < 4:
        return "it is no command"
    if command[1] in _AUTHENTICATE:
        return "its cryptogram is for a challenge that comes once, and a card counts those that are wrong"
    return "its secure channel is not there any more" if _secured(command) else ""


def _name(exchange: Exchange) -> str:
    return name_of(exchange.command).name


def _said(recording: Recording) -> Iterator[Recorded]:
    return (each for session in recording.sessions for each in session.exchanges)


def _refuse(recording: Recording) -> None:
    """Raises InputError for a recording with a command that cannot be sent, also with the PIN."""
    stopped = [each for each in _said(recording) if _obstacle(each.exchange, with_pin=True)]
    if stopped:
        more = f", and {len(stopped) - 1} others" if len(stopped) > 1 else ""
        why = f"{_obstacle(stopped[0].exchange, with_pin=True)}{more}; --skip-redacted leaves out what cannot be sent"
        raise InputError(f"{_place(stopped[0])}, cannot be sent again: {why}")


def _agree(recording: Recording, card: str, with_pin: bool) -> None:
    """Ask before anything is sent that may change a card; raises InputError if there is no yes."""
    sent = [each for each in _said(recording) if not _obstacle(each.exchange, with_pin)]
    changing = [each for each in sent if not _reads(each.exchange.command)]
    if not changing:
        return
    count, first = ("1 command", "it") if len(changing) == 1 else (f"{len(changing)} commands", "the first")
    first = f"{count} may change the card in {card}, {first} is {_place(changing[0])}."
    tries = " A wrong PIN costs a try." if any(_takes_pin(each.exchange) for each in changing) else ""
    try:
        agreed = typer.confirm(f"{first}{tries} Send them?", err=True)
    except typer.Abort:
        typer.echo(err=True)  # the question's line has no end yet
        agreed = False
    if not agreed:
        raise InputError("nothing was sent to the card; --yes sends without a question")


def _place(recorded: Recorded) -> str:
    return f"item {recorded.number}, {_name(recorded.exchange)}"


def _ask_pin(recording: Recording) -> bytes:
    """The PIN, asked for once if any command takes it; else empty."""
    return read_pin("PIN of the card") if any(_takes_pin(each.exchange) for each in _said(recording)) else b""


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one command; both exchanges are without secrets."""

    number: int
    recorded: Exchange
    answer: bytes | None
    verdict: Verdict
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "item": self.number,
            "name": _name(self.recorded),
            "command": _hex(self.recorded.command),
            "recorded": _hex(self.recorded.response),
            "answer": _hex(self.answer),
            "verdict": self.verdict.name.lower(),
            "reason": self.reason,
        }

    def line(self) -> str:
        """For people."""
        mark = "!!" if self.verdict in _DEVIATIONS else "  "
        reason = self.reason
        if self.verdict is Verdict.STATUS:
            reason = f"{_status(self.answer)}; recorded was {_status(self.recorded.response)}"
        return f"{mark}{self.number:6}  {_name(self.recorded):24}  {self.verdict.value}{': ' if reason else ''}{reason}"


def _hex(raw: bytes | None) -> str | None:
    return None if raw is None else raw.hex().upper()


def _status(answer: bytes | None) -> str:
    sw = int.from_bytes((answer or b"")[-2:])
    return f"{sw:04X} {status_of(sw)}"


class _Replay:
    """The commands on their way to one card."""

    def __init__(self, slot: CardSlot, connection: CardConnection, pin: bytes) -> None:
        """``slot`` is connected already; an empty ``pin`` leaves out what takes it."""
        self._slot, self._first, self._pin = slot, connection, pin
        self._before, self._now = Redactor(), Redactor()
        self._held = False

    def run(self, recording: Recording) -> Iterator[_Result | str]:
        """Reset where the trace does, send in order; a text is a remark. Raises what the slot raises."""
        for number, session in enumerate(recording.sessions):
            connection = self._slot.connect() if number else self._first
            for redactor in (self._before, self._now):
                redactor.redact(Reset())
            atr = connection.atr if isinstance(connection, TellsAtr) else b""
            if atr and session.atr and atr != session.atr:
                yield f"the answer to reset is {_hex(atr)}; recorded was {_hex(session.atr)}"
            for each in session.exchanges:
                yield self._send(each, connection)

    def _send(self, each: Recorded, connection: CardConnection) -> _Result:
        """After another status word the card is in another state: nothing is sent that may change it."""
        exchange = replace(each.exchange, slot="")
        shown = _redacted(self._before, exchange)
        if reason := _obstacle(exchange, with_pin=bool(self._pin)):
            return _Result(each.number, shown, None, Verdict.LEFT_OUT, reason)
        if self._held and not _reads(exchange.command):
            return _Result(each.number, shown, None, Verdict.HELD)
        command = exchange.command
        if _takes_pin(exchange):
            command = command[:5] + self._pin + command[13:]
        answer = connection.transmit(command)
        verdict = _compare(exchange, answer)
        self._held = self._held or verdict is Verdict.STATUS
        return _Result(each.number, shown, _redacted(self._now, Exchange(command, answer)).response, verdict)


def _redacted(redactor: Redactor, exchange: Exchange) -> Exchange:
    sent = redactor.sent(exchange)
    return redactor.answered(sent, exchange.response)


def _compare(recorded: Exchange, answer: bytes) -> Verdict:
    if recorded.response is None:
        return Verdict.UNKNOWN
    if recorded.response[-2:] != answer[-2:]:
        return Verdict.STATUS
    wanted = blanked("response", recorded.response, recorded)
    return Verdict.SAME if blanked("response", answer, recorded) == wanted else Verdict.DATA


def replay(
    file: Annotated[Path, typer.Argument(help="A trace: of saifu --trace, or of another program.")],
    reader: ReaderOption,
    slot: Annotated[
        str | None, typer.Option("--slot", help="Whose commands, if the trace has several: a slot's name, or a part.")
    ] = None,
    skip_redacted: Annotated[
        bool, typer.Option("--skip-redacted", help="Leave out what has a PIN, a key or a cryptogram of that time.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send what may change the card without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send the commands of a trace to a card again, and tell where it answers otherwise: exit code 1.

    Commands that may change the card are sent after a question, and no more once a status word was another one.
    """
    recording = load(str(file), slot, choosing="--slot NAME")
    if not skip_redacted:
        _refuse(recording)
    card, results = open_slot(reader), []
    try:
        connection = card.connect()
        if not yes:
            _agree(recording, reader, with_pin=not skip_redacted)
        pin = b"" if skip_redacted else _ask_pin(recording)
        for told in _Replay(card, connection, pin).run(recording):
            if isinstance(told, _Result):
                results.append(told)
            if not as_json:
                say(told if isinstance(told, str) else told.line())
    finally:
        card.close()
    first = next((each.number for each in results if each.verdict in _DEVIATIONS), None)
    emit(as_json, _document(file, reader, results, first), [_summary(reader, results, first)])
    if first is not None:
        raise typer.Exit(1)


def _count(results: list[_Result]) -> dict[str, int]:
    found = Counter(each.verdict for each in results)
    return {verdict.name.lower(): found[verdict] for verdict in Verdict}


def _document(file: Path, reader: str, results: list[_Result], first: int | None) -> dict[str, Any]:
    exchanges = [each.document() for each in results]
    return {"file": str(file), "reader": reader, "first": first, "count": _count(results), "exchanges": exchanges}


def _summary(reader: str, results: list[_Result], first: int | None) -> str:
    counted = [f"{sum(each.verdict is one for each in results)} {one.value}" for one in Verdict]
    said = ", ".join(text for text in counted if not text.startswith("0 "))
    where = f"the first deviation is item {first}" if first is not None else "no deviation"
    return f"{reader}: {said or 'no command was recorded'}; {where}"
