"""What the pager's transmitter puts on the air, to the sample, and what it refuses; no program is needed for this."""

from pathlib import Path

import pytest

from apdu.errors import BearerError, InputError
from broadcast.bearers.pager import LONGEST_PACKET, PagerReceiver, PagerTransmitter
from broadcast.bearers.pocsag import BATCH_SIZE, IDLE_BATCH, PREAMBLE, SAMPLE_RATE, SAMPLES_PER_BYTE
from tests.broadcast.bearers.pages import PAGE_SIZE, record, some_packets
from tests.broadcast.bearers.wave_files import sound_of


def test_a_packet_of_the_symbol_size_fills_its_batches_to_the_last_bit(tmp_path: Path) -> None:
    for count in (1, 5):
        sound = sound_of(record(tmp_path / "air.wav", some_packets(count)), SAMPLE_RATE)
        assert len(sound) == SAMPLES_PER_BYTE * (len(PREAMBLE) + count * PAGE_SIZE + len(IDLE_BATCH))
    assert PAGE_SIZE == 4 * BATCH_SIZE


def test_packets_sent_one_by_one_sound_like_packets_sent_at_once(tmp_path: Path) -> None:
    packets = some_packets(3)
    with PagerTransmitter(tmp_path / "one by one.wav") as transmitter:
        for packet in packets:
            transmitter.send([packet])
    together = record(tmp_path / "at once.wav", packets)
    assert (tmp_path / "one by one.wav").read_bytes() == together.read_bytes()


def test_packets_that_find_no_room_are_refused_before_the_first_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadcast.bearers.recording.LARGEST_RECORDING", 2 * SAMPLES_PER_BYTE * PAGE_SIZE * 30)
    together = record(tmp_path / "at once.wav", some_packets(2))
    with PagerTransmitter(tmp_path / "refused.wav") as transmitter:
        transmitter.send(some_packets(2))
        with pytest.raises(BearerError, match="4 GiB"):
            transmitter.send(some_packets(28))
    assert (tmp_path / "refused.wav").read_bytes() == together.read_bytes()


def test_a_packet_that_is_too_long_for_a_page_is_refused(tmp_path: Path) -> None:
    with PagerTransmitter(tmp_path / "air.wav") as transmitter, pytest.raises(BearerError, match="too long"):
        transmitter.send([bytes(LONGEST_PACKET + 1)])
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("address", [-1, 1 << 21])
def test_an_address_that_no_pager_has_is_refused(tmp_path: Path, address: int) -> None:
    recording = record(tmp_path / "air.wav", some_packets(1))
    for make in (PagerTransmitter, PagerReceiver):
        with pytest.raises(InputError, match="address"):
            make(recording, address)
    assert [*tmp_path.iterdir()] == [recording]
