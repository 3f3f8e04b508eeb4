"""The sound bearer: packets as Bell 202 tones, into a WAV file or out of the sound card, and back.

What sounds is made here (see broadcast.bearers.afsk); what is heard is demodulated by minimodem, a receiver of
others. Both ways use ALSA's default device where no file is named: aplay plays, minimodem listens.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from types import TracebackType
from typing import IO

from apdu.errors import BearerError, FormatError
from broadcast import children
from broadcast.bearer import Receiver, Transmitter, Way
from broadcast.bearers import afsk
from broadcast.bearers.program import failure, find_program
from broadcast.bearers.recording import Recording, Samples
from broadcast.bearers.sound_frame import FrameScanner, frame, frame_size
from broadcast.packets import Packet

__all__ = ["SYMBOL_SIZE", "SoundReceiver", "SoundTransmitter"]

SYMBOL_SIZE = 184
"""Bytes of a symbol: with 25 bytes around it, sending costs least at equal powers of signal and noise."""

_PACKETS_AT_ONCE = 32
"""About a minute of sound, made and played in one piece."""
_GRACE = 10.0
"""Seconds that a program may take beyond the length of its sound, or for its end."""
_PLAY = ["-q", "-t", "raw", "-c", "1", "-f", "S16_LE", "-r", str(afsk.RATE), "-"]
_CONFIDENCE = "1"
"""minimodem's threshold of confidence. With its default of 1.5 it leaves doubtful bytes out, and the frame is
lost; a wrong byte in its place is mended."""
_CHUNK = 1024
_CHUNKS = 64
"""Bytes and pieces heard ahead; when nobody takes them, minimodem waits."""


class _SoundCard:
    """Plays on ALSA's default device."""

    def __init__(self) -> None:
        self._aplay = find_program("aplay", "alsa-utils")

    def put(self, sound: Samples) -> None:
        """Play to the end; raises BearerError when there is no card, or it stands still."""
        seconds = len(sound) / afsk.RATE + _GRACE
        try:
            raw = sound.astype("<i2").tobytes()
            done = children.run([self._aplay, *_PLAY], input=raw, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise BearerError(f"aplay did not end within {seconds:.0f} seconds; the sound card stands still") from None
        if done.returncode:
            raise failure("aplay", done.stderr, done.returncode)

    def end(self, *, is_whole: bool) -> None:
        """Nothing is held."""


class SoundTransmitter(Transmitter):
    """Sends frames of packets as sound; a recording is there, whole, after close() (see Recording)."""

    def __init__(self, target: Path | None = None, symbol_size: int = SYMBOL_SIZE) -> None:
        """Send into a WAV file, or for None to the sound card; raises BearerError when that cannot be."""
        self.way = Way.AIR if target is None else Way.RECORDING
        self.symbol_size = symbol_size
        self._frame_size = frame_size(symbol_size)
        self.packet_rate = afsk.BAUD * 8 / afsk.BITS_PER_BYTE * (symbol_size + Packet.FRAME) / self._frame_size
        self._out = _SoundCard() if target is None else Recording(target, afsk.RATE)

    def send(self, packets: Sequence[bytes]) -> None:
        """Sound the packets, 9 ms to the byte; raises FormatError for one whose symbol has another size."""
        frames = [self._frame(packet) for packet in packets]
        for start in range(0, len(frames), _PACKETS_AT_ONCE):
            self._out.put(afsk.samples(b"".join(frames[start : start + _PACKETS_AT_ONCE])))

    def _frame(self, packet: bytes) -> bytes:
        framed = frame(packet)
        if len(framed) != self._frame_size:
            raise FormatError(f"a packet of {len(packet)} bytes does not have symbols of {self.symbol_size}")
        return framed

    def close(self) -> None:
        """Put the recording into its place; raises BearerError when that fails."""
        self._out.end(is_whole=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an exception the recording is not whole, and dropped."""
        self._out.end(is_whole=kind is None)


class SoundReceiver(Receiver):
    """Takes packets out of a recording, or from the sound card; listens from the moment it is made."""

    def __init__(self, source: Path | None = None, symbol_size: int = SYMBOL_SIZE) -> None:
        """Listen to a file with one channel, or for None to the sound card; raises BearerError when that cannot be.

        Any rate and any format that libsndfile reads will do; whether it can read the file shows in packets().
        """
        self._scanner = FrameScanner(symbol_size)
        minimodem = find_program("minimodem", "minimodem")
        if source is not None and not source.exists():
            raise BearerError(f"{source}: there is no such recording")
        listen = ["--alsa"] if source is None else ["-f", str(source.resolve())]
        with ExitStack() as held:
            self._words = held.enter_context(tempfile.TemporaryFile())
            command = [minimodem, "--rx", str(afsk.BAUD), "-q", "-c", _CONFIDENCE, *listen]
            try:
                self._process = children.start(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._words
                )
            except OSError as error:
                raise BearerError(f"minimodem cannot be started: {error.strerror}") from None
            self._held = held.pop_all()
        self._heard = Queue[bytes](_CHUNKS)
        self._is_closed = False
        self._thread = Thread(target=self._listen, args=(self._process.stdout,), name="sound", daemon=True)
        self._thread.start()

    def _listen(self, out: IO[bytes]) -> None:
        """Pass on what minimodem says; nothing at its end."""
        with out:
            while chunk := os.read(out.fileno(), _CHUNK):
                self._heard.put(chunk)
        self._heard.put(b"")

    def packets(self, seconds: float | None = None) -> Iterator[bytes]:
        """Yield packets, mended, until the recording ends or the seconds have passed; raises BearerError."""
        end = None if seconds is None else monotonic() + seconds
        while heard := self._next(end):
            yield from self._scanner.feed(heard)

    def _next(self, end: float | None) -> bytes:
        """What is heard next; nothing at the end of the recording or of the time."""
        wait = None if end is None else end - monotonic()
        if self._is_closed or (wait is not None and wait < 0):
            return b""
        try:
            heard = self._heard.get(timeout=wait)
        except Empty:
            return b""
        return heard or self._end()

    def _end(self) -> bytes:
        """minimodem has ended: raise BearerError if it failed, else nothing more is heard."""
        self._heard.put(b"")
        try:
            code = 0 if self._is_closed else self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            raise BearerError("minimodem has nothing more to say, and does not end") from None
        if not code:
            return b""
        self._words.seek(0)
        raise failure("minimodem", self._words.read(), code)

    def close(self) -> None:
        """End minimodem; what it has said and nobody took is dropped."""
        if self._is_closed:
            return
        self._is_closed = True
        self._process.kill()
        while self._thread.is_alive():
            with suppress(Empty):
                self._heard.get(timeout=0.01)
        self._process.wait(_GRACE)
        self._held.close()
