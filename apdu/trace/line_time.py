"""How long bytes take between reader and card: T=1 with contacts, and ISO 14443-4 without.

Both put an APDU into blocks, and each block but the last is acknowledged by a block without data. A block costs its
frame and, without contacts, the frame delay that the standard wants between two directions. What a reader, its driver
and PC/SC add is not in it: these are lower bounds.
"""

from math import ceil
from typing import NamedTuple

__all__ = ["CONTACT", "LINES", "Line"]


class Line(NamedTuple):
    """A way to the card, at one speed."""

    bits_per_second: int
    bits_per_byte: int
    """With start, parity and guard time."""
    frame: int
    """Bytes of a block beside its data."""
    block: int
    """Most bytes of data in a block."""
    delay: float
    """Seconds between two blocks that go opposite ways."""

    def seconds(self, command: int, response: int) -> float:
        """Seconds for a command and its response of so many bytes; a response of 0 bytes did not come."""
        ways = [size for size in (command, response) if size]
        blocks = [ceil(size / self.block) for size in ways]
        acknowledged = sum(count - 1 for count in blocks)
        frames = sum(blocks) + acknowledged
        moved = sum(ways) + frames * self.frame
        return moved * self.bits_per_byte / self.bits_per_second + frames * self.delay


_FRAME_DELAY = 1172 / 13_560_000
"""Seconds: the least from a reader's last bit to a card's first (ISO 14443-3 clause 6.2.1.1), taken each way."""

CONTACT = Line(115_200, 11, 4, 254, 0.0)
"""T=1 (ISO 7816-3 clause 11): prologue of 3 bytes and epilogue of 1, 11 bits a character."""
LINES: dict[str, Line] = {
    "T=1 115.2": CONTACT,
    **{f"14443 {rate}": Line(rate * 1000, 9, 3, 253, _FRAME_DELAY) for rate in (106, 212, 424, 848)},
}
"""Lines by standard and kbit/s. ISO 14443-4: PCB and two bytes of CRC, eight bits and a parity bit each byte."""
