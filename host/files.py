"""Writing files so that nothing is ever half-written."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from apdu.errors import InputError, StoreError

__all__ = ["remove_leftovers", "require_folder", "require_replaceable", "write_whole"]


def write_whole(path: Path, content: bytes | Iterable[bytes], mode: int = 0o644) -> None:
    """Write or replace a file: after a crash there is the old content or the new one.

    Raises StoreError when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


def require_folder(path: Path) -> None:
    """Raise InputError unless the folder is there into which a user wants a file: a mistyped name makes no folders."""
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}")


def require_replaceable(path: Path, mark: bytes, kind: str) -> None:
    """Raise InputError when something is there already that is not of the kind: it is never overwritten.

    ``mark`` stands within the first KiB of every file of the kind.
    """
    try:
        if not path.exists():
            return
        if path.is_file():
            with path.open("rb") as file:
                if mark in file.read(1024):
                    return
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    raise InputError(f"{path} is there already, and is not {kind}; name another place")


def remove_leftovers(*paths: Path) -> None:
    """Remove what a process that was killed in ``write_whole`` has left beside these files.

    Call it only while nobody else writes them.
    """
    for path in paths:
        for leftover in path.parent.glob(f".{path.name}.????????"):
            with suppress(OSError):  # what cannot be removed is in nobody's way
                leftover.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the new name last a loss of power; Windows has no such call for folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
