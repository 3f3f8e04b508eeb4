"""The bench of traces measures what it says; at small sizes."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from apdu.commands import Ins
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item, Reset
from host.trace_files import open_trace
from tests.bench_trace import ROOT, business, decode, decoding, fuzzing, varied, write_capture
from tests.fuzz.runner import ENGINES, sources
from tests.fuzz.targets import TARGETS


@pytest.fixture(scope="module")
def recorded() -> tuple[list[Item], list[bytes]]:
    return business(40)


def instructions(items: list[Item]) -> Counter[int]:
    return Counter(item.command[1] for item in items if isinstance(item, Exchange))


def requests(items: list[Item]) -> set[bytes]:
    return {item.command for item in items if isinstance(item, Exchange) and item.command[1] == Ins.REQUEST}


def test_the_business_is_that_of_real_cards(recorded: tuple[list[Item], list[bytes]]) -> None:
    items, _ = recorded
    found = instructions(items)
    assert found[Ins.REQUEST] == 40
    assert found[Ins.PAY] >= found[Ins.RECEIVE] == found[Ins.SETTLE] > 30
    assert {Ins.GET_DATA, Ins.READ_RECORD, Ins.VERIFY, Ins.PUT_CREDIT} <= found.keys()
    assert sum(isinstance(item, Reset) for item in items) == found[Ins.SELECT] == 80
    assert not any(reading.unexpected for reading in inspect(items))


def test_what_is_varied_is_later_and_of_other_cards_and_still_nothing_is_unexpected(
    recorded: tuple[list[Item], list[bytes]],
) -> None:
    items, marks = recorded
    rounds = list(islice(varied(items, marks), 3 * len(items)))
    assert rounds[: len(items)] == items
    assert instructions(rounds) == Counter({ins: 3 * many for ins, many in instructions(items).items()})
    assert len(requests(rounds)) == 3 * len(requests(items))
    times = [item.time for item in rounds if item.time is not None]
    assert times == sorted(times)
    assert not any(reading.unexpected for reading in inspect(rounds))


def test_a_capture_has_as_many_exchanges_as_it_says_and_is_decoded_in_a_process_of_its_own(
    recorded: tuple[list[Item], list[bytes]], tmp_path: Path
) -> None:
    capture = tmp_path / "capture.pcapng"
    write_capture(capture, *recorded, 700)
    with open_trace(capture) as (form, items):
        assert (form, sum(isinstance(item, Exchange) for item in items)) == ("gsmtap", 700)
    command = [sys.executable, "-m", "tests.bench_trace", str(capture)]
    figures = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert figures.keys() == decode(capture).keys()
    assert (figures["exchanges"], figures["unexpected"]) == (700, decode(capture)["unexpected"])


def test_each_size_is_measured_and_the_limits_are_for_the_last() -> None:
    figures, criteria = decoding((100, 300), rounds=1, payments=20)
    assert [one["exchanges"] for one in figures] == [100, 300]
    assert [one.limit for one in criteria] == [1.1, 0.3, 0.095]
    assert criteria[1].measured == figures[1]["ratio"]


def test_without_tshark_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    figures, criteria = decoding((100,), rounds=1, payments=20)
    assert figures[0]["ratio"] is None
    assert (criteria[-1].holds, criteria[-1].note) == (None, "tshark is not installed")


def fuzzed(other: dict[str, Any]) -> str:
    """Figures of a good run of everything, with some of them different for one reader under atheris."""
    good = {"executions": 10**6, "finding": "", "slowest_ms": 5.0, "peak_mib": 50.0}
    every = {engine: {one.name: good | {"sources": sources(one.name)} for one in TARGETS} for engine in ENGINES}
    every["atheris"]["gp"] |= other
    return json.dumps(every)


def verdicts(out: Path) -> list[bool | None]:
    return [one.holds for one in fuzzing(out)[1]]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, [True] * 4),
        ({"executions": 999_999}, [False, True, True, True]),
        ({"finding": "ValueError"}, [True, False, True, True]),
        ({"slowest_ms": 2001.0}, [True, True, False, True]),
        ({"peak_mib": 513.0}, [True, True, True, False]),
        ({"sources": "older"}, [None] * 4),
    ],
)
def test_figures_of_fuzzing_hold_for_the_readers_that_they_are_of(
    other: dict[str, Any], expected: list[bool | None], tmp_path: Path
) -> None:
    out = tmp_path / "fuzz.json"
    out.write_text(fuzzed(other))
    assert verdicts(out) == [*[True] * 4, *expected]


def test_without_fuzzing_nothing_has_passed(tmp_path: Path) -> None:
    figures, criteria = fuzzing(tmp_path / "fuzz.json")
    assert {one.holds for one in criteria} == {None}
    assert all("make fuzz" in one.note for one in criteria)
    assert figures["atheris"]["missing"] == [target.name for target in TARGETS]
