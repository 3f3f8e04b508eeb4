"""The own form: every item comes back, a crash loses nothing, and damage ends in one kind of error."""

import json
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import FormatError
from apdu.trace import own
from apdu.trace.model import Exchange, Item, Remark, Reset

HEADER = own.header("saifu 0.1.0")
PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "trace-format.md"
ASKED = Exchange(b"\x00\xca\x01\x00\x00", b"\x01\x90\x00", "left", 1.5, 0.25)
TIMES = st.none() | st.floats(allow_nan=False, allow_infinity=False)


def read(*lines: str | bytes) -> list[Item]:
    return list(own.decode([HEADER, *lines]))


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    command, response = draw(st.binary(max_size=300)), draw(st.none() | st.binary(max_size=300))
    sizes = {"command": len(command), "response": len(response or b"")}
    blanks = []
    for part in [part for part, size in sizes.items() if size and draw(st.booleans())]:
        start = draw(st.integers(0, sizes[part] - 1))
        blanks.append((part, start, draw(st.integers(start + 1, sizes[part]))))
    return Exchange(command, response, draw(st.text()), draw(TIMES), draw(TIMES), tuple(blanks))


ITEMS = st.one_of(
    exchanges(),
    st.builds(Reset, st.binary(max_size=33), st.text(), TIMES),
    st.builds(Remark, st.text(), st.text(), TIMES),
)


@given(st.lists(ITEMS))
def test_what_is_written_is_read_again(items: list[Item]) -> None:
    assert read(*map(own.encode, items)) == items


@given(st.lists(exchanges()))
def test_what_is_written_in_two_lines_is_read_as_one(said: list[Exchange]) -> None:
    lines = [line for one in said for line in (own.encode_sent(one), own.encode_answer(one))]
    assert read(*lines) == said


@given(ITEMS)
def test_an_item_is_one_line_for_every_reader(item: Item) -> None:
    for line in (own.encode(item), *([own.encode_sent(item)] if isinstance(item, Exchange) else [])):
        assert line.splitlines() == [line]
        assert line.isascii()


def test_fields_at_their_default_are_left_out() -> None:
    assert own.encode(Exchange(b"\xca", None)) == '{"command": "CA"}'
    assert own.encode(Reset()) == '{"reset": ""}'
    assert own.encode_answer(Exchange(b"\xca", None)) == '{"answer": null}'


def test_text_and_bytes_are_read_alike() -> None:
    assert list(own.decode([HEADER.encode() + b"\n", own.encode(ASKED).encode() + b"\r\n", b"\n"])) == [ASKED]


def test_a_time_that_is_not_finite_is_not_written() -> None:
    for item in (Reset(time=float("nan")), Exchange(b"", None, seconds=float("inf"))):
        with pytest.raises(FormatError, match="finite"):
            own.encode(item)


def test_the_longest_line_is_read_and_no_longer_one_is_written() -> None:
    room = own.LONGEST_LINE - len(own.encode(Remark(""))) - 1
    longest = Remark("x" * room)
    assert read(own.encode(longest) + "\n") == [longest]
    with pytest.raises(FormatError, match="fewer than"):
        own.encode(Remark("x" * (room + 1)))


# --- two lines for an exchange ------------------------------------------------------------------------------


def sent(slot: str, number: int = 0) -> Exchange:
    return Exchange(bytes((0, number)), None, slot)


def test_slots_do_not_wait_for_each_other() -> None:
    left, right = Exchange(b"\x01", b"\x90\x00", "left"), Exchange(b"\x02", b"\x6a\x88", "right")
    lines = [own.encode_sent(left), own.encode_sent(right), own.encode_answer(right), own.encode_answer(left)]
    assert read(*lines) == [right, left]


@pytest.mark.parametrize("after", [[], [own.encode_sent(sent("left", 1))], [own.encode(Reset(slot="left"))], [HEADER]])
def test_a_command_without_an_answer_is_kept(after: list[str]) -> None:
    assert read(own.encode_sent(sent("left")), *after)[0] == sent("left")


def test_a_remark_does_not_end_the_wait() -> None:
    told = Remark("slow", "left")
    assert read(own.encode_sent(ASKED), own.encode(told), own.encode_answer(ASKED)) == [told, ASKED]


def test_an_answer_without_its_command_is_told() -> None:
    [item] = read('{"answer": "9000", "slot": "left"}')
    assert item == Remark("an answer whose command is not in the trace", "left")


def test_only_so_many_commands_wait() -> None:
    slots = [f"slot {number}" for number in range(3 * own.MOST_WAITING)]
    taken: list[str] = []

    def lines() -> Iterator[str]:
        yield HEADER
        for slot in slots:
            taken.append(slot)
            yield own.encode_sent(sent(slot))

    items = own.decode(lines())
    assert next(items) == sent(slots[0])
    assert len(taken) == own.MOST_WAITING + 1
    assert [item.slot for item in items] == slots[1:]


def test_reading_takes_a_line_at_a_time() -> None:
    def endless() -> Iterator[str]:
        yield HEADER
        for number in count():
            yield own.encode(Remark(str(number)))

    assert list(islice(own.decode(endless()), 3)) == [Remark("0"), Remark("1"), Remark("2")]


# --- crashes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", range(1, len(own.encode(ASKED))))
def test_a_last_line_that_a_crash_cut_off_costs_itself_alone(kept: int) -> None:
    items = read(own.encode(ASKED), own.encode(ASKED)[:kept])
    assert items[0] == ASKED
    assert isinstance(items[1], Remark)
    assert "line 3" in items[1].text


@pytest.mark.parametrize("tail", [b"\0" * 400, b"\xff\xfe", b'{"command": "0', b"[" * 100_000])
def test_whatever_a_crash_leaves_at_the_end_is_told(tail: bytes) -> None:
    items = read(own.encode_sent(ASKED), tail)
    assert [type(item) for item in items] == [Remark, Exchange]


def test_a_recording_goes_on_behind_a_line_that_was_cut_off() -> None:
    items = read(own.encode_sent(ASKED), '{"answer": "90', HEADER, own.encode(ASKED))
    assert [type(item) for item in items] == [Remark, Exchange, Exchange]
    assert items[2] == ASKED


def test_a_damaged_line_in_the_middle_is_no_crash() -> None:
    with pytest.raises(FormatError, match="line 2"):
        read('{"answer": "90', own.encode(ASKED))
    with pytest.raises(FormatError, match="line 2"):
        read('{"answer": "90', '{"answer": "90')


# --- what is not of this form ---------------------------------------------------------------------------------


def test_nothing_is_no_trace_and_no_error() -> None:
    assert list(own.decode([])) == []


@pytest.mark.parametrize("first", ["", '{"command": "00"}', '{"format": 1}', '{"format": "pcap"}', "R:3B00"])
def test_a_trace_begins_with_its_header(first: str) -> None:
    with pytest.raises(FormatError, match=r"line \d"):
        list(own.decode([first, own.encode(ASKED)]))


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(FormatError, match="line 1: this is a saifu trace 2, and this program reads saifu trace 1"):
        list(own.decode(['{"format": "saifu trace 2"}']))
    with pytest.raises(FormatError, match="line 2"):
        read('{"format": "saifu trace 10"}')


def test_unknown_fields_are_passed_over() -> None:
    line = json.dumps(json.loads(own.encode(ASKED)) | {"colour": "red"})
    assert read(line, '{"colour": "red"}') == [ASKED, Remark("a line of a kind that is not known")]


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        '{"command": "00", "reset": ""}',
        '{"command": "0"}',
        '{"command": "00 CA"}',
        '{"command": "0g"}',
        '{"command": 7}',
        '{"command": null}',
        '{"reset": null}',
        '{"remark": 7}',
        '{"command": "00", "response": 7}',
        '{"command": "00", "slot": 7}',
        '{"command": "00", "time": "now"}',
        '{"command": "00", "time": true}',
        '{"command": "00", "time": NaN}',
        '{"command": "00", "time": 1e999}',
        '{"command": "00", "time": 1' + "0" * 400 + "}",
        '{"command": "00", "time": 1' + "0" * 5000 + "}",
        '{"command": "00", "redacted": {}}',
        '{"command": "00", "redacted": [["command", 0, 2]]}',
        '{"command": "00", "redacted": [["command", 1, 1]]}',
        '{"command": "00", "redacted": [["command", -1, 1]]}',
        '{"command": "00", "redacted": [["response", 0, 1]]}',
        '{"command": "00", "redacted": [["header", 0, 1]]}',
        '{"command": "00", "redacted": [["command", 0]]}',
        '{"sent": "00", "redacted": [["response", 0, 1]]}',
        '{"remark": "' + "x" * own.LONGEST_LINE + '"}',
    ],
)
def test_a_wrong_line_is_named(line: str) -> None:
    with pytest.raises(FormatError, match="line 3"):
        read(own.encode(ASKED), line, own.encode(ASKED))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "9000", "00", "x", own.FORMAT]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["format", "command", "sent", "answer", "reset", "remark", "response", "slot", "time", "seconds", "redacted"]
)
HOSTILE = st.one_of(
    st.dictionaries(NAMES, JSON, max_size=4).map(json.dumps), st.text(), st.binary(), ITEMS.map(own.encode)
)


def outcome(lines: list[str | bytes]) -> list[Item] | FormatError:
    try:
        return read(*lines)
    except FormatError as error:
        return error


@given(st.lists(HOSTILE, max_size=8))
def test_hostile_lines_end_in_items_or_in_a_format_error(lines: list[str | bytes]) -> None:
    found = outcome(lines)
    if isinstance(found, FormatError):
        assert str(found).startswith("line ")
    else:
        assert read(*map(own.encode, found)) == found


# --- the page -------------------------------------------------------------------------------------------------


def test_the_example_on_the_page_is_read_as_the_page_says() -> None:
    examples = [part.split("```")[0] for part in PAGE.read_text("utf-8").split("```json\n")[1:]]
    assert list(own.decode(examples[0].splitlines())) == []
    reset, selected, verified, lost, why = list(own.decode(examples[1].splitlines()))
    assert isinstance(reset, Reset)
    assert isinstance(selected, Exchange)
    assert (selected.response, selected.time, selected.seconds) == (b"\x90\x00", 1800000000.251, 0.000213)
    assert isinstance(verified, Exchange)
    assert verified.redacted == (("command", 5, 13),)
    assert isinstance(lost, Exchange)
    assert (lost.response, lost.seconds) == (None, 1.5)
    assert why == Remark("no answer: the card is out", "model:aoi.card")


def test_the_page_tells_the_limits() -> None:
    page = PAGE.read_text("utf-8")
    assert f"{own.LONGEST_LINE:,} bytes" in page
    assert f"{own.MOST_WAITING} commands wait" in page
