"""Rows of readings: times, marks, and nothing that steers a terminal; and everything that is known of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.text import visible
from apdu.trace.model import Exchange, Remark, Reset
from apdu.trace.reading import Reading
from apdu.trace.row import MARK, Rows, Tone, tone
from apdu.trace.sections import facts, sections

SELECT = bytes.fromhex("00A4040006F0534149465500")


def test_times_count_from_the_first_that_is_known() -> None:
    rows = Rows()
    readings = [Reading(n, Remark("x", "", time)) for n, time in enumerate([None, 100.0, 101.5, None, 99.75, 1e300], 1)]
    assert [rows.row(reading).time for reading in readings] == ["", "0.000", "1.500", "", "-0.250", "1e+300"]


def test_a_reading_that_is_only_seen_begins_the_time_too() -> None:
    rows = Rows()
    rows.see(Reading(1, Reset(time=10.0)))
    assert rows.row(Reading(2, Reset(time=12.0))).time == "2.000"


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.000213, "0.21"), (0.0412, "41"), (0.0, "0.00"), (1e200, "1e+203")]
)
def test_milliseconds_are_short(seconds: float | None, text: str) -> None:
    assert Rows().row(Reading(1, Exchange(SELECT, None, seconds=seconds))).milliseconds == text


def test_cells_say_what_was_unexpected_secured_and_left_out() -> None:
    exchange = Exchange(SELECT, b"\x90\0", "slot", redacted=(("command", 5, 6),))
    row = Rows().row(Reading(7, exchange, exchange, "", "SELECT", "it", "9000: done", "", ("odd",)))
    assert row == ("7", MARK, "", "", "slot", "SELECT*", "it (secrets left out)", "9000: done")


def test_resets_and_remarks_are_rows_too() -> None:
    rows = Rows()
    assert rows.row(Reading(1, Reset(b"\x3b\0")))[5:] == ("reset", "3B00", "")
    assert rows.row(Reading(2, Remark("out")))[5:] == ("#", "out", "")


@pytest.mark.parametrize(
    ("response", "expected"),
    [("9000", Tone.GOOD), ("6110", Tone.GOOD), ("63C2", Tone.WARNING), ("6A82", Tone.ERROR), ("9504", Tone.ERROR)],
)
def test_a_status_word_has_its_tone(response: str, expected: str) -> None:
    answered = Exchange(SELECT, bytes.fromhex(response))
    assert tone(Reading(1, answered)) == expected
    assert tone(Reading(1, Exchange(SELECT, b"\x90\0"), answered)) == expected


def test_no_answer_is_an_error_and_a_reset_has_no_tone() -> None:
    assert tone(Reading(1, Exchange(SELECT, None))) == Tone.ERROR
    assert tone(Reading(1, Reset())) == Tone.NONE


@given(st.text() | st.just("\x1b[31m\u202e\ud800\n"))
def test_what_is_visible_can_be_printed(text: str) -> None:
    assert visible(text).isprintable()
    if text.isprintable():
        assert visible(text) == text


def test_sections_are_command_and_answer_on_the_wire_and_in_clear() -> None:
    wire, plain = Exchange(b"\x84" + SELECT[1:], b"\1\2\x90\0"), Exchange(SELECT, None)
    found = list(sections(Reading(1, wire, plain)))
    assert [section.detail.label for section in found] == ["command", "answer", "command in clear"]
    assert [section.raw for section in found] == [wire.command, wire.response, plain.command]
    assert all((section.detail.start, section.detail.end) == (0, len(section.raw)) for section in found)
    assert list(sections(Reading(1, Reset()))) == []


def test_facts_are_what_is_known_beside_the_bytes() -> None:
    exchange = Exchange(SELECT, None, "A", 1800000000.25, 0.0125, (("command", 5, 13),))
    assert list(facts(Reading(1, exchange, step="step 2", unexpected=("odd",)))) == [
        ("unexpected", "odd"),
        ("step", "step 2"),
        ("slot", "A"),
        ("time", "2027-01-15 08:00:00.250 UTC"),
        ("answered in", "12.5 ms"),
        ("left out", "secret bytes 5 to 12 of the command; zeros are in their place"),
    ]
    assert list(facts(Reading(1, Remark("x")))) == []


@pytest.mark.parametrize("time", [1e18, -1e300, 1e12])
def test_a_time_beyond_every_calendar_stays_a_number(time: float) -> None:
    assert list(facts(Reading(1, Reset(time=time)))) == [("time", f"{time:.6g} s")]
