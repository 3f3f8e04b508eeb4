"""The proof tree over the listed serials, in arrays: built, changed and asked for proofs; apdu.proof has its hashes.

Held are the serials in ascending order (4 bytes each), the numbers of the blocks that list any (4 bytes), and a
hash of 24 bytes for each place where the tree forks. Fork i stands between the neighbouring blocks i and i + 1, at
the highest bit in which their numbers differ: these bits alone give the tree its shape, so there are no pointers.
Leaves are hashed again when they are asked for: keeping them would double the size, and save one hash or two for
each serial that changes. A million cards in as many blocks, the worst case, take 32 MB.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from apdu.messages import ROOT_SIZE
from apdu.proof import BITMAP_SIZE, BLOCK_BITS, DEPTH, EMPTY_ROOT, Proof

__all__ = ["ProofTree", "Serials"]

Serials = NDArray[np.uint32]
"""Serials, usually in ascending order."""

_Hashes = NDArray[np.uint8]
"""One row of 24 bytes for each node."""
_Places = NDArray[np.intp]
"""Places in one of the arrays."""

_T = TypeVar("_T", np.uint32, np.uint8)

_LOW = (1 << BLOCK_BITS) - 1
_TOP = 0xFFFFFFFF
_CHUNK = 1 << 10
"""Nodes hashed at a time: what is held for that stays below 10 MB."""


# --- sets of numbers -------------------------------------------------------------------------------------


def _integers(serials: Serials | Iterable[int]) -> NDArray[np.integer]:
    """The numbers as an array of one dimension, whatever they came in."""
    if not isinstance(serials, np.ndarray):
        try:
            return np.fromiter(serials, np.int64)
        except OverflowError:
            raise ValueError("a serial is not between 0 and 2^32-1") from None
    if serials.ndim != 1 or not np.issubdtype(serials.dtype, np.integer):
        raise ValueError(f"serials are whole numbers in a row, not {serials.ndim} dimensions of {serials.dtype}")
    return serials


def _rises(numbers: Serials) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())


def _ascending(serials: Serials | Iterable[int]) -> Serials:
    """The set of some serials in ascending order, not writable; raises ValueError when one is out of range."""
    numbers = _integers(serials)
    if numbers.size and (int(numbers.min()) < 0 or int(numbers.max()) > _TOP):
        raise ValueError("a serial is not between 0 and 2^32-1")
    found = np.ascontiguousarray(numbers, np.uint32)
    if not _rises(found):
        found = np.unique(found)
    elif found.flags.writeable and np.may_share_memory(found, numbers):
        found = found.copy()
    return _sealed(found)


def _sealed(numbers: Serials) -> Serials:
    numbers.flags.writeable = False
    return numbers


def _once(numbers: Serials) -> Serials:
    """An ascending row without repetitions."""
    first = np.ones(numbers.size, np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
    return numbers[first]


def _blocks_of(serials: Serials) -> Serials:
    return _once(serials >> np.uint32(BLOCK_BITS))


def _are_in(numbers: Serials, some: Serials) -> NDArray[np.bool_]:
    """For each of some numbers, whether an ascending row has it."""
    return np.searchsorted(numbers, some) < np.searchsorted(numbers, some, "right")


def _highest_bit(numbers: Serials) -> Serials:
    """Number of the highest bit that is set; numbers are below 2^24, so a float32 holds them exactly."""
    return (np.frexp(numbers.astype(np.float32))[1] - 1).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class _Merge:
    """How an ascending row becomes the next one: ``gone`` are places in the old, ``come`` places in the new."""

    gone: _Places
    come: _Places
    size: int

    @classmethod
    def plan(cls, old: Serials, removed: Serials, added: Serials) -> Self:
        """Take out numbers that are in a row, and put in numbers that are not."""
        come = np.searchsorted(old, added) - np.searchsorted(removed, added) + np.arange(added.size)
        return cls(np.searchsorted(old, removed), come, old.size - removed.size + added.size)

    def _runs(self) -> Iterator[tuple[int, int, int]]:
        """What stays, in runs: place in the old row, place in the new one, length."""
        gone, come = self.gone - np.arange(self.gone.size), self.come - np.arange(self.come.size)
        kept = self.size - come.size
        cuts = np.unique(np.concatenate([[0, kept], gone, come]))
        old = cuts + np.searchsorted(gone, cuts, "right")
        new = cuts + np.searchsorted(come, cuts, "right")
        return zip(old[:-1].tolist(), new[:-1].tolist(), np.diff(cuts).tolist(), strict=True)

    def carry(self, old: NDArray[_T], come: NDArray[_T] | int = 0) -> NDArray[_T]:
        """The new row: what stays in its places, and what comes in the others."""
        new = np.empty((self.size, *old.shape[1:]), old.dtype)
        new[self.come] = come
        for start, place, length in self._runs():
            new[place : place + length] = old[start : start + length]
        return new


# --- hashes ----------------------------------------------------------------------------------------------


def _digests(messages: NDArray[np.uint8]) -> _Hashes:
    """Hash each row of messages."""
    rows = messages.view(f"V{messages.shape[1]}").ravel().tolist()
    raw = b"".join([sha256(row).digest() for row in rows])
    return np.frombuffer(raw, np.uint8).reshape(-1, sha256().digest_size)[:, :ROOT_SIZE]


def _inner_hashes(left: _Hashes, right: _Hashes) -> _Hashes:
    """As apdu.proof.inner_hash: ``01``, left, right."""
    messages = np.empty((len(left), 1 + 2 * ROOT_SIZE), np.uint8)
    messages[:, 0] = 1
    messages[:, 1 : 1 + ROOT_SIZE] = left
    messages[:, 1 + ROOT_SIZE :] = right
    return _digests(messages)


def _leaf_hashes(blocks: Serials, bitmaps: NDArray[np.uint8]) -> _Hashes:
    """As apdu.proof.leaf_hash: ``00``, block number (4 bytes), bitmap (32 bytes)."""
    messages = np.zeros((blocks.size, 5 + BITMAP_SIZE), np.uint8)
    messages[:, 1:5] = blocks.astype(">u4").view(np.uint8).reshape(-1, 4)
    messages[:, 5:] = bitmaps
    return _digests(messages)


# --- the tree --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Trie:
    """Serials, their blocks and the forks between these; row i of ``forks`` is of blocks i and i + 1, the last idle."""

    serials: Serials
    blocks: Serials
    forks: _Hashes
    hashes: int = field(default=0, init=False)

    def bitmaps(self, places: _Places) -> NDArray[np.uint8]:
        """The bitmaps of some blocks, one row of 32 bytes each."""
        first = self.blocks[places] << BLOCK_BITS
        starts = np.searchsorted(self.serials, first)
        counts = np.searchsorted(self.serials, first | _LOW, "right") - starts
        rows = np.repeat(np.arange(places.size), counts)
        listed = np.arange(rows.size) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
        low = (self.serials[listed] & _LOW).astype(np.uint8)
        bitmaps = np.zeros(places.size * BITMAP_SIZE, np.uint8)
        np.add.at(bitmaps, rows * BITMAP_SIZE + (low >> 3), np.uint8(0x80) >> (low & 7))  # no bit comes twice
        return bitmaps.reshape(-1, BITMAP_SIZE)

    def _leaves(self, places: _Places) -> _Hashes:
        self.hashes += places.size
        return _leaf_hashes(self.blocks[places], self.bitmaps(places))

    def nodes(self, first: _Places, last: _Places) -> _Hashes:
        """Hashes of the nodes over blocks ``first`` to ``last``, each the whole of what is below one node."""
        found = np.empty((first.size, ROOT_SIZE), np.uint8)
        alone = first == last
        found[alone] = self._leaves(first[alone])
        first, last = first[~alone], last[~alone]
        end = self.blocks[last]
        level = _highest_bit(self.blocks[first] ^ end)
        found[~alone] = self.forks[np.searchsorted(self.blocks, end >> level << level) - 1]
        return found

    def hash_forks(self, level: int, places: _Places) -> None:
        """Work out forks of one level; those of lower levels that are below them must be there."""
        for start in range(0, places.size, _CHUNK):
            here = places[start : start + _CHUNK]
            half = self.blocks[here + 1] >> level << level
            first = np.searchsorted(self.blocks, half ^ np.uint32(1 << level))
            last = np.searchsorted(self.blocks, half | np.uint32((1 << level) - 1), "right") - 1
            self.forks[here] = _inner_hashes(self.nodes(first, here), self.nodes(here + 1, last))
            self.hashes += here.size

    def carried(self, serials: Serials, touched: Serials) -> "_Trie":
        """The next trie, to be worked out above the blocks in which its serials differ from these."""
        there = _are_in(self.blocks, touched)
        first = touched << BLOCK_BITS
        listed = np.searchsorted(serials, first) < np.searchsorted(serials, first | _LOW, "right")
        gone, come = touched[there & ~listed], touched[listed & ~there]
        merge = _Merge.plan(self.blocks, gone, come)
        return _Trie(serials, merge.carry(self.blocks, come), merge.carry(self.forks))

    def all_forks(self) -> Iterator[tuple[int, _Places]]:
        """Every fork: level, and its places."""
        between = self.blocks[1:] ^ self.blocks[:-1]
        return ((level, np.flatnonzero(between >> level == 1)) for level in range(DEPTH))

    def forks_above(self, touched: Serials) -> Iterator[tuple[int, _Places]]:
        """The forks that have any of some blocks below them, whether these are listed now or not."""
        for level in range(DEPTH):
            touched = _once(touched >> np.uint32(1))
            right = np.searchsorted(self.blocks, (touched << 1 | 1) << level)
            inside = (right > 0) & (right < self.blocks.size)
            prefix, right = touched[inside], right[inside]
            forks = (self.blocks[right - 1] >> level + 1 == prefix) & (self.blocks[right] >> level + 1 == prefix)
            yield level, right[forks] - 1

    def work_out(self, forks: Iterator[tuple[int, _Places]]) -> bytes:
        """Hash some forks, given from the lowest level to the highest, and return the root."""
        for level, places in forks:
            self.hash_forks(level, places)
        if not self.blocks.size:
            return EMPTY_ROOT
        return self.nodes(np.array([0]), np.array([self.blocks.size - 1])).tobytes()


class ProofTree:
    """A set of serials (0 to 2^32-1) with a root, and a proof for each member; it never changes."""

    __slots__ = ("_hashes", "_root", "_row", "_trie")

    def __init__(self, serials: Serials | Iterable[int] = ()) -> None:
        """Build the tree over some serials in any order, repeated or not; raises ValueError for one out of range.

        An ascending array of uint32 that is not writable is taken as it is; its owner must not change it.
        """
        listed = _ascending(serials)
        blocks = _blocks_of(listed)
        trie = _Trie(listed, blocks, np.empty((blocks.size, ROOT_SIZE), np.uint8))
        self._keep(trie, trie.all_forks())

    def _keep(self, trie: _Trie, forks: Iterator[tuple[int, _Places]]) -> None:
        self._root = trie.work_out(forks)
        self._hashes = trie.hashes
        self._trie = trie
        self._row = trie.serials.data

    @property
    def serials(self) -> Serials:
        """The listed serials in ascending order, not writable."""
        return self._trie.serials

    @property
    def count(self) -> int:
        """How many serials are listed."""
        return self._trie.serials.size

    @property
    def root(self) -> bytes:
        """The root that a head carries, 24 bytes; zeros for no serials."""
        return self._root

    @property
    def hashes(self) -> int:
        """How many hashes it took to make this tree; those that were carried over are not counted."""
        return self._hashes

    def __contains__(self, serial: int) -> bool:
        """Whether a serial is listed."""
        place = bisect_left(self._row, serial)  # on one number, many times faster than numpy
        return place < len(self._row) and self._row[place] == serial

    def prove(self, serial: int) -> Proof:
        """Make the proof that LOCK OUT takes; raises KeyError when the serial is not listed."""
        if serial not in self:
            raise KeyError(serial)
        trie, block = self._trie, np.uint32(serial >> BLOCK_BITS)
        levels = np.arange(DEPTH, dtype=np.uint32)
        beside = (block >> levels ^ 1) << levels
        first = np.searchsorted(trie.blocks, beside)
        last = np.searchsorted(trie.blocks, beside | (np.uint32(1) << levels) - 1, "right") - 1
        forks = first <= last
        siblings = trie.nodes(first[forks], last[forks])
        bitmap = trie.bitmaps(np.searchsorted(trie.blocks, [block])).tobytes()
        mask = sum(1 << level for level in levels[forks].tolist())
        return Proof(bitmap, mask, tuple(sibling.tobytes() for sibling in siblings))

    def changed(self, added: Serials | Iterable[int] = (), removed: Serials | Iterable[int] = ()) -> "ProofTree":
        """The tree with serials added and others removed, at the cost of hashing their paths; this one stays.

        Raises ValueError for a serial out of range, one to add that is listed, or one to remove that is not.
        """
        more, less = _ascending(added), _ascending(removed)
        if (known := more[_are_in(self.serials, more)]).size:
            raise ValueError(f"serial {known[0]} is listed already and cannot be added")
        if (unknown := less[~_are_in(self.serials, less)]).size:
            raise ValueError(f"serial {unknown[0]} is not listed and cannot be removed")
        serials = _sealed(_Merge.plan(self.serials, less, more).carry(self.serials, more))
        touched = _blocks_of(np.union1d(more, less))
        trie = self._trie.carried(serials, touched)
        tree = ProofTree.__new__(ProofTree)
        tree._keep(trie, trie.forks_above(touched))
        return tree
