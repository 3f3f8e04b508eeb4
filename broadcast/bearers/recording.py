"""A recording: sound into a WAV file that takes its place when it is whole.

One channel of 16 bits. Until it ends, the recording lies beside its place under another name, and what was there
before stays. Whoever plays or receives the file never meets a part of it.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from wave import Wave_write

import numpy as np
from numpy.typing import NDArray

from apdu.counting import counted
from apdu.errors import BearerError

__all__ = ["LARGEST_RECORDING", "Recording", "Samples"]

LARGEST_RECORDING = (1 << 32) - 4096
"""Bytes of samples; a WAV file counts itself, header and all, in 32 bits."""

Samples: TypeAlias = NDArray[np.int16]

_SILENCE: Samples = np.zeros(0, np.int16)
_SAMPLE_SIZE = 2


class Recording:
    """A WAV file in the making; as long as nothing is put into it, there is nothing to replace the old one."""

    def __init__(self, target: Path, rate: int, head: Samples = _SILENCE, tail: Samples = _SILENCE) -> None:
        """Begin; ``rate`` is in samples a second, head and tail go before and behind everything that is put.

        Raises BearerError when there is no place to write, or a folder is in it.
        """
        self._target, self._rate, self._head, self._tail = target, rate, head, tail
        try:
            if target.is_dir():
                raise BearerError(f"{target} is a folder; name a file for the recording")
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        except OSError as error:
            raise self._failure(error) from error
        self._part, self._file = Path(name), os.fdopen(descriptor, "wb")
        self._wave = Wave_write(self._file)
        self._wave.setparams((1, _SAMPLE_SIZE, rate, 0, "NONE", ""))

    def _failure(self, error: OSError) -> BearerError:
        return BearerError(f"{self._target} cannot be written: {error.strerror}")

    def check_room(self, count: int) -> None:
        """Raise BearerError when the recording is closed, or too long for so many samples more."""
        if self._file.closed:
            raise BearerError(f"{self._target}: the recording is closed")
        before = self._wave.tell() or len(self._head)
        if _SAMPLE_SIZE * (before + count + len(self._tail)) > LARGEST_RECORDING:
            hours = LARGEST_RECORDING // _SAMPLE_SIZE // self._rate // 3600
            raise BearerError(
                f"{self._target}: a recording ends at 4 GiB, which is {counted(hours, 'hour')}; begin another one"
            )

    def put(self, samples: Samples) -> None:
        """Append; raises BearerError as check_room does, and when the disk is full, which ends the recording."""
        self.check_room(len(samples))
        if not len(samples):
            return
        try:
            self._write(samples if self._wave.tell() else np.concatenate((self._head, samples)))
        except OSError as error:
            self._discard()
            raise self._failure(error) from error

    def _write(self, samples: Samples) -> None:
        """Append, in the order of bytes of this machine: Wave_write turns them where a WAV file has the other."""
        self._wave.writeframesraw(samples.astype(np.int16).tobytes())

    def end(self, *, is_whole: bool) -> None:
        """Take the place of what was there, if the recording is whole and not empty; later calls do nothing.

        Raises BearerError when that cannot be; what was there stays then too.
        """
        try:
            if is_whole and not self._file.closed and self._wave.tell():
                self._take_place()
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self._discard()

    def _take_place(self) -> None:
        self._write(self._tail)
        self._wave.close()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.chmod(0o644)
        self._part.replace(self._target)

    def _discard(self) -> None:
        for close in (self._wave.close, self._file.close, self._part.unlink):
            with suppress(OSError):
                close()
