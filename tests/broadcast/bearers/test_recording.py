"""The recording: whole and in its place at its end, or not there at all; and what both its bearers make of that."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apdu.errors import BearerError
from broadcast.bearers import afsk, recording
from broadcast.bearers.pager import PagerTransmitter
from broadcast.bearers.pocsag import SAMPLE_RATE
from broadcast.bearers.recording import LARGEST_RECORDING, Recording, Samples
from broadcast.bearers.sound import SoundTransmitter
from broadcast.packets import Packet
from tests.broadcast.bearers.wave_files import sound_of, wav

RATE = 22_050
OLD = b"what was there before"

pieces = st.lists(st.integers(-32_768, 32_767), max_size=5).map(lambda values: np.array(values, np.int16))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where something lies already."""
    (tmp_path / "air.wav").write_bytes(OLD)
    return tmp_path / "air.wav"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full for every file of this size, in bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- the file ----------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=5), pieces, pieces, st.sampled_from([8_000, RATE, 48_000]), st.booleans())
@example([np.zeros(0, np.int16)], np.ones(1, np.int16), np.ones(1, np.int16), RATE, True)
def test_what_is_put_comes_between_head_and_tail_if_it_is_anything_and_whole(
    target: Path, put: list[Samples], head: Samples, tail: Samples, rate: int, is_whole: bool
) -> None:
    target.write_bytes(OLD)
    made = Recording(target, rate, head, tail)
    for piece in put:
        made.put(piece)
        assert target.read_bytes() == OLD
    made.end(is_whole=is_whole)
    expected = wav(np.concatenate([head, *put, tail]), rate) if is_whole and any(piece.size for piece in put) else OLD
    assert content(target.parent) == {"air.wav": expected}


@pytest.mark.parametrize("rate", [afsk.RATE, SAMPLE_RATE])
def test_a_recording_holds_the_samples(tmp_path: Path, rate: int) -> None:
    sound = afsk.samples(b"purse")
    made = Recording(tmp_path / "air.wav", rate)
    made.put(sound)
    made.end(is_whole=True)
    assert sound_of(tmp_path / "air.wav", rate).tolist() == sound.tolist()


def test_everybody_may_read_a_recording(target: Path) -> None:
    made = Recording(target, RATE)
    made.put(np.ones(1, np.int16))
    made.end(is_whole=True)
    assert target.stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_recording_ends_once_and_then_for_good(target: Path, is_whole: bool) -> None:
    made = Recording(target, RATE)
    made.put(np.ones(1, np.int16))
    made.end(is_whole=is_whole)
    before = content(target.parent)
    made.end(is_whole=True)
    for use in (made.put, lambda samples: made.check_room(len(samples))):
        with pytest.raises(BearerError, match=r"air\.wav: the recording is closed"):
            use(np.ones(1, np.int16))
    assert content(target.parent) == before


def test_a_recording_is_full_when_its_tail_just_fits(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LARGEST_RECORDING + 44 < 1 << 32
    monkeypatch.setattr(recording, "LARGEST_RECORDING", 2 * 100)
    made = Recording(target, RATE, head=np.ones(3, np.int16), tail=np.ones(5, np.int16))
    with pytest.raises(BearerError, match=r"air\.wav: a recording ends at 4 GiB"):
        made.put(np.ones(93, np.int16))
    made.put(np.ones(91, np.int16))
    made.check_room(1)
    with pytest.raises(BearerError, match="4 GiB"):
        made.check_room(2)
    made.put(np.ones(1, np.int16))
    with pytest.raises(BearerError, match="begin another one"):
        made.put(np.ones(1, np.int16))
    made.end(is_whole=True)
    assert len(sound_of(target, RATE)) == 100


@pytest.mark.parametrize(("rate", "hours"), [(afsk.RATE, 12), (SAMPLE_RATE, 27)])
def test_how_long_a_recording_can_be_is_told_in_hours(tmp_path: Path, rate: int, hours: int) -> None:
    made = Recording(tmp_path / "air.wav", rate)
    made.check_room(hours * 3600 * rate)
    with pytest.raises(BearerError, match=f"{hours} hours"):
        made.check_room((hours + 1) * 3600 * rate)
    made.end(is_whole=False)


ROOM = 100_000
"""Bytes of the disk: much more than is kept in memory."""


@pytest.mark.parametrize(("count", "tail"), [(100, ROOM), (ROOM // 2 - 10, 0), (ROOM, 0)])
def test_a_full_disk_ends_the_recording_and_leaves_the_old_one(target: Path, count: int, tail: int) -> None:
    """Full in the tail, in what is kept in memory until the end, and while something is put."""
    made = Recording(target, RATE, tail=np.ones(tail, np.int16))
    with files_of_at_most(ROOM), pytest.raises(BearerError, match=r"air\.wav cannot be written: File too large"):
        put_and_end(made, np.ones(count, np.int16))
    made.end(is_whole=True)
    with pytest.raises(BearerError, match="closed"):
        made.put(np.ones(1, np.int16))
    assert content(target.parent) == {"air.wav": OLD}


def put_and_end(made: Recording, samples: Samples) -> None:
    for start in range(0, len(samples), 1000):
        made.put(samples[start : start + 1000])
    made.end(is_whole=True)


def test_a_recording_with_no_place_to_go_fails_at_once(tmp_path: Path) -> None:
    for place in (tmp_path / "missing" / "air.wav", tmp_path / ("long" * 100)):
        with pytest.raises(BearerError, match=f"{place.name} cannot be written"):
            Recording(place, RATE)
    with pytest.raises(BearerError, match="is a folder"):
        Recording(tmp_path, RATE)
    assert content(tmp_path) == {}


def test_a_place_that_is_taken_meanwhile_is_told_at_the_end(tmp_path: Path) -> None:
    made = Recording(tmp_path / "air.wav", RATE)
    (tmp_path / "air.wav").mkdir()
    with pytest.raises(BearerError, match=r"air\.wav cannot be written"):
        put_and_end(made, np.ones(1, np.int16))
    assert os.listdir(tmp_path) == ["air.wav"]


# --- both bearers ------------------------------------------------------------------------------------------

Kind: TypeAlias = type[SoundTransmitter] | type[PagerTransmitter]
both = pytest.mark.parametrize("kind", [SoundTransmitter, PagerTransmitter])


def some_packets(transmitter: SoundTransmitter | PagerTransmitter, count: int) -> list[bytes]:
    return [bytes(Packet.FRAME + transmitter.symbol_size)] * count


def record_and_stop(kind: Kind, target: Path) -> None:
    with kind(target) as transmitter:
        transmitter.send(some_packets(transmitter, 2))
        raise KeyboardInterrupt


@both
def test_a_recording_that_is_not_finished_leaves_the_old_one(target: Path, kind: Kind) -> None:
    with pytest.raises(KeyboardInterrupt):
        record_and_stop(kind, target)
    assert content(target.parent) == {"air.wav": OLD}


@both
def test_nothing_sent_leaves_the_old_recording(target: Path, kind: Kind) -> None:
    with kind(target) as transmitter:
        transmitter.send([])
    assert content(target.parent) == {"air.wav": OLD}


@both
def test_a_transmitter_is_closed_once_and_then_for_good(target: Path, kind: Kind) -> None:
    with kind(target) as transmitter:
        transmitter.send(some_packets(transmitter, 1))
        assert target.read_bytes() == OLD
    made = content(target.parent)
    transmitter.close()
    with pytest.raises(BearerError, match="is closed"):
        transmitter.send(some_packets(transmitter, 1))
    assert [*made] == ["air.wav"]
    assert content(target.parent) == made != {"air.wav": OLD}


@both
def test_a_transmission_that_gets_too_long_is_dropped(
    target: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "LARGEST_RECORDING", 4 * 48_000 * 2)
    with pytest.raises(BearerError, match="begin another"):
        send_one_by_one(kind, target, 10)
    assert content(target.parent) == {"air.wav": OLD}


def send_one_by_one(kind: Kind, target: Path, count: int) -> None:
    with kind(target) as transmitter:
        for packet in some_packets(transmitter, count):
            transmitter.send([packet])


@both
@pytest.mark.parametrize(("count", "room"), [(1, 60_000), (1, 110_000), (100, 7_000_000)])
def test_a_full_disk_leaves_the_old_transmission(target: Path, kind: Kind, count: int, room: int) -> None:
    """Full in the first write, at the end, and in between; ``room`` is in bytes."""
    transmitter = kind(target)
    with files_of_at_most(room), pytest.raises(BearerError, match="cannot be written"):
        send_and_close(transmitter, some_packets(transmitter, count))
    with suppress(BearerError):
        transmitter.close()
    assert content(target.parent) == {"air.wav": OLD}


def send_and_close(transmitter: SoundTransmitter | PagerTransmitter, packets: list[bytes]) -> None:
    transmitter.send(packets)
    transmitter.close()


@both
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, kind: Kind) -> None:
    with pytest.raises(BearerError, match="missing"):
        kind(tmp_path / "missing" / "air.wav")
