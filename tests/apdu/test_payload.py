"""Payload objects: tlv8 with exactly the objects that a command takes, by the library and by the card alike."""

from types import ModuleType

import pytest
import tlv8
from hypothesis import given
from hypothesis import strategies as st

from apdu import payload
from apdu.errors import FormatError
from apdu.payload import Tag, pack, unpack
from applet_model import payload as card_payload

VALUES = st.one_of(st.binary(max_size=300), st.sampled_from([0, 1, 254, 255, 256, 509, 510, 511, 765]).map(bytes))
OBJECTS = st.dictionaries(st.sampled_from(Tag), VALUES, max_size=6)


def test_as_protocol_writes_it() -> None:
    packed = pack({Tag.AMOUNT: bytes.fromhex("000000c8"), Tag.CARD_ID: bytes(6)})
    assert packed.hex() == "8304000000c8" + "8006000000000000"


def test_a_long_value_is_split_over_entries_of_its_type() -> None:
    packed = pack({Tag.PROOF: b"\x07" * 300})
    assert packed.hex() == "8dff" + "07" * 255 + "8d2d" + "07" * 45


@given(OBJECTS)
def test_there_and_back(objects: dict[Tag, bytes]) -> None:
    assert unpack(pack(objects), objects.keys()) == objects
    assert unpack(pack(objects), (), [*Tag]) == objects


@given(OBJECTS.filter(bool), st.data())
def test_what_is_required_must_be_there(objects: dict[Tag, bytes], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(objects)))
    packed = pack({tag: value for tag, value in objects.items() if tag is not gone})
    with pytest.raises(FormatError, match=gone.name):
        unpack(packed, objects.keys())


@given(OBJECTS, st.integers(0, 255), st.binary(max_size=9))
def test_what_is_not_named_must_not_be_there(objects: dict[Tag, bytes], tag: int, value: bytes) -> None:
    known = {*map(int, objects)}
    if tag in known:
        return
    with pytest.raises(FormatError, match="unknown"):
        unpack(bytes((tag, len(value))) + value + pack(objects), objects.keys())


def test_nothing_comes_twice() -> None:
    one, other = pack({Tag.AMOUNT: bytes(4)}), pack({Tag.DATE: bytes(4)})
    with pytest.raises(FormatError, match="twice"):
        unpack(one + other + one, (Tag.AMOUNT, Tag.DATE))


def test_nothing_comes_twice_in_a_row() -> None:
    """A short entry ends its object: another one of its type behind it is the same object again."""
    one = pack({Tag.AMOUNT: bytes(4)})
    with pytest.raises(FormatError):
        unpack(one + one, (Tag.AMOUNT,))


@given(st.binary(max_size=600))
def test_bytes_parse_or_raise_format_error(raw: bytes) -> None:
    try:
        objects = unpack(raw, (), [*Tag])
    except FormatError:
        return
    assert sum(map(len, objects.values())) <= len(raw)


@pytest.mark.parametrize("raw", ["83", "8304", "8304000000", "830400000000ff", "83ff00", "00"])
def test_cut_off(raw: str) -> None:
    with pytest.raises(FormatError):
        unpack(bytes.fromhex(raw), (Tag.AMOUNT,))


def test_tags_are_distinct_and_context_specific() -> None:
    assert sorted(Tag) == [*range(0x80, 0x97)]
    assert max(Tag) <= 0xBE


@given(OBJECTS)
def test_what_the_library_encodes_is_taken(objects: dict[Tag, bytes]) -> None:
    encoded = tlv8.encode([tlv8.Entry(int(tag), value) for tag, value in objects.items()])
    assert pack(objects) == encoded
    assert unpack(encoded, objects.keys()) == objects


RAW = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from([0x80, 0x83, 0, 1, 2, 3]), max_size=12).map(bytes),
    st.lists(st.sampled_from(["80ff" + "07" * 255, "8000", "80020707", "8300", "830107"]), max_size=5).map(
        lambda parts: bytes.fromhex("".join(parts))
    ),
)


def taken(codec: ModuleType, raw: bytes) -> dict[Tag, bytes] | None:
    try:
        objects: dict[Tag, bytes] = codec.unpack(raw, (), [*Tag])
    except FormatError:
        return None
    return objects


@given(RAW)
def test_library_and_card_take_the_same(raw: bytes) -> None:
    """Each written for itself: whatever one of them reads, the other reads too, and to the same."""
    assert taken(payload, raw) == taken(card_payload, raw)


@given(OBJECTS)
def test_library_and_card_write_the_same(objects: dict[Tag, bytes]) -> None:
    assert pack(objects) == card_payload.pack(objects)


@given(RAW)
def test_what_is_taken_is_the_only_encoding(raw: bytes) -> None:
    objects = taken(payload, raw)
    assert objects is None or pack(objects) == raw


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("8000" + "8000", id="the library joins empty entries"),
        pytest.param("8000" + "80020707", id="an empty fragment before its object"),
        pytest.param("80ff" + "07" * 255 + "8000", id="an empty fragment behind a full one"),
        pytest.param("80020707" + "80020707", id="an object twice"),
        pytest.param("80020707" + "ff00" + "80020707", id="an object twice, with a separator"),
    ],
)
def test_what_lenient_peers_take(raw: str) -> None:
    assert len(tlv8.decode(bytes.fromhex(raw))) > 0
    assert taken(payload, bytes.fromhex(raw)) is None
    assert taken(card_payload, bytes.fromhex(raw)) is None


def test_far_too_long() -> None:
    with pytest.raises(FormatError, match="70000 bytes"):
        unpack(bytes(70_000), (Tag.AMOUNT,))
