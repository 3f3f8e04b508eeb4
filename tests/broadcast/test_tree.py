"""The proof tree: the same for the same serials, cheap to change and to keep, proofs for its members alone."""

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from apdu.messages import ROOT_SIZE, Head
from apdu.payload import Tag, pack
from apdu.proof import BITMAP_SIZE, BLOCK_BITS, DEPTH, EMPTY_ROOT, Proof, inner_hash, leaf_hash
from apdu.signature import SIGNATURE_SIZE
from broadcast.tree import ProofTree

TOP = 0xFFFFFFFF
SHORT_COMMANDS = 3 * 255
"""Bytes of data in three short commands."""

few = st.integers(0, 600) | st.integers(TOP - 600, TOP) | st.sampled_from([1 << bit for bit in range(32)])
"""Serials that share blocks, and serials that fork at every height."""
serials = few | st.integers(0, TOP)
changes = st.lists(st.tuples(st.sets(serials, max_size=20), st.sets(few, max_size=20)), max_size=5)


def by_definition(listed: Iterable[int]) -> bytes:
    """The root, level by level from the leaves, as apdu.proof says it."""
    bits = dict[int, int]()
    for serial in listed:
        bits[serial >> BLOCK_BITS] = bits.get(serial >> BLOCK_BITS, 0) | 1 << 255 - (serial & 255)
    nodes = {block: leaf_hash(block, bitmap.to_bytes(BITMAP_SIZE)) for block, bitmap in bits.items()}
    for _ in range(DEPTH):
        pairs = {number >> 1: [nodes[n] for n in (number & ~1, number | 1) if n in nodes] for number in nodes}
        nodes = {number: inner_hash(*pair) if len(pair) == 2 else pair[0] for number, pair in pairs.items()}
    return nodes.get(0, EMPTY_ROOT)


def same(tree: ProofTree, listed: set[int]) -> bool:
    """Whether a tree is the one over these serials, by all that it says."""
    said = tree.count, tree.serials.tolist(), tree.root
    return said == (len(listed), sorted(listed), by_definition(listed)) and all(serial in tree for serial in listed)


def proves(tree: ProofTree) -> bool:
    """Whether every proof of a tree leads to its root."""
    return all(shows(tree.prove(serial), serial, tree.root) for serial in tree.serials.tolist())


@given(changes)
def test_any_changes_lead_to_the_tree_that_is_built_at_once(steps: list[tuple[set[int], set[int]]]) -> None:
    """And the trees before stay what they were."""
    tree, listed = ProofTree(), set[int]()
    before = [(tree, listed)]
    for some, others in steps:
        added, removed = some - listed, others & listed
        tree, listed = tree.changed(added, removed), (listed - removed) | added
        before.append((tree, listed))
    for old, then in before:
        assert same(old, then)
    assert ProofTree(listed).root == tree.root
    assert proves(tree)


@given(st.sets(few, min_size=1, max_size=60), st.data())
def test_what_is_removed_is_gone(listed: set[int], data: st.DataObject) -> None:
    some = data.draw(st.sets(st.sampled_from(sorted(listed))))
    tree = ProofTree(listed)
    assert same(tree.changed(removed=some), listed - some)
    assert same(tree.changed((), some).changed((), listed - some), set())
    assert same(tree, listed)


@pytest.mark.parametrize("top", [30_000, 1 << 20, 1 << 32])
def test_thousands_at_once(top: int) -> None:
    """More nodes than are hashed at a time; every block touched, from nothing, and to nothing."""
    random = Random(top)
    listed = set(random.sample(range(top), 9_000))
    gone, come = set(random.sample(sorted(listed), 4_000)), set(random.sample(range(top), 4_000)) - listed
    tree = ProofTree(listed)
    assert same(tree, listed)
    assert same(tree.changed(come, gone), (listed - gone) | come)
    assert same(ProofTree().changed(listed), listed)
    assert same(tree.changed(removed=listed), set())
    assert same(tree.changed({serial ^ 1 for serial in listed} - listed), listed | {serial ^ 1 for serial in listed})


@given(st.sets(serials, min_size=1, max_size=40), serials)
def test_proofs_hold_for_members_and_for_no_others(listed: set[int], other: int) -> None:
    tree = ProofTree(listed)
    proofs = {member: Proof.decode(tree.prove(member).encode()) for member in listed}
    assert all(shows(proof, member, tree.root) for member, proof in proofs.items())
    for stranger in {other, *(member ^ 1 for member in listed), *(member ^ 1 << 31 for member in listed)} - listed:
        assert not any(shows(proof, stranger, tree.root) for proof in proofs.values())
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


# --- what it is given ------------------------------------------------------------------------------------

GIVEN = [3, 256, 257, 1 << 31, TOP]

KINDS: list[Callable[[], Iterable[int]]] = [
    lambda: iter(GIVEN),
    lambda: reversed(GIVEN * 2),
    lambda: set(GIVEN),
    lambda: np.array(GIVEN, np.uint32),
    lambda: np.array(GIVEN[::-1] + GIVEN, np.uint32),
    lambda: np.array(GIVEN, np.int64),
    lambda: np.array(GIVEN, np.uint64),
    lambda: np.array(GIVEN, ">u4"),
    lambda: np.frombuffer(b"".join(serial.to_bytes(4) for serial in GIVEN), ">u4"),
    lambda: np.repeat(np.array(GIVEN, np.uint32), 2)[::2],
]


@pytest.mark.parametrize("kind", KINDS)
def test_serials_may_come_as_anything(kind: Callable[[], Iterable[int]]) -> None:
    assert same(ProofTree(kind()), set(GIVEN))
    assert same(ProofTree().changed(kind()), set(GIVEN))
    assert same(ProofTree([*GIVEN, 5]).changed([], kind()), {5})


WRONG: list[Iterable[int]] = [
    [-1],
    [1 << 32],
    [1 << 80],
    np.array([-1, 5]),
    np.array([5, 1 << 32]),
    np.array([1 << 63], np.uint64),
    np.array([[1, 2]], np.uint32),
    np.array([1.0]),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_serial_is_refused(wrong: Iterable[int]) -> None:
    tree = ProofTree(GIVEN)
    for attempt in (ProofTree, tree.changed, lambda some: tree.changed([], some)):
        with pytest.raises(ValueError, match="serial"):
            attempt(wrong)


def test_an_array_that_nobody_can_write_to_is_not_copied_and_others_are() -> None:
    row = np.array(GIVEN, np.uint32)
    tree = ProofTree(row)
    row[0] = 4
    assert same(tree, set(GIVEN))
    assert np.shares_memory(ProofTree(tree.serials).serials, tree.serials)
    assert not np.shares_memory(tree.serials, row)


@pytest.mark.parametrize("tree", [ProofTree(GIVEN), ProofTree(np.array(GIVEN, np.uint32)), ProofTree().changed(GIVEN)])
def test_nobody_can_write_to_the_serials_of_a_tree(tree: ProofTree) -> None:
    with pytest.raises(ValueError, match="read-only"):
        tree.serials[0] = 4


def test_only_what_is_not_listed_is_added_and_only_what_is_listed_is_removed() -> None:
    tree = ProofTree(GIVEN)
    for added, removed in (([3], []), ([4, 257], []), ([], [4]), ([], [3, 258]), ([3], [3]), ([4], [4])):
        with pytest.raises(ValueError, match=r"is listed already and|is not listed and"):
            tree.changed(added, removed)
    assert same(tree, set(GIVEN))


def test_numbers_that_no_card_can_have_are_not_listed() -> None:
    tree = ProofTree([0, 5, TOP])
    for number in (-1, -TOP, TOP + 1, TOP + 6, 1 << 80):
        assert number not in tree
        with pytest.raises(KeyError):
            tree.prove(number)


# --- cost ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cards", [300, 3_000, 30_000])
@pytest.mark.parametrize("changing", [1, 20, 200])
def test_changes_cost_hashes_with_the_logarithm_of_the_cards(cards: int, changing: int) -> None:
    """At random, a path has little more than log2 of the blocks, and leaves beside it; twice that is the bound."""
    random = Random(cards + changing)
    *listed, first = random.sample(range(1 << 32), cards + changing)
    added, removed = [first, *listed[: changing - 1]], listed[-changing:]
    tree = ProofTree(listed[changing - 1 :])
    changed = tree.changed(added, removed)
    assert 0 < changed.hashes <= 2 * changing * min(25, 2 * cards.bit_length())
    assert changed.hashes < tree.hashes
    assert changed.root == ProofTree(changed.serials).root


def test_the_cost_of_a_change_grows_with_the_height_and_not_with_the_cards() -> None:
    """Serials over all numbers: for ten times the cards, a path has four forks more."""
    random = Random(1)
    spent = list[int]()
    for cards in (300, 3_000, 30_000):
        tree = ProofTree(random.sample(range(1 << 32), cards))
        spent.append(sum(tree.changed([serial]).hashes for serial in random.sample(range(1 << 32), 30)) // 30)
    assert 10 <= spent[0] < spent[1] < spent[2] <= 25
    assert spent[2] - spent[0] <= 10


def test_a_change_never_costs_more_than_a_path_and_the_leaves_beside_it() -> None:
    """Serials that fork at each of the 24 heights: the deepest tree that there is."""
    tree = ProofTree(deepest())
    less = tree.changed(removed=[0])
    assert (tree.hashes, less.hashes, less.changed([0]).hashes) == (2 * DEPTH + 1, 2 * DEPTH - 1, 2 * DEPTH + 1)


def test_no_change_costs_nothing() -> None:
    tree = ProofTree(deepest())
    assert (tree.changed().hashes, tree.changed().root) == (0, tree.root)
    assert (ProofTree().hashes, ProofTree().changed().hashes) == (0, 0)


def test_proofs_are_no_part_of_what_the_tree_cost() -> None:
    tree = ProofTree(deepest())
    cost = tree.hashes
    tree.prove(0)
    assert tree.hashes == cost


def memory(build: Callable[[], ProofTree]) -> tuple[int, int]:
    """Bytes that a tree holds, and the most that was held while it was made."""
    tracemalloc.start()
    try:
        tree = build()
        held, most = tracemalloc.get_traced_memory()
        assert tree.count
    finally:
        tracemalloc.stop()
    return held, most


def sealed(row: NDArray[np.uint32]) -> NDArray[np.uint32]:
    row.flags.writeable = False
    return row


def test_a_tree_takes_28_bytes_a_block_besides_its_serials_and_little_more_to_make() -> None:
    """The worst case: every card in a block of its own."""
    cards = 50_000
    row = sealed(np.arange(cards, dtype=np.uint32) << np.uint32(BLOCK_BITS))
    tree = ProofTree(row)
    held, most = memory(lambda: ProofTree(row))
    assert held <= 28 * cards + 10_000
    assert most <= (28 + 25) * cards + 1_000_000
    held, most = memory(lambda: tree.changed([1], [512]))
    assert held <= (28 + 4) * cards + 10_000
    assert most <= (28 + 4 + 4) * cards + 100_000


def test_full_blocks_take_no_more_to_make_than_others() -> None:
    """With every card listed, a block is 32 bytes of bitmap and 256 serials: what is worked out is in parts."""
    cards = 1_000_000
    row = sealed(np.arange(cards, dtype=np.uint32))
    held, most = memory(lambda: ProofTree(row))
    assert held <= cards
    assert most <= 12_000_000


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


@pytest.mark.parametrize("issued", [1_000_000, 1 << 32])
def test_a_proof_among_a_hundred_thousand_cards_fits_three_short_commands(issued: int) -> None:
    """Dense serials of a million cards, and serials all over the place."""
    random = Random(issued)
    listed = random.sample(range(issued), 100_000)
    tree = ProofTree(listed)
    proofs = {serial: tree.prove(serial) for serial in random.sample(listed, 500)}
    assert all(shows(proof, serial, tree.root) for serial, proof in proofs.items())
    assert max(map(carried, proofs.values())) <= SHORT_COMMANDS
