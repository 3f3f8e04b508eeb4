"""Differences of real traces: none between two runs of the same business, and each changed byte is found."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.commands import Ins
from apdu.payload import Tag, pack
from apdu.protocol import Protocol
from apdu.trace.detail import Detail, answer_detail, command_detail, leaves
from apdu.trace.difference import FREE, Comparison, Counts, Difference, Said
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item, Remark, Reset
from host.secure_listener import SecureListener
from saifu.example_purses import scenes
from tests.apdu.trace.recorded import items_of, record
from tests.issuer import STATIC

MAY_DIFFER = FREE | {"Lc", "Le", "value", "verification data", "resetting code", "new reference data"}
Trace = list[Item]


class Runs:
    """Two runs of the same business, and one at T=0 in slots of other names; shown without the traces."""

    def __init__(self, folder: Path) -> None:
        record(folder / "first")
        record(folder / "second")
        record(folder / "t0", Protocol.T0, ("reader 1", "reader 2"))
        self.first, self.second, self.t0 = (items_of(folder / name) for name in ("first", "second", "t0"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("runs"))


def compare(one: Iterable[Item], other: Iterable[Item], *, strict: bool = False) -> tuple[list[Difference], Counts]:
    comparison = Comparison(strict=strict)
    return list(comparison.differences(inspect(one), inspect(other))), comparison.counts


def exchange(trace: Trace, at: int) -> Exchange:
    item = trace[at]
    assert isinstance(item, Exchange)
    return item


def spoilt(said: Exchange, part: str, raw: bytes | None) -> Exchange:
    """The exchange with another command or response."""
    return replace(said, response=raw) if part == "response" else replace(said, command=raw or b"")


def changed(trace: Trace, at: int, part: str, raw: bytes | None) -> Trace:
    """The trace with another command or response at one place."""
    return [*trace[:at], spoilt(exchange(trace, at), part, raw), *trace[at + 1 :]]


def index_of(trace: Trace, ins: int) -> int:
    return next(n for n, item in enumerate(trace) if isinstance(item, Exchange) and item.command[1] == ins)


def test_two_runs_of_the_same_business_are_equal(runs: Runs) -> None:
    found, counts = compare(runs.first, runs.second)
    assert found == []
    assert counts.equal
    assert counts.free > 20
    assert counts.same == len(runs.first) - 2


def test_how_it_was_carried_is_no_matter(runs: Runs) -> None:
    assert len(runs.t0) > len(runs.first)
    found, counts = compare(runs.first, runs.t0)
    assert (found, counts.equal) == ([], True)


def test_strict_compares_every_byte(runs: Runs) -> None:
    assert compare(runs.first, runs.first, strict=True)[1].equal
    found, counts = compare(runs.first, runs.second, strict=True)
    assert not counts.equal
    assert counts.free == 0
    told = {each.field.split(", ")[-1] for difference in found for each in difference.fields}
    assert {"nonce", "signature r", "point"} <= told


def test_strict_compares_resets_and_pieces(runs: Runs) -> None:
    found, counts = compare(runs.first, runs.t0, strict=True)
    assert found[0].fields[0].field == "answer to reset"
    assert counts.only_new > 10


def parts(item: Exchange) -> dict[str, tuple[bytes, Detail]]:
    response = item.response or b""
    return {
        "command": (item.command, command_detail(item.command)),
        "response": (response, answer_detail(item.command, response)),
    }


@given(st.integers(0, 99), st.sampled_from(["command", "response"]), st.integers(0, 399), st.integers(1, 255))
@pytest.mark.parametrize("strict", [False, True])
def test_one_byte_is_found_where_it_is(runs: Runs, strict: bool, place: int, part: str, at: int, bits: int) -> None:
    trace = runs.first
    exchanges = [n for n, item in enumerate(trace) if isinstance(item, Exchange)]
    place = exchanges[place % len(exchanges)]
    raw, tree = parts(exchange(trace, place))[part]
    at %= len(raw)
    other = raw[:at] + bytes((raw[at] ^ bits,)) + raw[at + 1 :]
    found, counts = compare(trace, changed(trace, place, part, other), strict=strict)
    leaf = next(each for each in leaves(tree) if each.start <= at < each.end)
    if counts.equal:
        assert not strict
        is_piece = exchange(trace, place).command[1] == Ins.GET_RESPONSE
        assert is_piece or leaf.label in MAY_DIFFER
        return
    assert counts.different + counts.only_old + counts.only_new <= 2
    numbers = [each.number for each in (found[0].old, found[0].new) if each is not None]
    assert any(number in range(place - 1, place + 2) for number in numbers)
    if strict and part == "response":
        ((field,),) = [each.fields for each in found]
        assert numbers == [place + 1] * 2
        assert (field.part, field.old, field.new) == (
            "answer",
            Said(raw[leaf.start : leaf.end], field.old.words if field.old else ""),
            Said(other[leaf.start : leaf.end], field.new.words if field.new else ""),
        )


FIELDS = [
    (0x30, "command", 7, "83 amount"),
    (0x30, "response", -7, "86 request, amount"),
    (0x32, "response", -70, "87 value, amount"),
    (0x34, "response", 10, "88 receipt, counter"),
    (0xB2, "response", 4, "kind"),
    (0x3A, "command", 30, "8B credit, count"),
    (0x3C, "response", 168, "90 attestation, state"),
    (0x3E, "command", 13, "8C head, edition"),
]


@pytest.mark.parametrize(("ins", "part", "at", "field"), FIELDS)
def test_a_field_is_named(runs: Runs, ins: int, part: str, at: int, field: str) -> None:
    trace = runs.first
    place = index_of(trace, ins)
    raw = bytearray(parts(exchange(trace, place))[part][0])
    raw[at] ^= 1
    (found,), counts = compare(trace, changed(trace, place, part, bytes(raw)))
    assert found.old is not None
    assert [each.field for each in found.fields] == [field]
    assert (found.old.number, counts.different) == (place + 1, 1)


def test_a_status_word_is_told_alone(runs: Runs) -> None:
    trace = runs.first
    place = index_of(trace, 0x32)
    ((found,), _) = compare(trace, changed(trace, place, "response", b"\x95\x04"))
    ((part, field, old, new),) = found.fields
    assert (part, field) == ("answer", "status word")
    assert old is not None
    assert new is not None
    assert (old.raw, new.raw) == (b"\x90\0", b"\x95\x04")
    assert "money" in new.words


def test_no_answer_is_a_difference(runs: Runs) -> None:
    trace = runs.first
    ((found,), _) = compare(trace, changed(trace, index_of(trace, 0x32), "response", None))
    ((part, _, old, new),) = found.fields
    assert (part, old is None, new) == ("answer", False, None)


def test_what_is_missing_is_in_one_trace_only(runs: Runs) -> None:
    trace = runs.first
    place = index_of(trace, 0x20)
    ((found,), counts) = compare(trace, trace[:place] + trace[place + 1 :])
    assert found.old is not None
    assert found.new is None
    assert (found.old.name, counts.only_old, counts.only_new, counts.different) == ("VERIFY", 1, 0, 0)


def test_a_longer_free_field_is_a_difference() -> None:
    challenge = bytes.fromhex("0084000008")
    one, other = (Exchange(challenge, bytes(size) + b"\x90\0") for size in (8, 16))
    assert compare([one], [replace(one, response=b"other..." + b"\x90\0")])[1].equal
    assert not compare([one], [other])[1].equal


def test_how_long_a_chain_may_be_is_no_hash() -> None:
    told = pack({Tag.CAPACITIES: bytes.fromhex("010040040400")})
    one, other = (Exchange(bytes.fromhex("00CA010700"), raw + b"\x90\0") for raw in (told, told[:-2] + b"\x05\0"))
    ((found,), _) = compare([one], [other])
    assert [each.field for each in found.fields] == ["95 capacities, chain"]


def test_pins_are_never_told() -> None:
    wrong, right = (Exchange(bytes.fromhex("0020008108") + pin, b"\x90\0") for pin in (b"12345678", b"87654321"))
    assert compare([wrong], [right])[1].equal


def test_remarks_are_no_difference() -> None:
    assert compare([Reset(b"\x3b"), Remark("said")], [Reset(b"\x3b")])[1] == Counts(same=1)


def test_a_secure_channel_is_compared_in_clear_when_it_is_open_in_both() -> None:
    said: Trace = [Exchange(step.command, step.answer) for step in scenes()["personalization"]]
    spoilt = changed(said, index_of(said, 0xE2), "response", b"\x6a\x80")
    for keys, fields in ((None, [("answer", "status word")]), (STATIC, [("answer", "status word")])):
        listeners = [SecureListener(lambda _: STATIC) if keys else None for _ in range(2)]
        comparison = Comparison()
        one, other = (inspect(trace, each) for trace, each in zip((said, spoilt), listeners, strict=True))
        (found,) = comparison.differences(one, other)
        assert [each[:2] for each in found.fields] == fields


@given(st.lists(st.builds(Exchange, st.binary(max_size=20), st.none() | st.binary(max_size=20))), st.booleans())
def test_any_bytes_are_equal_to_themselves(said: list[Exchange], strict: bool) -> None:
    assert compare(said, said, strict=strict)[1].equal


BYTES = st.binary(max_size=20) | st.sampled_from([step.command for scene in scenes().values() for step in scene])
ANY = st.lists(st.builds(Exchange, BYTES, st.none() | st.binary(max_size=20)))


@given(ANY, ANY, st.booleans())
def test_any_bytes_can_be_compared(one: list[Exchange], other: list[Exchange], strict: bool) -> None:
    found, counts = compare(one, other, strict=strict)
    assert len(found) == counts.different + counts.only_old + counts.only_new
