"""A CCID reader with two slots on a pseudo-terminal, for libccid's driver of serial readers. POSIX only.

The driver takes the terminal for the serial line of a SEC1210, a reader with two slots. Here is the other end
of that line. The cards are processes, as with vpcd, and this reader is to them what vpcd is: each slot listens
on a port, on the loopback interface alone, and the card that connects is in.
"""

import contextlib
import os
import select
import socket
import threading
import time
import tty
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from apdu.errors import PcscUnavailableError
from apdu.protocol import Protocol
from host.virtual.ccid import NAK, CcidReader, Execute, FrameParser, Message, MuteError, RemovedError, frame
from host.virtual.parts import find_libccid
from host.virtual.t0 import T0Card
from host.virtual.t1 import T1Card

__all__ = ["SerialReader", "SerialSlot"]

_MODEL = "SEC1210"
_SLOTS = 2

_POWER_OFF, _POWER_ON, _RESET, _GIVE_ATR = b"\0", b"\1", b"\2", b"\4"
"""Controls of the cards' wire, see host.virtual.vpcd."""
_LONGEST_MESSAGE = 65535
_WRONG_LENGTH = b"\x67\x00"

_MORE_TIME_SECONDS = 1.0
"""After this time a card that computes asks for more: in less than the block waiting time of 1.4 s at 4 MHz."""
_ATR_SECONDS = 5.0
_EMPTY_SECONDS = 10.0
_FRAME_SECONDS = 0.5
"""The driver writes a frame at once; if the rest does not come, it has died in the middle."""


class _CardLink:
    """The connection to a card that is in, and the answers that it owes."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._received = b""
        self._owed = 0

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def gone(self) -> bool:
        """Whether the card has hung up; what it has said before stays unread."""
        self._connection.setblocking(False)
        try:
            return not self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def send(self, message: bytes, *, answered: bool = True) -> None:
        """Send a control or a command; raises RemovedError, and MuteError when the card takes nothing more."""
        try:
            self._connection.settimeout(_ATR_SECONDS)
            self._connection.sendall(len(message).to_bytes(2) + message)
        except TimeoutError:
            raise MuteError from None
        except OSError:
            raise RemovedError from None
        self._owed += answered

    def receive(self, seconds: float) -> bytes | None:
        """Return the answer to what was sent last, None if it does not come in time; older ones are dropped."""
        end = time.monotonic() + seconds
        while True:
            while (answer := self._next()) is not None:
                self._owed -= 1
                if not self._owed:
                    return answer
            if not self._read(end - time.monotonic()):
                return None

    def _next(self) -> bytes | None:
        size = 2 + int.from_bytes(self._received[:2])
        if len(self._received) < max(size, 2):
            return None
        answer, self._received = self._received[2:size], self._received[size:]
        return answer

    def _read(self, seconds: float) -> bool:
        if seconds <= 0:
            return False
        try:
            self._connection.settimeout(seconds)
            received = self._connection.recv(2 + _LONGEST_MESSAGE)
        except TimeoutError:
            return False
        except OSError:
            raise RemovedError from None
        if not received:
            raise RemovedError
        self._received += received
        return True


class SerialSlot:
    """One slot: a port for cards, and the protocol that is spoken with the card that is in.

    Between two cards ``look`` says at least once that there is none, so that nobody takes one for the other.
    """

    def __init__(self) -> None:
        """Listen; the slot is empty."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._card: _CardLink | None = None
        self._powered = False
        self._contacts: T0Card | T1Card = T0Card()
        self._declined = False
        self.empty = threading.Event()
        """Set while those who ``look`` know that the slot is empty."""
        self.looked = threading.Event()
        """Set by ``look``."""

    def close(self) -> None:
        """Take no more cards, and let the one go that is in."""
        self._listener.close()
        self._let_go()

    def present(self) -> bool:
        """Whether the card that was seen last is still in."""
        if self._card is not None and self._card.gone():
            self._let_go()
        return self._card is not None

    def look(self) -> bool:
        """Whether there is a card; takes in one that waits, if the slot was seen empty before."""
        if not self.present() and self.empty.is_set():
            self._take_in()
        if self._card is None:
            self.empty.set()
        self.looked.set()
        return self._card is not None

    def _take_in(self) -> None:
        with contextlib.suppress(OSError):  # nobody waits
            card = _CardLink(self._listener.accept()[0])
            if card.gone():
                card.close()
                return
            self._card, self._powered = card, False
            self.empty.clear()

    def _let_go(self) -> None:
        if self._card is not None:
            self._card.close()
        self._card = None

    def _link(self) -> _CardLink:
        if self._card is None:
            raise RemovedError
        return self._card

    def power_on(self) -> bytes:
        """Power the card on, or reset it, and return its ATR, which says which protocol is spoken."""
        card = self._link()
        card.send(_RESET if self._powered else _POWER_ON, answered=False)
        card.send(_GIVE_ATR)
        self._powered = True
        if not (atr := card.receive(_ATR_SECONDS)):
            raise MuteError
        self._contacts = T1Card() if Protocol.offered_by(atr) is Protocol.T1 else T0Card()
        return atr

    def power_off(self) -> None:
        """Take the power away."""
        if self._powered and self._card is not None:
            self._powered = False
            self._card.send(_POWER_OFF, answered=False)

    def exchange(self, tpdu: bytes) -> Iterator[bytes | None]:
        """Hand a TPDU or block to the card; yield None each time that more time is wanted, then the answer.

        At T=1 the card asks for more time by a block of its own, which is an answer.
        """
        if isinstance(self._contacts, T1Card):
            yield self._exchange_block(self._contacts, tpdu)
        else:
            yield from self._exchange_tpdu(self._contacts, tpdu)

    def _exchange_block(self, contacts: T1Card, block: bytes) -> bytes:
        step = contacts.receive(block)
        if isinstance(step, bytes):
            return step
        if isinstance(step, Execute):
            self._begin(step.command)
        response = self._response()
        return contacts.more_time() if response is None else contacts.answer(response)

    def _exchange_tpdu(self, contacts: T0Card, tpdu: bytes) -> Iterator[bytes | None]:
        step = contacts.receive(tpdu)
        if isinstance(step, bytes):
            yield step
            return
        self._begin(step.command)
        while (response := self._response()) is None:
            yield None
        yield contacts.answer(response)

    def _begin(self, command: bytes) -> None:
        """Give the card a command; what is none, or does not fit its wire, is declined as the card would."""
        self._declined = not 2 <= len(command) <= _LONGEST_MESSAGE
        if not self._declined:
            self._link().send(command)

    def _response(self) -> bytes | None:
        return _WRONG_LENGTH if self._declined else self._link().receive(_MORE_TIME_SECONDS)


class SerialReader:
    """The reader and its line, as a part of the private pcscd; a context manager."""

    def __enter__(self) -> Self:
        """Open the line and serve it from a thread."""
        self._line, self._other_end = os.openpty()
        tty.setraw(self._other_end)  # kept open, so that the line stays up while no driver is there
        self._ending, self._end = os.pipe()
        self._ends = threading.Event()
        self.slots = [SerialSlot() for _ in range(_SLOTS)]
        self._reader = CcidReader(self.slots)
        self._server = threading.Thread(target=self._serve, name="CCID reader", daemon=True)
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the line; cards that are in are out."""
        self._ends.set()
        os.close(self._end)
        self._server.join()
        for slot in self.slots:
            slot.close()
        for end in (self._ending, self._line, self._other_end):
            os.close(end)

    @property
    def ports(self) -> tuple[int, ...]:
        """Port of each slot."""
        return tuple(slot.port for slot in self.slots)

    @property
    def device(self) -> str:
        """Path of the terminal that a driver opens."""
        return os.ttyname(self._other_end)

    def configuration(self, name: str) -> str:
        """Return the reader's entry; raises PcscUnavailableError if libccid is missing."""
        device = f"{self.device}:{_MODEL}"
        return f'FRIENDLYNAME "{name}"\nDEVICENAME {device}\nCHANNELID 0\nLIBPATH {find_libccid()}\n'

    def begin(self) -> None:
        """A daemon is about to start."""
        for slot in self.slots:
            slot.looked.clear()

    def ready(self) -> bool:
        """Whether the daemon has looked into every slot."""
        return all(slot.looked.is_set() for slot in self.slots)

    def wait_until_empty(self, slot: int) -> None:
        """Wait until the daemon knows that slot 1 or 2 is empty; raises PcscUnavailableError if it hangs."""
        if not self.slots[slot - 1].empty.wait(_EMPTY_SECONDS):
            raise PcscUnavailableError("the private pcscd hangs: start `saifu reader run` again")

    def _serve(self) -> None:
        parser = FrameParser()
        while True:
            readable, _, _ = select.select([self._line, self._ending], [], [], _FRAME_SECONDS)
            if self._ending in readable:
                return
            if not readable:
                parser.forget()
                continue
            for message in parser.feed(os.read(self._line, 4096)):
                self._answer(message)

    def _answer(self, message: Message | None) -> None:
        if message is None:
            self._write(NAK)
            return
        for said in self._reader.answers(message):
            if self._ends.is_set():
                return
            self._write(frame(said))

    def _write(self, said: bytes) -> None:
        while said:
            said = said[os.write(self._line, said) :]
