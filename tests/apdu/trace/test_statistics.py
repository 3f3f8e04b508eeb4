"""Figures of traces: they add up, medians are as near as promised, and nothing grows with the trace."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.protocol import Protocol
from apdu.trace.card_time import CARDS, modelled
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.reading import Reading
from apdu.trace.statistics import MOST_COMMANDS, MOST_SLOTS, MOST_WORDS, NO_ANSWER, OTHERS, Statistics, Times
from tests.apdu.trace.recorded import items_of, record

GOOD = b"\x90\x00"


def statistics(items: list[Item]) -> Statistics:
    found = Statistics()
    for reading in inspect(items):
        found.add(reading)
    return found


def exchanges(items: list[Item]) -> list[Exchange]:
    return [item for item in items if isinstance(item, Exchange)]


@pytest.fixture(scope="module", params=Protocol)
def trace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    path = tmp_path_factory.mktemp("trace") / "trace.jsonl"
    record(path, request.param)
    return items_of(path)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1), st.floats(0.001, 1))
def test_a_quantile_is_within_one_percent_of_its_rank(seconds: list[float], part: float) -> None:
    times = Times()
    for each in seconds:
        times.add(each)
    exact = sorted(seconds)[math.ceil(part * len(seconds)) - 1]
    assert times.quantile(part) == pytest.approx(exact, rel=0.01)
    assert (times.least, times.most) == (min(seconds), max(seconds))
    assert times.sum == pytest.approx(sum(seconds))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_any_duration_has_a_class(seconds: list[float]) -> None:
    times = Times()
    for each in seconds:
        times.add(each)
    assert 0 <= times.quantile(0.5) <= 1e6
    json.dumps(times.document(), allow_nan=False)


def test_figures_add_up(trace: list[Item]) -> None:
    found, said = statistics(trace), exchanges(trace)
    assert found.whole.exchanges == len(said)
    assert found.whole.resets == sum(isinstance(item, Reset) for item in trace)
    assert found.whole.sent == sum(len(each.command) for each in said)
    assert found.whole.received == sum(len(each.response or b"") for each in said)
    assert found.whole.times.sum == pytest.approx(sum(each.seconds or 0 for each in said))
    for name in ("exchanges", "sent", "received", "errors", "unexpected"):
        whole = getattr(found.whole, name)
        assert sum(getattr(each.figures, name) for each in found.commands.values()) == whole
        assert sum(getattr(each, name) for each in found.slots.values()) == whole
    assert set(found.slots) == {"left", "right"}
    assert sum(sum(each.words.values()) for each in found.commands.values()) == len(said)
    assert sum(found.share(each) or 0 for each in found.commands.values()) == pytest.approx(1)


def test_duration_is_from_the_first_to_the_last_moment(trace: list[Item]) -> None:
    times = [item.time for item in trace if item.time is not None]
    duration = statistics(trace).whole.duration
    assert duration is not None
    assert max(times) - min(times) <= duration < max(times) - min(times) + 1


def test_time_on_real_cards_is_that_of_all_exchanges(trace: list[Item]) -> None:
    found = statistics(trace)
    for card in CARDS:
        one_by_one = sum(modelled(each.command, each.response, card) for each in exchanges(trace))
        assert found.modelled(card) == pytest.approx(one_by_one)


def test_money_that_was_paid_counts_once(trace: list[Item]) -> None:
    assert [str(each) for each in statistics(trace).money()] == ["60.00 EUR"]


def test_a_declined_payment_moves_nothing(trace: list[Item]) -> None:
    pay = next(each for each in exchanges(trace) if each.command[1] == 0x32)
    assert not statistics([Exchange(pay.command, b"\x95\x04"), Exchange(pay.command[:9], GOOD)]).money()


def test_surprises_are_counted_by_kind() -> None:
    odd = [Exchange(bytes.fromhex("80320000"), bytes((0x6F, sw2))) for sw2 in range(5)]
    found = statistics([*odd])
    assert found.whole.unexpected == sum(found.unexpected.values()) == 5
    assert found.unexpected == {"the command table lists no … for PAY": 5}


def test_what_the_end_leaves_open_is_no_remark_of_the_trace() -> None:
    found = statistics([Remark("said"), Exchange(bytes.fromhex("00A4040006F0534149465500"), b"\x61\x10")])
    assert (found.whole.remarks, found.whole.unexpected) == (1, 1)


def test_no_answer_is_an_error_and_a_word_of_its_own() -> None:
    found = statistics([Exchange(bytes.fromhex("00CA0100"), None), Exchange(bytes.fromhex("00CA0100"), b"")])
    (command,) = found.commands.values()
    assert (found.whole.errors, command.words) == (2, {NO_ANSWER: 2})


def test_names_without_end_are_counted_as_others() -> None:
    found = Statistics([])
    for number in range(3 * MOST_COMMANDS):
        said = Exchange(b"\xb0\x14\0\0", number.to_bytes(2), str(number))
        found.add(Reading(number, said, name=str(number)))
    assert len(found.commands) <= MOST_COMMANDS + 1
    assert len(found.slots) <= MOST_SLOTS + 1
    assert found.commands[OTHERS, ""].figures.exchanges == 2 * MOST_COMMANDS
    assert len(found.commands[OTHERS, ""].words) <= MOST_WORDS + 1
    assert found.whole.exchanges == sum(each.exchanges for each in found.slots.values()) == 3 * MOST_COMMANDS


@given(
    st.lists(
        st.builds(
            Exchange,
            st.binary(max_size=12) | st.binary(max_size=9).map(lambda rest: b"\x80\x32\0\0" + rest),
            st.none() | st.binary(max_size=4) | st.just(GOOD),
            st.sampled_from(["", "a"]),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
        )
    )
)
def test_any_exchanges_have_figures(said: list[Exchange]) -> None:
    found = statistics([*said])
    json.dumps(found.document(), allow_nan=False)
    assert found.document()["exchanges"] == len(said)


def test_an_empty_trace_has_figures() -> None:
    document = statistics([]).document()
    assert (document["exchanges"], document["duration"], document["times"]) == (0, None, None)


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    record(tmp_path / "t", names=("one", "two"))
    assert set(statistics(items_of(tmp_path / "t")).slots) == {"one", "two"}
