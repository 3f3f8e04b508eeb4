"""The proof tree: the same for the same serials, cheap to change, and proofs for its members alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.messages import ROOT_SIZE, Head
from apdu.payload import Tag, pack
from apdu.proof import BITMAP_SIZE, BLOCK_BITS, DEPTH, EMPTY_ROOT, Proof, inner_hash, leaf_hash
from apdu.signature import SIGNATURE_SIZE
from broadcast import tree as tree_module
from broadcast.tree import ProofTree

TOP = 0xFFFFFFFF
SHORT_COMMANDS = 3 * 255
"""Bytes of data in three short commands."""

few = st.integers(0, 600) | st.integers(TOP - 600, TOP) | st.sampled_from([1 << bit for bit in range(32)])
"""Serials that share blocks, and serials that fork at every height."""
serials = few | st.integers(0, TOP)
changes = st.lists(st.tuples(st.booleans(), serials), max_size=60)


@given(changes)
def test_any_changes_lead_to_the_tree_that_is_built_at_once(steps: list[tuple[bool, int]]) -> None:
    tree, listed = ProofTree(), set[int]()
    for is_added, serial in steps:
        if is_added:
            tree.add(serial)
            listed.add(serial)
        else:
            tree.remove(serial)
            listed.discard(serial)
        assert (tree.count, serial in tree) == (len(listed), serial in listed)
    assert tree.root == ProofTree(sorted(listed)).root == ProofTree(sorted(listed, reverse=True)).root


@given(st.lists(st.tuples(st.booleans(), few), min_size=1, max_size=60))
def test_what_is_removed_is_gone(steps: list[tuple[bool, int]]) -> None:
    tree = ProofTree()
    for _, serial in steps:
        tree.add(serial)
    for _, serial in steps:
        tree.remove(serial)
    assert (tree.root, tree.count) == (EMPTY_ROOT, 0)


@given(st.sets(serials, min_size=1, max_size=60), serials)
def test_proofs_hold_for_members_and_for_no_others(listed: set[int], other: int) -> None:
    tree = ProofTree(listed)
    for member in listed:
        proof = Proof.decode(tree.prove(member).encode())
        assert proof.lists(member)
        assert proof.root(member) == tree.root
    for stranger in {other, *(member ^ 1 for member in listed), *(member ^ 1 << 31 for member in listed)} - listed:
        assert all(not shows(tree.prove(member), stranger, tree.root) for member in listed)
        with pytest.raises(KeyError):
            tree.prove(stranger)


def shows(proof: Proof, serial: int, root: bytes) -> bool:
    """What the card asks of a proof."""
    return proof.lists(serial) and proof.root(serial) == root


@given(st.sets(serials, max_size=20), st.sets(serials, max_size=20))
def test_other_serials_have_another_root(one: set[int], other: set[int]) -> None:
    assert (ProofTree(one).root == ProofTree(other).root) == (one == other)


def test_no_serials_and_one_serial() -> None:
    assert ProofTree().root == EMPTY_ROOT
    for serial in (0, 255, 256, TOP):
        bitmap = (1 << 255 - (serial & 255)).to_bytes(BITMAP_SIZE)
        tree = ProofTree([serial])
        assert tree.root == leaf_hash(serial >> BLOCK_BITS, bitmap)
        assert tree.prove(serial) == Proof(bitmap, 0, ())


def test_two_blocks_fork_where_their_numbers_differ_first() -> None:
    left, right = 0b0100 << BLOCK_BITS, 0b0111 << BLOCK_BITS
    bitmap = (1 << 255).to_bytes(BITMAP_SIZE)
    leaves = leaf_hash(0b0100, bitmap), leaf_hash(0b0111, bitmap)
    tree = ProofTree([right, left])
    assert tree.root == inner_hash(*leaves)
    assert tree.prove(right) == Proof(bitmap, 0b10, (leaves[0],))


# --- cost ------------------------------------------------------------------------------------------------


@dataclass
class Work:
    """Hashes made since it was reset."""

    leaves: int = 0
    inner: int = 0

    def count_leaf(self, block: int, bitmap: bytes) -> bytes:
        self.leaves += 1
        return leaf_hash(block, bitmap)

    def count_inner(self, left: bytes, right: bytes) -> bytes:
        self.inner += 1
        return inner_hash(left, right)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    counted = Work()
    monkeypatch.setattr(tree_module, "leaf_hash", counted.count_leaf)
    monkeypatch.setattr(tree_module, "inner_hash", counted.count_inner)
    return counted


@pytest.mark.parametrize("cards", [100, 1_000, 10_000])
def test_changes_cost_hashes_with_the_logarithm_of_the_cards(cards: int, work: Work) -> None:
    """At random, a path has little more than log2 of the blocks; twice that is the bound."""
    random = Random(cards)
    listed = random.sample(range(1 << 32), cards)
    tree, root = ProofTree(listed), ProofTree(listed).root
    work.leaves = work.inner = 0
    changed = random.sample(listed, 50)
    for serial in changed:
        tree.remove(serial)
    for serial in changed:
        tree.add(serial)
    assert tree.root == root
    assert 0 < work.leaves <= 2 * len(changed)
    assert 0 < work.inner <= 2 * len(changed) * 2 * cards.bit_length()


def test_a_change_never_costs_more_than_a_path(work: Work) -> None:
    """Serials that fork at each of the 24 heights: the deepest tree that there is."""
    tree = ProofTree(deepest())
    work.leaves = work.inner = 0
    tree.remove(0)
    tree.add(0)
    assert (work.leaves, work.inner) == (1, DEPTH - 1 + DEPTH)


# --- size ------------------------------------------------------------------------------------------------


def deepest() -> Iterator[int]:
    """Serial 0, and for each height of the tree one that forks from it there."""
    yield 0
    for level in range(DEPTH):
        yield 1 << BLOCK_BITS + level


def carried(proof: Proof) -> int:
    """Bytes of data of LOCK OUT: head and proof."""
    head = bytes(Head.SIZE + SIGNATURE_SIZE)
    return len(pack({Tag.HEAD: head, Tag.PROOF: proof.encode()}))


def test_the_longest_proof_fits_three_short_commands_with_its_head() -> None:
    proof = ProofTree(deepest()).prove(0)
    assert proof.forks.bit_count() == len(proof.siblings) == DEPTH
    assert len(proof.encode()) == BITMAP_SIZE + DEPTH // 8 + DEPTH * ROOT_SIZE
    assert carried(proof) <= SHORT_COMMANDS


@pytest.mark.slow
@pytest.mark.parametrize("issued", [1_000_000, 1 << 32])
def test_a_proof_among_a_hundred_thousand_cards_fits_three_short_commands(issued: int) -> None:
    """Dense serials of a million cards, and serials all over the place."""
    random = Random(issued)
    listed = random.sample(range(issued), 100_000)
    tree = ProofTree(listed)
    proofs = {serial: tree.prove(serial) for serial in random.sample(listed, 500)}
    assert all(shows(proof, serial, tree.root) for serial, proof in proofs.items())
    assert max(map(carried, proofs.values())) <= SHORT_COMMANDS
