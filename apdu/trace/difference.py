"""Where two traces differ: exchange by exchange, and in an exchange field by field.

What is another one in every run, though terminal and card do the same, is no difference: nonces, challenges,
signatures, cryptograms and MACs, public keys, times and what is hashed over them; and the answer to reset, which is
that of the platform. Nor is how an answer was carried: in pieces, with which Le. ``strict`` compares every byte.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from apdu.trace.alignment import align
from apdu.trace.detail import HEAD, VALUE, Detail
from apdu.trace.model import Exchange, Remark, Reset
from apdu.trace.reading import Reading
from apdu.trace.sections import Section, sections
from apdu.trace.whole import whole

__all__ = ["FREE", "Comparison", "Counts", "Difference", "FieldDifference", "Fields", "Said", "fields_that_differ"]

FREE = frozenset(
    (
        # of the purse
        "nonce", "challenge", "signature r", "signature s", "point",
        "chain", "date", "time", "next", "issued", "expiry",
        # of secure channels and of ISO 7816-4 and 7816-8
        "host challenge", "card challenge", "host cryptogram", "card cryptogram", "MAC", "cryptographic checksum",
        "data of the secure channel", "encrypted data, TLV", "encrypted data, padding indicator first",
        "authentication data", "witness", "response", "committed challenge", "authentication code",
        "public point, 04 X Y", "modulus",
        # of EMV
        "application cryptogram", "unpredictable number", "dynamic number of the card", "transaction date",
        "transaction time", "signed dynamic application data", "values of the card's list (CDOL)",
    )
)  # fmt: skip
"""Labels of fields that differ in any two runs, by apdu.trace.detail; objects are named without their tags."""

_NOT_FREE = ("capacities", "chain")
"""Not a hash: how many bytes a chain may have."""
_SECRETS = frozenset(
    (
        "verification data", "old reference data", "new reference data", "resetting code", "PIN data", "keys", "key",
    )
)  # fmt: skip
"""Data of a command that no trace should have, and that nobody is told."""
_TRANSPORT = ("Lc", "Le")
_TAG = re.compile(r"^(?:DGI )?[0-9A-F]{2,8} (?=\S)")
_GROUP = "data"
"""The label that holds all objects of a command or an answer."""
_STATUS = "status word"


class Said(NamedTuple):
    """A field in one trace."""

    raw: bytes
    words: str = ""


class FieldDifference(NamedTuple):
    """One field that differs."""

    part: str
    """``command``, ``answer``, ``command in clear``, ``answer in clear``, ``reset``."""
    field: str
    """Objects and field: ``87 value, amount``."""
    old: Said | None
    """None: it is not there."""
    new: Said | None


class Difference(NamedTuple):
    """An exchange or a reset that is not the same, or that one trace does not have (None)."""

    old: Reading | None
    new: Reading | None
    fields: tuple[FieldDifference, ...] = ()


class Fields(NamedTuple):
    """What comes out of comparing two parts."""

    differences: tuple[FieldDifference, ...] = ()
    free: int = 0
    """Fields that differ and may."""


@dataclass(slots=True)
class Counts:
    """How much was compared; exchanges and resets."""

    same: int = 0
    different: int = 0
    only_old: int = 0
    only_new: int = 0
    free: int = 0
    """Fields that differ and may."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.different + self.only_old + self.only_new


class Comparison:
    """Two traces compared in one pass; ``counts`` is whole when the differences have been asked for to their end."""

    def __init__(self, *, strict: bool = False) -> None:
        """``strict`` compares every byte, and every piece for itself."""
        self._strict = strict
        self.counts = Counts()

    def differences(self, old: Iterable[Reading], new: Iterable[Reading]) -> Iterator[Difference]:
        """All differences in their order; the first is where the traces deviate first."""
        for one, other in align(self._units(old), self._units(new)):
            if one is None or other is None:
                self.counts.only_old += other is None
                self.counts.only_new += one is None
                yield Difference(one, other)
                continue
            found = self._compare(one, other)
            self.counts.free += found.free
            self.counts.different += bool(found.differences)
            self.counts.same += not found.differences
            if found.differences:
                yield Difference(one, other, found.differences)

    def _units(self, readings: Iterable[Reading]) -> Iterable[Reading]:
        if self._strict:
            return (each for each in readings if not isinstance(each.item, Remark))
        return whole(readings)

    def _compare(self, one: Reading, other: Reading) -> Fields:
        if isinstance(one.item, Reset) and isinstance(other.item, Reset):
            return self._compare_resets(one.item.atr, other.item.atr)
        if _bytes(one) == _bytes(other):
            return Fields()
        return fields_that_differ(one, other, strict=self._strict)

    def _compare_resets(self, one: bytes, other: bytes) -> Fields:
        """A purse may have the ATR of the platform that it is on."""
        if one == other:
            return Fields()
        found = FieldDifference("reset", "answer to reset", Said(one), Said(other))
        return Fields((found,)) if self._strict else Fields(free=1)


def _bytes(reading: Reading) -> list[tuple[bytes, bytes | None]]:
    said = (each for each in (reading.item, reading.plain) if isinstance(each, Exchange))
    return [(each.command, each.response) for each in said]


def fields_that_differ(one: Reading, other: Reading, *, strict: bool = False) -> Fields:
    """Compare two exchanges; where a secure channel was opened in both, what it carried."""
    if not strict and one.plain is not None and other.plain is not None:
        one, other = (each._replace(item=each.plain or each.item, plain=None) for each in (one, other))
    sides = [{each.detail.label: each for each in sections(reading)} for reading in (one, other)]
    found: list[FieldDifference] = []
    free = 0
    for part in dict.fromkeys((*sides[0], *sides[1])):
        compared = _compare_parts(part, sides[0].get(part), sides[1].get(part), strict)
        found += compared.differences
        free += compared.free
    return Fields(tuple(found), free)


def _compare_parts(part: str, one: Section | None, other: Section | None, strict: bool) -> Fields:
    if one is None or other is None:
        told = (None if each is None else Said(b"", each.detail.words) for each in (one, other))
        return Fields((FieldDifference(part, "all of it", *told),))
    sides = _fields(one), _fields(other)
    if len(one.raw) == len(other.raw) and [*sides[0]] != [*sides[1]]:
        # one byte can make another structure of what follows it: the old one says which field the byte is in
        sides = sides[0], _fields(Section(other.raw, _without_words(one.detail)))
    if not strict and (status := _by_status(part, *sides)) is not None:
        return Fields((status,))
    found: list[FieldDifference] = []
    free = 0
    for place in dict.fromkeys((*sides[0], *sides[1])):
        before, after = sides[0].get(place), sides[1].get(place)
        if _is_same(place.path, before, after, strict):
            continue
        if not strict and before and after and len(before.raw) == len(after.raw) and _is_free(place.path):
            free += 1
        else:
            found.append(FieldDifference(part, ", ".join(place.path[-2:]), before, after))
    return Fields(tuple(_without_heads(found)), free)


def _is_same(path: tuple[str, ...], before: Said | None, after: Said | None, strict: bool) -> bool:
    if not strict and path[-1] in _TRANSPORT:
        return True
    return before is not None and after is not None and before.raw == after.raw


class _Place(NamedTuple):
    """Labels from the object to the field, and which of those with the same labels it is."""

    path: tuple[str, ...]
    number: int


def _fields(section: Section) -> dict[_Place, Said]:
    """The leaves of a tree, with their places."""
    seen = Counter[tuple[str, ...]]()
    found: dict[_Place, Said] = {}
    for path, said in _leaves(section.detail, section.raw, ()):
        seen[path] += 1
        found[_Place(path, seen[path])] = said
    return found


def _leaves(detail: Detail, raw: bytes, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Said]]:
    """Fields below ``detail``; a value that is one piece has the name and the words of its object."""
    if not detail.children:
        yield path or (detail.label,), Said(raw[detail.start : detail.end], detail.words)
    for child in detail.children:
        below = path if child.label in (VALUE, _GROUP) and (path or child.children) else (*path, child.label)
        named = Said(raw[child.start : child.end], detail.words) if child.label == VALUE else None
        if named is not None:
            yield below, named
        else:
            yield from _leaves(child, raw, below)


def _without_words(detail: Detail) -> Detail:
    """The same structure, for other bytes."""
    return replace(detail, words="", children=tuple(map(_without_words, detail.children)))


def _by_status(part: str, one: dict[_Place, Said], other: dict[_Place, Said]) -> FieldDifference | None:
    """Another status word comes with other data, or none: it is told alone."""
    place = _Place((_STATUS,), 1)
    before, after = one.get(place), other.get(place)
    if before is None or after is None or before.raw == after.raw:
        return None
    return FieldDifference(part, _STATUS, before, after)


def _is_free(path: tuple[str, ...]) -> bool:
    labels = tuple(_TAG.sub("", label) for label in path)
    if len(labels) == 1 and labels[0] in _SECRETS:
        return True
    return labels[-1] != HEAD and not FREE.isdisjoint(labels) and labels != _NOT_FREE


def _without_heads(found: list[FieldDifference]) -> Iterator[FieldDifference]:
    """Tags and lengths follow from what is in an object; they are told if nothing else is."""
    others = [each for each in found if not each.field.endswith(HEAD)]
    yield from others or found
