"""The log of pcscd with ``--apdu``, with or without ``--debug``: microseconds since the line before, then what it says.

The log does not say which reader a command went to, nor the time of day. In a journal each line has its own beginning.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.pairing import Pairing
from apdu.trace.forms.text import damaged, head_lines, lines, octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["NAME", "detect", "read"]

NAME = "pcscd"

_JOURNAL = r"(?:.{0,200}\bpcscd\[\d+\]: )?"
_HEAD = re.compile(
    rf"^{_JOURNAL}\d{{8,10}} (\[\w+\] )?((APDU|SW|Card ATR): |(\S*/)?[\w-]+\.(c|l|y|h):\d+:\w+\(\) )", re.MULTILINE
)
_LINE = re.compile(
    _JOURNAL + r"(\d{8,10}) (?:\[(\w+)\] )?(?:(APDU|SW|Card ATR): (.*)|.* (Card (?:inserted into|Removed From) .*))?"
)


def detect(head: bytes) -> bool:
    """Whether a log begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of a log; a command and its answer have the thread in common, where the log names threads."""
    pairing, clock = Pairing(), 0
    for number, line in enumerate(lines(chunks), 1):
        if not (found := _LINE.match(line)):
            continue
        since, thread, kind, text, event = found.groups()
        clock += int(since)
        if event:
            yield Remark(event)
        elif kind and not (raw := octets(text)) and kind != "SW":
            yield damaged(number, f"{kind} and no bytes")
        elif kind:
            yield from _said(pairing, kind, raw, thread or "", clock / 1e6)
    yield from pairing.rest()


def _said(pairing: Pairing, kind: str, raw: bytes | None, thread: str, clock: float) -> list[Item]:
    if kind == "Card ATR":
        return [Reset(raw or b"")]
    if kind == "APDU":
        return pairing.sent(Exchange(raw or b"", None), thread, clock)
    return pairing.answered(raw, thread, clock)
