"""Programs beside saifu: a reader with witness cards, and another program at the same cards, each a real process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from apdu.protocol import Protocol
from host.virtual.reader import Driver

__all__ = ["CONNECTIONS", "Other", "Running", "reader_with"]

ROOT = Path(__file__).parents[3]
CONNECTIONS = {
    "vpcd": (Driver.VPCD, Protocol.T1),
    "libccid at T=1": (Driver.CCID, Protocol.T1),
    "libccid at T=0": (Driver.CCID, Protocol.T0),
}

READER = """if True:
    import json, sys
    from pathlib import Path
    from apdu.protocol import Protocol
    from host.pcsc import PcscSlot
    from host.virtual.reader import Driver, VirtualReader
    from tests.host.virtual.witness_card import program
    driver, protocol, *images = sys.argv[1:]
    with VirtualReader(program(Protocol(protocol)), Driver(driver)) as reader:
        for slot, image in enumerate(images, 1):
            reader.insert(slot, Path(image))
        for name in reader.pcscd.readers[: len(images)]:
            assert PcscSlot(name).wait_for_card(seconds=20)
        print(json.dumps([str(reader.pcscd.socket_path), *reader.pcscd.readers]), flush=True)
        for line in sys.stdin:
            order, slot, *image = line.split()
            reader.eject(int(slot)) if order == "eject" else reader.insert(int(slot), Path(image[0]))
            print("done", flush=True)
"""

OTHER = """if True:
    import sys
    from smartcard import scard
    _, context = scard.SCardEstablishContext(0)
    code, card, protocol = scard.SCardConnect(context, sys.argv[1], 2, 3)
    print(code, flush=True)
    for line in sys.stdin:
        order, *given = line.split()
        if order == "again":
            code, protocol = scard.SCardReconnect(card, 2, 3, int(given[0]))
            print(code & 0xFFFFFFFF, flush=True)
        elif order == "begin":
            print(scard.SCardBeginTransaction(card) & 0xFFFFFFFF, flush=True)
        elif order == "end":
            print(scard.SCardEndTransaction(card, int(given[0])) & 0xFFFFFFFF, flush=True)
        else:
            pci = scard.SCARD_PCI_T0 if protocol == 1 else scard.SCARD_PCI_T1
            code, answer = scard.SCardTransmit(card, pci, list(bytes.fromhex(order)))
            print(bytes(answer).hex() if not code else code & 0xFFFFFFFF, flush=True)
"""
"""Raw PC/SC: one connection in shared mode, and what it is told to do with it; prints codes, or answers in hex."""


def _start(program: str, *words: str, **environment: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdin=pipe,
        stdout=pipe,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        start_new_session=True,
    )


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _tell(process: "subprocess.Popen[str]", line: str) -> str:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return _line(process)


class Other:
    """Another program at a card: connected in shared mode, all the time."""

    LEAVE, RESET = 0, 1

    def __init__(self, socket: str, reader: str) -> None:
        self._process = _start(OTHER, reader, PCSCLITE_CSOCK_NAME=socket, PCSCLITE_NO_BLOCKING="1")
        assert _line(self._process) == "0"

    @property
    def pid(self) -> int:
        return self._process.pid

    def does(self, order: str) -> str:
        """``again D``, ``begin``, ``end D`` with a disposition, or a command in hex; what came of it."""
        return _tell(self._process, order)

    def ends(self) -> None:
        self._process.communicate(timeout=60)


@dataclass(frozen=True)
class Running:
    """A virtual reader in a process of its own."""

    process: "subprocess.Popen[str]"
    socket: str
    readers: list[str]

    @property
    def environment(self) -> dict[str, str | None]:
        return {"PCSCLITE_CSOCK_NAME": self.socket}

    def eject(self, slot: int) -> None:
        assert _tell(self.process, f"eject {slot}") == "done"

    def insert(self, slot: int, image: Path) -> None:
        assert _tell(self.process, f"insert {slot} {image}") == "done"

    @contextmanager
    def other(self, slot: int = 1) -> Iterator[Other]:
        """Another program at the card in a slot."""
        other = Other(self.socket, self.readers[slot - 1])
        try:
            yield other
        finally:
            other.ends()


@contextmanager
def reader_with(connection: str, *images: Path) -> Iterator[Running]:
    """A virtual reader with witness cards in it."""
    driver, protocol = CONNECTIONS[connection]
    process = _start(READER, driver.value, protocol.value, *map(str, images))
    try:
        socket, *readers = json.loads(_line(process))
        yield Running(process, socket, readers)
    finally:
        process.communicate(timeout=60)
