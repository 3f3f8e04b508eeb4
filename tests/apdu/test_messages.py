"""Fixed layouts and signed bodies: there and back, sizes as documented, and no kind taken for another."""

from dataclasses import fields, replace
from enum import EnumMeta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import AuthenticityError, FormatError
from apdu.identity import CardId, LifeCycle, Role
from apdu.layout import Field, Record, octets, uint
from apdu.messages import (
    SIGNED_BODIES,
    UNSETTLED_MAX,
    Attestation,
    Certificate,
    Credit,
    Head,
    Receipt,
    Refusal,
    Resolution,
    Signed,
    Value,
)
from apdu.objects import PLAIN_OBJECTS, HistoryRecord, Parameters, Request
from apdu.signature import SIGNATURE_SIZE, point_of, private_key

KEY, OTHER = private_key(bytes(39) + b"\x01"), private_key(bytes(39) + b"\x02")
POINT = point_of(KEY)
RECORDS = (*SIGNED_BODIES, *PLAIN_OBJECTS)
every_record = pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
every_body = pytest.mark.parametrize("kind", SIGNED_BODIES, ids=lambda kind: kind.__name__)


def value_of(field: Field) -> st.SearchStrategy[Any]:
    """Any value that a field may have."""
    if field.convert is CardId:
        return st.binary(min_size=6, max_size=6).map(CardId)
    if isinstance(field.convert, EnumMeta):
        return st.sampled_from([*field.convert])
    if field.code.endswith("s"):
        return st.binary(min_size=field.size, max_size=field.size)
    return st.integers(0, 256**field.size - 1)


def records(kind: type[Record]) -> st.SearchStrategy[Record]:
    return st.builds(kind, **{name: value_of(field) for name, field in kind.LAYOUT.items()})


def example(kind: type[Record], seed: int = 0) -> Record:
    """A body with numbers of its own, without hypothesis."""
    usual = {"role": Role.PERSON, "state": LifeCycle.ACTIVE, "outcome": 1, "kind": 1, "use": 1}
    raw = bytes((i + seed) % 256 for i in range(64))
    values: dict[str, Any] = {name: usual.get(name, int.from_bytes(raw[: f.size])) for name, f in kind.LAYOUT.items()}
    for name, field in kind.LAYOUT.items():
        if field.code.endswith("s"):
            values[name] = (field.convert or bytes)(raw[: field.size].ljust(field.size, b"\x05"))
    return kind(**values)


# --- layouts -----------------------------------------------------------------------------------------------


@every_record
@given(data=st.data())
def test_there_and_back(kind: type[Record], data: st.DataObject) -> None:
    record = data.draw(records(kind))
    encoded = record.encode()
    assert len(encoded) == kind.SIZE
    assert kind.decode(encoded) == record


@every_record
@given(raw=st.binary(max_size=200))
def test_bytes_parse_or_are_refused(kind: type[Record], raw: bytes) -> None:
    for candidate in (raw, raw.ljust(kind.SIZE, b"\1")[: kind.SIZE]):
        try:
            record = kind.decode(candidate)
        except (FormatError, ValueError):
            continue
        assert record.encode() == candidate


@every_record
def test_fields_are_those_of_the_layout_in_its_order(kind: type[Record]) -> None:
    assert [field.name for field in fields(kind)] == [*kind.LAYOUT]  # type: ignore[arg-type]  # all are dataclasses
    assert sum(field.size for field in kind.LAYOUT.values()) + (kind.TYPE is not None) == kind.SIZE
    assert all(field.meaning for field in kind.LAYOUT.values())


@every_record
@pytest.mark.parametrize("change", [-1, 1])
def test_another_length_is_refused(kind: type[Record], change: int) -> None:
    with pytest.raises(FormatError, match=f"{kind.SIZE} bytes"):
        kind.decode(bytes(kind.SIZE + change))


SIZES = {
    Certificate: 77,
    Value: 35,
    Receipt: 17,
    Refusal: 17,
    Attestation: 117,
    Head: 44,
    Credit: 32,
    Resolution: 13,
    Parameters: 31,
    HistoryRecord: 31,
    Request: 18,
}


@pytest.mark.parametrize("kind", SIZES, ids=lambda kind: kind.__name__)
def test_sizes_on_the_wire(kind: type[Record]) -> None:
    assert SIZES[kind] == kind.SIZE


def test_numbers_are_big_endian_and_follow_each_other() -> None:
    request = Request(0x01020304, bytes(range(8)), 0x0A0B0C0D, 0x03D2)
    assert request.encode().hex() == "01020304" + "0001020304050607" + "0a0b0c0d" + "03d2"


def test_a_type_byte_comes_first() -> None:
    receipt = Receipt(CardId.of(1, 2), 3, CardId.of(4, 5))
    assert receipt.encode().hex() == "a2" + "000100000002" + "00000003" + "000400000005"


@pytest.mark.parametrize("number", [-1, 1 << 32])
def test_a_number_that_does_not_fit(number: int) -> None:
    with pytest.raises(FormatError, match="Receipt"):
        Receipt(CardId.of(1, 2), number, CardId.of(4, 5)).encode()


def test_enumerations_are_checked() -> None:
    raw = bytearray(example(Certificate).encode())
    raw[8] = 9
    with pytest.raises(ValueError, match="Role"):
        Certificate.decode(bytes(raw))
    with pytest.raises(FormatError, match="Certificate"):
        Signed.decode(Certificate, bytes(raw) + bytes(SIGNATURE_SIZE))


def test_field_makers() -> None:
    assert [uint(size, "x").code for size in (1, 2, 4)] == ["B", "H", "I"]
    assert octets(9, "x") == Field(9, "9s", "x")


# --- signed bodies -----------------------------------------------------------------------------------------


def test_each_kind_has_a_type_byte_of_its_own() -> None:
    types = [kind.TYPE for kind in SIGNED_BODIES]
    assert None not in types
    assert len({*types}) == len(types) == 11


@every_body
def test_signed_there_and_back(kind: type[Record]) -> None:
    signed = Signed.make(example(kind), KEY)
    assert len(signed.raw) == kind.SIZE + SIGNATURE_SIZE
    again = Signed.decode(kind, signed.raw)
    assert again == signed
    assert again.verify(POINT) == example(kind)


@pytest.mark.parametrize(("kind", "other"), [*permutations(SIGNED_BODIES, 2)])
def test_no_kind_is_taken_for_another(kind: type[Record], other: type[Record]) -> None:
    raw = Signed.make(example(kind), KEY).raw
    with pytest.raises(FormatError):
        Signed.decode(other, raw)
    with pytest.raises(FormatError):
        other.decode(raw[: kind.SIZE].ljust(other.SIZE, b"\1")[: other.SIZE])


@every_body
def test_any_bit_changed_is_seen(kind: type[Record]) -> None:
    raw = Signed.make(example(kind), KEY).raw
    for at in range(len(raw)):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        with pytest.raises((FormatError, AuthenticityError)):
            Signed.decode(kind, bytes(changed)).verify(POINT)


@every_body
def test_another_key_does_not_verify(kind: type[Record]) -> None:
    with pytest.raises(AuthenticityError):
        Signed.make(example(kind), KEY).verify(point_of(OTHER))


def test_a_signature_of_another_body_does_not_verify() -> None:
    one, other = Signed.make(example(Value), KEY), Signed.make(example(Value, 1), KEY)
    crossed = one.raw[: Value.SIZE] + other.raw[Value.SIZE :]
    with pytest.raises(AuthenticityError):
        Signed.decode(Value, crossed).verify(POINT)


def test_receipt_and_refusal_differ_in_more_than_a_byte_of_text() -> None:
    receipt = Receipt(CardId.of(1, 2), 3, CardId.of(4, 5))
    raw = Signed.make(receipt, KEY).raw
    refusal = Signed.decode(Refusal, b"\xa3" + raw[1:])
    with pytest.raises(AuthenticityError):
        refusal.verify(POINT)


def test_unsettled_counters_of_an_attestation() -> None:
    waiting = b"".join(n.to_bytes(4) for n in (3, 7)).ljust(4 * UNSETTLED_MAX, b"\0")
    body = example(Attestation)
    assert isinstance(body, Attestation)
    assert replace(body, unsettled=waiting).unsettled_counters == (3, 7)
    assert replace(body, unsettled=bytes(32)).unsettled_counters == ()
