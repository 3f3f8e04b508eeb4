"""An edition of the blacklist: the signed head and the listed serials; whole, or as the step from an older one.

What is sealed for the air is a *content*, of one of these kinds; everything is big-endian:

- a full list: ``00``, signed head (108 bytes), last serial given out (4), coded set of the listed serials;
- a delta: ``01``, signed head of the new edition (108), number of the edition that it goes on from (4), last
  serial (4), number of serials taken off (4), size of the next part (4), coded set of their places in the old
  list, coded set of the serials put on, counted among those that the old list does not have;
- a plain list: ``02``, signed head, each serial in 4 bytes: long, and quickly written. Stores keep it.

A file is ``SAIFU-EDITION``, version 02, and a full or plain list. Nothing of it is believed before the head's signature
and count and root agree with the list: so nobody but the center can make a list, whatever else they hold.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.errors import AuthenticityError, FormatError, RefusedError
from apdu.messages import Head, Signed
from apdu.objects import CenterKey, KeyUse
from apdu.signature import SIGNATURE_SIZE
from broadcast.sparse_set import Numbers, decode_set, encode_set
from broadcast.tree import ProofTree

__all__ = ["EDITION_MAGIC", "Delta", "Edition", "check_head", "head_of", "read_content"]

EDITION_MAGIC = b"SAIFU-EDITION\x02"
_FULL, _DELTA, _PLAIN = b"\x00", b"\x01", b"\x02"
_HEAD_END = 1 + Head.SIZE + SIGNATURE_SIZE
_FULL_START = _HEAD_END + 4
_DELTA_START = _HEAD_END + 16


def check_head(head: Signed[Head], issuer: int, keys: Iterable[CenterKey]) -> Head:
    """Return the head if it is this issuer's and signed by one of its keys; raises AuthenticityError."""
    if head.body.issuer != issuer:
        raise AuthenticityError(f"the list is of issuer {head.body.issuer}, not {issuer}")
    for key in keys:
        if key.use is KeyUse.ORDERS and key.number == head.body.key:
            return head.verify(key.point)
    raise AuthenticityError(f"the list is signed with key {head.body.key}, which is not known here")


def head_of(raw: bytes) -> Signed[Head]:
    """The head of an edition's file, without checking anything; raises FormatError."""
    if not raw.startswith((EDITION_MAGIC + _FULL, EDITION_MAGIC + _PLAIN)):
        raise FormatError("this is not an edition of the blacklist", 0)
    start = len(EDITION_MAGIC)
    return Signed.decode(Head, raw[start + 1 : start + _HEAD_END])


def _highest(tree: ProofTree) -> int:
    return int(tree.serials[-1]) if tree.count else 0


def _checked(head: Signed[Head], last: int, tree: ProofTree) -> "Edition":
    """An edition whose list leads to its head; raises AuthenticityError."""
    if tree.root != head.body.root or tree.count != head.body.count:
        raise AuthenticityError("the listed cards do not lead to the root that the head names")
    return Edition(head, last, tree)


@dataclass(frozen=True, slots=True)
class Edition:
    """A signed head with the list that it covers; ``last`` is the highest serial given out, as far as is known."""

    head: Signed[Head]
    last: int = field(compare=False)
    tree: ProofTree = field(compare=False)
    """The head names its root, so two editions with one head have one list."""

    @classmethod
    def make(
        cls, key: EllipticCurvePrivateKey, head: Head, serials: Collection[int] | Numbers, last: int | None = None
    ) -> Self:
        """Sign an edition; ``head`` gives everything but count and root, which are worked out.

        ``last`` is the highest serial given out, by default the highest that is listed.
        """
        tree = ProofTree(serials)
        whole = Head(head.key, head.issuer, head.edition, head.time, head.next, tree.count, tree.root)
        return cls(Signed.make(whole, key), max(last or 0, _highest(tree)), tree)

    @property
    def number(self) -> int:
        """The edition's number."""
        return self.head.body.edition

    @property
    def serials(self) -> Numbers:
        """The listed serials, ascending."""
        return self.tree.serials

    def content(self) -> bytes:
        """The full list, to be sealed for the air."""
        return _FULL + self.head.raw + self.last.to_bytes(4) + encode_set(self.serials, self.last + 1)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return EDITION_MAGIC + self.content()

    def encode_plain(self) -> bytes:
        """Return the bytes of a file that is long, and made fast."""
        return EDITION_MAGIC + _PLAIN + self.head.raw + self.serials.astype(">u4").tobytes()

    @classmethod
    def decode(cls, raw: bytes, issuer: int, keys: Iterable[CenterKey]) -> "Edition":
        """Parse and check a file; raises FormatError or AuthenticityError."""
        if not raw.startswith(EDITION_MAGIC):
            raise FormatError("this is not an edition of the blacklist", 0)
        content = read_content(raw[len(EDITION_MAGIC) :], issuer, keys)
        if not isinstance(content, Edition):
            raise FormatError("this is a delta, which is no edition by itself", len(EDITION_MAGIC))
        return content

    def delta_from(self, older: "Edition") -> bytes:
        """The step from an older edition to this one, to be sealed for the air."""
        old, new = older.serials, self.serials
        last = max(self.last, _highest(older.tree))
        removed = np.flatnonzero(np.isin(old, new, assume_unique=True, invert=True)).astype(np.uint32)
        added = np.setdiff1d(new, old, assume_unique=True)
        places = (added - np.searchsorted(old, added)).astype(np.uint32)
        off, on = encode_set(removed, len(old)), encode_set(places, last + 1 - len(old))
        numbers = (older.number, last, len(removed), len(off))
        return _DELTA + self.head.raw + b"".join(number.to_bytes(4) for number in numbers) + off + on


@dataclass(frozen=True, slots=True)
class Delta:
    """The step to a new edition from the one with number ``base``; the head is verified, the sets are still coded."""

    head: Signed[Head]
    base: int
    last: int
    removed: int
    off: bytes
    on: bytes

    @property
    def number(self) -> int:
        """Number of the edition that it makes."""
        return self.head.body.edition

    def apply(self, older: Edition) -> Edition:
        """Make the new edition; raises RefusedError for another base, else FormatError or AuthenticityError."""
        if older.number != self.base:
            raise RefusedError(f"a delta from edition {self.base} does not fit edition {older.number}")
        old = older.serials
        put_on = self.head.body.count - len(old) + self.removed
        if self.removed > len(old) or put_on < 0 or self.last < _highest(older.tree):
            raise FormatError("the delta's counts do not fit the edition that it names", _HEAD_END)
        off = old[decode_set(self.off, len(old), self.removed)]
        places = decode_set(self.on, self.last + 1 - len(old), put_on)
        return _checked(self.head, self.last, older.tree.changed(_unlisted(old, places), off))


def _unlisted(old: Numbers, places: Numbers) -> Numbers:
    """The serials at some places among those that a list does not have."""
    before = old.astype(np.int64) - np.arange(len(old))
    wide = places.astype(np.int64)
    return (wide + np.searchsorted(before, wide, side="right")).astype(np.uint32)


def read_content(raw: bytes, issuer: int, keys: Iterable[CenterKey]) -> Edition | Delta:
    """Parse a content and check its head before anything else; raises FormatError or AuthenticityError."""
    kind, head = raw[:1], Signed.decode(Head, raw[1:_HEAD_END])
    body = check_head(head, issuer, keys)
    if kind == _FULL and len(raw) >= _FULL_START:
        last = int.from_bytes(raw[_HEAD_END:_FULL_START])
        return _checked(head, last, ProofTree(decode_set(raw[_FULL_START:], last + 1, body.count)))
    if kind == _PLAIN and len(raw) == _HEAD_END + 4 * body.count:
        tree = _plain_tree(raw[_HEAD_END:])
        return _checked(head, _highest(tree), tree)
    if kind == _DELTA and len(raw) >= _DELTA_START:
        return _read_delta(raw, head)
    raise FormatError("this is neither a list nor a delta, or is not as long as it says", 0)


def _plain_tree(raw: bytes) -> ProofTree:
    serials = np.frombuffer(raw, ">u4").astype(np.uint32)
    if not np.all(serials[1:] > serials[:-1]):
        raise FormatError("the serials are not in ascending order", _HEAD_END)
    return ProofTree(serials)


def _read_delta(raw: bytes, head: Signed[Head]) -> Delta:
    base, last, removed, size = (int.from_bytes(raw[i : i + 4]) for i in range(_HEAD_END, _DELTA_START, 4))
    if base >= head.body.edition or size > len(raw) - _DELTA_START:
        raise FormatError("the delta's numbers do not agree", _HEAD_END)
    end = _DELTA_START + size
    return Delta(head, base, last, removed, raw[_DELTA_START:end], raw[end:])
