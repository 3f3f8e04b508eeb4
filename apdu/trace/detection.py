"""Which form a trace has: each form looks at its first 4 KiB; and the forms by name.

Where a program has written something else before, the forms that are text look further. PowerShell writes UTF-16.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from apdu import __version__
from apdu.errors import FormatError
from apdu.trace import own
from apdu.trace.forms import apdu4j, cardpeek, gp, gsmtap, opensc, pcsc_spy, pcsc_spy_display, pcscd, pyscard, scriptor
from apdu.trace.forms.text import HEAD_SIZE, lines
from apdu.trace.model import Item

__all__ = ["FORMS", "HEAD_SIZE", "Form", "form_named", "form_of", "read"]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of traces: what it is called, how it is recognized, read and, if it can be, written."""

    name: str
    detect: Callable[[bytes], bool]
    read: Callable[[Iterable[bytes]], Iterator[Item]]
    write: Callable[[Iterable[Item]], Iterator[bytes]] | None = None


_OWN = "saifu"


def _is_own(head: bytes) -> bool:
    return b'"saifu trace ' in head.lstrip(b"\xef\xbb\xbf \r\n").partition(b"\n")[0]


def _read_own(chunks: Iterable[bytes]) -> Iterator[Item]:
    return own.decode(lines(chunks))


def _write_own(items: Iterable[Item]) -> Iterator[bytes]:
    yield own.header(f"{_OWN} {__version__}").encode() + b"\n"
    for item in items:
        yield own.encode(item).encode() + b"\n"


FORMS: tuple[Form, ...] = (
    Form(_OWN, _is_own, _read_own, _write_own),
    Form(gsmtap.NAME, gsmtap.detect, gsmtap.read, gsmtap.write),
    Form(cardpeek.NAME, cardpeek.detect, cardpeek.read, cardpeek.write),
    Form(apdu4j.NAME, apdu4j.detect, apdu4j.read, apdu4j.write),
    Form(pcsc_spy.NAME, pcsc_spy.detect, pcsc_spy.read),
    Form(pcsc_spy_display.NAME, pcsc_spy_display.detect, pcsc_spy_display.read),
    Form(gp.NAME, gp.detect, gp.read),
    Form(opensc.NAME, opensc.detect, opensc.read),
    Form(pcscd.NAME, pcscd.detect, pcscd.read),
    Form(scriptor.NAME, scriptor.detect, scriptor.read),
    Form(pyscard.NAME, pyscard.detect, pyscard.read),
)
"""All forms, in the order in which they are asked: those with clear marks first."""
_TEXTS = frozenset(form.name for form in FORMS) - {_OWN, gsmtap.NAME, cardpeek.NAME}
"""Logs, which have no first line of their own."""
_FURTHEST = 1 << 16
"""Bytes of a trace in which its form must show."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def form_of(head: bytes) -> Form:
    """The form of a trace that begins with ``head``, HEAD_SIZE bytes or all of it; raises FormatError."""
    for form in FORMS:
        if form.detect(head[:HEAD_SIZE]):
            return form
    raise FormatError(f"this is no trace of a form that is known: {_names()}")


def form_named(name: str) -> Form:
    """The form of that name; raises FormatError."""
    for form in FORMS:
        if form.name == name:
            return form
    raise FormatError(f"there is no form {name!r}: the forms are {_names()}")


def _names() -> str:
    return ", ".join(form.name for form in FORMS)


def read(chunks: Iterable[bytes]) -> tuple[Form, Iterator[Item]]:
    """The form of a trace, and its items; raises FormatError, here for an unknown form and while reading."""
    rest = iter(chunks)
    head = _taken(rest, b"", HEAD_SIZE)
    if head.startswith(_UTF_16):
        rest, head = _utf_8(chain([head], rest)), b""
        head = _taken(rest, head, HEAD_SIZE)
    try:
        form = form_of(head)
    except FormatError as error:
        head = _taken(rest, head, _FURTHEST)
        if (later := _further(head[:_FURTHEST])) is None:
            raise error from None
        form = later
    return form, form.read(chain([head], rest))


def _taken(rest: Iterator[bytes], head: bytes, size: int) -> bytes:
    """So much of a trace, or all of it."""
    while len(head) < size and (chunk := next(rest, None)) is not None:
        head += chunk
    return head


def _utf_8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What is UTF-16, with its byte order mark, as UTF-8; what is damaged is replaced."""
    decoder = codecs.getincrementaldecoder("utf-16")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def _further(head: bytes) -> Form | None:
    """The first form that is recognized behind what another program has written, from any line on."""
    for start in range(0, len(head), HEAD_SIZE // 2):
        part = head[start : start + HEAD_SIZE].partition(b"\n")[2]
        for form in FORMS:
            if form.name in _TEXTS and form.detect(part):
                return form
    return None
