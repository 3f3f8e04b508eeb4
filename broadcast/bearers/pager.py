"""The pager: each packet is one page, text for a group's pagers [0013: mobile radio]; received by multimon-ng.

A page's text is a mark of two characters, then the packet in base64 (RFC 4648, without padding). With the
transmitter's symbol size that is 180 characters, which fill four batches to the last bit: 2.27 bytes on the air
for each byte of a symbol. Pagers of the field take 80 to 240 characters; multimon-ng takes 582.
"""

import base64
import binascii
import os
import re
import select
import subprocess
import wave
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import IO, cast

import numpy as np

from apdu.errors import BearerError
from broadcast import children
from broadcast.bearer import Receiver, Transmitter, Way
from broadcast.bearers.pocsag import (
    ALPHANUMERIC,
    IDLE_BATCH,
    PREAMBLE,
    SAMPLE_RATE,
    SAMPLES_PER_BYTE,
    Page,
    batches,
    samples,
)
from broadcast.bearers.program import failure, find_program
from broadcast.bearers.recording import Recording
from broadcast.packets import Packet

__all__ = ["GROUP_ADDRESS", "LONGEST_PACKET", "PagerReceiver", "PagerTransmitter"]

GROUP_ADDRESS = 1_234_000
"""Address (RIC) of the issuer's group where no other is given; in frame 0, so that batches are filled whole."""

LONGEST_PACKET = 435
"""Bytes of a packet that multimon-ng still takes whole: 580 characters of base64 behind the mark."""

_MARK = "S>"
_PAGE = re.compile(rb"POCSAG1200: Address: +(\d{1,7}) +Function: 3 +Alpha: +S>([A-Za-z0-9+/]+)(?:<NUL>)*")
"""What multimon-ng prints for a page; the rest of a page's last codeword reads as NUL."""

_SAYS = b"POCSAG1200:"
"""How the lines begin that are no complaints of multimon-ng's."""

_LONGEST_LINE = 8192
"""Bytes; multimon-ng's own are shorter than 1200."""

_PROGRAM = "multimon-ng"
_ARGUMENTS = ["-q", "-t", "raw", "-a", "POCSAG1200", "-f", "alpha", "-"]
_AIR_PIECE = 4096
"""Bytes of the air that are made into sound at a time."""

_BLOCK = 16_384
"""Bytes that are read from a source at a time."""

_TAPS = 13
"""Samples that are added up for one: 0.7 of a bit."""

_TICK = 0.2
"""Seconds after which a wait looks whether it is still wanted."""

_GRACE = 5.0
"""Seconds that multimon-ng may take to end when it has said its last."""

_LAST_WORDS = 5
"""Lines of what multimon-ng said before it failed."""

_STDIN = 0


def _text(packet: bytes) -> str:
    if len(packet) > LONGEST_PACKET:
        raise BearerError(f"a packet of {len(packet)} bytes is too long for a page, which takes {LONGEST_PACKET}")
    return _MARK + base64.b64encode(packet).decode().rstrip("=")


def _packet(line: bytes, address: int) -> bytes | None:
    """Return the packet of a line of multimon-ng; None for other pages and damaged ones."""
    page = _PAGE.fullmatch(line)
    if page is None or int(page[1]) != address:
        return None
    try:
        return base64.b64decode(page[2] + b"=" * (-len(page[2]) % 4))
    except binascii.Error:
        return None


class PagerTransmitter(Transmitter):
    """Records what the transmitter (24) of a pager channel puts on the air: a WAV file of one transmission.

    The file has 22,050 samples a second; it is there, whole, after close() (see Recording).
    """

    way = Way.RECORDING
    symbol_size = 120

    def __init__(self, target: Path, address: int = GROUP_ADDRESS) -> None:
        """Begin a recording; raises InputError for a bad address, BearerError when there is no place to write."""
        Page(address, ALPHANUMERIC, "")
        self._address = address
        page = batches([Page(address, ALPHANUMERIC, _text(bytes(Packet.FRAME + self.symbol_size)))])
        seconds = len(page) * SAMPLES_PER_BYTE / SAMPLE_RATE
        self.packet_rate = 8 * (Packet.FRAME + self.symbol_size) / seconds
        self._recording = Recording(target, SAMPLE_RATE, head=samples(PREAMBLE), tail=samples(IDLE_BATCH))

    def send(self, packets: Sequence[bytes]) -> None:
        """Record a page for each packet, all of them or none; raises BearerError."""
        air = batches([Page(self._address, ALPHANUMERIC, _text(packet)) for packet in packets])
        self._recording.check_room(SAMPLES_PER_BYTE * len(air))
        for start in range(0, len(air), _AIR_PIECE):
            self._recording.put(samples(air[start : start + _AIR_PIECE]))

    def close(self) -> None:
        """End the last page and put the recording in its place; raises BearerError when it cannot be written."""
        self._recording.end(is_whole=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an exception the recording is not whole, and dropped."""
        self._recording.end(is_whole=kind is None)


def _find() -> str:
    """Path of multimon-ng; raises BearerError."""
    if not hasattr(select, "poll"):
        raise BearerError("a pager is received on Linux and macOS only")
    return find_program(_PROGRAM, _PROGRAM)


def _is_readable(descriptor: int, seconds: float) -> bool:
    """Wait, ``_TICK`` at most, for something to read."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * max(0.0, min(seconds, _TICK))))


def _blocks(source: Path | None, stop: Event) -> Iterator[bytes]:
    """Open a source of raw samples; raises BearerError."""
    if source is None:
        return _read(_STDIN, stop)
    try:
        return _pipe_blocks(source, stop) if source.is_fifo() else _recording_blocks(source)
    except OSError as error:
        raise BearerError(f"{source} cannot be read: {error.strerror}") from error


def _recording_blocks(source: Path) -> Iterator[bytes]:
    try:
        recording = wave.Wave_read(str(source))
    except (EOFError, RuntimeError, wave.Error):  # RuntimeError: a piece that reaches past the end of the whole
        raise BearerError(f"{source} is not a WAV recording, or not a whole one") from None
    if recording.getparams()[:3] == (1, 2, SAMPLE_RATE):
        return _frames(recording)
    recording.close()
    remedy = f"convert it with: sox IN -c 1 -b 16 -r {SAMPLE_RATE} OUT"
    raise BearerError(f"{source}: a pager's recording has one channel, 16 bit, {SAMPLE_RATE} Hz; {remedy}")


def _frames(recording: wave.Wave_read) -> Iterator[bytes]:
    with recording:
        while block := recording.readframes(_BLOCK // 2):
            yield block


def _pipe_blocks(pipe: Path, stop: Event) -> Iterator[bytes]:
    """Wait for a first writer, and end with the last one."""
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        has_begun = False
        while not (has_begun or stop.is_set()):
            for block in _read(descriptor, stop):
                has_begun = True
                yield block
            if not has_begun:
                stop.wait(_TICK)
    finally:
        os.close(descriptor)


def _read(descriptor: int, stop: Event) -> Iterator[bytes]:
    while not stop.is_set():
        if _is_readable(descriptor, _TICK):
            if not (block := os.read(descriptor, _BLOCK)):
                return
            yield block


def _filtered(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Replace each sample by the sum of the last ``_TAPS``, as far as 16 bits go."""
    rest, past = b"", np.zeros(_TAPS - 1, np.int32)
    for block in blocks:
        raw = rest + block
        whole = len(raw) & ~1
        rest, heard = raw[whole:], np.concatenate((past, np.frombuffer(raw[:whole], "<i2").astype(np.int32)))
        if whole:
            sums = np.convolve(heard, np.ones(_TAPS, np.int32), "valid")
            past = heard[1 - _TAPS :]
            yield sums.clip(-32_768, 32_767).astype(np.int16).tobytes()


class PagerReceiver(Receiver):
    """Hears a pager channel with multimon-ng; Linux and macOS.

    What comes in is filtered first: each sample becomes the sum of 13, which takes away most of the noise that
    lies above the signal. multimon-ng itself looks at the sign of single samples.
    """

    def __init__(self, source: Path | None, address: int = GROUP_ADDRESS) -> None:
        """Listen to a WAV file, to a named pipe, or (None) to the standard input.

        A pipe and the standard input bring raw samples of one channel, 16 bit, little-endian, 22,050 Hz, as
        ``rtl_fm -s 22050`` gives them; a pipe ends with its last writer. Raises InputError for a bad address;
        BearerError when multimon-ng or the source is missing, or the source is another kind of file.
        """
        Page(address, ALPHANUMERIC, "")
        self._source, self._address = source or "the standard input", address
        self._rest, self._lines = b"", deque[bytes]()
        self._words = deque[bytes](maxlen=_LAST_WORDS)
        self._stop, self._has_ended = Event(), False
        self._trouble: OSError | None = None
        program, blocks = _find(), _blocks(source, self._stop)
        self._process = self._start(program)
        self._printed = cast(IO[bytes], self._process.stdout)
        self._feeder = Thread(target=self._feed, args=(_filtered(blocks),), daemon=True)
        self._feeder.start()

    def _start(self, program: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            return children.start([program, *_ARGUMENTS], stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
        except OSError as error:
            raise BearerError(f"{program} cannot be started: {error.strerror}") from error

    def _feed(self, blocks: Iterator[bytes]) -> None:
        """Give the samples to multimon-ng at its pace; a broken pipe means that it has ended, and says why."""
        stdin = cast(IO[bytes], self._process.stdin)
        try:
            for block in blocks:
                stdin.write(block)
                stdin.flush()
        except OSError as error:
            self._trouble = None if isinstance(error, BrokenPipeError) else error
        finally:
            with suppress(BrokenPipeError):
                stdin.close()

    def packets(self, seconds: float | None = None) -> Iterator[bytes]:
        """Yield the packets of the group's pages, until the source ends or ``seconds`` have passed.

        What was not taken is there for the next call. Raises BearerError when multimon-ng or the source fails.
        """
        end = inf if seconds is None else monotonic() + seconds
        while self._lines or self._hear(end):
            while self._lines:
                if packet := _packet(self._lines.popleft(), self._address):
                    yield packet

    def _hear(self, end: float) -> bool:
        """Take in what multimon-ng prints; False when it has ended, or the time is over."""
        while not self._has_ended:
            if _is_readable(self._printed.fileno(), end - monotonic()):
                return self._take(os.read(self._printed.fileno(), _BLOCK))
            if monotonic() >= end:
                break
        return False

    def _take(self, printed: bytes) -> bool:
        if not printed:
            self._end()
            return False
        *lines, rest = (self._rest + printed).split(b"\n")
        self._rest = rest[-_LONGEST_LINE:]
        self._lines.extend(line for line in lines if line.startswith(_SAYS))
        self._words.extend(line for line in lines if not line.startswith(_SAYS))
        return True

    def _end(self) -> None:
        self._has_ended = True
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            raise BearerError(f"{_PROGRAM} has nothing more to say and does not end") from None
        if code:
            raise failure(_PROGRAM, b" ".join([*self._words, self._rest]), code)
        if self._trouble:
            raise BearerError(f"{self._source} cannot be read: {self._trouble.strerror}") from self._trouble

    def close(self) -> None:
        """End multimon-ng and let go of the source."""
        self._has_ended = True
        self._stop.set()
        self._process.kill()
        self._process.wait()
        self._feeder.join()
        self._printed.close()
