"""POCSAG, the code of pagers [0013: mobile radio]: ITU-R M.584-2, radiopaging code No. 1, at 1200 bit/s.

A transmission is a preamble and batches. A batch is a sync codeword and eight frames of two codewords each.
A page begins in the frame that its address names, and ends where the next codeword is no message codeword.
A codeword has 32 bits: 21 of data, 10 of a BCH(31,21) code, and even parity.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apdu.errors import InputError
from broadcast.bearers.recording import Samples

__all__ = [
    "ALPHANUMERIC",
    "BATCH_SIZE",
    "IDLE",
    "IDLE_BATCH",
    "PREAMBLE",
    "SAMPLES_PER_BYTE",
    "SAMPLE_RATE",
    "SYNC",
    "Page",
    "batches",
    "codeword",
    "samples",
    "transmission",
]

SYNC = 0x7CD215D8
"""The codeword at the head of each batch."""

IDLE = 0x7A89C197
"""The codeword where there is nothing to say."""

PREAMBLE = b"\xaa" * 72
"""576 bits of 1 and 0 in turn, the least that the standard allows; a pager wakes up and finds the bits in it."""

ALPHANUMERIC = 3
"""The function of a page whose text has 7 bits a character."""

SAMPLE_RATE = 22_050
"""Samples a second."""

SAMPLES_PER_BYTE = 147
"""8 bits at 1200 bit/s: a whole number of samples at 22,050 Hz."""

_CODEWORDS = 16
"""Codewords of a batch, without the sync codeword."""

BATCH_SIZE = 4 + 4 * _CODEWORDS
"""Bytes of a batch, with the sync codeword."""

IDLE_BATCH = SYNC.to_bytes(4) + IDLE.to_bytes(4) * _CODEWORDS
"""A batch that only ends the page before it."""

_GENERATOR = 0b111_0110_1001
"""x^10 + x^9 + x^8 + x^6 + x^5 + x^3 + 1."""

_TEXT_BITS = 20
"""Bits of text in a message codeword; the first data bit says that it is one."""

_LEVEL = 16_384
"""Height of the samples: half of the full scale, which leaves room for noise."""

_BIT_OF_SAMPLE = np.arange(SAMPLES_PER_BYTE) * 8 // SAMPLES_PER_BYTE


@dataclass(frozen=True, slots=True)
class Page:
    """A message to one pager; raises InputError for an address, a function or a text that cannot be sent."""

    address: int
    """21 bits; the lowest three are not sent: they are the frame that the page begins in."""

    function: int
    """0 to 3; 3 is for text."""

    text: str
    """ASCII characters."""

    def __post_init__(self) -> None:
        """Check."""
        if not (0 <= self.address < 1 << 21 and 0 <= self.function < 4):
            raise InputError(f"{self.address} is not a pager's address: it is a number from 0 to {(1 << 21) - 1}")
        if self._address_codeword in (SYNC, IDLE):
            raise InputError(f"the pager's address {self.address} is reserved by the standard; choose another one")
        if not self.text.isascii():
            raise InputError("a page has ASCII characters only")

    @property
    def frame(self) -> int:
        """Number of the frame that the page begins in, 0 to 7."""
        return self.address & 7

    @property
    def _address_codeword(self) -> int:
        return codeword(self.address >> 3 << 2 | self.function)

    @property
    def codewords(self) -> list[int]:
        """The address codeword and the message codewords; each character goes least significant bit first."""
        bits = "".join(f"{character:07b}"[::-1] for character in self.text.encode("ascii"))
        pieces = (bits[i : i + _TEXT_BITS].ljust(_TEXT_BITS, "0") for i in range(0, len(bits), _TEXT_BITS))
        return [self._address_codeword, *(codeword(1 << _TEXT_BITS | int(piece, 2)) for piece in pieces)]


def codeword(data: int) -> int:
    """Return 32 bits for 21: the data, the remainder of the BCH code and a bit that makes the parity even."""
    remainder = data << 10
    for shift in reversed(range(21)):
        if remainder >> shift + 10 & 1:
            remainder ^= _GENERATOR << shift
    word = (data << 10 | remainder) << 1
    return word | word.bit_count() & 1


def batches(pages: Sequence[Page]) -> bytes:
    """Return whole batches with the pages in this order, each in its frame, and idle codewords between."""
    words: list[int] = []
    for page in pages:
        while len(words) % _CODEWORDS // 2 != page.frame:
            words.append(IDLE)
        words += page.codewords
    words += [IDLE] * (-len(words) % _CODEWORDS)
    filled = (words[i : i + _CODEWORDS] for i in range(0, len(words), _CODEWORDS))
    return b"".join(word.to_bytes(4) for batch in filled for word in (SYNC, *batch))


def transmission(pages: Sequence[Page]) -> bytes:
    """Return everything from the preamble to an idle batch; bits go out most significant first."""
    return PREAMBLE + batches(pages) + IDLE_BATCH


def samples(air: bytes) -> Samples:
    """Return the baseband, ``SAMPLES_PER_BYTE`` samples a byte: 1 is low, 0 is high, as the frequencies are on air."""
    bits = np.unpackbits(np.frombuffer(air, np.uint8)).reshape(-1, 8)
    return np.where(bits[:, _BIT_OF_SAMPLE], -_LEVEL, _LEVEL).astype(np.int16).ravel()
