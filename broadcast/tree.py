"""The proof tree over the listed serials: built, changed and asked for proofs; see apdu.proof for its hashes.

A tree node knows the blocks below it only by one of them and by the bit at which they fork, so a change
touches the nodes of one path: O(log n) hashes for each serial added or removed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apdu.proof import BITMAP_SIZE, BLOCK_BITS, EMPTY_ROOT, Proof, inner_hash, leaf_hash

__all__ = ["ProofTree"]

_LOW = (1 << BLOCK_BITS) - 1


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One block of 256 serials, at least one of them listed."""

    block: int
    bitmap: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class _Fork:
    """Two subtrees that differ first at bit ``level`` of the block number."""

    block: int
    level: int
    left: "_Node"
    right: "_Node"
    hash: bytes

    def holds(self, block: int) -> bool:
        """Whether a block belongs below this fork."""
        return (block ^ self.block) >> (self.level + 1) == 0


_Node = _Leaf | _Fork


def _leaf(block: int, bitmap: bytes) -> _Leaf:
    return _Leaf(block, bitmap, leaf_hash(block, bitmap))


def _fork(level: int, left: _Node, right: _Node) -> _Fork:
    return _Fork(left.block, level, left, right, inner_hash(left.hash, right.hash))


def _join(one: _Node, other: _Node) -> _Fork:
    """Put two subtrees with no block in common under a new fork."""
    level = (one.block ^ other.block).bit_length() - 1
    return _fork(level, other, one) if one.block >> level & 1 else _fork(level, one, other)


def _with_leaf(node: _Node | None, leaf: _Leaf) -> _Node:
    """The subtree with a leaf put in, or in the place of the one of its block."""
    if node is None or (node.block == leaf.block and isinstance(node, _Leaf)):
        return leaf
    if isinstance(node, _Leaf) or not node.holds(leaf.block):
        return _join(node, leaf)
    if leaf.block >> node.level & 1:
        return _fork(node.level, node.left, _with_leaf(node.right, leaf))
    return _fork(node.level, _with_leaf(node.left, leaf), node.right)


def _without(node: _Node, block: int) -> _Node | None:
    """The subtree without the leaf of a block, which it holds."""
    if isinstance(node, _Leaf):
        return None
    if block >> node.level & 1:
        right = _without(node.right, block)
        return node.left if right is None else _fork(node.level, node.left, right)
    left = _without(node.left, block)
    return node.right if left is None else _fork(node.level, left, node.right)


def _flip(bitmap: bytes, serial: int) -> bytes:
    low = serial & _LOW
    changed = bytearray(bitmap)
    changed[low >> 3] ^= 0x80 >> (low & 7)
    return bytes(changed)


class ProofTree:
    """A set of serials (0 to 2^32-1) with a root and a proof for each member."""

    def __init__(self, serials: Iterable[int] = ()) -> None:
        """Build the tree over some serials."""
        self._root: _Node | None = None
        self.count = 0
        for serial in serials:
            self.add(serial)

    @property
    def root(self) -> bytes:
        """The root that a head carries, 24 bytes; zeros for no serials."""
        return EMPTY_ROOT if self._root is None else self._root.hash

    def _path(self, block: int) -> Iterator[_Node]:
        """Nodes from the root towards a block."""
        node = self._root
        while isinstance(node, _Fork):
            yield node
            node = node.right if block >> node.level & 1 else node.left
        if node is not None:
            yield node

    def _find(self, block: int) -> _Leaf | None:
        leaf = None
        for node in self._path(block):
            leaf = node if isinstance(node, _Leaf) and node.block == block else None
        return leaf

    def __contains__(self, serial: int) -> bool:
        """Whether a serial is listed."""
        leaf = self._find(serial >> BLOCK_BITS)
        return leaf is not None and Proof(leaf.bitmap, 0, ()).lists(serial)

    def add(self, serial: int) -> None:
        """List a serial; one that is listed already changes nothing."""
        if serial in self:
            return
        block = serial >> BLOCK_BITS
        leaf = self._find(block)
        bitmap = _flip(leaf.bitmap if leaf else bytes(BITMAP_SIZE), serial)
        self._root = _with_leaf(self._root, _leaf(block, bitmap))
        self.count += 1

    def remove(self, serial: int) -> None:
        """Take a serial off; one that is not listed changes nothing."""
        block = serial >> BLOCK_BITS
        leaf = self._find(block)
        if leaf is None or self._root is None or serial not in self:
            return
        bitmap = _flip(leaf.bitmap, serial)
        self._root = _with_leaf(self._root, _leaf(block, bitmap)) if any(bitmap) else _without(self._root, block)
        self.count -= 1

    def prove(self, serial: int) -> Proof:
        """Make the proof that LOCK OUT takes; raises KeyError when the serial is not listed."""
        if serial not in self:
            raise KeyError(serial)
        block = serial >> BLOCK_BITS
        forks, siblings, bitmap = 0, [], b""
        for node in self._path(block):
            if isinstance(node, _Leaf):
                bitmap = node.bitmap
                continue
            forks |= 1 << node.level
            siblings.append((node.left if block >> node.level & 1 else node.right).hash)
        return Proof(bitmap, forks, tuple(reversed(siblings)))
