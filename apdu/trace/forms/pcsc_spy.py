"""What libpcscspy writes, and the program pcsc-spy reads: every call of PC/SC with its arguments, one a line.

``7FA0@>|seconds|microseconds|SCardTransmit`` begins a call of thread 7FA0, ``7FA0@`` comes before each argument,
and ``7FA0@<|seconds|microseconds|SCardTransmit|Command successful.|0x00000000`` ends it.
"""

import re
from collections.abc import Iterable, Iterator

from apdu.trace.forms.calls import Call, Calls
from apdu.trace.forms.text import damaged, head_lines, lines
from apdu.trace.model import Item

__all__ = ["NAME", "detect", "read"]

NAME = "pcsc-spy"

_HEAD = re.compile(r"^[0-9A-F]+@[<>]\|\d+\|\d+\|SCard\w+", re.MULTILINE)
_LINE = re.compile(r"([0-9A-F]{1,16})@(.*)")
_BEGIN = re.compile(r">\|(\d{1,12})\|(\d{1,6})\|(\w+)$")
_END = re.compile(r"<\|(\d{1,12})\|(\d{1,6})\|\w+\|(.*)\|(0x[0-9A-F]{1,16})$")
_MOST_THREADS = 64


def detect(head: bytes) -> bool:
    """Whether a recording begins like this."""
    return bool(_HEAD.search(head_lines(head)))


def read(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Items of a recording, when their calls return; calls that never return are at the end."""
    calls, threads = Calls(), dict[str, Call]()
    for number, line in enumerate(lines(chunks), 1):
        if not (found := _LINE.match(line)):
            continue
        thread, text = found.groups()
        if begin := _BEGIN.match(text):
            yield from calls.given_up(threads.pop(thread, None))
            if len(threads) >= _MOST_THREADS:
                yield from calls.given_up(threads.pop(next(iter(threads))))
            threads[thread] = Call(begin[3], _time(begin[1], begin[2]))
        elif thread not in threads:
            yield damaged(number, "an argument without a call")
        elif end := _END.match(text):
            call = threads.pop(thread)
            took = _time(end[1], end[2]) - (call.time or 0.0)
            yield from calls.returned(call, end[4], end[3], took)
        else:
            threads[thread].add(text)
    for call in threads.values():
        yield from calls.given_up(call)


def _time(seconds: str, microseconds: str) -> float:
    return int(seconds) + int(microseconds) / 1e6
