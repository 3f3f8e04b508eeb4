"""The blacklist's bench measures what it says; at small sizes, where everything can be counted by hand."""

import json
import shutil
import subprocess
import sys
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest

from broadcast.carousel import Carousel, OnAir
from broadcast.modulator import modulate
from tests.bench_air import (
    SYMBOL_SIZE,
    air,
    bytes_of_sound,
    exact_pages,
    packets_until_whole,
    pager,
    plain_packets,
    sound,
)
from tests.bench_criterion import Criterion
from tests.bench_sizes import KEY, changed_list, deltas, full_lists, gaps_as_varints, rice_size, run_lists
from tests.bench_terminal import LABELS, ROOT, prepare
from tests.broadcast.lists import uniform_list


def test_a_figure_on_its_limit_holds_and_one_that_was_not_measured_does_not() -> None:
    figures = [(1.0, False), (1.1, False), (1.0, True), (0.9, True), (None, True)]
    records = [Criterion(1, "x", measured, 1.0, at_least).record() for measured, at_least in figures]
    assert [record["holds"] for record in records] == [True, False, True, False, None]
    assert [record["side"] for record in records] == ["<=", "<=", ">=", ">=", ">="]


def test_varints_tell_the_list() -> None:
    serials = np.concatenate((uniform_list(10**6, 50, 1), np.array([10**6, 2**32 - 1], np.uint32)))
    raw, found, gap, shift = gaps_as_varints(serials), [-1], 0, 0
    for byte in raw:
        gap |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(found[-1] + 1 + gap)
            gap = shift = 0
    assert found[1:] == serials.tolist()


def test_rice_codes_have_a_quotient_in_ones_a_zero_and_a_remainder() -> None:
    serials = uniform_list(10**4, 100, 1)
    gaps = [later - earlier - 1 for earlier, later in pairwise([-1, *serials.tolist()])]
    coded = ["".join("1" * (gap >> k) + "0" + f"{gap:032b}"[32 - k :] for gap in gaps) for k in range(20)]
    assert rice_size(serials) == -(-min(map(len, coded)) // 8)


def test_as_many_cards_are_put_on_as_taken_off() -> None:
    old = uniform_list(10**5, 1000, 1)
    new = changed_list(old, 10**5, 50, seed=2)
    assert (new.size, np.intersect1d(old, new).size) == (1000, 950)


def test_sizes_are_of_sealed_bytes() -> None:
    for figures, _ in (full_lists([(10**5, 10**3)]), run_lists([(10**5, 10**4)]), deltas(10**5, 10**3, (10,))):
        for one in figures:
            least = one["entropy_bytes"] if "share" in one else one["limit_bytes"]
            assert least + 200 < one["sealed_bytes"] < least + 320


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_terminal_switched_on_at_any_moment_waits_for_as_many_packets_as_it_says(loss: float) -> None:
    sealed = modulate(bytes(range(256)) * 20, KEY)
    carousel = Carousel([OnAir(1, 0, KEY, sealed)], SYMBOL_SIZE)
    symbols, packets = carousel.statistics.objects[0].symbols, carousel.packets()
    sent = [next(packets) for _ in range(8 * symbols)]
    waits = [packets_until_whole(sent, sealed, loss, seed) for seed in range(40)]
    assert symbols <= min(waits)
    assert np.mean(waits) == pytest.approx(symbols / (1 - loss), rel=0.1)


def test_the_plain_carousel_is_counted_as_it_would_go_round() -> None:
    symbols, seed = 20, 3
    last_round = np.random.default_rng(seed).geometric(0.7, (4, symbols))
    for wait, rounds in zip(plain_packets(symbols, 0.3, seed, 4), last_round, strict=True):
        missing = set(range(symbols))
        for sent in count():
            if rounds[sent % symbols] == sent // symbols + 1:
                missing.discard(sent % symbols)
            if not missing:
                break
        assert wait == sent + 1


def test_air_bytes_are_at_least_those_of_the_sealed_list() -> None:
    figures, criteria = air(10**5, 10**3, receivers=5)
    assert figures["p95"] >= figures["mean"] > 1.2
    assert {one.point for one in criteria} == {4}


@pytest.mark.air
def test_sound_and_pages_are_heard_by_the_real_programs(tmp_path: Path) -> None:
    heard = bytes_of_sound(1, tmp_path)
    assert heard is not None
    assert heard >= 2000
    assert exact_pages(1, tmp_path) == 34


def test_a_terminal_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    prepare(tmp_path, 10**5, 2000)
    command = [sys.executable, "-m", "tests.bench_terminal", str(tmp_path)]
    figures = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
    assert set(LABELS) <= set(figures)
    assert 35 <= figures["proof_bytes"] <= 611
    assert 1 <= figures["lock_out_apdus"] <= 3
    if figures["peak_mib"] is not None:
        assert figures["peak_mib"] >= figures["resident_mib"]


def test_a_missing_program_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    for point in (sound, pager):
        figures, criteria = point()
        assert "missing" in figures
        assert [one.holds for one in criteria] == [None]
        assert criteria[0].note
