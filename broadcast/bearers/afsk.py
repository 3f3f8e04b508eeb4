"""Bell 202 AFSK: bytes as a sound that AM, FM or an infrared subcarrier can carry [0013].

1200 bit/s; a mark (1) is a tone of 1200 Hz, a space (0) one of 2200 Hz, and the phase never jumps. A byte has a
start bit (space), eight data bits with the lowest first, and a stop bit (mark); silence is a steady mark.
"""

import numpy as np
from numpy.typing import NDArray

from broadcast.bearers.recording import Samples

__all__ = [
    "BAUD",
    "BITS_PER_BYTE",
    "LEAD_IN",
    "LEVEL",
    "MARK",
    "RATE",
    "SPACE",
    "TAIL",
    "samples",
]

RATE = 48_000
"""Samples in a second."""
BAUD = 1200
"""Bits in a second."""
MARK = 1200
"""Tone of a 1, in Hz."""
SPACE = 2200
"""Tone of a 0, in Hz."""
BITS_PER_BYTE = 10
"""8N1: start bit, eight data bits, stop bit."""
LEVEL = 16_384
"""Peak of the tone: half of what 16 bits hold, so that no mixer behind clips it."""
LEAD_IN = 0.1
"""Seconds of mark before the first byte: time for a receiver to find the carrier."""
TAIL = 0.02
"""Seconds of mark after the last byte: a receiver looks a little beyond the stop bit."""

_SAMPLES_PER_BIT = RATE // BAUD
_GRAIN = 200
"""Hz; both tones are multiples of it, so every phase is a whole number of its steps and no error adds up."""
_TURN = RATE // _GRAIN
_SINE: Samples = np.rint(LEVEL * np.sin(2 * np.pi * np.arange(_TURN) / _TURN)).astype(np.int16)


def samples(data: bytes, lead_in: float = LEAD_IN, tail: float = TAIL) -> Samples:
    """Return the sound of some bytes at RATE, 400 samples each; lead-in and tail are seconds of mark."""
    steady = [np.ones(round(seconds * BAUD), np.uint8) for seconds in (lead_in, tail)]
    return _tone(np.concatenate([steady[0], _bits(data), steady[1]]))


def _bits(data: bytes) -> NDArray[np.uint8]:
    """The bytes on the line, in their frames of start and stop bit."""
    framed = np.ones((len(data), BITS_PER_BYTE), np.uint8)
    framed[:, 0] = 0
    framed[:, 1:-1] = np.unpackbits(np.frombuffer(data, np.uint8)[:, None], axis=1, bitorder="little")
    return framed.ravel()


def _tone(bits: NDArray[np.uint8]) -> Samples:
    """One wave over all bits: each begins at the phase where the one before ended."""
    steps = np.where(bits, MARK // _GRAIN, SPACE // _GRAIN)
    begins = np.cumsum(steps * _SAMPLES_PER_BIT) - steps * _SAMPLES_PER_BIT
    turns = begins[:, None] + steps[:, None] * np.arange(_SAMPLES_PER_BIT)
    sound: Samples = _SINE[turns.ravel() % _TURN]
    return sound
