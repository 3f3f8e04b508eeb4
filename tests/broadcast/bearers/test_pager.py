"""The pager: packets out as pages and in again through multimon-ng, with noise, strangers and damage between."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apdu.errors import BearerError
from broadcast.bearers import pager, pocsag
from broadcast.bearers.pager import GROUP_ADDRESS, LONGEST_PACKET, PagerReceiver, PagerTransmitter
from broadcast.bearers.pocsag import BATCH_SIZE, PREAMBLE, SAMPLE_RATE, SAMPLES_PER_BYTE, Page
from tests.broadcast.bearers.pages import PAGE_SIZE, received, record, some_packets, with_noise
from tests.broadcast.bearers.wave_files import sound_of, wav

pytestmark = pytest.mark.air

# --- there and back ----------------------------------------------------------------------------------------


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(min_size=21, max_size=LONGEST_PACKET), min_size=1, max_size=4),
    st.integers(0, 2_007_663),
)
@example([bytes(LONGEST_PACKET), b"\xff" * LONGEST_PACKET], 7)
def test_packets_of_any_size_come_back_at_any_address(tmp_path: Path, packets: list[bytes], address: int) -> None:
    assert received(record(tmp_path / "air.wav", packets, address), address) == packets


@pytest.mark.parametrize("ratio", [10, 0])
def test_every_packet_comes_through_noise_as_strong_as_the_signal(tmp_path: Path, ratio: float) -> None:
    packets = some_packets(34)
    recording = record(tmp_path / "air.wav", packets)
    recording.write_bytes(wav(with_noise(sound_of(recording, SAMPLE_RATE), ratio, seed=1), SAMPLE_RATE))
    assert received(recording) == packets


# --- what is not ours --------------------------------------------------------------------------------------


def test_other_pages_on_the_channel_are_ignored(tmp_path: Path) -> None:
    packet = some_packets(1)[0]
    ours = pager._text(packet)
    others = [
        Page(GROUP_ADDRESS, 3, "Please call the office"),
        Page(GROUP_ADDRESS, 3, ours.removeprefix("S>")),
        Page(GROUP_ADDRESS, 3, "S>not base64!"),
        Page(GROUP_ADDRESS, 3, "S>abcde"),
        Page(GROUP_ADDRESS, 3, "S>"),
        Page(GROUP_ADDRESS, 3, ""),
        Page(GROUP_ADDRESS, 2, ours),
        Page(GROUP_ADDRESS + 1, 3, ours),
        Page(GROUP_ADDRESS + 8, 3, ours),
    ]
    air = pocsag.transmission([*others, Page(GROUP_ADDRESS, 3, ours), *others])
    (tmp_path / "air.wav").write_bytes(wav(pocsag.samples(air), SAMPLE_RATE))
    assert received(tmp_path / "air.wav") == [packet]


@pytest.mark.parametrize("level", [0, 100, 10_000])
def test_noise_alone_says_nothing(tmp_path: Path, level: float) -> None:
    noise = np.random.default_rng(1).normal(0, level, 60 * SAMPLE_RATE).clip(-32_768, 32_767)
    (tmp_path / "air.wav").write_bytes(wav(noise.astype(np.int16), SAMPLE_RATE))
    assert received(tmp_path / "air.wav") == []


# --- damage ------------------------------------------------------------------------------------------------


def middle_of_page(number: int) -> int:
    """Place of the second batch of a page, in bytes of the air."""
    return len(PREAMBLE) + number * PAGE_SIZE + BATCH_SIZE


def test_two_wrong_bits_in_every_codeword_are_mended(tmp_path: Path) -> None:
    packets = some_packets(3)
    air = bytearray(pocsag.transmission([Page(GROUP_ADDRESS, 3, pager._text(packet)) for packet in packets]))
    for place in range(len(PREAMBLE), len(air), 4):
        air[place] ^= 0b0100_0000
        air[place + 2] ^= 0b0000_0001
    (tmp_path / "air.wav").write_bytes(wav(pocsag.samples(bytes(air)), SAMPLE_RATE))
    assert received(tmp_path / "air.wav") == packets


def test_a_damaged_page_is_lost_and_no_other(tmp_path: Path) -> None:
    packets = some_packets(5)
    recording = record(tmp_path / "air.wav", packets)
    sound = sound_of(recording, SAMPLE_RATE).copy()
    start = SAMPLES_PER_BYTE * middle_of_page(2)
    sound[start : start + SAMPLES_PER_BYTE * 8] *= -1
    recording.write_bytes(wav(sound, SAMPLE_RATE))
    assert received(recording) == [*packets[:2], *packets[3:]]


def test_who_tunes_in_late_gets_the_pages_that_begin_afterwards(tmp_path: Path) -> None:
    packets = some_packets(5)
    recording = record(tmp_path / "air.wav", packets)
    recording.write_bytes(wav(sound_of(recording, SAMPLE_RATE)[SAMPLES_PER_BYTE * middle_of_page(1) :], SAMPLE_RATE))
    assert received(recording) == packets[2:]


def test_a_truncated_recording_has_the_pages_before_its_end(tmp_path: Path) -> None:
    packets = some_packets(5)
    recording = record(tmp_path / "air.wav", packets)
    recording.write_bytes(recording.read_bytes()[: 44 + 2 * SAMPLES_PER_BYTE * middle_of_page(3) + 1])
    assert received(recording) == packets[:3]


SILENCE = np.zeros(SAMPLE_RATE, np.int16)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a WAV recording"),
        (b"RIFF", "not a WAV recording"),
        (bytes(5000), "not a WAV recording"),
        (wav(SILENCE, SAMPLE_RATE)[:30], "not a WAV recording"),
        (wav(SILENCE, SAMPLE_RATE, channels=2), "one channel"),
        (wav(SILENCE, SAMPLE_RATE, width=1), "16 bit"),
        (wav(SILENCE, 48_000), "sox IN -c 1 -b 16 -r 22050 OUT"),
    ],
)
def test_a_file_that_is_no_recording_of_a_pager_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "air.wav").write_bytes(content)
    with pytest.raises(BearerError, match=complaint):
        PagerReceiver(tmp_path / "air.wav")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "missing.wav", tmp_path / ("long" * 100)):
        with pytest.raises(BearerError, match="cannot be read"):
            PagerReceiver(source)


HEADER = wav(SILENCE, SAMPLE_RATE)[:60]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(HEADER) - 1), st.integers(0, 255)), max_size=5))
@example([(14, 0x80), (18, 0x7F)])
def test_a_damaged_header_ends_in_an_error_of_ours_or_in_nothing(tmp_path: Path, bad: list[tuple[int, int]]) -> None:
    content = bytearray(HEADER)
    for place, value in bad:
        content[place] = value
    (tmp_path / "air.wav").write_bytes(content)
    with suppress(BearerError):
        assert received(tmp_path / "air.wav") == []


# --- the recording -----------------------------------------------------------------------------------------


def test_a_recording_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcast.bearers.recording.LARGEST_RECORDING", SAMPLES_PER_BYTE * PAGE_SIZE * 6)
    with PagerTransmitter(tmp_path / "air.wav") as transmitter:
        transmitter.send(some_packets(2))
        with pytest.raises(BearerError, match="4 GiB"):
            transmitter.send(some_packets(1))
    assert received(tmp_path / "air.wav") == some_packets(2)
