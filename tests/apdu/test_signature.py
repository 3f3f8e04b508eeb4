"""Signatures: the same for the same message, keys from any seed, and points that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import AuthenticityError
from apdu.signature import POINT_SIZE, SIGNATURE_SIZE, point_of, private_key, sign, verify

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY = private_key(bytes(31) + b"\x05")


@given(st.binary(max_size=300))
def test_there_and_back(message: bytes) -> None:
    signature = sign(KEY, message)
    assert (len(signature), len(point_of(KEY))) == (SIGNATURE_SIZE, POINT_SIZE)
    assert sign(KEY, message) == signature
    verify(point_of(KEY), message, signature)


def test_rfc_6979_appendix_a_2_5() -> None:
    key = private_key(bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))
    assert sign(key, b"sample").hex().upper() == (
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )


@pytest.mark.parametrize("seed", [bytes(40), b"\xff" * 40, ORDER.to_bytes(40), (ORDER - 1).to_bytes(40)])
def test_a_key_comes_of_every_seed(seed: bytes) -> None:
    scalar = private_key(seed).private_numbers().private_value
    assert scalar == int.from_bytes(seed) % (ORDER - 1) + 1
    assert private_key(scalar.to_bytes(32)).private_numbers().private_value == scalar


@pytest.mark.parametrize(
    "point", [bytes(64), b"\xff" * 64, point_of(KEY)[:-1] + b"\0", point_of(KEY)[:-1], b"", point_of(KEY) + b"\0"]
)
def test_points_that_are_none(point: bytes) -> None:
    with pytest.raises(AuthenticityError):
        verify(point, b"m", sign(KEY, b"m"))


HALF, ZERO, N = sign(KEY, b"m")[:32], bytes(32), ORDER.to_bytes(32)


@pytest.mark.parametrize("signature", [ZERO + HALF, HALF + ZERO, N + HALF, HALF + N, ZERO * 2, b"\xff" * 64])
def test_r_and_s_out_of_range(signature: bytes) -> None:
    with pytest.raises(AuthenticityError):
        verify(point_of(KEY), b"m", signature)


@pytest.mark.parametrize("size", [0, 63, 65, 72])
def test_signatures_of_another_length(size: int) -> None:
    with pytest.raises(AuthenticityError, match="64 bytes"):
        verify(point_of(KEY), b"m", bytes(size))
