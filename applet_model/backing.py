"""What non-volatile memory is kept in: here the process's own memory; the host has files (``host/card_file.py``)."""

from typing import Protocol

__all__ = ["Backing", "MemoryBacking"]


class Backing(Protocol):
    """A flat array of bytes that outlives power."""

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset``."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write in place; what a cut in the middle leaves behind is undefined."""
        ...

    def flush(self) -> None:
        """Put a barrier: every write before it has become durable before any write after it may be.

        Without one, writes may become durable in any order, some of them in parts.
        """
        ...


class MemoryBacking:
    """Bytes in this process; a copy of them is a snapshot of the card."""

    def __init__(self, image: bytes) -> None:
        """Begin with a card image."""
        self._bytes = bytearray(image)
        self._view = memoryview(self._bytes)

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset``."""
        return self._view[offset : offset + size].tobytes()

    def write(self, offset: int, data: bytes) -> None:
        """Write in place."""
        self._bytes[offset : offset + len(data)] = data

    def flush(self) -> None:
        """Do nothing: these bytes end with the process, whole."""

    def image(self) -> bytes:
        """Return a snapshot."""
        return bytes(self._bytes)
