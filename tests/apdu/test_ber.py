"""BER-TLV: there and back, and everything that a hostile card may send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.ber import decode, encode, find
from apdu.errors import FormatError

TAGS = st.one_of(
    st.integers(1, 0xFF).filter(lambda tag: tag & 0x1F != 0x1F),
    st.tuples(st.sampled_from([0x1F, 0x5F, 0x7F, 0x9F, 0xDF]), st.integers(0, 0x7F)).map(
        lambda pair: pair[0] << 8 | pair[1]
    ),
)
VALUES = st.one_of(st.binary(max_size=300), st.sampled_from([0, 127, 128, 255, 256, 65535]).map(bytes))


@pytest.mark.parametrize(
    ("tag", "size", "head"),
    [
        (0x84, 0, "8400"),
        (0x84, 127, "847f"),
        (0x84, 128, "848180"),
        (0x84, 255, "8481ff"),
        (0x84, 256, "84820100"),
        (0x7F49, 65535, "7f4982ffff"),
    ],
)
def test_heads_as_iso_7816_4_writes_them(tag: int, size: int, head: str) -> None:
    assert encode(tag, bytes(size)).hex() == head + "00" * size


@given(st.lists(st.tuples(TAGS, VALUES), max_size=6))
def test_there_and_back(objects: list[tuple[int, bytes]]) -> None:
    assert decode(b"".join(encode(tag, value) for tag, value in objects)) == objects


@given(st.lists(TAGS, min_size=1, max_size=6), VALUES)
def test_find_follows_a_path(path: list[int], value: bytes) -> None:
    raw = value
    for tag in reversed(path):
        if len(raw) > 65_000:
            return
        raw = encode(tag, raw)
    assert find(raw, *path) == value


@given(st.binary(max_size=400))
def test_bytes_parse_or_raise_format_error(raw: bytes) -> None:
    try:
        objects = decode(raw)
    except FormatError:
        return
    assert sum(len(value) + 2 for _, value in objects) <= len(raw)


HOSTILE = {
    "indefinite length": "6f80" + "00" * 128,
    "four bytes of length": "84840000000101",
    "three bytes of length": "8483000001ff",
    "84 FFFFFFFF": "84ffffffff",
    "no length": "84",
    "a length cut off": "848201",
    "a value cut off": "840501020304",
    "a tag cut off": "7f",
    "a tag of three bytes": "7f818100",
    "a tag of fifty bytes": "7f" + "ff" * 50 + "00",
    "a trailing byte": "84010084",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_objects_are_refused(name: str) -> None:
    with pytest.raises(FormatError):
        decode(bytes.fromhex(HOSTILE[name]))


def test_nothing_is_no_objects() -> None:
    assert decode(b"") == []


@pytest.mark.parametrize("raw", ["", "8100", "84008400"])
def test_find_wants_an_object_exactly_once(raw: str) -> None:
    with pytest.raises(FormatError, match="times, not once"):
        find(bytes.fromhex(raw), 0x84)


def test_depth_is_the_callers_not_the_cards() -> None:
    raw = b""
    for _ in range(10_000):
        raw = encode(0x6F, raw[-60_000:])
    with pytest.raises(FormatError):
        find(raw, 0x6F, 0x84)
