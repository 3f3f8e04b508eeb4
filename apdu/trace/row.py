"""A reading as a row of a table, the same on every screen and page; nothing in it can steer a terminal."""

from typing import NamedTuple

from apdu.text import visible
from apdu.trace.model import Exchange, Remark, Reset
from apdu.trace.reading import Reading

__all__ = ["MARK", "Row", "Rows", "Tone", "tone"]

MARK = "!"
"""What stands before a line in which something was unexpected."""

_PLAIN_DIGITS = 1e7
"""From here on a number of seconds or milliseconds is shown with an exponent."""


class Row(NamedTuple):
    """Cells of a reading, as text; empty where there is nothing to say."""

    number: str
    mark: str
    """MARK, if something was unexpected."""
    time: str
    """Seconds since the first item that has a time."""
    milliseconds: str
    """Until the answer."""
    slot: str
    name: str
    what: str
    outcome: str


class Tone:
    """What a status word says, for colours."""

    GOOD, WARNING, ERROR, NONE = "good", "warning", "error", "none"


def tone(reading: Reading) -> str:
    """Tone of a reading's status word (ISO 7816-4 5.6): 9xxx but 9000 belongs to the application, and is an error."""
    exchange = reading.plain or reading.item
    if not isinstance(exchange, Exchange):
        return Tone.NONE
    status = (exchange.response or b"")[-2:]
    if status == b"\x90\x00" or status[:1] == b"\x61":
        return Tone.GOOD
    return Tone.WARNING if status[:1] in (b"\x62", b"\x63") else Tone.ERROR


class Rows:
    """Rows of one trace, in its order: times count from its first."""

    def __init__(self) -> None:
        """No time is known yet."""
        self._start: float | None = None

    def see(self, reading: Reading) -> None:
        """Take note of a reading that is not shown, but may be the first."""
        if self._start is None:
            self._start = reading.item.time

    def row(self, reading: Reading) -> Row:
        """The cells of a reading."""
        item = reading.item
        self.see(reading)
        since = _number(item.time - self._start, 3) if item.time is not None and self._start is not None else ""
        took = _milliseconds(item.seconds) if isinstance(item, Exchange) else ""
        mark = MARK if reading.unexpected else ""
        return Row(str(reading.number), mark, since, took, visible(item.slot), *map(visible, _words(reading)))


def _words(reading: Reading) -> tuple[str, str, str]:
    """Name, what and outcome."""
    match reading.item:
        case Reset(atr=atr):
            return "reset", reading.what or atr.hex().upper(), reading.outcome
        case Remark(text=text):
            return "#", text, reading.outcome
    redacted = reading.item.redacted or (reading.plain is not None and reading.plain.redacted)
    blanked = " (secrets left out)" if redacted else ""
    return reading.name + ("*" if reading.plain else ""), reading.what + blanked, reading.outcome


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    took = seconds * 1000
    return _number(took, 2 if took < 10 else 0)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if abs(value) < _PLAIN_DIGITS else f"{value:.3g}"
