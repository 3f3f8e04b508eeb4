"""Packets through sound and back by minimodem: exact, in noise, cut, live, and with everything missing."""

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import IO

import numpy as np
import pytest
import raptorq

from apdu.errors import BearerError, FormatError
from broadcast.bearers import afsk, sound
from broadcast.bearers.recording import Samples
from broadcast.bearers.sound import SoundReceiver, SoundTransmitter
from broadcast.bearers.sound_frame import frame, frame_size
from broadcast.packets import Packet
from tests.broadcast.bearers import wave_files

pytestmark = pytest.mark.air

SYMBOL = sound.SYMBOL_SIZE


def some_packets(count: int, seed: int = 1, symbol_size: int = SYMBOL) -> list[bytes]:
    random = Random(seed)
    return [random.randbytes(Packet.FRAME + symbol_size) for _ in range(count)]


def received(source: Path, symbol_size: int = SYMBOL) -> list[bytes]:
    with SoundReceiver(source, symbol_size) as receiver:
        return list(receiver.packets())


def wav(sound: Samples) -> bytes:
    return wave_files.wav(sound, afsk.RATE)


def sounding(packets: Sequence[bytes]) -> Samples:
    return afsk.samples(b"".join(map(frame, packets)))


def noisy(clean: Samples, decibels: float, seed: int) -> Samples:
    """A sound with white noise over the whole band; quiet enough that nothing is clipped."""
    level = 2_000
    noise = level / np.sqrt(2) / 10 ** (decibels / 20)
    heard = clean * (level / afsk.LEVEL) + np.random.default_rng(seed).normal(0, noise, len(clean))
    return np.rint(heard).astype(np.int16)


# --- recordings ------------------------------------------------------------------------------------------


def test_what_is_sent_into_a_recording_is_received(tmp_path: Path) -> None:
    packets, file = some_packets(36), tmp_path / "air.wav"
    with SoundTransmitter(file) as transmitter:
        transmitter.send(packets[:2])
        transmitter.send([])
        transmitter.send(packets[2:])
        assert list(tmp_path.glob("*.wav")) == []
    assert received(file) == packets
    assert os.listdir(tmp_path) == ["air.wav"]


@pytest.mark.parametrize("symbol_size", [8, 232])
def test_other_symbols_fit_too(symbol_size: int, tmp_path: Path) -> None:
    packets, file = some_packets(3, 2, symbol_size), tmp_path / "air.wav"
    with SoundTransmitter(file, symbol_size) as transmitter:
        assert transmitter.symbol_size == symbol_size
        transmitter.send(packets)
    assert received(file, symbol_size) == packets


def test_a_packet_of_another_size_is_not_sent(tmp_path: Path) -> None:
    with SoundTransmitter(tmp_path / "air.wav") as transmitter, pytest.raises(FormatError, match="symbols of 184"):
        transmitter.send([*some_packets(1), bytes(196)])
    assert os.listdir(tmp_path) == []


# --- the air ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_at_equal_signal_and_noise_2_kb_cost_half_as_much_again_at_most(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    payload = 2_000
    encoder = raptorq.Encoder.with_defaults(random.randbytes(payload), SYMBOL + 4)
    symbols = [bytes(symbol) for symbol in encoder.get_encoded_packets(10)]
    sent = [bytes(9) + symbol for symbol in symbols]  # 4 of the symbol's own and 9: as long as the frame of a packet
    file = tmp_path / "air.wav"
    file.write_bytes(wav(noisy(sounding(sent), 0, seed)))
    heard = {packet[9:] for packet in received(file)}
    decoder = raptorq.Decoder.with_defaults(payload, SYMBOL + 4)
    needed = next(i for i, symbol in enumerate(symbols, 1) if symbol in heard and decoder.decode(symbol) is not None)
    assert len(sent[0]) == Packet.FRAME + SYMBOL
    assert needed * frame_size(SYMBOL) <= 1.5 * payload


def test_noise_alone_is_no_packet(tmp_path: Path) -> None:
    hiss = np.random.default_rng(3).normal(0, 3_000, 60 * afsk.RATE).astype(np.int16)
    (tmp_path / "air.wav").write_bytes(wav(hiss))
    assert received(tmp_path / "air.wav") == []


@pytest.mark.parametrize("second", [0.5, 2.0001, 3.1415])
def test_who_listens_late_hears_the_packets_that_begin_after_that(second: float, tmp_path: Path) -> None:
    packets = some_packets(4)
    late = sounding(packets)[int(second * afsk.RATE) :]
    (tmp_path / "air.wav").write_bytes(wav(late))
    begun = int((second - afsk.LEAD_IN) * afsk.BAUD / afsk.BITS_PER_BYTE / frame_size(SYMBOL)) + 1
    assert received(tmp_path / "air.wav") == packets[begun:]


@pytest.mark.parametrize("share", [0.2, 0.55, 0.9])
def test_of_a_cut_file_the_packets_before_the_cut_come(share: float, tmp_path: Path) -> None:
    packets = some_packets(4)
    whole = wav(sounding(packets))
    (tmp_path / "air.wav").write_bytes(whole[: int(len(whole) * share)])
    assert received(tmp_path / "air.wav") == packets[: int(4 * share)]


def test_what_is_no_recording_of_one_channel_is_told_in_minimodems_words(tmp_path: Path) -> None:
    stereo = wav(sounding(some_packets(1)))
    bad = {
        b"": "Format not recognised",
        b"a letter": "Format not recognised",
        stereo[:20]: "fmt",
        stereo[:22] + b"\2" + stereo[23:]: "1-channel",
        stereo[:24] + bytes(4) + stereo[28:]: "minimodem",
    }
    for number, (content, words) in enumerate(bad.items()):
        file = tmp_path / str(number)
        file.write_bytes(content)
        with SoundReceiver(file) as receiver:
            for _ in range(2):
                with pytest.raises(BearerError, match=words):
                    list(receiver.packets())


def test_a_file_that_is_missing_or_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(BearerError, match="no such recording"):
        SoundReceiver(tmp_path / "air.wav")
    with SoundReceiver(tmp_path) as receiver, pytest.raises(BearerError, match="minimodem failed"):
        list(receiver.packets())


def test_a_name_that_looks_like_standard_input_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packets = some_packets(1)
    with SoundTransmitter(Path("-")) as transmitter:
        transmitter.send(packets)
    assert received(Path("-")) == packets


# --- live ------------------------------------------------------------------------------------------------


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def write_all(air: IO[bytes], sounds: bytes) -> None:
    with air:
        air.write(sounds)


def test_listening_ends_with_its_time_and_goes_on_later(pipe: Path) -> None:
    packets = some_packets(3)
    stream = wav(sounding(packets))
    half = len(stream) // 2
    with SoundReceiver(pipe) as receiver, pipe.open("wb", buffering=0) as air:
        assert list(receiver.packets(0)) == []
        air.write(stream[:half])
        assert next(receiver.packets(60)) == packets[0]
        assert list(receiver.packets(0.05)) == []
        rest = threading.Thread(target=write_all, args=(air, stream[half:]))
        rest.start()
        assert list(receiver.packets(60)) == packets[1:]
        rest.join()
        assert list(receiver.packets()) == []


def test_closing_ends_minimodem_whatever_it_still_had_to_say(pipe: Path) -> None:
    receiver = SoundReceiver(pipe)
    with pipe.open("wb", buffering=0) as air:
        air.write(wav(sounding(some_packets(2))))
        next(receiver.packets(60))
        receiver.close()
        receiver.close()
        assert list(receiver.packets()) == []
        with pytest.raises(BrokenPipeError):
            air.write(bytes(8))
    with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):
        os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    assert "sound" not in {thread.name for thread in threading.enumerate()}


def test_closing_ends_a_receiver_that_nobody_takes_from(tmp_path: Path) -> None:
    file = tmp_path / "air.wav"
    with SoundTransmitter(file) as transmitter:
        transmitter.send(some_packets(350))  # 73 kB: more than is heard ahead
    SoundReceiver(file).close()


# --- the sound card --------------------------------------------------------------------------------------


def use_alsa(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Give the programs a sound card of ALSA's own plugins, and no other."""
    config = folder / "alsa.conf"
    config.write_text("pcm.null { type null }\n" + text)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))


def test_what_the_sound_card_plays_is_received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "played.wav"
    card = f'pcm.card {{ type file file "{file}" format wav slave.pcm null }}\n'
    plug = f"pcm.!default {{ type plug slave {{ pcm card format S16_LE channels 1 rate {afsk.RATE} }} }}"
    use_alsa(tmp_path, monkeypatch, card + plug)
    packets = some_packets(4)
    with SoundTransmitter() as transmitter:
        transmitter.send(packets)
    assert received(file) == packets


def test_what_the_sound_card_hears_is_received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packets, file = some_packets(3), tmp_path / "heard.raw"
    file.write_bytes((sounding(packets) / np.float32(32_768)).astype("<f4").tobytes())
    card = f'pcm.!default {{ type file file "/dev/null" infile "{file}" format raw slave.pcm null }}'
    use_alsa(tmp_path, monkeypatch, card)
    with SoundReceiver() as receiver:
        heard = receiver.packets(60)
        assert [next(heard) for _ in packets] == packets


def test_no_sound_card_is_told_in_the_programs_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_alsa(tmp_path, monkeypatch, "")
    with SoundTransmitter() as transmitter, pytest.raises(BearerError, match=r"aplay failed.*\n?.*default"):
        transmitter.send(some_packets(1))
    with SoundReceiver() as receiver, pytest.raises(BearerError, match="minimodem failed"):
        list(receiver.packets())


def test_a_sound_card_that_stands_still_is_told(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_alsa(pipe.parent, monkeypatch, f'pcm.!default {{ type file file "{pipe}" format raw slave.pcm null }}')
    monkeypatch.setattr(sound, "_GRACE", -1.5)
    with SoundTransmitter() as transmitter, pytest.raises(BearerError, match="stands still"):
        transmitter.send(some_packets(1))
