"""WAV files for the tests of the bearers, written and read by the standard library alone."""

import io
import wave
from pathlib import Path

import numpy as np

from broadcast.bearers.recording import Samples


def wav(sound: Samples, rate: int, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as whole:
        whole.setparams((channels, width, rate, 0, "NONE", ""))
        whole.writeframes(sound.astype("<i2").tobytes())
    return file.getvalue()


def sound_of(recording: Path, rate: int) -> Samples:
    with wave.open(str(recording)) as whole:
        assert whole.getparams()[:3] == (1, 2, rate)
        return np.frombuffer(whole.readframes(whole.getnframes()), "<i2").astype(np.int16)
