"""A private MQTT broker: mosquitto with TLS on a free port of this machine; the system's own is not touched."""

import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from apdu.errors import BearerError
from broadcast import children
from host.virtual.certificates import Authority

__all__ = ["Mosquitto"]

_LOGIN = ("terminals", "not so secret")
"""User name and password where a login is wanted; for trials, it protects nothing."""
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
"""Debian has mosquitto in /usr/sbin, which is not on everybody's path."""
_START_SECONDS = 20.0


class Mosquitto:
    """A broker that can be killed and started again; what it retains is lost then."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", needs_login: bool = False, acl: str = "") -> None:
        """Start it; ``acl`` are lines of mosquitto's access control. Raises BearerError when it cannot be."""
        self._program = _find()
        self.authority = Authority.make(folder)
        self._folder = folder
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]
        self._config(host, needs_login, acl)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _config(self, host: str, needs_login: bool, acl: str) -> None:
        certificate, key = self.authority.certify(host)
        lines = [f"listener {self.port} 127.0.0.1", f"certfile {certificate}", f"keyfile {key}", "persistence false"]
        lines += [f"user {getpass.getuser()}", f"allow_anonymous {str(not needs_login).lower()}", "log_type error"]
        if needs_login:
            passwords = self._folder / "passwords"
            passwords.write_text(":".join(_LOGIN) + "\n")
            hashed = [shutil.which("mosquitto_passwd", path=_PATH) or "mosquitto_passwd", "-U", str(passwords)]
            children.run(hashed, check=True, capture_output=True)
            lines.append(f"password_file {passwords}")
        if acl:
            (self._folder / "acl").write_text(acl)
            lines.append(f"acl_file {self._folder / 'acl'}")
        (self._folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def login(self, password: str = _LOGIN[1]) -> Path:
        """Write a login file, of two lines."""
        file = self._folder / "login"
        file.write_text(f"{_LOGIN[0]}\n{password}\n")
        return file

    def start(self) -> None:
        """Start it, again after a kill; raises BearerError with its own words."""
        with (self._folder / "mosquitto.log").open("ab") as log:
            command = [self._program, "-c", str(self._folder / "mosquitto.conf")]
            self._process = children.start(command, stdout=log, stderr=log)
        end = monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or monotonic() > end:
                self.kill()
                raise BearerError(f"mosquitto did not start: {(self._folder / 'mosquitto.log').read_text()[-500:]}")
            sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """End it."""
        self.kill()

    def kill(self) -> None:
        """As when the machine loses power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _find() -> str:
    if program := shutil.which("mosquitto", path=_PATH):
        return program
    raise BearerError("mosquitto, the MQTT broker, was not found; install the package mosquitto")
