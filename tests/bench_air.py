"""How many bytes of air a list takes: with 30 % of the packets lost, and as sound and pages in noise.

Points 4 and 5 of the bench. Losses and noise come from seeds. What is sent is what the carousel sends, and it counts
as received when Reception gives it whole, byte for byte.
"""

import io
import shutil
import tempfile
import wave
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from broadcast.bearers import afsk
from broadcast.bearers.pager import PagerReceiver, PagerTransmitter
from broadcast.bearers.pocsag import SAMPLE_RATE
from broadcast.bearers.sound import SoundReceiver, SoundTransmitter
from broadcast.bearers.sound_frame import frame_size
from broadcast.carousel import Carousel, OnAir
from broadcast.modulator import modulate
from broadcast.reception import Reception
from broadcast.sparse_set import information_limit
from tests.bench_criterion import Criterion
from tests.bench_sizes import KEY, list_edition
from tests.broadcast.lists import uniform_list

__all__ = ["air", "bytes_of_sound", "exact_pages", "packets_until_whole", "pager", "plain_packets", "sound"]

Samples = NDArray[np.int16]

LOSS = 0.3
SYMBOL_SIZE = 184
LARGEST_PACKET = 200
RECEIVERS = 400
COUNTED = 10_000
"""Receivers of the plain carousel: they differ more from each other, and need only be counted."""
PASSES = 8
"""Passes after which the carousel's packets come again."""

PAYLOAD = 2000
SOUND_SEEDS, SOUND_DECIBELS = range(10), 0.0
PAGES, PAGER_SEEDS, PAGER_DECIBELS = 34, range(5), 10.0


# --- losses ----------------------------------------------------------------------------------------------


def packets_until_whole(packets: list[bytes], sealed: bytes, loss: float, seed: int) -> int:
    """Packets sent from the random moment at which a terminal is switched on until it has the object.

    Raises AssertionError if it gets something else, or nothing while they are all sent once.
    """
    chance = np.random.default_rng(seed)
    start, is_heard = int(chance.integers(len(packets))), chance.random(len(packets)) >= loss
    reception = Reception([KEY])
    for sent in np.flatnonzero(is_heard).tolist():
        if whole := reception.take(packets[(start + sent) % len(packets)]):
            assert whole.sealed == sealed
            return int(sent) + 1
    raise AssertionError("the object did not come together")


def plain_packets(symbols: int, loss: float, seed: int, receivers: int = 1) -> NDArray[np.int64]:
    """For each receiver the packets sent until each of the source packets, sent round and round, was heard once."""
    rounds = np.random.default_rng(seed).geometric(1 - loss, (receivers, symbols))
    found: NDArray[np.int64] = ((rounds - 1) * symbols + np.arange(1, symbols + 1)).max(axis=1)
    return found


def air(
    universe: int = 10**7, count: int = 10**5, receivers: int = RECEIVERS
) -> tuple[dict[str, Any], list[Criterion]]:
    """Point 4: bytes of air for a full list, over limit/(1-p), beside a carousel without a fountain."""
    sealed = modulate(list_edition(uniform_list(universe, count, seed=1), universe).content(), KEY)
    carousel = Carousel([OnAir(1, 0, KEY, sealed)], SYMBOL_SIZE)
    symbols = carousel.statistics.objects[0].symbols
    packets = list(islice(carousel.packets(), PASSES * symbols))
    size = len(packets[0])
    fountain = np.array([packets_until_whole(packets, sealed, LOSS, seed) for seed in range(receivers)])
    plain = plain_packets(symbols, LOSS, 1, COUNTED)
    least = information_limit(universe, count) / 8 / (1 - LOSS)
    mean, high = float(fountain.mean() * size / least), float(np.percentile(fountain, 95) * size / least)
    gain = float(plain.mean() / fountain.mean())
    figures = {"loss": LOSS, "packet_bytes": size, "symbols": symbols, "least_bytes": ceil(least)}
    figures |= {"receivers": receivers, "mean": round(mean, 4), "p95": round(high, 4)}
    figures |= {"plain_receivers": COUNTED, "plain_over_fountain": round(gain, 3)}
    name = f"air bytes at {LOSS:.0%} loss over limit/(1-p)"
    criteria = [
        Criterion(4, "bytes of a packet", size, LARGEST_PACKET),
        Criterion(4, f"{name}, mean", mean, 1.08),
        Criterion(4, f"{name}, 95th percentile", high, 1.15),
        Criterion(4, "a plain carousel of the same packets over it", gain, 4, at_least=True),
    ]
    return figures, criteria


# --- sound and pages -------------------------------------------------------------------------------------


def read_wav(file: Path) -> Samples:
    """Samples of a recording."""
    with wave.open(str(file)) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), "<i2").astype(np.int16)


def write_wav(file: Path, sound: Samples, rate: int) -> None:
    """Write a recording of one channel."""
    content = io.BytesIO()
    with wave.open(content, "wb") as recording:
        recording.setparams((1, 2, rate, 0, "NONE", ""))
        recording.writeframes(sound.astype("<i2").tobytes())
    file.write_bytes(content.getvalue())


def noisy(clean: Samples, decibels: float, seed: int) -> Samples:
    """A sound with white noise over the whole band of the recording, quiet enough that nothing is clipped."""
    quiet = clean / 8.0
    noise = np.sqrt(np.mean(quiet**2)) / 10 ** (decibels / 20)
    heard = np.rint(quiet + np.random.default_rng(seed).normal(0, noise, quiet.size))
    assert np.abs(heard).max() < 1 << 15
    return heard.astype(np.int16)


def bytes_of_sound(seed: int, folder: Path) -> int | None:
    """Bytes of sound until minimodem's hearer has an object of 2 kB in noise; None if it never has.

    The object is of random bytes, as sealed ones look, but the same each time. What counts are all frames, whole,
    up to the last that was needed, with sync word and parity, and the tone before them.
    """
    sealed = np.random.default_rng(seed).bytes(PAYLOAD)
    carousel, file = Carousel([OnAir(1, 0, KEY, sealed)], SoundTransmitter.symbol_size), folder / f"{seed}.wav"
    with SoundTransmitter(file) as transmitter:
        transmitter.send(sent := carousel.burst(redundancy=1.5))
    write_wav(file, noisy(read_wav(file), SOUND_DECIBELS, seed), afsk.RATE)
    reception = Reception([KEY])
    with SoundReceiver(file) as receiver:
        for raw in receiver.packets():
            if whole := reception.take(raw):
                assert whole.sealed == sealed
                frames = (sent.index(raw) + 1) * frame_size(SoundTransmitter.symbol_size)
                return frames + ceil(afsk.LEAD_IN * afsk.BAUD / afsk.BITS_PER_BYTE)
    return None


def missing(point: str, program: str) -> list[Criterion]:
    """The criterion of a point for which a program is not there."""
    return [Criterion(5, point, None, 1, at_least=True, note=f"{program} is not installed")]


def sound(seeds: range = SOUND_SEEDS) -> tuple[dict[str, Any], list[Criterion]]:
    """Point 5: an object of 2 kB by sound, as loud as the noise, heard by minimodem."""
    if shutil.which("minimodem") is None:
        return {"missing": "minimodem"}, missing("2 kB by sound at 0 dB", "minimodem")
    with tempfile.TemporaryDirectory() as folder:
        heard = [bytes_of_sound(seed, Path(folder)) for seed in seeds]
    ratios = [size / PAYLOAD for size in heard if size is not None]
    figures = {"payload_bytes": PAYLOAD, "snr_db": SOUND_DECIBELS, "air_bytes": heard}
    figures["mean"] = round(float(np.mean(ratios)), 4) if ratios else None
    criteria = [Criterion(5, f"2 kB by sound at 0 dB, received of {len(seeds)}", len(ratios), len(seeds), True)]
    if ratios:
        criteria.append(Criterion(5, "its air bytes over the payload, the most", max(ratios), 1.5))
    return figures, criteria


def exact_pages(seed: int, folder: Path) -> int:
    """How many of the pages that a pager channel sends multimon-ng reads exactly in noise."""
    sealed = np.random.default_rng(seed).bytes(PAGES * PagerTransmitter.symbol_size // 2)
    carousel, file = Carousel([OnAir(2, 1, KEY, sealed)], PagerTransmitter.symbol_size), folder / f"{seed}.wav"
    sent = list(islice(carousel.packets(), PAGES))
    with PagerTransmitter(file) as transmitter:
        transmitter.send(sent)
    write_wav(file, noisy(read_wav(file), PAGER_DECIBELS, seed), SAMPLE_RATE)
    with PagerReceiver(file) as receiver:
        return len(set(sent) & set(receiver.packets()))


def pager(seeds: range = PAGER_SEEDS) -> tuple[dict[str, Any], list[Criterion]]:
    """Point 5: 34 pages at 10 dB, read by multimon-ng."""
    if shutil.which("multimon-ng") is None:
        return {"missing": "multimon-ng"}, missing("pages at 10 dB", "multimon-ng")
    with tempfile.TemporaryDirectory() as folder:
        exact = [exact_pages(seed, Path(folder)) for seed in seeds]
    figures = {"pages": PAGES, "snr_db": PAGER_DECIBELS, "exact": exact}
    return figures, [Criterion(5, f"exact pages at 10 dB, the least of {len(seeds)} times", min(exact), PAGES, True)]
