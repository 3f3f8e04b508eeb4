"""An edition of the blacklist is believed whole, signed by the right center, or not at all; so is the step to it."""

from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import AuthenticityError, FormatError, RefusedError, SaifuError
from apdu.messages import Head, Signed
from apdu.objects import CenterKey, KeyUse
from apdu.signature import SIGNATURE_SIZE, point_of
from broadcast.edition import EDITION_MAGIC, Delta, Edition, check_head, head_of, read_content
from broadcast.sparse_set import encode_set, information_limit
from broadcast.tree import ProofTree
from tests.issuer import FAR, NOW, ORDERS, Issuer

CENTER = Issuer()
HEAD_SIZE = Head.SIZE + SIGNATURE_SIZE
lists = st.sets(st.integers(0, 300) | st.integers(0, 0xFFFFFFFF), max_size=30)


def read(raw: bytes, issuer: Issuer = CENTER) -> Edition:
    return Edition.decode(raw, issuer.number, issuer.keys)


def step(older: Edition, newer: Edition) -> Delta:
    delta = read_content(newer.delta_from(older), CENTER.number, CENTER.keys)
    assert isinstance(delta, Delta)
    return delta


def resigned(serials: set[int], count: int, root: bytes) -> bytes:
    """An edition that the center signed with its true key, whatever it says."""
    head = Head(ORDERS, CENTER.number, 1, NOW, FAR, count, root)
    return Edition(Signed.make(head, CENTER.orders), 10, ProofTree(serials)).encode()


def flipped(raw: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(raw)):
        yield (int.from_bytes(raw) ^ 1 << bit).to_bytes(len(raw))


# --- full lists --------------------------------------------------------------------------------------------


@given(lists)
def test_an_edition_comes_back_as_it_was(listed: set[int]) -> None:
    edition = CENTER.edition(7, *listed)
    back = read(edition.encode())
    assert back == edition == read(edition.encode_plain())
    assert back.serials.tolist() == sorted(listed)
    assert back.head.body.count == len(listed)
    assert back.last == edition.last == max(listed, default=0)
    assert all(back.tree.prove(serial).root(serial) == back.head.body.root for serial in listed)


def test_order_and_repetition_of_what_is_listed_do_not_matter() -> None:
    assert CENTER.edition(1, 3, 1, 2, 1).encode() == CENTER.edition(1, 1, 2, 3).encode()


@pytest.mark.parametrize("write", [Edition.encode, Edition.encode_plain])
def test_no_bit_can_be_changed(write: Callable[[Edition], bytes]) -> None:
    raw = write(CENTER.edition(7, 2, 3, 500, 70_000))
    for other in flipped(raw):
        with pytest.raises((FormatError, AuthenticityError)):
            read(other)
    assert read(raw).serials.tolist() == [2, 3, 500, 70_000]


@pytest.mark.parametrize("write", [Edition.encode, Edition.encode_plain])
def test_nothing_can_be_cut_off_or_added(write: Callable[[Edition], bytes]) -> None:
    raw = write(CENTER.edition(7, 2, 3, 500))
    others = [raw[:size] for size in range(len(raw))]
    others += [raw + b"\0", raw + raw[-4:], raw + raw]
    for other in others:
        with pytest.raises((FormatError, AuthenticityError)):
            read(other)


@given(st.binary(max_size=200))
def test_anything_else_is_refused_with_an_error_of_ours(noise: bytes) -> None:
    for raw in (noise, EDITION_MAGIC + noise):
        with pytest.raises(SaifuError):
            read(raw)
        with pytest.raises(SaifuError):
            head_of(raw)


@pytest.mark.parametrize("serials", [(3, 2), (2, 2), (5, 1, 9)])
def test_serials_out_of_order_are_refused_even_if_signed(serials: tuple[int, ...]) -> None:
    raw = CENTER.edition(1, *serials).encode_plain()
    end = len(raw) - 4 * len(set(serials))
    head = Head(ORDERS, CENTER.number, 1, NOW, FAR, len(serials), CENTER.edition(1, *serials).head.body.root)
    start = len(EDITION_MAGIC) + 1
    resealed = raw[:start] + Signed.make(head, CENTER.orders).raw + raw[start + HEAD_SIZE : end]
    with pytest.raises(FormatError, match="ascending"):
        read(resealed + b"".join(serial.to_bytes(4) for serial in serials))


def test_the_head_can_be_looked_at_without_the_list() -> None:
    edition = CENTER.edition(7, 2, 3)
    assert head_of(edition.encode()) == head_of(edition.encode_plain()) == edition.head


def test_serials_that_do_not_lead_to_the_root_are_refused_even_if_signed() -> None:
    with pytest.raises(AuthenticityError, match="root"):
        read(resigned({1, 2}, 2, CENTER.edition(1, 1, 3).head.body.root))


def test_a_count_that_is_wrong_is_refused_even_if_signed() -> None:
    for count in (0, 1, 3, 0xFFFFFFFF):
        with pytest.raises((FormatError, AuthenticityError)):
            read(resigned({1, 2}, count, CENTER.edition(1, 1, 2).head.body.root))


def test_an_edition_of_another_issuer_is_refused() -> None:
    foreign = Issuer(number=2)
    with pytest.raises(AuthenticityError, match="issuer 2"):
        read(foreign.edition(1, 5).encode())
    assert read(foreign.edition(1, 5).encode(), foreign).serials.tolist() == [5]


def test_an_edition_signed_with_another_key_is_refused() -> None:
    impostor = Issuer(number=1, seed=1)
    with pytest.raises(AuthenticityError, match="verify"):
        read(impostor.edition(1, 5).encode())


def test_a_certification_key_signs_no_editions() -> None:
    """Not under its own number, nor under the number of the other key."""
    head = CENTER.edition(1, 5).head.body
    by_certifier = Signed.make(head, CENTER.certification)
    with pytest.raises(AuthenticityError, match="verify"):
        check_head(by_certifier, CENTER.number, CENTER.keys)
    certifier = [CenterKey(ORDERS, KeyUse.CERTIFICATION, point_of(CENTER.orders))]
    with pytest.raises(AuthenticityError, match="not known"):
        check_head(CENTER.edition(1, 5).head, CENTER.number, certifier)


def test_a_head_is_found_under_the_key_that_it_names() -> None:
    head = CENTER.edition(1, 5).head
    assert check_head(head, CENTER.number, CENTER.keys) == head.body
    with pytest.raises(AuthenticityError, match="not known"):
        check_head(head, CENTER.number, [])


# --- deltas ------------------------------------------------------------------------------------------------


@given(lists, lists)
def test_a_delta_leads_from_any_list_to_any_other(before: set[int], after: set[int]) -> None:
    older, newer = CENTER.edition(7, *before), CENTER.edition(9, *after)
    made = step(older, newer).apply(older)
    assert (made.head, made.serials.tolist(), made.tree.root) == (newer.head, sorted(after), newer.tree.root)
    assert older.serials.tolist() == sorted(before)


def test_steps_lead_where_a_full_list_leads() -> None:
    random, listed = Random(3), set[int]()
    terminal = CENTER.edition(1)
    for number in range(2, 30):
        gone = set(random.sample(sorted(listed), len(listed) // 5))
        listed = listed - gone | {random.randrange(5000) for _ in range(20)}
        terminal = step(terminal, edition := CENTER.edition(number, *listed)).apply(terminal)
        assert read(terminal.encode()).serials.tolist() == edition.serials.tolist() == sorted(listed)


def test_a_delta_fits_only_the_edition_that_it_goes_on_from() -> None:
    one, two, three = CENTER.edition(1, 5), CENTER.edition(2, 5, 6), CENTER.edition(3, 5, 6, 7)
    with pytest.raises(RefusedError, match="from edition 2 does not fit edition 1"):
        step(two, three).apply(one)
    with pytest.raises(RefusedError, match="does not fit edition 3"):
        step(two, three).apply(three)


def test_a_delta_to_another_list_of_the_same_number_is_refused() -> None:
    """Mix and match: the head of one list, the changes of another."""
    old, new, other = CENTER.edition(1, 5, 8), CENTER.edition(2, 5, 6), CENTER.edition(2, 5, 7)
    mixed = b"\x01" + new.head.raw + other.delta_from(old)[1 + HEAD_SIZE :]
    delta = read_content(mixed, CENTER.number, CENTER.keys)
    assert isinstance(delta, Delta)
    with pytest.raises(AuthenticityError, match="root"):
        delta.apply(old)


def test_no_bit_of_a_delta_can_be_changed() -> None:
    old, new = CENTER.edition(6, 2, 3, 500, 70_000), CENTER.edition(7, 2, 500, 501, 90_000)
    raw = new.delta_from(old)
    for other in flipped(raw):
        with pytest.raises((FormatError, AuthenticityError, RefusedError)):
            read_delta_and_apply(other, old)
    assert read_delta_and_apply(raw, old) == new


def test_nothing_of_a_delta_can_be_cut_off_or_added() -> None:
    old, new = CENTER.edition(6, 2, 3, 500), CENTER.edition(7, 2, 500, 501)
    raw = new.delta_from(old)
    for other in [*(raw[:size] for size in range(len(raw))), raw + b"\0", raw + raw]:
        with pytest.raises((FormatError, AuthenticityError)):
            read_delta_and_apply(other, old)


def read_delta_and_apply(raw: bytes, old: Edition) -> Edition:
    read_back = read_content(raw, CENTER.number, CENTER.keys)
    return read_back.apply(old) if isinstance(read_back, Delta) else read_back


def test_a_delta_is_no_file_of_an_edition() -> None:
    old, new = CENTER.edition(6, 2), CENTER.edition(7, 2, 3)
    with pytest.raises(FormatError, match="delta"):
        read(EDITION_MAGIC + new.delta_from(old))


@pytest.mark.parametrize("size", [50, 500, 5000])
def test_a_delta_costs_what_it_says_and_a_head(size: int) -> None:
    """Information limit of the change, and 124 bytes for head and numbers."""
    random = Random(size)
    before = set(random.sample(range(10_000_000), 100_000))
    gone = set(random.sample(sorted(before), size))
    new = set(random.sample(range(10_000_000), size)) - before
    old = CENTER.edition(1, *before)
    content = CENTER.edition(2, *(before - gone | new)).delta_from(old)
    limit = (information_limit(100_000, size) + information_limit(9_900_000, len(new))) / 8
    assert len(content) <= limit * 1.01 + 140


def test_a_list_of_nothing_is_a_head_and_five_bytes() -> None:
    assert len(CENTER.edition(1).content()) <= 1 + HEAD_SIZE + 5
    assert encode_set(CENTER.edition(1).serials, 1) in (b"", b"\0")
