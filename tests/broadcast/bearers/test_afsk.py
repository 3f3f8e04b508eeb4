"""Bell 202 by a demodulator of the test's own: every byte comes back, and the wave never jumps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broadcast.bearers import afsk
from broadcast.bearers.recording import Samples

PER_BIT = afsk.RATE // afsk.BAUD


def loudness(sound: Samples, hertz: int) -> list[float]:
    """How strong a tone is in each bit."""
    tone = np.exp(-2j * np.pi * hertz * np.arange(PER_BIT) / afsk.RATE)
    return [float(one) for one in abs(sound.reshape(-1, PER_BIT).astype(np.float64) @ tone)]


def line_of(sound: Samples) -> list[int]:
    """The bits of a sound that begins with a bit."""
    pairs = zip(loudness(sound, afsk.MARK), loudness(sound, afsk.SPACE), strict=True)
    return [int(mark > space) for mark, space in pairs]


@given(st.binary(max_size=40))
def test_every_byte_has_start_bit_data_from_the_lowest_bit_and_stop_bit(data: bytes) -> None:
    expected = [bit for byte in data for bit in (0, *(byte >> place & 1 for place in range(8)), 1)]
    assert line_of(afsk.samples(data, lead_in=0, tail=0)) == expected


@given(st.binary(max_size=40))
def test_the_wave_never_jumps(data: bytes) -> None:
    steepest = afsk.LEVEL * 2 * np.pi * afsk.SPACE / afsk.RATE
    sound = afsk.samples(data).astype(np.int32)
    assert abs(np.diff(sound)).max() <= steepest + 1
    assert abs(sound).max() <= afsk.LEVEL


def test_lead_in_and_tail_are_mark_for_their_seconds() -> None:
    line = line_of(afsk.samples(b"\0", lead_in=0.05, tail=0.01))
    assert line == [1] * 60 + [0] * 9 + [1] + [1] * 12
