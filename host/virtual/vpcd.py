"""The card's end of vpcd, the driver through which pcscd reaches a card that is a TCP client.

Each message, either way, is a length of two bytes, big-endian, and that many bytes. A message of one byte
from the driver is a control: 00 power off, 01 power on, 02 reset, 04 ask for the ATR. Only 04 is answered.
Every longer message is a command APDU, answered with a response APDU. Hanging up is taking the card out.
"""

import socket
from collections.abc import Callable
from typing import Protocol

__all__ = ["SimulatedCard", "VpcdLink", "connect"]

_POWER_OFF, _POWER_ON, _RESET, _GIVE_ATR = b"\0", b"\1", b"\2", b"\4"

_NO_POWER = b"\x6f\x00"
"""No precise diagnosis (ISO 7816-4 clause 5.6): a card without power says nothing, but the driver wants an answer."""

_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""Linux only; pcscd and its drivers are for the most part found there too."""


class SimulatedCard(Protocol):
    """A card without contacts: what a reader does to one, as methods."""

    def power_on(self) -> bytes:
        """Give the card power and return its ATR, 2 to 33 bytes (ISO 7816-3 clause 8)."""
        ...

    def power_off(self) -> None:
        """Take the power away: everything in transient memory is gone."""
        ...

    def reset(self) -> bytes:
        """Reset the powered card and return its ATR."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """Return the response APDU, at least 2 bytes, to a command APDU; raises OSError: it is out and in again."""
        ...


def connect(port: int) -> socket.socket:
    """Return a connection to the driver that listens on the loopback ``port``; raises OSError."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class VpcdLink:
    """One card in one slot, from the connection to the driver until either side hangs up.

    The driver sends a message's length and its bytes in two pieces, and the second waits until the first is
    acknowledged, which the system puts off for 40 ms. So acknowledgements are asked for at once, before every
    receive, because the system forgets; ``quick_ack=False`` is there to measure what that is worth.
    """

    def __init__(
        self,
        connection: socket.socket,
        card: SimulatedCard,
        *,
        quick_ack: bool = True,
        when_seen: Callable[[], None] = lambda: None,
    ) -> None:
        """``when_seen`` is called each time that the driver has got the ATR of the card that it has powered."""
        self._connection = connection
        self._card = card
        self._quick_ack = _QUICK_ACK if quick_ack else None
        self._when_seen = when_seen
        self._driven = False
        self._powered = False
        self._atr = b""

    def serve(self) -> None:
        """Answer the driver until it hangs up, then leave the card without power."""
        try:
            while message := self._receive_message():
                if (answer := self._answer(message)) is not None:
                    self._connection.sendall(len(answer).to_bytes(2) + answer)
                if message == _GIVE_ATR and self._driven:
                    self._when_seen()
        except OSError:
            pass  # the daemon died: for the card no different from being taken out
        finally:
            self._power_off()

    def _answer(self, message: bytes) -> bytes | None:
        if len(message) > 1:
            return self._card.transmit(message) if self._powered else _NO_POWER
        if message == _GIVE_ATR:
            return self._give_atr()
        if message in (_POWER_ON, _RESET):
            self._power_or_reset()
            self._driven = True
        elif message == _POWER_OFF:
            self._power_off()
        return None

    def _give_atr(self) -> bytes:
        """The driver asks before the first power-on too, to learn whether there is a card."""
        if not self._atr:
            self._power_or_reset()
        return self._atr

    def _power_or_reset(self) -> None:
        self._atr = self._card.reset() if self._powered else self._card.power_on()
        self._powered = True

    def _power_off(self) -> None:
        if self._powered:
            self._card.power_off()
        self._powered = False

    def _receive_message(self) -> bytes:
        """The next message; empty when the driver has hung up."""
        length = int.from_bytes(self._receive(2))
        return self._receive(length) if length else b""

    def _receive(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            if self._quick_ack is not None:
                self._connection.setsockopt(socket.IPPROTO_TCP, self._quick_ack, 1)
            if not (piece := self._connection.recv(size - len(received))):
                return b""
            received += piece
        return received
