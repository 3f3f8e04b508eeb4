"""The own form of a trace: JSON lines; ``docs/reference/trace-format.md`` is its specification.

A recording writes a command before it is sent (``sent``) and its answer when it is there (``answer``), so that
a crash in between loses nothing; ``decode`` joins the two.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from apdu.errors import FormatError
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["FORMAT", "LONGEST_LINE", "MOST_WAITING", "decode", "encode", "encode_answer", "encode_sent", "header"]

FORMAT = "saifu trace 1"
"""What the first line calls the form, with its version."""
LONGEST_LINE = 1 << 20
"""Characters or bytes of a line that are read; the longest command and answer take a quarter of it."""
MOST_WAITING = 64
"""Commands, of as many slots, that may wait for their answers at one time."""

_Fields = dict[str, object]
_KINDS = ("command", "sent", "answer", "reset", "remark")
_COMMAND, _RESPONSE = "command", "response"


def header(program: str) -> str:
    """The first line of a recording, without its end of line; ``program`` is the writer's name and version."""
    return json.dumps({"format": FORMAT, "program": program})


def encode(item: Item) -> str:
    """One line for an item, without its end of line.

    Raises FormatError for a time that is not finite, and for a line too long to be read again.
    """
    match item:
        case Exchange():
            return _line(_exchange_fields(item))
        case Reset():
            return _line({"reset": _hex(item.atr)} | _place(item))
    return _line({"remark": item.text} | _place(item))


def encode_sent(exchange: Exchange) -> str:
    """The line for a command that is about to be sent."""
    return _line({"sent": _hex(exchange.command)} | _place(exchange) | _blanks(exchange, _COMMAND))


def encode_answer(exchange: Exchange) -> str:
    """The line that completes the command last sent to this slot; without a response, none came."""
    answer = None if exchange.response is None else _hex(exchange.response)
    slot = {"slot": exchange.slot} if exchange.slot else {}
    return _line({"answer": answer} | slot | _seconds(exchange) | _blanks(exchange, _RESPONSE))


def _exchange_fields(item: Exchange) -> _Fields:
    response = {} if item.response is None else {"response": _hex(item.response)}
    return {"command": _hex(item.command)} | response | _place(item) | _seconds(item) | _blanks(item)


def _hex(raw: bytes) -> str:
    return raw.hex().upper()


def _place(item: Item) -> _Fields:
    """Slot and time, where they are known."""
    slot: _Fields = {"slot": item.slot} if item.slot else {}
    return slot if item.time is None else slot | {"time": item.time}


def _seconds(item: Exchange) -> _Fields:
    return {} if item.seconds is None else {"seconds": item.seconds}


def _blanks(item: Exchange, *parts: str) -> _Fields:
    blanks = [list(blank) for blank in item.redacted if not parts or blank[0] in parts]
    return {"redacted": blanks} if blanks else {}


def _line(fields: _Fields) -> str:
    """Pure ASCII: no reader finds an end of line where there is none."""
    try:
        line = json.dumps(fields, allow_nan=False)
    except ValueError:
        raise FormatError("a time in a trace is a finite number of seconds") from None
    if len(line) >= LONGEST_LINE:
        raise FormatError(f"a line of a trace has fewer than {LONGEST_LINE} characters, not {len(line)}")
    return line


def decode(lines: Iterable[str | bytes]) -> Iterator[Item]:
    """Items of a trace, in the order in which they were complete; a few lines are in memory at a time.

    A line that a crash cut off, the last one or the one before the next recording in the same file, becomes a
    Remark. Raises FormatError, with the number of the line, for what is not of this form or of another version.
    """
    reading, damage = _Reading(), None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = _parse(line)
        except FormatError as error:
            if damage or not reading.begun:
                raise damage or FormatError(f"line {number}: {error}; a trace begins with {header('...')}") from None
            damage = FormatError(f"line {number}: {error}")
            continue
        if damage and "format" not in fields:
            raise damage
        if damage:
            yield _cut_off(damage)
            damage = None
        yield from _located(reading, fields, number)
    if damage:
        yield _cut_off(damage)
    yield from reading.end()


def _cut_off(damage: FormatError) -> Remark:
    return Remark(f"the recording was cut off here: {damage}")


def _located(reading: "_Reading", fields: _Fields, number: int) -> Iterator[Item]:
    """The items that a line completes; says which line is wrong."""
    try:
        yield from reading.line(fields)
    except FormatError as error:
        raise FormatError(f"line {number}: {error}") from None


def _parse(line: str | bytes) -> _Fields:
    """The fields of a line; any damage is a FormatError, as deep or long as it may be."""
    if len(line) > LONGEST_LINE:
        raise FormatError(f"the line is longer than {LONGEST_LINE} characters")
    try:
        fields = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise FormatError("this is no JSON") from None
    if not isinstance(fields, dict):
        raise FormatError("this is no JSON object")
    return fields


def _no_constant(name: str) -> float:
    """NaN and Infinity are no JSON."""
    raise ValueError(name)


class _Reading:
    """What is known between two lines: whether a header was there, and the commands that wait for answers."""

    def __init__(self) -> None:
        self.begun = False
        self._waiting: dict[str, Exchange] = {}

    def line(self, fields: _Fields) -> Iterator[Item]:
        """Items that this line completes."""
        if "format" in fields or not self.begun:
            _check_format(fields)
            self.begun = True
            yield from self.end()
            return
        kinds = [kind for kind in _KINDS if kind in fields]
        if len(kinds) > 1:
            raise FormatError(f"a line says one thing, not {' and '.join(kinds)}")
        yield from self._item(kinds[0] if kinds else "", fields)

    def _item(self, kind: str, fields: _Fields) -> Iterator[Item]:
        slot = _text(fields, "slot")
        if kind == "answer":
            yield self._joined(slot, fields)
            return
        if kind in ("sent", "reset"):
            yield from self._unanswered(slot)
        if kind == "sent":
            yield from self._wait(_exchange(fields, kind))
        else:
            yield _whole(kind, fields)

    def _wait(self, exchange: Exchange) -> Iterator[Item]:
        """Keep a command for its answer; the oldest one gives up its place when there are too many."""
        if len(self._waiting) >= MOST_WAITING:
            yield self._waiting.pop(next(iter(self._waiting)))
        self._waiting[exchange.slot] = exchange

    def _unanswered(self, slot: str) -> Iterator[Item]:
        """The command of a slot that will get no answer any more."""
        if slot in self._waiting:
            yield self._waiting.pop(slot)

    def _joined(self, slot: str, fields: _Fields) -> Item:
        response = None if fields["answer"] is None else _bytes(fields, "answer")
        blanks = _redacted(fields, {_RESPONSE: len(response or b"")})
        sent = self._waiting.pop(slot, None)
        if sent is None:
            return Remark("an answer whose command is not in the trace", slot)
        return replace(sent, response=response, seconds=_number(fields, "seconds"), redacted=sent.redacted + blanks)

    def end(self) -> Iterator[Item]:
        """Commands that a crash or the end of the trace has left without an answer."""
        while self._waiting:
            yield self._waiting.pop(next(iter(self._waiting)))


def _check_format(fields: _Fields) -> None:
    named = fields.get("format")
    if named == FORMAT:
        return
    if isinstance(named, str) and named.startswith(FORMAT.rstrip("1")):
        raise FormatError(f"this is a {named[:40]}, and this program reads {FORMAT}: use a newer one")
    raise FormatError(f'this is no trace of saifu: it does not begin with "format": "{FORMAT}"')


def _whole(kind: str, fields: _Fields) -> Item:
    """The item of a line that stands alone."""
    if kind == "command":
        return _exchange(fields, kind)
    slot, time = _text(fields, "slot"), _number(fields, "time")
    if kind == "reset":
        return Reset(_bytes(fields, kind), slot, time)
    return Remark(_text(fields, kind) if kind else "a line of a kind that is not known", slot, time)


def _exchange(fields: _Fields, kind: str) -> Exchange:
    """An exchange as a whole, or the command of one that waits for its answer."""
    command = _bytes(fields, kind)
    answered = kind == "command" and fields.get(_RESPONSE) is not None
    response = _bytes(fields, _RESPONSE) if answered else None
    return Exchange(
        command,
        response,
        _text(fields, "slot"),
        _number(fields, "time"),
        _number(fields, "seconds") if kind == "command" else None,
        _redacted(fields, {_COMMAND: len(command), _RESPONSE: len(response or b"")}),
    )


def _text(fields: _Fields, name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise FormatError(f"{name} is a text")
    return value


def _bytes(fields: _Fields, name: str) -> bytes:
    value = fields[name]
    try:
        raw = bytes.fromhex(value) if isinstance(value, str) else None
    except ValueError:
        raw = None
    if raw is None or len(str(value)) != 2 * len(raw):
        raise FormatError(f"{name} is a text of hexadecimal digits, two for a byte")
    return raw


def _number(fields: _Fields, name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise FormatError(f"{name} is a number of seconds")


def _redacted(fields: _Fields, sizes: dict[str, int]) -> tuple[tuple[str, int, int], ...]:
    value = fields.get("redacted", [])
    if not isinstance(value, list):
        raise FormatError("redacted is a list")
    return tuple([_blank(blank, sizes) for blank in value])


def _blank(blank: object, sizes: dict[str, int]) -> tuple[str, int, int]:
    match blank:
        case [str() as part, int() as start, int() as end] if 0 <= start < end <= sizes.get(part, 0):
            return part, int(start), int(end)
    raise FormatError(f"redacted has places [part, start, end] within {' or '.join(sizes)}")
