"""What the observers of pyscard print (ConsoleCardConnectionObserver): ``> command``, ``< answer``.

The observer prints ``[]`` for an answer without data. Bytes of a status word may have one digit: pyscard 2.3 pads the
first one with a blank, and before 2.1 or so ``%-2X`` made ``90 0`` of 9000.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.pairing import Pairing
from apdu.trace.forms.text import damaged, head_lines, lines, octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["NAME", "detect", "read"]

NAME = "pyscard"

_HEAD = re.compile(
    r"^((re)?connecting to .|disconnecting from .|> [0-9A-F]{2}( [0-9A-F]{2})+ *$"
    r"|< {1,2}(\[\] {1,2})?([0-9A-F]{1,2} {1,2})*[0-9A-F]{1,2} *$)",
    re.MULTILINE,
)
_READER = re.compile(r"(connecting to|reconnecting to|disconnecting from|release from) (.+)")


def detect(head: bytes) -> bool:
    """Whether the output begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of what an observer printed; connecting counts as a reset, whose answer is not told."""
    pairing, slot = Pairing(), ""
    for number, line in enumerate(lines(chunks), 1):
        if found := _READER.match(line):
            slot = found[2]
            yield from pairing.unanswered()
            yield Reset(b"", slot) if found[1].endswith("connecting to") else Remark(line, slot)
        elif line.startswith(("> ", "< ")):
            yield from _said(pairing, number, line, slot)
    yield from pairing.rest()


def _said(pairing: Pairing, number: int, line: str, slot: str) -> list[Item]:
    raw = octets(" ".join(each.zfill(2) for each in line[2:].replace("[]", " ").replace(",", " ").split()))
    if not raw:
        return [*pairing.unanswered(), damaged(number, "what was said is not hexadecimal", slot)]
    return pairing.sent(Exchange(raw, None, slot)) if line[0] == ">" else pairing.answered(raw)
