"""What is fuzzed: the reader of each form, detection in front of all of them, and inspection behind them.

An execution is one call of a reader on one input. It may end in items or in FormatError; anything else is a
finding: another exception, more items than the input has bytes for, too long, too much memory.
"""

import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice

from apdu.errors import FormatError
from apdu.trace import detection, own
from apdu.trace.forms import text
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item, Remark
from apdu.trace.reading import Reading, summary
from apdu.trace.sections import facts, sections

__all__ = [
    "INSPECTION",
    "MOST_BYTES",
    "MOST_SECONDS",
    "PLANTED",
    "TARGETS",
    "ExcessError",
    "Meter",
    "Target",
    "target_named",
]

MOST_BYTES = 1 << 16
"""Bytes of an input."""
MOST_SECONDS = 2.0
"""Processor time that one execution may take."""

_PIECES = (MOST_BYTES, 4096, 997, 61)
_DETAILED = 200
"""Readings of an input whose details are asked for."""
_WORDS = 200
"""Characters of a remark's own words."""


class ExcessError(AssertionError):
    """More time, items or bytes than an input of this size may lead to."""


@dataclass(frozen=True, slots=True)
class Target:
    """A reader: ``modules`` are where it stands; ``detect`` looks at the head first, as detection does."""

    name: str
    modules: tuple[str, ...]
    read: Callable[[Iterable[bytes]], Iterable[Item]]
    detect: Callable[[bytes], object] = bool


def _detected(chunks: Iterable[bytes]) -> Iterator[Item]:
    return detection.read(chunks)[1]


def _until_damage(items: Iterator[Item]) -> Iterator[Item]:
    with suppress(FormatError):
        yield from items


def _inspected(chunks: Iterable[bytes]) -> Iterator[Item]:
    """What ``saifu trace show`` does with a trace: lines for all of it, the details of what stands first."""
    readings = inspect(_until_damage(_detected(chunks)))
    try:
        for reading in islice(readings, _DETAILED):
            yield _told(reading)
            deque(chain(sections(reading), facts(reading)), maxlen=0)
        yield from map(_told, readings)
    except FormatError as error:
        raise ExcessError("inspection takes whatever a form has given") from error


def _told(reading: Reading) -> Item:
    summary(reading)
    return reading.item


def _of(form: detection.Form) -> Target:
    module = form.detect.__module__
    modules = (own.__name__, text.__name__) if module == detection.__name__ else (module,)
    return Target(form.name, modules, form.read, form.detect)


TARGETS = (*map(_of, detection.FORMS), Target("detection", (detection.__name__,), _detected))
"""The forms by their names, and detection with whichever form it finds."""
INSPECTION = Target("inspection", (inspect.__module__, sections.__module__), _inspected)
"""Not a reader of bytes, but what makes words of all that they give."""


def _wrong(fault: Callable[[], object]) -> Target:
    """The reader of ``gp`` with a fault in it, behind the first answer that is damaged."""
    form = detection.form_named("gp")

    def read(chunks: Iterable[bytes]) -> Iterator[Item]:
        for item in form.read(chunks):
            if isinstance(item, Remark) and "as long as" in item.text:
                fault()
            yield item

    return Target("gp", (form.detect.__module__,), read)


def _never_end() -> None:
    while True:
        pass


PLANTED = {
    "planted error": _wrong(lambda: [][1]),
    "planted hang": _wrong(_never_end),
    "planted memory": _wrong(lambda: bytes(1 << 31)),
}
"""Readers that are wrong, to show that the engines find it; their seeds are those of ``gp``."""


def target_named(name: str) -> Target:
    """The target of that name, wrong ones too; raises KeyError."""
    return (PLANTED | {target.name: target for target in (*TARGETS, INSPECTION)})[name]


class Meter:
    """Executes a target, and counts: executions, items that came out, processor seconds of the slowest."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.executions = self.items = 0
        self.slowest = 0.0

    def execute(self, raw: bytes) -> None:
        """Read one input to its end; raises whatever is a finding."""
        self.executions += 1
        begin = time.thread_time()
        self.items += _execute(self.target, raw)
        seconds = time.thread_time() - begin
        self.slowest = max(self.slowest, seconds)
        if seconds > MOST_SECONDS:
            raise ExcessError(f"{len(raw)} bytes took {seconds:.1f} s")


def _execute(target: Target, raw: bytes) -> int:
    """How many items came out."""
    target.detect(raw[: detection.HEAD_SIZE])
    count = sum_of_bytes = sum_of_text = 0
    try:
        for item in target.read(_pieces(raw)):
            count += 1
            if isinstance(item, Exchange):
                sum_of_bytes += len(item.command) + len(item.response or b"")
            elif isinstance(item, Remark):
                sum_of_text += len(item.text) - _WORDS
    except FormatError:
        pass
    if count > len(raw) + 1 or sum_of_bytes > len(raw) or sum_of_text > 2 * len(raw):
        raise ExcessError(f"{len(raw)} bytes gave {count} items, {sum_of_bytes} bytes, {sum_of_text} more characters")
    return count


def _pieces(raw: bytes) -> Iterator[bytes]:
    """The input in pieces, of a size that the input itself decides, so that a finding can be repeated."""
    size = _PIECES[zlib.crc32(raw) % len(_PIECES)]
    return (raw[at : at + size] for at in range(0, len(raw), size))
