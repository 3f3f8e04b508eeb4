"""The index of a line: which objects are on the air, so that a terminal fetches only what it lacks.

JSON, for every line the same::

    {"objects": [{"edition": 7, "span": 1, "size": 396, "etag": "5f..."}]}

``edition`` is the low 16 bits of the number; which of two is newer is a matter of serial arithmetic (RFC 1982).
Nothing here is signed, and nobody need believe it: a false index makes a terminal fetch too much or nothing, as
a line that fails can, and what it fetches is judged by tag, seal and signature.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Self

from apdu.errors import FormatError
from broadcast.bearers.bundle import LARGEST_BUNDLE, Bundle
from broadcast.packets import distance

__all__ = ["LARGEST_INDEX", "Entry", "Index", "Need"]

LARGEST_INDEX = 64 << 10
_MOST_ENTRIES = 512
_REQUEST = 400
"""Bytes that asking costs, whatever is asked for: why one delta is better than three small ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object on the air: low 16 bits of its edition, its span, the size of its bundle in bytes, its mark."""

    edition: int
    span: int
    size: int
    etag: str

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """The entry of a bundle; the mark is half its SHA-256."""
        return cls(bundle.edition, bundle.span, len(bundle.raw), sha256(bundle.raw).hexdigest()[:32])

    @classmethod
    def parse(cls, value: object) -> Self:
        """Check what JSON gave; raises FormatError."""
        match value:
            case {"edition": int(edition), "span": int(span), "size": int(size), "etag": str(etag)}:
                if 0 <= edition <= 0xFFFF and 0 <= span <= 0xFF and 0 < size <= LARGEST_BUNDLE and len(etag) <= 64:
                    return cls(edition, span, size, etag)
        raise FormatError("an object of the index is not of the form that it must have")


@dataclass(frozen=True, slots=True)
class Index:
    """What is on the air in one channel."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, bundles: Iterable[Bundle]) -> Self:
        """The index of these bundles."""
        return cls(tuple(Entry.of(bundle) for bundle in bundles))

    def encode(self) -> bytes:
        """Return the JSON."""
        return json.dumps({"objects": [asdict(entry) for entry in self.entries]}).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse; raises FormatError, also for more than 64 KiB, 512 objects or twice the same."""
        if len(raw) > LARGEST_INDEX:
            raise FormatError(f"an index does not have {len(raw)} bytes", LARGEST_INDEX)
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            raise FormatError("the index is not JSON") from None
        objects = value.get("objects") if isinstance(value, dict) else None
        if not isinstance(objects, list) or len(objects) > _MOST_ENTRIES:
            raise FormatError("the index has no list of objects, or too long a one")
        entries = tuple(map(Entry.parse, objects))
        if len({(entry.edition, entry.span) for entry in entries}) < len(entries):
            raise FormatError("the index names an object twice")
        return cls(entries)

    def path(self, entry: Entry) -> str:
        """Where an object is found: ``full`` or ``delta/SPAN``, and behind it ``/EDITION`` if a newer one is there."""
        place = f"delta/{entry.span}" if entry.span else "full"
        ages = [distance(other.edition, entry.edition) for other in self.entries if other.span == entry.span]
        return place if max(ages) <= 0 else f"{place}/{entry.edition}"

    def route(self, have: int, without: frozenset[Entry] = frozenset()) -> tuple[Entry, ...]:
        """The objects that lead to the newest edition that can be reached, at the least cost; empty if none is newer.

        ``have`` is the whole number of the edition in force, 0 for none. A full list leads from anywhere, a delta
        from the one edition that it was made for. Each edition is reached from older ones only, so going through
        them by age finds the cheapest way in one pass.
        """
        usable = [entry for entry in self.entries if entry not in without]
        origin = have & 0xFFFF if have or not usable else usable[0].edition
        ways: dict[int, tuple[int, tuple[Entry, ...]]] = {origin: (0, ())} if have else {}
        start: tuple[int, tuple[Entry, ...]] = (0, ())
        newest = origin
        for entry in sorted(usable, key=lambda entry: distance(entry.edition, origin)):
            if have and distance(entry.edition, origin) <= 0:
                continue
            way = ways.get((entry.edition - entry.span) & 0xFFFF) if entry.span else start
            cost = way[0] + entry.size + _REQUEST if way else 0
            if way and (entry.edition not in ways or cost < ways[entry.edition][0]):
                ways[entry.edition] = (cost, (*way[1], entry))
                newest = entry.edition
        return ways[newest][1] if newest in ways else ()


class Need:
    """What a terminal still needs from a line, as its list and the index go on.

    An object that was delivered, and did not bring the list forward, was refused behind the line: it is not asked
    for again until the index changes, and another way is taken, in the end the full list.
    """

    def __init__(self, have: Callable[[], int]) -> None:
        """``have`` says which edition is in force, by its whole number, 0 for none; it is asked before each fetch."""
        self._have = have
        self._index: Index | None = None
        self._tried: frozenset[Entry] = frozenset()

    @property
    def index(self) -> Index | None:
        """The newest index, None before there is one; a new one makes everything worth another try."""
        return self._index

    @index.setter
    def index(self, index: Index) -> None:
        if index != self._index:
            self._index, self._tried = index, frozenset()

    @property
    def is_done(self) -> bool:
        """Whether there is an index, and nothing of it left to fetch."""
        return self._index is not None and self.next() is None

    def next(self) -> Entry | None:
        """What to fetch now; None when nothing on the air is newer, or all of it was tried."""
        route = self._index.route(self._have(), self._tried) if self._index else ()
        return route[0] if route else None

    def tried(self, entry: Entry) -> None:
        """Say that an object was delivered, or cannot be had."""
        self._tried |= {entry}
