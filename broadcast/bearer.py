"""What every bearer of packets is: transmitter (24) at the center, receiver (21) in the terminal.

A bearer carries whole packets (see broadcast.packets) and may lose, repeat, damage and reorder them. It checks
nothing but its own framing: whose packets they are, and what they say, is judged behind it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from enum import Enum
from types import TracebackType
from typing import Self

__all__ = ["Receiver", "Transmitter", "Way"]


class Way(Enum):
    """How a transmitter is best fed."""

    AIR = "air"
    """One way, with losses, for ever: the carousel."""
    RECORDING = "recording"
    """One way, once, into a file: each object with packets to spare."""
    LINE = "line"
    """Without losses: each object whole, once, and it lies there for whoever asks."""


class _Closing:
    """Something that is closed at the end of a with block."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Give back sockets, files and processes; may be called again."""


class Transmitter(_Closing, ABC):
    """One way out; every method raises BearerError when the bearer fails."""

    way: Way = Way.AIR
    symbol_size: int = 184
    """Bytes of a packet's symbol that suit this bearer best; a multiple of 8."""
    packet_rate: float | None = None
    """Bits of packets, without what the bearer adds, that go out in a second; None: as many as the line takes."""

    @abstractmethod
    def send(self, packets: Sequence[bytes]) -> None:
        """Put packets on the air; returns when they are on it."""


class Receiver(_Closing, ABC):
    """One way in; every method raises BearerError when the bearer fails."""

    way: Way = Way.AIR

    @property
    def is_done(self) -> bool:
        """Whether nothing more is needed, as far as a line knows; who hears the air never knows."""
        return False

    @abstractmethod
    def packets(self, seconds: float | None = None) -> Iterator[bytes]:
        """Yield packets as they come, until the recording ends or ``seconds`` have passed; None: for ever."""
