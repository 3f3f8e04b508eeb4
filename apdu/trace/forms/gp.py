"""What GlobalPlatformPro (``gp -d``) and other programs with the logging terminal of apdu4j print.

``A>> T=1 (4+0006) 00A40400 06 F05341494655 00`` is a command on the basic channel, ``A<< (0018+2) (18ms) 6F10… 9000``
its answer. Sending fails in words: ``A<< (12ms) SCARD_E_…``.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.pairing import Pairing
from apdu.trace.forms.text import damaged, head_lines, lines, octets
from apdu.trace.model import Exchange, Item, Remark, Reset

__all__ = ["NAME", "detect", "read"]

NAME = "gp"

_HEAD = re.compile(r'^(# )?(A>> T=\w|A<< \(|SCardConnect\(".*"|GlobalPlatformPro )', re.MULTILINE)
_CONNECTED = re.compile(r'(?:# )?SCardConnect\("([^"]{1,200})", [^)]{0,40}\) -> T=[^,]{1,20}, ?([0-9A-F]{0,200})$')
_SENT = re.compile(r"A>> T=\S+ \(\d+\+\d+\) ?(.*)")
_ANSWERED = re.compile(r"A<< (?:\((\d{1,6})\+\d\) )?\((?:(\d{1,6})s)?(\d{1,9}(?:\.\d{1,9})?)ms\) ?(.*)")


def detect(head: bytes) -> bool:
    """Whether the output begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of a log. Its notes of keys and plain text are left out, since ``gp -d`` prints secrets there."""
    pairing, slot = Pairing(), ""
    for number, line in enumerate(lines(chunks), 1):
        if connected := _CONNECTED.match(line):
            slot = connected[1]
            yield from pairing.unanswered()
            yield Reset(octets(connected[2]) or b"", slot)
        elif line.startswith("A>>"):
            yield from _sent(pairing, number, line, slot)
        elif line.startswith("A<<"):
            yield from _answered(pairing, number, line, slot)
    yield from pairing.rest()


def _sent(pairing: Pairing, number: int, line: str, slot: str) -> list[Item]:
    found = _SENT.match(line)
    if found and (command := octets(found[1])):
        return pairing.sent(Exchange(command, None, slot))
    return [*pairing.unanswered(), damaged(number, "a command that is not hexadecimal", slot)]


def _answered(pairing: Pairing, number: int, line: str, slot: str) -> list[Item]:
    found = _ANSWERED.match(line)
    if not found:
        return [*pairing.unanswered(), damaged(number, "an answer without its time", slot)]
    size, seconds, milliseconds, text = found.groups()
    took = int(seconds or 0) + float(milliseconds) / 1000
    if size is None:
        return [*pairing.answered(None, seconds=took), Remark(f"no answer: {text}", slot)]
    response = octets(text)
    if response is None or len(response) != int(size) + 2:
        return [*pairing.unanswered(), damaged(number, "an answer that is not as long as it says", slot)]
    return pairing.answered(response, seconds=took)
