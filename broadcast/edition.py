"""An edition of the blacklist: the signed head and the listed serials, in one piece.

As a file: ``SAIFU-EDITION`` and version 01, the signed head (108 bytes), then the serials in ascending
order, 4 bytes each. Nothing of it is believed before head, count, order and root agree.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.errors import AuthenticityError, FormatError
from apdu.messages import Head, Signed
from apdu.objects import CenterKey, KeyUse
from apdu.signature import SIGNATURE_SIZE
from broadcast.tree import ProofTree

__all__ = ["EDITION_MAGIC", "Edition", "check_head"]

EDITION_MAGIC = b"SAIFU-EDITION\x01"
_HEAD_END = len(EDITION_MAGIC) + Head.SIZE + SIGNATURE_SIZE


def check_head(head: Signed[Head], issuer: int, keys: Iterable[CenterKey]) -> Head:
    """Return the head if it is this issuer's and signed by one of its keys; raises AuthenticityError."""
    if head.body.issuer != issuer:
        raise AuthenticityError(f"the list is of issuer {head.body.issuer}, not {issuer}")
    for key in keys:
        if key.use is KeyUse.ORDERS and key.number == head.body.key:
            return head.verify(key.point)
    raise AuthenticityError(f"the list is signed with key {head.body.key}, which is not known here")


@dataclass(frozen=True)
class Edition:
    """A signed head with the serials that it covers, in ascending order."""

    head: Signed[Head]
    serials: tuple[int, ...]

    @classmethod
    def make(cls, key: EllipticCurvePrivateKey, head: Head, serials: Collection[int]) -> Self:
        """Sign an edition; ``head`` gives everything but count and root, which are worked out."""
        tree = ProofTree(serials)
        whole = Head(head.key, head.issuer, head.edition, head.time, head.next, tree.count, tree.root)
        return cls(Signed.make(whole, key), tuple(sorted(set(serials))))

    @cached_property
    def tree(self) -> ProofTree:
        """The proof tree over the serials."""
        return ProofTree(self.serials)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return EDITION_MAGIC + self.head.raw + b"".join(serial.to_bytes(4) for serial in self.serials)

    @classmethod
    def decode(cls, raw: bytes, issuer: int, keys: Iterable[CenterKey]) -> Self:
        """Parse and check everything; raises FormatError or AuthenticityError."""
        if not raw.startswith(EDITION_MAGIC):
            raise FormatError("this is not an edition of the blacklist", 0)
        head = Signed.decode(Head, raw[len(EDITION_MAGIC) : _HEAD_END])
        body = check_head(head, issuer, keys)
        if len(raw) != _HEAD_END + 4 * body.count:
            raise FormatError(f"the head says {body.count} cards; the list has another length", _HEAD_END)
        serials = tuple(int.from_bytes(raw[i : i + 4]) for i in range(_HEAD_END, len(raw), 4))
        if any(one >= other for one, other in pairwise(serials)):
            raise FormatError("the serials are not in ascending order", _HEAD_END)
        edition = cls(head, serials)
        if edition.tree.root != body.root:
            raise AuthenticityError("the listed cards do not lead to the root that the head names")
        return edition
