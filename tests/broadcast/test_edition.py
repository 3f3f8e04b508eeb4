"""An edition of the blacklist is believed whole, signed by the right center, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import AuthenticityError, FormatError, SaifuError
from apdu.messages import Head, Signed
from apdu.objects import CenterKey, KeyUse
from apdu.signature import SIGNATURE_SIZE, point_of
from broadcast.edition import EDITION_MAGIC, Edition, check_head
from tests.issuer import FAR, NOW, ORDERS, Issuer

CENTER = Issuer()
HEAD_END = len(EDITION_MAGIC) + Head.SIZE + SIGNATURE_SIZE
lists = st.sets(st.integers(0, 300) | st.integers(0, 0xFFFFFFFF), max_size=30)


def read(raw: bytes, issuer: Issuer = CENTER) -> Edition:
    return Edition.decode(raw, issuer.number, issuer.keys)


def resigned(serials: tuple[int, ...], count: int, root: bytes) -> bytes:
    """An edition that the center signed with its true key, whatever it says."""
    head = Head(ORDERS, CENTER.number, 1, NOW, FAR, count, root)
    return Edition(Signed.make(head, CENTER.orders), serials).encode()


@given(lists)
def test_an_edition_comes_back_as_it_was(listed: set[int]) -> None:
    edition = CENTER.edition(7, *listed)
    back = read(edition.encode())
    assert back == edition
    assert back.serials == tuple(sorted(listed))
    assert back.head.body.count == len(listed)
    assert all(back.tree.prove(serial).root(serial) == back.head.body.root for serial in listed)


def test_order_and_repetition_of_what_is_listed_do_not_matter() -> None:
    assert CENTER.edition(1, 3, 1, 2, 1).encode() == CENTER.edition(1, 1, 2, 3).encode()


def test_no_bit_can_be_changed() -> None:
    raw = CENTER.edition(7, 2, 3, 500, 70_000).encode()
    for bit in range(8 * len(raw)):
        with pytest.raises((FormatError, AuthenticityError)):
            read((int.from_bytes(raw) ^ 1 << bit).to_bytes(len(raw)))
    assert read(raw).serials == (2, 3, 500, 70_000)


def test_nothing_can_be_cut_off_or_added() -> None:
    raw = CENTER.edition(7, 2, 3, 500).encode()
    others = [raw[:size] for size in range(len(raw))]
    others += [raw + b"\0", raw + raw[-4:], raw + (501).to_bytes(4), raw + raw]
    for other in others:
        with pytest.raises(FormatError):
            read(other)


@given(st.binary(max_size=200))
def test_anything_else_is_refused_with_an_error_of_ours(noise: bytes) -> None:
    for raw in (noise, EDITION_MAGIC + noise):
        with pytest.raises(SaifuError):
            read(raw)


@pytest.mark.parametrize("serials", [(3, 2), (2, 2), (1, 2, 2), (5, 1, 9)])
def test_serials_out_of_order_are_refused_even_if_signed(serials: tuple[int, ...]) -> None:
    raw = resigned(serials, len(serials), CENTER.edition(1, *serials).head.body.root)
    with pytest.raises(FormatError, match="ascending"):
        read(raw)


def test_serials_that_do_not_lead_to_the_root_are_refused_even_if_signed() -> None:
    with pytest.raises(AuthenticityError, match="root"):
        read(resigned((1, 2), 2, CENTER.edition(1, 1, 3).head.body.root))


def test_a_count_that_is_wrong_is_refused_even_if_signed() -> None:
    for count in (0, 1, 3, 0xFFFFFFFF):
        with pytest.raises(FormatError, match="another length"):
            read(resigned((1, 2), count, CENTER.edition(1, 1, 2).head.body.root))


def test_an_edition_of_another_issuer_is_refused() -> None:
    foreign = Issuer(number=2)
    with pytest.raises(AuthenticityError, match="issuer 2"):
        read(foreign.edition(1, 5).encode())
    assert read(foreign.edition(1, 5).encode(), foreign).serials == (5,)


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
