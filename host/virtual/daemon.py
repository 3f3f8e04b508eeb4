"""A pcscd of one's own, with one virtual reader of two slots. POSIX only; the user's pcscd is never touched.

The reader is a ReaderDriver: vpcd, or libccid's serial driver with a reader of ours behind it (serial_reader).

Privacy of the parts:

- The socket lies in a fresh directory that only its owner can enter. pcscd gets it already listening, as from
  a service manager (LISTEN_FDS), so that no root is needed and a client that comes early simply waits.
- pcscd writes and removes /run/pcscd/pcscd.pid if it may, which is the other daemon's. So root, who may, runs
  it in a mount namespace with a /run/pcscd of its own. The same is done where /run/pcscd does not exist,
  because pcscd insists on it; a user without root then needs user namespaces.
- mount -n writes nothing under /run either.
- No USB reader is taken from the user's daemon: the folder of USB drivers is an empty one, from pcscd 2.0 on
  (PCSCLITE_HP_DROPDIR), and in the namespace there are no USB devices.
- vpcd listens on all interfaces and has no option against it, so whoever reaches the two ports, which are
  chosen at random, can put a card of his own into an empty slot; as into any reader. It cannot reach a card
  that is in. Letting vpcd connect to the card instead (DEVICENAME with a host) would be loopback only, but
  version 3.3, the packaged one, then aborts pcscd when a card is taken out.
"""

import contextlib
import functools
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from apdu.errors import PcscUnavailableError
from broadcast import children
from host.virtual.parts import find_pcscd, find_vpcd
from host.virtual.vpcd import connect

__all__ = ["PrivatePcscd", "ReaderDriver", "VpcdDriver"]

_NAME = "saifu virtual reader"
_RUN = Path("/run/pcscd")
_START_SECONDS = 10
_STOP_SECONDS = 2
_LOOK_SECONDS = 0.002
_LISTEN = "0A"

_OWN_RUN = """set -e
[ -d /run/pcscd ] || { mount -n -t tmpfs tmpfs /run; mkdir /run/pcscd; }
mount -n -t tmpfs tmpfs /run/pcscd
[ ! -d /dev/bus/usb ] || mount -n -t tmpfs tmpfs /dev/bus/usb
"""
_BECOME_PCSCD = """exec 3<&0 </dev/null
export LISTEN_FDS=1 LISTEN_PID=$$
exec "$@"
"""


@functools.cache
def _directory() -> Path:
    """One place for as long as this process lives.

    libpcsclite reads the name of the socket once and keeps it, so a second reader in this process must have
    the first one's; hence also only one at a time.
    """
    return Path(tempfile.gettempdir()) / f"saifu-reader-{secrets.token_hex(4)}"


def _free_ports() -> tuple[int, int]:
    """Two ports in a row, as vpcd wants them, below those that the system gives out by itself."""
    while True:
        first = 20000 + secrets.randbelow(12000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as two:
            one.bind(("", first))
            two.bind(("", first + 1))
            return first, first + 1


class ReaderDriver(Protocol):
    """One of pcscd's drivers with what is behind it; a context manager, entered before the daemon starts."""

    def __enter__(self) -> Self:
        """Get ready; raises PcscUnavailableError, naming the package that is missing."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing; the daemon has ended."""
        ...

    @property
    def ports(self) -> tuple[int, ...]:
        """Port of each slot, to which a card connects."""
        ...

    def configuration(self, name: str) -> str:
        """Return what stands in pcscd's reader.conf for a reader of this name; raises PcscUnavailableError."""
        ...

    def begin(self) -> None:
        """A daemon is about to start."""
        ...

    def ready(self) -> bool:
        """Whether the daemon that has started has both slots."""
        ...

    def wait_until_empty(self, slot: int) -> None:
        """Wait until the daemon knows that slot 1 or 2 is empty; raises PcscUnavailableError if it hangs."""
        ...


class VpcdDriver:
    """The driver vpcd, which listens for cards itself."""

    def __init__(self) -> None:
        """Choose the ports."""
        self.ports: tuple[int, ...] = _free_ports()

    def __enter__(self) -> Self:
        """Look for the driver; raises PcscUnavailableError."""
        self._path = find_vpcd()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing was made."""

    def configuration(self, name: str) -> str:
        """Return the reader's entry."""
        port = self.ports[0]
        return f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{port}\nCHANNELID {port}\nLIBPATH {self._path}\n'

    def begin(self) -> None:
        """Nothing to do: the ports are closed."""

    def ready(self) -> bool:
        """Whether the driver listens."""
        return set(self.ports) <= _listening_ports()

    def wait_until_empty(self, slot: int) -> None:
        """Wait until pcscd has looked at slot 1 or 2 and found it empty; it looks every 0.4 s.

        A card that comes before goes unseen: vpcd swaps it in, and programs that hold the old one are not told.
        So a card is put in that is gone when pcscd asks whether it is there: then it knows.
        """
        with contextlib.suppress(ConnectionError), connect(self.ports[slot - 1]) as nobody:
            nobody.settimeout(_START_SECONDS)
            try:
                nobody.recv(1)
            except TimeoutError:
                raise PcscUnavailableError("the private pcscd hangs: start `saifu reader run` again") from None


class PrivatePcscd:
    """The daemon as a context manager: started on entry, and nothing of it is left on exit.

    Enter it from a thread that lives as long: when that thread ends, however it ends, so does the daemon.
    """

    readers = (f"{_NAME} 00 00", f"{_NAME} 00 01")
    """Names of the two slots, as PC/SC clients see them."""

    def __init__(self, driver: ReaderDriver | None = None) -> None:
        """Choose where things will be; nothing is made yet. The driver is vpcd if no other is given."""
        self.directory = _directory()
        self.socket_path = self.directory / "pcscd.comm"
        self._driver = driver or VpcdDriver()
        self._entered = contextlib.ExitStack()
        self._listener: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Make the directory and start; raises PcscUnavailableError, naming the package that is missing."""
        find_pcscd()
        driver = self._entered.enter_context(self._driver)
        try:
            self.directory.mkdir(mode=0o700)
        except FileExistsError:
            self._entered.close()
            raise PcscUnavailableError("this process has a virtual reader already: end it first") from None
        try:
            self._prepare(driver.configuration(_NAME))
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the daemon and remove the directory."""
        self.stop()
        if self._listener is not None:
            self._listener.close()
        shutil.rmtree(self.directory)
        self._entered.close()

    def _prepare(self, entry: str) -> None:
        configuration = self.directory / "reader.conf.d"
        configuration.mkdir()
        (self.directory / "no-usb-drivers").mkdir()
        (configuration / "saifu").write_text(entry)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket_path))
        self._listener.listen(16)

    @property
    def ports(self) -> tuple[int, ...]:
        """Port of each slot, to which a card connects."""
        return self._driver.ports

    @property
    def running(self) -> bool:
        """Whether the daemon lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The daemon's process number, 0 when it does not run."""
        return self._process.pid if self._process is not None and self.running else 0

    def start(self) -> None:
        """Start the daemon, again if it was stopped, and wait until both slots are there."""
        assert self._listener is not None  # noqa: S101  (made before)
        self._driver.begin()
        with (self.directory / "pcscd.log").open("ab") as log:
            self._process = children.start(
                self._command(),
                {"PCSCLITE_HP_DROPDIR": str(self.directory / "no-usb-drivers")},
                stdin=self._listener.fileno(),
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us, who end it in order
            )
        self._wait_until_ready()

    def _command(self) -> list[str]:
        """unshare, setpriv and sh each become the next, so that the process number is pcscd's in the end."""
        root = os.geteuid() == 0
        own_run = root or not _RUN.is_dir()
        user = [] if root else ["--user", "--map-root-user"]
        return [
            *(["unshare", *user, "--mount"] if own_run else []),
            *("setpriv", "--pdeathsig", "KILL"),
            *("sh", "-c", (_OWN_RUN if own_run else "") + _BECOME_PCSCD, "sh"),
            *(str(find_pcscd()), "--foreground", "--config", str(self.directory / "reader.conf.d")),
            *_without_polkit(),
        ]

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while not self._driver.ready():
            if not self.running or time.monotonic() > end:
                self.stop()
                raise PcscUnavailableError(f"the private pcscd did not start: {self._last_words()}")
            time.sleep(_LOOK_SECONDS)

    def wait_until_empty(self, slot: int) -> None:
        """Wait until the daemon knows that slot 1 or 2 is empty; raises PcscUnavailableError if it hangs."""
        if self.running:
            self._driver.wait_until_empty(slot)

    def _last_words(self) -> str:
        said = (self.directory / "pcscd.log").read_text("utf-8", "replace").strip().splitlines()
        if any("unshare" in line for line in said[-1:]):
            said.append("there are no user namespaces here; `sudo mkdir -m 755 /run/pcscd` will do")
        return "; ".join(said[-3:]) or f"it said nothing, and the slots behind ports {self.ports} are not ready"

    def stop(self) -> None:
        """Stop the daemon as an operator would; cards stay in their slots, and are found after ``start``."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@functools.cache
def _without_polkit() -> list[str]:
    """Polkit guards a socket that everybody can reach; ours lies in its owner's directory."""
    said = children.run([str(find_pcscd()), "--help"], capture_output=True, check=False)
    return ["--disable-polkit"] if b"--disable-polkit" in said.stdout else []


def _listening_ports() -> set[int]:
    """TCP ports on which somebody listens (proc(5))."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == _LISTEN}
