"""Who uses PC/SC: the programs that are connected to pcscd's socket, on Linux, as far as we may look.

The kernel tells both ends of every local connection (sock_diag(7)); the daemon's end has the socket's path. Whose the
other end is stands under /proc, for one's own processes, and for all to root. Which of them holds a reader only the
daemon knows, and does not tell.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["users"]

_VARIABLE, _USUAL = "PCSCLITE_CSOCK_NAME", "/run/pcscd/pcscd.comm"
_SOCK_DIAG, _BY_FAMILY, _DUMP, _DONE, _ERROR = 4, 20, 0x301, 3, 2
_ALL_STATES, _NO_COOKIE, _SHOW_NAME_AND_PEER = 0xFFFFFFFF, 0xFFFFFFFF, 1 | 4
_NAME, _PEER = 0, 2
_HEADER, _REQUEST, _MESSAGE, _ATTRIBUTE = "=IHHII", "=BBHIIIII", "=BBBBIII", "=HH"
_HEADER_SIZE = struct.calcsize(_HEADER)


def users() -> str:
    """The other programs that use PC/SC, for people: ``PC/SC is used by scdaemon (process 4711)``; or nothing."""
    with suppress(OSError, struct.error):
        found = sorted(_processes(set(_peers(os.environ.get(_VARIABLE, _USUAL)))))
        if found:
            return "PC/SC is used by " + ", ".join(f"{name} (process {number})" for number, name in found)
    return ""


def _peers(path: str) -> Iterator[int]:
    """Inodes of the clients' ends of all connections to a local socket; raises OSError."""
    for answer in _local_sockets():
        attributes = dict(_attributes(answer[struct.calcsize(_MESSAGE) :]))
        if attributes.get(_NAME, b"").rstrip(b"\0") == os.fsencode(path) and _PEER in attributes:
            yield int.from_bytes(attributes[_PEER], sys.byteorder)


def _local_sockets() -> Iterator[bytes]:
    """What the kernel tells of each local socket; nothing but on Linux."""
    if sys.platform == "linux":
        ask = struct.pack(_REQUEST, socket.AF_UNIX, 0, 0, _ALL_STATES, 0, _SHOW_NAME_AND_PEER, _NO_COOKIE, _NO_COOKIE)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as kernel:
            kernel.settimeout(1)
            kernel.send(struct.pack(_HEADER, _HEADER_SIZE + len(ask), _BY_FAMILY, _DUMP, 0, 0) + ask)
            yield from _told(kernel)


def _told(kernel: socket.socket) -> Iterator[bytes]:
    """The messages of a dump, to its end."""
    while told := kernel.recv(65536):
        while told:
            length, kind, *_ = struct.unpack_from(_HEADER, told)
            if kind in (_DONE, _ERROR) or length < _HEADER_SIZE:
                return
            yield told[_HEADER_SIZE:length]
            told = told[length:]


def _attributes(told: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each; they are aligned to 4 bytes."""
    size = struct.calcsize(_ATTRIBUTE)
    while len(told) >= size:
        length, kind = struct.unpack_from(_ATTRIBUTE, told)
        yield kind, told[size:length]
        told = told[max(length + 3 & ~3, size) :]


def _processes(inodes: set[int]) -> Iterator[tuple[int, str]]:
    """Number and name of the processes that have one of these sockets, but for this one."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's, or gone by now
            if int(folder.name) != os.getpid() and any(
                os.readlink(each) in wanted for each in (folder / "fd").iterdir()
            ):
                yield int(folder.name), (folder / "comm").read_text("utf-8", "replace").strip()
