"""Where the parts of PC/SC on Linux are found, and the words for a part that is missing."""

import os
import shutil
from pathlib import Path

from apdu.errors import PcscUnavailableError

__all__ = ["SOCKET_VARIABLE", "find_driver", "find_libccid", "find_pcscd", "find_program", "find_vpcd"]

SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
"""Environment variable in which every PC/SC client on Linux finds the daemon's socket."""

_SYSTEM_PATHS = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin", "/usr/local/bin")
_DRIVER_FOLDERS = ("/usr/lib/pcsc/drivers", "/usr/lib64/pcsc/drivers", "/usr/local/lib/pcsc/drivers")


def find_program(name: str) -> Path | None:
    """Return where a program lies, on the PATH or where system daemons are; None if nowhere."""
    path = filter(None, (os.environ.get("PATH"), *_SYSTEM_PATHS))  # an empty one is the current folder
    found = shutil.which(name, path=os.pathsep.join(path))
    return Path(found) if found else None


def find_driver(pattern: str) -> Path | None:
    """Return the first of pcscd's drivers whose path in the drivers' folder matches; None if none does."""
    found = (path for folder in _DRIVER_FOLDERS for path in sorted(Path(folder).glob(pattern)))
    return next(found, None)


def find_pcscd() -> Path:
    """Return the daemon's path; raises PcscUnavailableError."""
    return _needed(find_program("pcscd"), "pcscd", "pcscd")


def find_vpcd() -> Path:
    """Return the path of the driver for virtual cards; raises PcscUnavailableError."""
    return _needed(find_driver("serial/libifdvpcd.so"), "pcscd's driver vpcd", "vsmartcard-vpcd")


def find_libccid() -> Path:
    """Return the path of the driver for serial CCID readers; raises PcscUnavailableError."""
    return _needed(find_driver("serial/libccidtwin.so"), "libccid's driver for serial readers", "libccid")


def _needed(path: Path | None, what: str, package: str) -> Path:
    if path is None:
        raise PcscUnavailableError(
            f"the virtual reader needs {what}, which is not installed here; on Debian or Ubuntu: "
            f"sudo apt-get install {package} (`saifu doctor` says more)"
        )
    return path
