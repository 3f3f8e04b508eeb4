"""What this machine has for PC/SC, what it lacks, and how to get it. Cards in files need none of it."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from apdu.errors import ReaderError
from host.pcsc import list_readers
from host.scard import find_pyscard
from host.virtual.parts import find_driver, find_program

__all__ = ["Finding", "diagnose"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One part: whether it is there, what it is for or where it is, and how to get it if it is missing."""

    part: str
    present: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    purpose: str
    find: Callable[[], Path | None]
    package: str
    """In Debian and Ubuntu."""


_PARTS_ON_LINUX = (
    _Part("pcscd", "every PC/SC reader, real or virtual", lambda: find_program("pcscd"), "pcscd"),
    _Part("vpcd", "the virtual reader", lambda: find_driver("serial/libifdvpcd.so"), "vsmartcard-vpcd"),
    _Part("libccid", "real readers", lambda: find_driver("ifd-ccid.bundle"), "libccid"),
    _Part("opensc-tool", "a second opinion on a card", lambda: find_program("opensc-tool"), "opensc"),
    _Part("pcsc_scan", "watching readers", lambda: find_program("pcsc_scan"), "pcsc-tools"),
)
_PARTS_ELSEWHERE = tuple(part for part in _PARTS_ON_LINUX if part.name == "opensc-tool")


def diagnose() -> list[Finding]:
    """Look for each part; never fails."""
    parts = _PARTS_ON_LINUX if sys.platform == "linux" else _PARTS_ELSEWHERE
    pyscard = _pyscard()
    service = _service_and_readers() if pyscard.present else []
    return [pyscard, *(_look_for(part) for part in parts), *service]


def _look_for(part: _Part) -> Finding:
    if found := part.find():
        return Finding(part.name, True, str(found))
    return Finding(part.name, False, f"for {part.purpose}", _remedy(part.package))


def _remedy(*packages: str) -> str:
    names = " ".join(packages)
    if sys.platform == "darwin":
        return f"brew install {names}"
    if sys.platform == "win32":
        return f"get {names} from its makers"
    if shutil.which("apt-get"):
        return f"sudo apt-get install {names}"
    return f"install what your system's package manager calls {names}"


def _pyscard() -> Finding:
    try:
        return Finding("pyscard", True, str(find_pyscard()))
    except ReaderError:
        return Finding("pyscard", False, "for PC/SC from Python", _remedy_for_pyscard())


def _remedy_for_pyscard() -> str:
    """There are wheels for macOS and Windows; on Linux it is built."""
    install = "make setup (or pip install 'saifu[pcsc]')"
    if sys.platform != "linux":
        return install
    return f"{_remedy('swig', 'gcc', 'libpcsclite-dev', 'python3-dev')}, then {install}"


def _service_and_readers() -> list[Finding]:
    """Asked through pyscard, so only where that is."""
    try:
        readers = list_readers()
    except ReaderError as error:
        said = str(error).removesuffix(": `saifu doctor` says what is missing")
        return [Finding("PC/SC service", False, said, _remedy_for_service())]
    names = [f"{reader.name}{' (card)' if reader.card_present else ''}" for reader in readers]
    return [
        Finding("PC/SC service", True, "answers"),
        Finding("readers", bool(names), "; ".join(names) or "none", "" if names else _REMEDY_FOR_READERS),
    ]


_REMEDY_FOR_READERS = "plug one in, or start `saifu reader run` (Linux) and export what it prints"


def _remedy_for_service() -> str:
    if sys.platform == "linux":
        return "sudo systemctl enable --now pcscd.socket, or use `saifu reader run`"
    if sys.platform == "win32":
        return "it is part of Windows and starts with the first reader: plug one in"
    return "it is part of macOS and starts with the first reader: plug one in"
