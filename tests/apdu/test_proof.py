"""The proof that a card is listed, against a tree that is built here in the plainest way."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError
from apdu.messages import ROOT_SIZE
from apdu.proof import BITMAP_SIZE, BLOCK_BITS, DEPTH, EMPTY_ROOT, Proof, inner_hash, leaf_hash

SERIALS = st.integers(0, 0xFFFFFFFF)
LISTS = st.sets(st.one_of(SERIALS, st.integers(0, 2000)), min_size=1, max_size=40)


def bitmap(serials: set[int], block: int) -> bytes:
    """One bit for each of 256 serials, the lowest serial's is the highest bit of the first byte."""
    bits = "".join(str(int(block << BLOCK_BITS | low in serials)) for low in range(256))
    return int(bits, 2).to_bytes(BITMAP_SIZE)


def root(serials: set[int], level: int = DEPTH) -> bytes | None:
    """Hash over the serials below one node: split at each bit of the block number, from the top."""
    if not serials:
        return None
    if level == 0:
        block = min(serials) >> BLOCK_BITS
        return leaf_hash(block, bitmap(serials, block))
    bit = level - 1 + BLOCK_BITS
    left, right = ({s for s in serials if s >> bit & 1 == side} for side in (0, 1))
    halves = root(left, level - 1), root(right, level - 1)
    if halves[0] is not None and halves[1] is not None:
        return inner_hash(halves[0], halves[1])
    return halves[0] or halves[1]


def prove(serials: set[int], serial: int) -> Proof:
    forks, siblings, block = 0, [], serial >> BLOCK_BITS
    for level in range(DEPTH):
        shift = level + BLOCK_BITS
        beside = root({s for s in serials if s >> shift == serial >> shift ^ 1}, level)
        if beside is not None:
            forks |= 1 << level
            siblings.append(beside)
    return Proof(bitmap(serials, block), forks, tuple(siblings))


@given(LISTS, st.data())
def test_a_listed_serial_leads_to_the_root(serials: set[int], data: st.DataObject) -> None:
    serial = data.draw(st.sampled_from(sorted(serials)))
    proof = prove(serials, serial)
    assert proof.lists(serial)
    assert proof.root(serial) == root(serials)


@given(LISTS, SERIALS, st.data())
def test_no_proof_shows_a_serial_that_is_not_listed(serials: set[int], serial: int, data: st.DataObject) -> None:
    if serial in serials:
        return
    proof = prove(serials, data.draw(st.sampled_from(sorted(serials))))
    assert not (proof.lists(serial) and proof.root(serial) == root(serials))


@given(LISTS, st.data())
def test_a_neighbour_cannot_use_it(serials: set[int], data: st.DataObject) -> None:
    """Same place in another block: the leaf names its block."""
    serial = data.draw(st.sampled_from(sorted(serials)))
    for bit in range(BLOCK_BITS, 32):
        other = serial ^ 1 << bit
        if other not in serials:
            assert prove(serials, serial).root(other) != root(serials)


@given(LISTS, st.data())
def test_there_and_back(serials: set[int], data: st.DataObject) -> None:
    proof = prove(serials, data.draw(st.sampled_from(sorted(serials))))
    assert Proof.decode(proof.encode()) == proof
    assert len(proof.encode()) == 35 + 24 * len(proof.siblings) <= 611


@given(st.binary(max_size=700))
def test_bytes_parse_or_raise_format_error(raw: bytes) -> None:
    try:
        proof = Proof.decode(raw)
    except FormatError:
        return
    assert proof.encode() == raw
    assert len(proof.root(0)) == ROOT_SIZE


@pytest.mark.parametrize("raw", [b"", bytes(34), bytes(36), bytes(34) + b"\x01", bytes(34) + b"\x01" + bytes(23)])
def test_siblings_that_are_missing_or_too_many(raw: bytes) -> None:
    with pytest.raises(FormatError, match="forks"):
        Proof.decode(raw)


def test_hashes_as_documented() -> None:
    block, bits = 0x010203, bytes(range(32))
    assert leaf_hash(block, bits) == sha256(b"\x00" + b"\x00\x01\x02\x03" + bits).digest()[:24]
    assert inner_hash(b"l" * 24, b"r" * 24) == sha256(b"\x01" + b"l" * 24 + b"r" * 24).digest()[:24]
    assert bytes(24) == EMPTY_ROOT


def test_one_card_alone_has_a_proof_without_siblings() -> None:
    proof = prove({42}, 42)
    assert (proof.forks, proof.siblings, len(proof.encode())) == (0, (), 35)
    assert proof.bitmap[42 >> 3] == 0x80 >> (42 & 7)


def test_deepest_proof_has_a_sibling_at_every_bit() -> None:
    serials = {0} | {1 << bit for bit in range(BLOCK_BITS, 32)}
    proof = prove(serials, 0)
    assert (proof.forks, len(proof.siblings), len(proof.encode())) == (0xFFFFFF, 24, 611)
    assert proof.root(0) == root(serials)
