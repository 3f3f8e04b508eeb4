"""Objects as the inspector takes them apart: at once where they come as usual, and never otherwise than the records."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu import ber
from apdu.commands import BY_INS, DATA_OBJECTS, Ins
from apdu.errors import FormatError
from apdu.identity import AID, CardId, LifeCycle
from apdu.objects import PurseStatus
from apdu.payload import Tag, pack, unpack
from apdu.signature import SIGNATURE_SIZE
from apdu.trace import meaning_fields
from apdu.trace.meaning_fields import Objects, fci, objects

KINDS = meaning_fields._PLAIN | meaning_fields._SIGNED
PLAIN_SIZES = {Tag.CARD_ID: 6, Tag.DATE: 4, Tag.AMOUNT: 4, Tag.COUNTER: 4, Tag.CHALLENGE: 16}
SHAPES = {tuple(tags) for row in BY_INS.values() for tags in (row.takes, row.gives, row.carries)}
SHAPES |= {tuple(row.gives) for row in DATA_OBJECTS} | {(tag,) for tag in KINDS}
USUAL = sorted(tags for tags in SHAPES if tags and KINDS.keys() | PLAIN_SIZES.keys() >= set(tags))


@st.composite
def value(draw: st.DrawFn, tag: Tag) -> bytes:
    """Bytes that are nearly always an object with this tag: type byte and enumerations are mostly right."""
    if tag not in KINDS:
        return draw(st.binary(min_size=PLAIN_SIZES[tag], max_size=PLAIN_SIZES[tag]))
    kind = KINDS[tag]
    size = kind.SIZE + SIGNATURE_SIZE * (tag in meaning_fields._SIGNED)
    raw = bytearray(draw(st.binary(min_size=size, max_size=size)))
    at = 0 if kind.TYPE is None else 1
    raw[:at] = bytes((kind.TYPE,)) if kind.TYPE is not None else b""
    for field in kind.LAYOUT.values():
        if field.convert is not None and field.size == 1:
            raw[at] = draw(st.sampled_from([1, 2, 3, 5, raw[at]]))
        at += field.size
    return bytes(raw)


@st.composite
def payload(draw: st.DrawFn) -> tuple[Sequence[Tag], dict[Tag, bytes], bytes]:
    """Tags of some command or answer, its objects, and their bytes: packed, or with one byte changed."""
    tags = draw(st.sampled_from(USUAL))
    found = {tag: draw(value(tag)) for tag in tags}
    raw = bytearray(pack(found))
    if draw(st.booleans()):
        raw[draw(st.integers(0, 2) | st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    return tags, found, bytes(raw)


def outcome(read: Callable[[], Objects]) -> Objects | str:
    try:
        return read()
    except FormatError as error:
        return str(error)


def parsed(tags: Sequence[Tag], raw: bytes) -> Objects:
    """The same objects one by one, whatever their shape."""
    return {tag: meaning_fields._READERS[tag](value) for tag, value in unpack(raw, tags).items()}


def by_record(tag: Tag, raw: bytes) -> object:
    """Fields as the record has them; None where it does not decode."""
    if tag not in KINDS:
        return raw if tag in (Tag.CARD_ID, Tag.CHALLENGE) else int.from_bytes(raw)
    kind = KINDS[tag]
    try:
        record = kind.decode(raw[: kind.SIZE])
    except ValueError:
        return None
    return tuple(getattr(record, name) for name, field in kind.LAYOUT.items() if field.size <= 16)


@given(payload())
def test_objects_of_the_usual_shape_are_what_the_parser_of_any_objects_finds(
    drawn: tuple[Sequence[Tag], dict[Tag, bytes], bytes],
) -> None:
    tags, _, raw = drawn
    found, expected = outcome(lambda: objects(tags)(raw)), outcome(lambda: parsed(tags, raw))
    assert found == expected
    if isinstance(found, dict) and isinstance(expected, dict):
        assert list(found) == list(expected)
        assert [type(each) for each in found.values()] == [type(each) for each in expected.values()]


@given(payload())
def test_objects_have_the_fields_of_their_records(drawn: tuple[Sequence[Tag], dict[Tag, bytes], bytes]) -> None:
    tags, given_objects, _ = drawn
    expected = {tag: by_record(tag, raw) for tag, raw in given_objects.items()}
    found = outcome(lambda: objects(tags)(pack(given_objects)))
    if None in expected.values():
        assert isinstance(found, str)
        assert " is no " in found
    else:
        assert found == expected


def test_only_one_of_the_objects_of_settle_comes() -> None:
    row = BY_INS[Ins.SETTLE]
    body = {tag: bytes((KINDS[tag].TYPE or 0,)) + bytes(KINDS[tag].SIZE - 1 + SIGNATURE_SIZE) for tag in row.one_of}
    read = objects((), row.optional, row.one_of)
    assert list(read(pack({Tag.REFUSAL: body[Tag.REFUSAL]}))) == [Tag.REFUSAL]
    for tags in ((), (Tag.RECEIPT, Tag.REFUSAL)):
        with pytest.raises(FormatError, match=f"{len(tags)} objects are there, not one"):
            read(pack({tag: body[tag] for tag in tags}))


def template(inside: bytes, name: bytes = AID) -> bytes:
    return ber.encode(0x6F, ber.encode(0x84, name) + ber.encode(0xA5, inside))


def test_an_fci_in_its_usual_form_tells_card_and_status_and_so_does_any_other_form() -> None:
    card, status = CardId.of(1, 42), PurseStatus(LifeCycle.ACTIVE, 1, 500, 7)
    usual = pack({Tag.CARD_ID: card, Tag.STATUS: status.encode()})
    turned = pack({Tag.STATUS: status.encode(), Tag.CARD_ID: card})
    for inside in (usual, turned):
        found = fci(template(inside))
        assert found == {Tag.CARD_ID: card, Tag.STATUS: (5, 1, 500, 7)}
        assert found[Tag.STATUS].balance == 500
    assert fci(template(pack({Tag.STATUS: status.encode()}))) == {Tag.STATUS: (5, 1, 500, 7)}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (template(pack({Tag.CARD_ID: bytes(6), Tag.STATUS: b"\x07" + bytes(9)})), "07 is no state"),
        (template(b"", b"\xf0SAIFV"), "names another application"),
        (b"", "object 6F is there 0 times"),
    ],
)
def test_an_fci_that_is_none_says_why(raw: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        fci(raw)
