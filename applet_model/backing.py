"""What non-volatile memory is kept in: the process's own memory, or one file per card."""

import os
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from apdu.errors import StoreError

__all__ = ["Backing", "FileBacking", "MemoryBacking"]


class Backing(Protocol):
    """A flat array of bytes that outlives power."""

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset``."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write in place; what a cut in the middle leaves behind is undefined."""
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

    def image(self) -> bytes:
        """Return a snapshot."""
        return bytes(self._bytes)


class FileBacking(MemoryBacking):
    """One file per card, written in place; one process at a time holds it.

    Every write has reached the operating system when ``write`` returns, so the image survives the end of
    the process at any moment; the memory's journal makes a write that was cut harmless.
    """

    def __init__(self, path: Path) -> None:
        """Open an image file; raises StoreError when it is missing, in use or not readable."""
        self.path = path
        image = Path(os.path.realpath(path))  # one lock, whichever links lead to the file
        self._lock = FileLock(f"{image}.lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
            self._file = image.open("r+b", buffering=0)
        except Timeout:
            raise StoreError(f"{path}: the card is in use by another process; take it out there first") from None
        except OSError as error:
            self._lock.release()
            raise StoreError(
                f"{path}: {error.strerror}; make a blank card with: saifu personalize blank {path}"
            ) from None
        self._require_one_name(image)
        super().__init__(self._file.read())

    def _require_one_name(self, image: Path) -> None:
        """With hard links there would be a lock for each, and a card twice; an interrupted ``create`` leaves one."""
        if self._links > 1:
            _remove_leftover(image)
        if self._links > 1:
            self.close()
            raise StoreError(
                f"{self.path}: this file has a second name (a hard link), and could be used as two cards; "
                "remove the other name"
            )

    @property
    def _links(self) -> int:
        return os.fstat(self._file.fileno()).st_nlink

    @staticmethod
    def create(path: Path, image: bytes) -> None:
        """Write a new image file, whole or not at all, readable by its owner only.

        Raises StoreError when the file exists: a card is never overwritten.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(image)
                file.flush()
                os.fsync(file.fileno())
            _link_new(temporary, path)
        except FileExistsError:
            raise StoreError(f"{path}: there is a card of this name already; choose another name") from None
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from None
        finally:
            temporary.unlink(missing_ok=True)

    def write(self, offset: int, data: bytes) -> None:
        """Write to the file, then to the copy in memory."""
        try:
            self._file.seek(offset)
            whole = self._file.write(data) == len(data)
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror}; what was not finished is put right at power-on") from None
        if not whole:
            raise StoreError(f"{self.path}: the disk took only a part of a write; it is put right at power-on")
        super().write(offset, data)

    def close(self) -> None:
        """Give the file back to other processes."""
        self._file.close()
        self._lock.release()


def _remove_leftover(image: Path) -> None:
    """Remove the temporary name of a ``create`` that was ended before it could."""
    for leftover in image.parent.glob(f".{escape(image.name)}.*"):
        with suppress(OSError):
            if leftover.suffix[1:].isdecimal() and leftover.samefile(image):
                leftover.unlink()


def _link_new(temporary: Path, path: Path) -> None:
    """Give a finished file its name without ever replacing another (os.link fails if it exists)."""
    try:
        os.link(temporary, path)
    except (NotImplementedError, PermissionError):
        if path.exists():
            raise FileExistsError(path) from None
        os.replace(temporary, path)
