"""UDP multicast: radio as a network sees it. One packet a datagram, nobody answers, anybody may join and leave."""

import ipaddress
import math
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic, sleep

from apdu.errors import BearerError, InputError
from broadcast.bearer import Receiver, Transmitter
from broadcast.bearers.bundle import LARGEST_PACKET, SMALLEST_PACKET
from broadcast.packets import Packet

__all__ = ["DEFAULT_GROUP", "DEFAULT_PORT", "TokenBucket", "UdpReceiver", "UdpTransmitter"]

DEFAULT_GROUP = "239.83.70.1"
"""Of the administratively scoped block (RFC 2365): no router carries it out of the house."""
DEFAULT_PORT = 17070
_LOOPBACK = "127.0.0.1"
_IP_AND_UDP_HEADERS = 28
_BUCKET_SECONDS = 0.02
"""What may be sent at once after a rest: little, so that no receiver's buffer overflows."""
_RECEIVE_BUFFER = 4 << 20
_PATIENCE = 1.0
"""Seconds between two looks at the clock while the air is silent."""


class TokenBucket:
    """Holds a sender to a rate; a rest is saved up for at most 20 ms, or one packet."""

    def __init__(self, bits_per_second: float) -> None:
        """Begin full."""
        if bits_per_second <= 0:
            raise InputError(f"a rate of {bits_per_second} bit/s sends nothing; give more than 0")
        self._rate = bits_per_second
        self._next = -math.inf

    def wait(self, size: int, now: float) -> float:
        """Seconds to wait from ``now`` (monotonic) until ``size`` bytes may be sent, which are then taken as sent."""
        begin = max(self._next, now - _BUCKET_SECONDS)
        self._next = begin + size * 8 / self._rate
        return max(begin - now, 0.0)


def _address(text: str, what: str) -> ipaddress.IPv4Address:
    example = DEFAULT_GROUP if what == "group" else _LOOPBACK
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise InputError(f"{text!r} is not an IPv4 address; give one for the {what}, such as {example}") from None


def _check_group(group: str, port: int) -> None:
    if not _address(group, "group").is_multicast:
        raise InputError(f"{group} is not a multicast address; give one from 224.0.0.0 to 239.255.255.255")
    if not 0 < port <= 0xFFFF:
        raise InputError(f"there is no port {port}; give one from 1 to 65535")


class UdpTransmitter(Transmitter):
    """Sends each packet as a datagram to a group, at a limited rate."""

    def __init__(
        self,
        group: str = DEFAULT_GROUP,
        port: int = DEFAULT_PORT,
        interface: str = _LOOPBACK,
        hops: int | None = None,
        bits_per_second: float = 1_000_000,
    ) -> None:
        """Open; ``interface`` is the address of the network card to send from.

        ``hops`` is the TTL: 0 stays in this machine (the default on the loopback interface), 1 in this network (the
        default elsewhere). The rate counts the headers of IP and UDP. Raises InputError and BearerError.
        """
        _check_group(group, port)
        own = _address(interface, "interface")
        hops = (0 if own.is_loopback else 1) if hops is None else hops
        if not 0 <= hops <= 0xFF:
            raise InputError(f"a datagram cannot take {hops} hops; give 0 to 255")
        self._to = (group, port)
        packet = Packet.FRAME + self.symbol_size
        self.packet_rate = bits_per_second * packet / (packet + _IP_AND_UDP_HEADERS)
        self._bucket = TokenBucket(bits_per_second)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own.packed)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        except OSError as error:
            self._socket.close()
            raise _no_interface(interface, error) from None

    def send(self, packets: Sequence[bytes]) -> None:
        """Send at the rate given; raises BearerError when the network refuses."""
        for packet in packets:
            sleep(self._bucket.wait(len(packet) + _IP_AND_UDP_HEADERS, monotonic()))
            try:
                self._socket.sendto(packet, self._to)
            except OSError as error:
                text = f"UDP to {self._to[0]} port {self._to[1]} cannot be sent: {error.strerror or error}"
                raise BearerError(f"{text}; check that this interface is up and has a route") from None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _no_interface(interface: str, error: OSError) -> BearerError:
    text = f"UDP multicast on interface {interface}: {error.strerror or error}"
    return BearerError(f"{text}; give the address of a network card of this machine that is up")


class UdpReceiver(Receiver):
    """Hears a group; any number of receivers on one machine hear the same packets."""

    def __init__(self, group: str = DEFAULT_GROUP, port: int = DEFAULT_PORT, interface: str = _LOOPBACK) -> None:
        """Join the group on the network card with the address ``interface``; raises InputError and BearerError."""
        _check_group(group, port)
        own = _address(interface, "interface")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._bind(group, port)
            membership = _address(group, "group").packed + own.packed
            self._join(membership, interface)
        except BaseException:
            self._socket.close()
            raise

    def _bind(self, group: str, port: int) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Linux shares a group's port by SO_REUSEADDR alone, and by SO_REUSEPORT only among processes of one user.
        if hasattr(socket, "SO_REUSEPORT") and sys.platform != "linux":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with suppress(OSError):  # a smaller buffer than wished for is still a buffer
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        try:
            # Bound to the group, it hears nothing that was sent to this machine alone; Windows binds to no group.
            self._socket.bind(("" if sys.platform == "win32" else group, port))
        except OSError as error:
            text = f"UDP port {port} cannot be used: {error.strerror or error}"
            raise BearerError(f"{text}; end the program that holds it, or use another port on both sides") from None

    def _join(self, membership: bytes, interface: str) -> None:
        try:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        except OSError as error:
            raise _no_interface(interface, error) from None

    def packets(self, seconds: float | None = None) -> Iterator[bytes]:
        """Yield datagrams of a packet's size until ``seconds`` have passed; raises BearerError."""
        end = None if seconds is None else monotonic() + seconds
        while (left := _PATIENCE if end is None else end - monotonic()) > 0:
            packet = self._receive(min(left, _PATIENCE))
            if SMALLEST_PACKET <= len(packet) <= LARGEST_PACKET:
                yield packet

    def _receive(self, seconds: float) -> bytes:
        """The next datagram, its first LARGEST_PACKET + 1 bytes; empty when none comes."""
        try:
            self._socket.settimeout(seconds)
            return self._socket.recv(LARGEST_PACKET + 1)
        except TimeoutError:
            return b""
        except OSError as error:
            if getattr(error, "winerror", None) == 10040:  # Windows: the datagram was longer, and is gone
                return b""
            raise BearerError(f"UDP cannot be received: {error.strerror or error}") from None

    def close(self) -> None:
        """Leave the group and close the socket."""
        self._socket.close()
