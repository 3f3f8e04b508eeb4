"""The proof that a card is listed: from its leaf of the tree up to the root in the signed head.

A leaf covers a block of 256 serials as a bitmap, and names its block in its hash. An inner node
hashes its two children; where only one of them holds anything, the node is that child. So a node's
hash depends on the listed serials alone, a proof has a sibling only where the tree forks, at most
24, and with nodes of 24 bytes head and proof fit three short commands whatever is listed.

24 bytes of SHA-256: a false proof needs a second preimage (2^192), since the center alone makes trees.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from apdu.errors import FormatError
from apdu.messages import ROOT_SIZE

__all__ = ["BITMAP_SIZE", "BLOCK_BITS", "DEPTH", "EMPTY_ROOT", "Proof", "inner_hash", "leaf_hash"]

BLOCK_BITS = 8
"""Low bits of a serial that the bitmap covers."""
DEPTH = 32 - BLOCK_BITS
"""Bits of a block number: the most forks between a leaf and the root."""
BITMAP_SIZE = (1 << BLOCK_BITS) // 8
EMPTY_ROOT = bytes(ROOT_SIZE)
"""Root of the tree over no cards; no leaf or node can hash to it in practice."""


def leaf_hash(block: int, bitmap: bytes) -> bytes:
    """Hash of a leaf: ``00``, block number (4 bytes), bitmap (32 bytes)."""
    return sha256(b"\x00" + block.to_bytes(4) + bitmap).digest()[:ROOT_SIZE]


def inner_hash(left: bytes, right: bytes) -> bytes:
    """Hash of a node with two children: ``01``, left, right."""
    return sha256(b"\x01" + left + right).digest()[:ROOT_SIZE]


@dataclass(frozen=True, slots=True)
class Proof:
    """Bitmap of the card's block, then the siblings from the leaf upwards.

    ``forks`` has bit k set where the tree forks at bit k of the block number. On the wire: bitmap
    (32 bytes), forks (3), one sibling (24) for each bit set, the lowest bit's first.
    """

    bitmap: bytes
    forks: int
    siblings: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the bytes that LOCK OUT takes: 35 to 611."""
        return self.bitmap + self.forks.to_bytes(DEPTH // 8) + b"".join(self.siblings)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Parse; raises FormatError unless exactly as many siblings follow as the tree forks."""
        start = BITMAP_SIZE + DEPTH // 8
        forks = int.from_bytes(raw[BITMAP_SIZE:start])
        if len(raw) != start + forks.bit_count() * ROOT_SIZE:
            raise FormatError(f"a proof with forks {forks:06X} does not have {len(raw)} bytes")
        siblings = tuple(raw[i : i + ROOT_SIZE] for i in range(start, len(raw), ROOT_SIZE))
        return cls(raw[:BITMAP_SIZE], forks, siblings)

    def lists(self, serial: int) -> bool:
        """Whether the bitmap has this serial's bit."""
        low = serial & ((1 << BLOCK_BITS) - 1)
        return bool(self.bitmap[low >> 3] >> (7 - (low & 7)) & 1)

    def root(self, serial: int) -> bytes:
        """The root that this proof leads to for a serial."""
        block = serial >> BLOCK_BITS
        node, siblings = leaf_hash(block, self.bitmap), iter(self.siblings)
        for level in range(DEPTH):
            if self.forks >> level & 1:
                sibling = next(siblings)
                right = block >> level & 1
                node = inner_hash(sibling, node) if right else inner_hash(node, sibling)
        return node
