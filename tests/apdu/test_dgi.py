"""Data groups of STORE DATA: there and back, long lengths, and what is cut off or unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.dgi import DGI_TEXT, Dgi, decode_dgis, encode_dgi
from apdu.errors import FormatError

VALUES = st.one_of(st.binary(max_size=300), st.sampled_from([0, 254, 255, 256, 65535]).map(bytes))
GROUPS = st.lists(st.tuples(st.sampled_from(Dgi), VALUES), max_size=5)


@pytest.mark.parametrize(("size", "head"), [(0, "010100"), (254, "0101fe"), (255, "0101ff00ff"), (256, "0101ff0100")])
def test_lengths_as_globalplatform_writes_them(size: int, head: str) -> None:
    assert encode_dgi(Dgi.PARAMETERS, bytes(size)).hex() == head + "00" * size


@given(GROUPS)
def test_there_and_back(groups: list[tuple[Dgi, bytes]]) -> None:
    assert list(decode_dgis(b"".join(encode_dgi(*group) for group in groups))) == groups


@given(GROUPS.filter(bool), st.integers(1, 10))
def test_cut_off(groups: list[tuple[Dgi, bytes]], less: int) -> None:
    raw = b"".join(encode_dgi(*group) for group in groups)
    last = encode_dgi(*groups[-1])
    with pytest.raises(FormatError, match="cut off"):
        decode_dgis(raw[: -min(less, len(last) - 1)])


@given(st.binary(max_size=300))
def test_bytes_parse_or_raise_format_error(raw: bytes) -> None:
    try:
        groups = list(decode_dgis(raw))
    except FormatError:
        return
    assert sum(len(value) + 3 for _, value in groups) <= len(raw)


@pytest.mark.parametrize("number", [0x0000, 0x0100, 0x0105, 0x7F01, 0x8011, 0xFFFF])
def test_unknown_groups(number: int) -> None:
    with pytest.raises(FormatError, match=f"{number:04X} is unknown"):
        decode_dgis(number.to_bytes(2) + b"\0")


@pytest.mark.parametrize("raw", ["01", "0101", "0101ff", "0101ff00", "010102ff"])
def test_heads_cut_off(raw: str) -> None:
    with pytest.raises(FormatError, match="cut off"):
        decode_dgis(bytes.fromhex(raw))


def test_every_group_has_a_text() -> None:
    assert DGI_TEXT.keys() == {*Dgi}
