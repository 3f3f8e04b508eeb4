"""Files that two processes may meet at, and that a crash may cut: nothing half-written, nothing lost, nothing followed.

Three rules hold for every file that saifu writes; ``docs/reference/files.md`` lists the files, their modes and locks.

1. A file is replaced whole (``write_whole``), or only grows by lines that reach the disk one after the other
   (``append``). What is in between lies beside it under another name, and is removed by whoever comes next.
2. A file that is read, decided on and written again is locked for the whole of it (``locked``), not for the writing
   alone: otherwise two processes decide on the same old content, and the one that writes last undoes the other. The
   lock is the operating system's (flock, or its like on Windows) on a file of its own, ``NAME.lock``. It is bound to
   the process: one that is killed holds no lock. The file stays, because removing it would divide those who wait.
   Whoever cannot have the lock is told who has it, where the system tells.
3. Files with secrets are their owner's alone, whatever umask says, and stand under their own name: where a symbolic
   link is in the place of one, it was put there so that the secret goes, or comes from, somewhere else. Links on the
   way to the folder are the user's business.

The house test keeps other modules from opening files for writing, and from locks of their own.
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import ELOOP
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from filelock import BaseFileLock, FileLock, Timeout, lock_descriptor

from apdu.errors import InputError, InUseError, StoreError

__all__ = [
    "PRIVATE",
    "append",
    "create_whole",
    "hold_open",
    "is_locked",
    "locked",
    "make_folder",
    "open_private",
    "read_private",
    "remove_leftovers",
    "require_folder",
    "require_own_name",
    "require_replaceable",
    "sync",
    "write_whole",
]

PRIVATE = 0o600
"""The mode of a file with secrets, and of every lock: whoever can open a lock can hold it for ever."""

_PATIENCE = 30.0
"""Seconds to wait for a lock: longer than anybody who does not ask a person holds one."""
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_LINK = "is a symbolic link, and secrets are kept under their own name only: name the file itself"


# --- locks ---------------------------------------------------------------------------------------------------


@contextmanager
def locked(path: Path, seconds: float = _PATIENCE, remedy: str = "try again when it has ended") -> Iterator[None]:
    """Keep every other process, and thread, from a file or folder from before it is read until it is written.

    Waits for so many seconds; raises InUseError that says who holds it, with the remedy, or StoreError where there can
    be no lock.
    Never take the same lock twice: the second would wait for the first.
    """
    lock = _lock_of(path)
    if not Path(lock.lock_file).parent.is_dir():  # filelock would make it
        raise StoreError(f"{path} cannot be locked: there is no folder {path.parent}")
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise InUseError(f"{path} is in use by {_holder(Path(lock.lock_file))}: {remedy}") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be locked: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file now; raises OSError when that cannot be told."""
    try:
        with _lock_of(path).acquire(timeout=0):
            return False
    except Timeout:
        return True


def hold_open(descriptor: int, path: Path) -> None:
    """Lock an open file itself until it is closed, where that keeps nobody from reading it: not on Windows.

    Raises StoreError when another process has it, OSError.
    """
    if os.name == "posix" and not lock_descriptor(descriptor, blocking=False):
        raise StoreError(f"{path} is in use by {_holder(path)}: give another name")


def _lock_of(path: Path) -> BaseFileLock:
    """One lock, whichever links lead to the file."""
    return FileLock(f"{os.path.realpath(path)}.lock", mode=PRIVATE, thread_local=False)


def _holder(file: Path) -> str:
    """Who holds a file, in words; only Linux tells (proc_locks(5))."""
    with suppress(OSError, ValueError, IndexError, StopIteration):  # or it was let go just now
        inode = f":{file.stat().st_ino}"
        rows = (line.split() for line in Path("/proc/locks").read_text("ascii").splitlines())
        pid = next(row[4] for row in rows if row[1] == "FLOCK" and row[5].endswith(inode))
        words = Path(f"/proc/{int(pid)}/cmdline").read_text("utf-8", "replace").split("\0")
        return f"another process, {pid} ({' '.join(' '.join(words).split())[:100]})"
    return "another process"


# --- writing -------------------------------------------------------------------------------------------------


def write_whole(path: Path, content: bytes | Iterable[bytes], mode: int = 0o644) -> None:
    """Write or replace a file: after a crash there is the old content or the new one.

    Raises StoreError when it cannot be written; InputError where a symbolic link has the name of a file of mode
    PRIVATE, which has secrets. Who has read the file before holds its lock.
    """
    if mode == PRIVATE:
        require_own_name(path)
    try:
        make_folder(path.parent)
        with _beside(path, content, mode) as name:
            name.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


def create_whole(path: Path, content: bytes) -> None:
    """Write a new file of its owner's alone, whole or not at all; raises OSError, FileExistsError when there is one."""
    with _beside(path, content, PRIVATE) as name:
        _link_new(name, path)


@contextmanager
def _beside(path: Path, content: bytes | Iterable[bytes], mode: int) -> Iterator[Path]:
    """A finished file under another name in the same folder, to be given its own; it is gone afterwards."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            sync(file.fileno())
        Path(name).chmod(mode)
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
    _sync_folder(path.parent)


def append(path: Path, line: str) -> None:
    """Add to a file with secrets; when this returns, it is on the disk. Raises InputError for a link, StoreError."""
    require_own_name(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_FOLLOW
    try:
        is_new = not path.exists()
        with open(os.open(path, flags, PRIVATE), "ab") as file:
            if not S_ISREG(os.fstat(file.fileno()).st_mode):
                raise StoreError(f"{path} is no file that lines can be added to: name another one")
            os.chmod(file.fileno() if os.chmod in os.supports_fd else path, PRIVATE)
            file.write(line.encode())
            file.flush()
            sync(file.fileno())
        if is_new:
            _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make a folder with all that lead to it, none of them for others to write into; raises OSError."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode, exist_ok=True)


def sync(descriptor: int) -> None:
    """Have everything that was written to a file on the disk before anything that comes after; raises OSError."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync(2) there leaves it in the drive, which orders as it likes
    else:
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the new name last a loss of power; Windows has no such call for folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _link_new(finished: Path, path: Path) -> None:
    """Give a finished file its name without ever replacing another (os.link fails if it exists)."""
    try:
        os.link(finished, path)
    except (NotImplementedError, PermissionError):
        if path.exists():
            raise FileExistsError(path) from None
        finished.replace(path)


# --- what is there already -----------------------------------------------------------------------------------


def open_private(path: Path) -> BinaryIO:
    """Open a file with secrets to read it; raises OSError, and InputError where a symbolic link has its name.

    A link of the system's, as /dev/stdin is, leads to what somebody has handed over in person.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW)
    except OSError as error:
        if error.errno != ELOOP:
            raise
        if not path.is_relative_to("/dev"):
            raise InputError(f"{path} {_LINK}") from None
        descriptor = os.open(path, os.O_RDONLY)
    return open(descriptor, "rb")


def read_private(path: Path) -> bytes:
    """Read a file with secrets; raises what open_private raises."""
    with open_private(path) as file:
        return file.read()


def require_own_name(path: Path) -> None:
    """Raise InputError where a symbolic link has the name of a file that secrets are to be written to."""
    if path.is_symlink():
        raise InputError(f"{path} {_LINK}")


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
