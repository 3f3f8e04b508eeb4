"""What a loss of power of the computer may leave of a card image: every prefix and reordering of its writes.

An operating system promises nothing about the order in which writes reach the disk, except at a barrier: what was
written before it is there. So a crash leaves the image as it was at the last barrier, with any of the writes since:
whole, missing, or torn at a half. Real transactions are recorded with their barriers; for each moment each such image
is made, and the card is powered on with it. What it remembers then has to be what it remembered after the last
transaction that had ended, or after the one that was under way; and nothing else, ever.

``python -m tests.host.power_loss`` tries all of them (``make assure``); the tests try some at each moment.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import product
from random import Random

from applet_model.backing import MemoryBacking
from applet_model.card import SmartCard
from tests.applet_model.cards import purse, session, without_journal
from tests.issuer import NOW

__all__ = ["RecordedCard", "Tried", "records", "try_every_moment"]

MONEY = 100_000
_ALL = 4096
"""Combinations of pending writes that are tried one by one; of more, so many are drawn."""


class Left(Enum):
    """What a crash leaves of a write."""

    NOTHING, WHOLE, FIRST_HALF, LAST_HALF = range(4)


@dataclass(frozen=True)
class Write:
    """A write: where, and what."""

    offset: int
    data: bytes

    def leave(self, image: bytearray, left: Left) -> None:
        """Put what is left of it into an image."""
        half = len(self.data) // 2
        begin = half if left is Left.LAST_HALF else 0
        end = {Left.NOTHING: 0, Left.FIRST_HALF: half}.get(left, len(self.data))
        if begin < end:
            image[self.offset + begin : self.offset + end] = self.data[begin:end]


class RecordingBacking(MemoryBacking):
    """Writes down what is written to it; None stands for a barrier."""

    def __init__(self, image: bytes, log: "list[Write | None]") -> None:
        super().__init__(image)
        self.log = log

    def write(self, offset: int, data: bytes) -> None:
        self.log.append(Write(offset, data))
        super().write(offset, data)

    def flush(self) -> None:
        self.log.append(None)


class RecordedCard(SmartCard):
    """A card whose writes, barriers and transactions are recorded."""

    def __init__(self, image: bytes) -> None:
        self.first, self.log = image, list[Write | None]()
        self._recording = RecordingBacking(image, self.log)
        super().__init__(self._recording)
        self.ended = list[int]()
        """How long the log was when a transaction had ended."""
        self.states = [without_journal(image)]
        commit = self._cells.memory.commit

        def recorded(writes: list[tuple[int, bytes]]) -> None:
            """Commit, and remember what the card remembers."""
            commit(writes)
            self.ended.append(len(self.log))
            self.states.append(without_journal(self._recording.image()))

        self._cells.memory.commit = recorded  # type: ignore[method-assign]  # a hook, for the test alone


@dataclass
class Tried:
    """How many images were made, and what was wrong with some."""

    images: int = 0
    faults: list[str] = field(default_factory=list)


def _left(pending: list[Write], most: int, random: Random) -> Iterator[tuple[Left, ...]]:
    """What may be left of each pending write: all combinations, or many of them."""
    if len(Left) ** len(pending) <= most:
        yield from product(Left, repeat=len(pending))
        return
    for end in range(len(pending) + 1):  # prefixes, the last write whole or torn
        for torn in Left:
            yield tuple([Left.WHOLE] * end + [torn] + [Left.NOTHING] * len(pending))[: len(pending)]
    for missing in range(len(pending)):  # all but one
        yield tuple(Left.NOTHING if at == missing else Left.WHOLE for at in range(len(pending)))
    for _ in range(most):
        yield tuple(random.choice(list(Left)) for _ in pending)


def crashes(first: bytes, log: "list[Write | None]", end: int, most: int, random: Random) -> Iterator[bytes]:
    """Every image that a crash after ``end`` entries of the log may leave."""
    barrier = max((at + 1 for at in range(end) if log[at] is None), default=0)
    durable = bytearray(first)
    for write in log[:barrier]:
        if write is not None:
            write.leave(durable, Left.WHOLE)
    pending = [write for write in log[barrier:end] if write is not None]
    for combination in _left(pending, most, random):
        image = bytearray(durable)
        for write, left in zip(pending, combination, strict=True):
            write.leave(image, left)
        yield bytes(image)


def _remembered(image: bytes, log: "list[Write | None] | None" = None) -> bytes:
    """What a card with this image remembers once it is powered on."""
    backing = RecordingBacking(image, [] if log is None else log)
    SmartCard(backing).power_on()
    return without_journal(backing.image())


def try_every_moment(card: RecordedCard, most: int = 64, seed: int = 1) -> Tried:
    """Crash at each moment of a recorded life, power on, compare; then kill the process first, crash in recovery."""
    tried, random = Tried(), Random(seed)
    for end in range(len(card.log) + 1):
        done = sum(ended <= end for ended in card.ended)
        right = card.states[done : done + 2]
        _compare(crashes(card.first, card.log, end, most, random), right, tried, f"after {end} writes and barriers")
        # the process is killed: its writes are with the operating system, not on the disk; another opens the image
        log = card.log[:end]
        seen = bytearray(card.first)
        for write in log:
            if write is not None:
                write.leave(seen, Left.WHOLE)
        _remembered(bytes(seen), log)
        for later in range(end + 1, len(log) + 1):
            where = f"killed after {end} writes and barriers, crashed after {later}"
            _compare(crashes(card.first, log, later, most, random), right, tried, where)
    return tried


def _compare(images: Iterator[bytes], right: list[bytes], tried: Tried, where: str) -> None:
    for image in images:
        tried.images += 1
        if _remembered(image) not in right:
            tried.faults.append(where)


def records() -> list[RecordedCard]:
    """A payer and a payee with the recorded life of two transfers, of which one is refused, and of a PIN."""
    payer, payee = RecordedCard(purse(1, MONEY).image()), RecordedCard(purse(2).image())
    one, other = session(payer), session(payee)
    paid = one.pay(other.request(5, one.card, NOW), NOW)
    one.settle(other.receive(paid, NOW))
    paid = one.pay(other.request(7, one.card, NOW), NOW)
    other.request(8, one.card, NOW)
    one.settle(other.receive(paid, NOW))
    return [payer, payee]


def main(tell: Callable[[str], object] = print) -> int:
    """Try all of it; 1 when an image opens to something else than before or after."""
    faults = 0
    for name, card in zip(("payer", "payee"), records(), strict=True):
        tried = try_every_moment(card, _ALL)
        faults += len(tried.faults)
        tell(f"{name}: {len(card.ended)} transactions, {tried.images} images, {len(tried.faults)} faults")
        for fault in tried.faults[:3]:
            tell(f"  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
