"""UDP multicast over the loopback interface: everybody hears everything, junk is left out, errors say what to do."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Thread

import pytest

from apdu.errors import BearerError, InputError
from broadcast.bearers.bundle import LARGEST_PACKET
from broadcast.bearers.udp import TokenBucket, UdpReceiver, UdpTransmitter
from tests.broadcast.bearers.objects import object_packets, take

GROUP = "239.83.70.9"


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else uses, held on another address until the test is over."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_every_receiver_on_the_machine_hears_every_packet(port: int) -> None:
    packets = object_packets(7, 0, 20_000)
    with ExitStack() as stack:
        receivers = [stack.enter_context(UdpReceiver(GROUP, port)) for _ in range(3)]
        transmitter = stack.enter_context(UdpTransmitter(GROUP, port))
        transmitter.send(packets)
        assert [take(receiver, len(packets)) for receiver in receivers] == [packets] * 3


def test_receiver_that_comes_late_hears_the_rest(port: int) -> None:
    packets = object_packets(7, 0, 2000)
    with UdpTransmitter(GROUP, port) as transmitter:
        transmitter.send(packets[:5])
        with UdpReceiver(GROUP, port) as receiver:
            transmitter.send(packets[5:])
            assert take(receiver, len(packets) - 5) == packets[5:]


def test_other_groups_and_unicast_are_not_heard(port: int) -> None:
    packet = object_packets(7, 1, 100)
    with (
        UdpReceiver(GROUP, port) as receiver,
        UdpReceiver("239.83.70.10", port) as other,
        UdpTransmitter("239.83.70.10", port) as elsewhere,
        UdpTransmitter(GROUP, port) as transmitter,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        stranger.sendto(bytes(197), ("127.0.0.1", port))
        elsewhere.send([bytes(197)])
        transmitter.send(packet)
        assert (take(receiver, 1), take(other, 1)) == (packet, [bytes(197)])


def test_flood_of_junk_hides_no_packet_and_only_packet_sizes_come_through(port: int) -> None:
    packets = object_packets(7, 0, 20_000)
    junk = [b"", b"x", bytes(20), bytes(LARGEST_PACKET + 1), bytes(9000), bytes(65_000)]
    with UdpReceiver(GROUP, port) as receiver, UdpTransmitter(GROUP, port, bits_per_second=1e9) as transmitter:
        heard: list[bytes] = []
        thread = Thread(target=lambda: heard.extend(take(receiver, len(packets))))
        thread.start()
        for packet in packets:
            transmitter.send([*junk, packet])
        thread.join()
    assert heard == packets


def test_smallest_and_largest_packets_come_through(port: int) -> None:
    packets = [bytes(21), bytes(LARGEST_PACKET)]
    with UdpReceiver(GROUP, port) as receiver, UdpTransmitter(GROUP, port) as transmitter:
        transmitter.send(packets)
        assert take(receiver, 2) == packets


def test_silence_ends_after_the_seconds_given(port: int) -> None:
    with UdpReceiver(GROUP, port) as receiver:
        assert list(receiver.packets(0.1)) == []
        assert list(receiver.packets(0)) == []


def test_rate_is_kept_and_a_rest_saves_up_little() -> None:
    bucket, now = TokenBucket(1_000_000), 5.0
    for _ in range(101):
        now += bucket.wait(250, now)
    assert now - 5.0 == pytest.approx(100 * 250 * 8 / 1_000_000 - 0.02)
    at_once = 0
    while not bucket.wait(250, now + 3600):
        at_once += 1
    assert 10 <= at_once <= 11


@pytest.mark.parametrize("group", ["10.0.0.1", "nowhere", "ff02::1", ""])
def test_group_that_is_none_is_refused(group: str) -> None:
    with pytest.raises(InputError):
        UdpReceiver(group, 17070)
    with pytest.raises(InputError):
        UdpTransmitter(group, 17070)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(InputError, match="no port"):
        UdpReceiver(GROUP, port)


def test_hops_and_rates_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InputError, match="hops"):
        UdpTransmitter(GROUP, 17070, hops=256)
    with pytest.raises(InputError, match="more than 0"):
        UdpTransmitter(GROUP, 17070, bits_per_second=0)


def test_missing_interface_is_named() -> None:
    with pytest.raises(BearerError, match=r"192\.0\.2\.1.*network card"):
        UdpTransmitter(GROUP, 17070, "192.0.2.1")
    with pytest.raises(BearerError, match=r"192\.0\.2\.1.*network card"):
        UdpReceiver(GROUP, 17070, "192.0.2.1")
    with pytest.raises(InputError, match="interface"):
        UdpReceiver(GROUP, 17070, "eth7")


def test_port_in_use_is_named(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind((GROUP, port))
        with pytest.raises(BearerError, match=f"port {port} cannot be used"):
            UdpReceiver(GROUP, port)


def test_packet_that_the_network_refuses_is_an_error(port: int) -> None:
    with UdpTransmitter(GROUP, port) as transmitter, pytest.raises(BearerError, match="cannot be sent"):
        transmitter.send([bytes(70_000)])


def test_closing_twice_is_allowed_and_a_closed_receiver_says_so(port: int) -> None:
    receiver = UdpReceiver(GROUP, port)
    receiver.close()
    receiver.close()
    with pytest.raises(BearerError):
        list(receiver.packets(1))
