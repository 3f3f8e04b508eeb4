"""A town for whole command lines: a center, terminals, senders in processes, and no secret in any word."""

import signal
import socket
import subprocess
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from apdu.identity import CardId, Role
from center.center import Center
from center.keys import CenterKeys
from center.settings import Settings
from host.terminal.blacklist_store import BlacklistStore
from tests.saifu.shell import PASSPHRASE, Changes, Ran, Shell

__all__ = ["AOI", "BOTAN", "GROUPS", "HANA", "Sender", "TownShell", "free_port", "make_town"]

CHEAP = 2**14
"""Scrypt's N for keys that protect nothing."""
AOI, BOTAN, HANA = (CardId.of(1, serial) for serial in (1, 2, 3))
GROUPS = ("terminals", "north")
DAY = 86400


@cache
def _secrets(folder: Path) -> tuple[str, ...]:
    """Every key of a center in each form in which it could be shown by mistake, and its passphrase."""
    keys = CenterKeys.read(folder, PASSPHRASE.encode())
    scalars = [key.private_numbers().private_value.to_bytes(32) for key in (keys.certification, keys.orders)]
    given = [keys.cipher_key(group, number) for group in GROUPS for number in (1, 2, 3)]
    raws = [*scalars, keys.cipher_root, *(raw for key in given for raw in (key.key, key.packet_key))]
    forms = [
        [raw.hex(), b64encode(raw).decode().rstrip("="), urlsafe_b64encode(raw).decode(), repr(raw)] for raw in raws
    ]
    return PASSPHRASE, *(form.lower() for each in forms for form in each)


class TownShell(Shell):
    """A shell that looks for secrets in every answer; each terminal has a home of its own in the folder."""

    def __init__(self, folder: Path, name: str = "home") -> None:
        super().__init__(folder)
        self._name = name

    @property
    def home(self) -> Path:
        return self.folder / self._name

    def run(self, *arguments: object, stdin: object = "", env: Changes | None = None) -> Ran:
        assert isinstance(stdin, str)
        return self.checked(super().run(*arguments, stdin=stdin, env=env))

    def process(self, *arguments: object, stdin: str = "", env: Changes | None = None) -> Ran:
        return self.checked(super().process(*arguments, stdin=stdin, env=env))

    def checked(self, ran: Ran) -> Ran:
        """The same answer; no secret is in it, and no traceback."""
        said = (ran.out + ran.err).lower()
        center = self.home / "center"
        assert not any(secret in said for secret in (_secrets(center) if center.exists() else ()))
        assert "traceback" not in said, ran
        return ran

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Without the notes of listeners, which come and go as lock files do."""
        return {name: file for name, file in super().files().items() if "/listening" not in name}

    # --- the center ----------------------------------------------------------------------------------------

    def publish(self, *stolen: CardId) -> int:
        """Take theft reports in and publish; returns the number of the edition."""
        for card in stolen:
            self.good("center", "report-stolen", card.text)
        number = self.good("center", "publish", "--json").document["edition"]
        assert isinstance(number, int)
        return number

    def center(self, ago: int = 0) -> Center:
        """The center itself, whose clock is ``ago`` seconds behind, which its operator confirms; to be closed."""
        center = Center.open(self.home / "center", PASSPHRASE.encode(), lambda: time.time() - ago, self.witness)
        center.confirm_clock()
        return center

    def recorded(self, air: str, *options: object) -> Ran:
        """Broadcast into a recording."""
        return self.good("center", "broadcast", "--air", air, *options)

    @contextmanager
    def sending(self, air: str, *options: object) -> Iterator["Sender"]:
        """Broadcast in a process of its own, which has begun and goes on; ended with Ctrl-C at the latest."""
        process = self.start("center", "broadcast", "--air", air, *options)
        with process:
            sender = Sender(self, process)
            try:
                if "--json" not in options:
                    sender.first = sender.line()
                yield sender
            finally:
                sender.stop()

    # --- terminals -----------------------------------------------------------------------------------------

    def terminal(self, name: str, keys: str = "keys.json") -> "TownShell":
        """Another terminal of the town, with the cipher keys of a file."""
        other = TownShell(self.folder, name)
        other.good("terminal", "import", self.home / "center" / "trust.json", keys)
        return other

    def listen(self, air: str, *options: object) -> Ran:
        """Listen in this process, a minute at most."""
        return self.run("terminal", "listen", "--air", air, "--seconds", "60", *options)

    @property
    def store(self) -> BlacklistStore:
        """The terminal's blacklist store, as it lies on the disk."""
        return BlacklistStore(self.home / "terminal")

    @property
    def listed(self) -> list[int]:
        """Serials of the cards that the terminal lists."""
        edition = self.store.edition
        assert edition is not None
        serials: list[int] = edition.serials.tolist()
        return serials


@dataclass
class Sender:
    """A broadcast in a process of its own."""

    shell: TownShell
    process: "subprocess.Popen[str]"
    first: str = ""
    ran: Ran | None = None

    def line(self) -> str:
        """The next line that it says."""
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        assert said, self.stop()
        return said

    @property
    def place(self) -> str:
        """What it says that terminals have to give as --air."""
        return self.first.split(": ", 1)[1].strip()

    def stop(self, number: signal.Signals = signal.SIGINT) -> Ran:
        """End it; what it has left."""
        if self.ran is None:
            assert self.process.stdout is not None
            assert self.process.stderr is not None
            if self.process.poll() is None:
                self.process.send_signal(number)
            code = self.process.wait(60)
            self.ran = Ran(code, self.process.stdout.read(), self.first + self.process.stderr.read())
            self.shell.checked(self.ran)
        return self.ran


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def make_town(folder: Path) -> TownShell:
    """A center with three cards, and a terminal that has its trust file and the keys of its group."""
    shell = TownShell(folder)
    settings = Settings(1, "EUR")
    center = Center.create(shell.home / "center", settings, PASSPHRASE.encode(), cost=CHEAP, witness=shell.witness)
    for holder in ("Aoi", "Botan", "Hana"):
        center.allot(Role.PERSON, holder)
    center.close()
    shell.good("center", "cipher-keys", "--out", "keys.json")
    shell.good("terminal", "import", "home/center/trust.json", "keys.json")
    return shell
