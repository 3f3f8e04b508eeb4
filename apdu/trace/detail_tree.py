"""The tree of a command or an answer down to its bytes, and how it is laid out and printed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

__all__ = ["HEAD", "VALUE", "Detail", "Part", "cut", "lay", "leaves", "lines", "text"]

HEAD, VALUE = "tag and length", "value"
"""Labels of an object's own bytes and of a value that is one piece; the object's label names them both."""

_ROW = 16
"""Bytes that a line of hex holds."""


@dataclass(frozen=True, slots=True)
class Detail:
    """A span of bytes in words; the leaves below it cover all of its bytes, each once and in order."""

    label: str
    start: int
    """Offset of the first byte in the command or the answer."""
    end: int
    """Offset behind the last byte."""
    words: str = ""
    children: tuple["Detail", ...] = ()


Part = tuple[str, int, Callable[[bytes], str] | None]
"""A field: label, size in bytes, and its value in words."""


def cut(label: str, start: int, end: int, words: str = "") -> tuple[Detail, ...]:
    """One leaf, or none for no bytes."""
    return (Detail(label, start, end, words),) if start < end else ()


def lay(raw: bytes, start: int, end: int, parts: Iterable[Part]) -> tuple[Detail, ...]:
    """Lay fields one after the other over a span: what is too short is cut off, what is too long has a rest."""
    laid: list[Detail] = []
    for label, size, words in parts:
        if start >= end:
            break
        stop = min(start + size, end)
        said = "cut off" if stop < start + size else words(raw[start:stop]) if words else ""
        laid += cut(label, start, stop, said)
        start = stop
    return (*laid, *cut("rest", start, end))


def text(value: bytes) -> str:
    """The value as text in quotes, if it is text; else nothing."""
    try:
        said = value.decode("ascii")
    except UnicodeDecodeError:
        return ""
    return f'"{said}"' if said.isprintable() and len(said.strip()) > 1 else ""


def leaves(detail: Detail) -> Iterator[Detail]:
    """The parts of a tree that have no parts, in the order of their bytes."""
    if not detail.children:
        yield detail
    for child in detail.children:
        yield from leaves(child)


def lines(detail: Detail, raw: bytes) -> Iterator[str]:
    """The tree as text: hex at the left, label and words behind it, parts set in."""
    yield from _lines(detail, raw, 0)


def _lines(detail: Detail, raw: bytes, depth: int) -> Iterator[str]:
    own, rest = _own(detail)
    yield from _rows(raw[detail.start : own], f"{'  ' * depth}{detail.label}", detail.words)
    for child in rest:
        yield from _lines(child, raw, depth + 1)


def _own(detail: Detail) -> tuple[int, tuple[Detail, ...]]:
    """Where the bytes end that stand on the detail's own line, and the parts below it."""
    if not detail.children:
        return detail.end, ()
    if all(child.label in (HEAD, VALUE) and not child.children for child in detail.children):
        return detail.end, ()
    if detail.children[0].label == HEAD:
        return detail.children[0].end, detail.children[1:]
    return detail.start, detail.children


def _rows(own: bytes, label: str, words: str) -> Iterator[str]:
    width = 3 * _ROW - 1
    said = f"{label}: {words}" if words else label
    yield f"{own[:_ROW].hex(' ').upper():<{width}}  {said}"
    for at in range(_ROW, len(own), _ROW):
        yield own[at : at + _ROW].hex(" ").upper()
