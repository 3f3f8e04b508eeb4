"""Debug logs of OpenSC (``OPENSC_DEBUG``, ``opensc-tool -vvv``): since 0.16 or so, and before.

Now ``Outgoing APDU (5 bytes):``, then rows of sixteen bytes in hexadecimal with their characters behind them, until
an empty line; before ``Outgoing APDU data [    5 bytes] ====``, with lines of = around. The log has the time of day
alone (on Windows the date too, of some time zone), so that exchanges have no date; how long they took is known.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.pairing import Pairing
from apdu.trace.forms.text import damaged, head_lines, lines, octets, take_octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["NAME", "detect", "read"]

NAME = "opensc"

_HEAD = re.compile(
    r"^((P:\d+; T:)?0x[0-9a-f]+ \d\d:\d\d:\d\d\.\d+ \[|(Outgoing|Incoming) APDU [(d]"
    r"|((P:\d+; T:\d+ )?(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d+ )?\[[\w.-]+\] [\w-]+\.c:\d+:)",
    re.MULTILINE,
)
_PREFIX = re.compile(
    r"(?:(?:(?:P:\d+; T:)?((?:0x)?[0-9a-f]{1,16}) )?(?:\d{4}-\d\d-\d\d )?(\d\d):(\d\d):(\d\d\.\d{1,15}) )?"
    r"\[[^]]*\] ?(\S+?:\d+:\w+): (.*)"
)
_DUMP = re.compile(r"(Outgoing|Incoming) APDU (?:data )?[(\[] *(\d{1,6}) bytes[)\]]")
_READER = re.compile(r"reader '(.*)'")
_ATR = re.compile(r"ATR +: ([0-9a-fA-F:]+)$")
_DAY = 86400.0
_HALF_A_DAY = _DAY / 2


def detect(head: bytes) -> bool:
    """Whether a log begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of a log; commands and answers are put together by the thread that wrote them."""
    log = _Log()
    for number, line in enumerate(lines(chunks), 1):
        yield from log.line(number, line)
    yield from log.end()


class _Log:
    """What is known between two lines."""

    def __init__(self) -> None:
        self._pairing = Pairing()
        self._thread, self._clock = "", 0.0
        self._slot = ""
        self._connecting = False
        self._atr: bytes | None = None
        """Of a reset that is not told yet."""
        self._dump: tuple[str, int] | None = None
        self._raw = bytearray()

    def line(self, number: int, line: str) -> list[Item]:
        """Items that this line completes."""
        if self._dump:
            return self._row(number, line)
        if found := _DUMP.match(line):
            self._dump = found[1], int(found[2])
            self._raw.clear()
        elif found := _PREFIX.match(line):
            self._place(found[1], found[2], found[3], found[4])
            return self._told(found[5], found[6])
        return []

    def _place(self, thread: str | None, hours: str | None, minutes: str, seconds: str) -> None:
        self._thread = thread or ""
        if hours is None:
            return
        clock = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        past = self._clock // _DAY * _DAY
        back = self._clock - past - clock
        self._clock = past + clock + (_DAY if back > _HALF_A_DAY else 0.0)

    def _told(self, where: str, text: str) -> list[Item]:
        if found := _READER.match(text):
            self._slot = found[1]
        elif where.endswith(":pcsc_connect") and text.startswith("Initial protocol"):
            self._connecting = True
        elif self._connecting and where.endswith(":match_atr_table") and (found := _ATR.match(text)):
            return self._reset(octets(found[1]) or b"")
        elif ":pcsc_reconnect" in where and text.startswith("Reconnecting"):
            return [Remark(text, self._slot)]
        return []

    def _reset(self, atr: bytes = b"") -> list[Item]:
        """Keep the reset: the reader's name comes later in the log than the answer to reset."""
        self._connecting = False
        before = self._pairing.unanswered(self._thread) + self._told_reset()
        self._atr = atr
        return before

    def _told_reset(self) -> list[Item]:
        """The reset that was kept."""
        atr, self._atr = self._atr, None
        return [] if atr is None else [Reset(atr, self._slot)]

    def _row(self, number: int, line: str) -> list[Item]:
        assert self._dump is not None  # noqa: S101  (line asks)
        direction, size = self._dump
        row = take_octets(line, size - len(self._raw))
        if row is None:
            self._dump = None
            return [
                *self._pairing.unanswered(self._thread),
                damaged(number, f"{direction} APDU: not the {size} bytes that were announced", self._slot),
            ]
        self._raw += row
        if len(self._raw) < size:
            return []
        self._dump = None
        return self._said(direction, bytes(self._raw))

    def _said(self, direction: str, raw: bytes) -> list[Item]:
        if direction == "Incoming":
            return self._pairing.answered(raw, self._thread, self._clock or None)
        before = self._reset() if self._connecting else []
        return (
            before
            + self._told_reset()
            + self._pairing.sent(Exchange(raw, None, self._slot), self._thread, self._clock or None)
        )

    def end(self) -> list[Item]:
        """What is left at the end of the log."""
        cut = [Remark("the log ends within an APDU", self._slot)] if self._dump else []
        return [*self._pairing.rest(), *self._told_reset(), *cut]
