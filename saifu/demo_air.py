"""The demo's way from the center to the terminal: over the air or the line, with the real bearers and programs."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from threading import Thread
from typing import Any

from apdu.counting import counted
from apdu.errors import BearerError
from broadcast.bearer import Way
from center.broadcasting import Broadcast
from center.center import Center
from center.cipher_groups import GROUP, cipher_keys
from host.air import Line, Outlet, open_outlet
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.listening import Listener
from host.virtual.broker import Mosquitto
from host.virtual.certificates import Authority

__all__ = ["Air", "AirLink", "open_link"]

_LOOPBACK = "127.0.0.1"
_MOST_SECONDS = 30.0


class Air(Enum):
    """What ``saifu demo --air`` takes."""

    UDP = "udp"
    SOUND = "sound"
    PAGER = "pager"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class _Ends:
    """What ``--air`` would be at the center and at the terminal, with the files that each needs."""

    center: str
    terminal: str = ""
    center_line: Line = field(default_factory=Line)
    terminal_line: Line = field(default_factory=Line)


class AirLink:
    """Broadcasts an edition and listens for it, each as its own command would."""

    def __init__(self, ends: _Ends, tell: Callable[[str], None]) -> None:
        """``tell`` shows a line."""
        self._ends, self._tell = ends, tell

    def carry(self, center: Center, store: BlacklistStore, clock: Callable[[], float]) -> dict[str, Any]:
        """Send what is on the air until the terminal has it; returns what went out.

        Raises BearerError when the terminal does not hear it.
        """
        keys = cipher_keys(center)
        if store.cipher_keys != keys:
            store.import_cipher_keys(keys.encode())
        with open_outlet(self._ends.center, keys, line=self._ends.center_line) as outlet:
            sending = Broadcast(center, GROUP, outlet)
            if outlet.way is not Way.RECORDING:
                with _on_the_air(sending, outlet):
                    self._listen(store, clock, outlet)
            else:
                sending.run()
        if outlet.way is Way.RECORDING:
            self._listen(store, clock, outlet)
        sent = sending.statistics
        what = f"{counted(sent.packets, 'packet')}, {counted(sent.bytes, 'byte')}"
        self._tell(f"{self._ends.center.partition(':')[0]}: {what} were sent")
        return {"packets": sent.packets, "bytes": sent.bytes}

    def _listen(self, store: BlacklistStore, clock: Callable[[], float], outlet: Outlet) -> None:
        listener = Listener(store, self._tell, clock)
        air = self._ends.terminal or outlet.place or self._ends.center
        listener.tune_in(air, self._ends.terminal_line, _MOST_SECONDS, once=True)
        if not listener.is_current:
            raise BearerError(f"{air}: the terminal did not hear the edition")


@contextmanager
def _on_the_air(sending: Broadcast, outlet: Outlet) -> Iterator[None]:
    """Send while the block listens; a line has it before."""
    if outlet.way is Way.LINE:
        sending.run(0)
        yield
        return
    thread = Thread(target=sending.run, name="broadcast")
    thread.start()
    try:
        yield
    finally:
        sending.stop()
        thread.join()


@contextmanager
def open_link(air: Air, folder: Path, tell: Callable[[str], None]) -> Iterator[AirLink]:
    """Open what a bearer needs: a free port, a file, a broker of our own."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        match air:
            case Air.UDP:
                ends = _Ends(f"udp::{_free_port()}")
            case Air.LINE:
                ends = _line(stack, folder, tell)
            case _:
                ends = _Ends(f"{air.value}:{folder / 'list.wav'}")
        yield AirLink(ends, tell)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((_LOOPBACK, 0))
        port: int = sock.getsockname()[1]
        return port


def _line(stack: ExitStack, folder: Path, tell: Callable[[str], None]) -> _Ends:
    """MQTT through a private broker; where there is no mosquitto, HTTPS."""
    try:
        broker = stack.enter_context(Mosquitto(folder))
    except BearerError as error:
        tell(f"{error}; so the line is HTTPS")
        authority = Authority.make(folder)
        certificate, key = authority.certify(_LOOPBACK)
        return _Ends("http:0", "", Line(certificate=certificate, key=key), Line(ca=authority.ca))
    ca = Line(ca=broker.authority.ca)
    return _Ends(f"mqtt:{_LOOPBACK}:{broker.port}", "", ca, ca)
