"""Packets, recordings of them and noise for the tests of the pager."""

from pathlib import Path
from random import Random

import numpy as np

from broadcast.bearers import pager, pocsag
from broadcast.bearers.pager import GROUP_ADDRESS, PagerReceiver, PagerTransmitter
from broadcast.bearers.pocsag import BATCH_SIZE, Page
from broadcast.bearers.recording import Samples

PACKET_SIZE = 13 + PagerTransmitter.symbol_size
PAGE_SIZE = 4 * BATCH_SIZE
"""Bytes on the air for a packet of the transmitter's own symbol size."""


def some_packets(count: int, seed: int = 1) -> list[bytes]:
    random = Random(seed)
    return [random.randbytes(PACKET_SIZE) for _ in range(count)]


def record(target: Path, packets: list[bytes], address: int = GROUP_ADDRESS) -> Path:
    with PagerTransmitter(target, address) as transmitter:
        transmitter.send(packets)
    return target


def received(source: Path, address: int = GROUP_ADDRESS) -> list[bytes]:
    with PagerReceiver(source, address) as receiver:
        return list(receiver.packets())


def with_noise(sound: Samples, ratio: float, seed: int) -> Samples:
    """Add white noise over the whole sampled band; ``ratio`` is that of the powers, in dB."""
    clean = sound.astype(np.float64)
    power = np.mean(clean**2) / 10 ** (ratio / 10)
    noisy = clean + np.random.default_rng(seed).normal(0, np.sqrt(power), len(clean))
    return noisy.clip(-32_768, 32_767).astype(np.int16)


def raw(packets: list[bytes]) -> bytes:
    air = pocsag.transmission([Page(GROUP_ADDRESS, 3, pager._text(packet)) for packet in packets])
    return pocsag.samples(air).astype("<i2").tobytes()
