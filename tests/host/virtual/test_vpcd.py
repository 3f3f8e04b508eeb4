"""The card's end of the driver's protocol, against a driver made of a socket."""

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.virtual.vpcd import VpcdLink
from tests.host.virtual.echo_card import ATR_T1, COUNT, EchoCard

OFF, ON, RESET, GIVE_ATR = b"\0", b"\1", b"\2", b"\4"
OK = b"\x90\x00"


class WatchedCard(EchoCard):
    """An echo card that remembers what was done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []

    def power_on(self) -> bytes:
        self.done.append("on")
        return super().power_on()

    def power_off(self) -> None:
        self.done.append("off")

    def reset(self) -> bytes:
        self.done.append("reset")
        return super().power_on()


class Driver:
    """What vpcd does at its end of the connection, and a card at the other."""

    def __init__(self, *, quick_ack: bool = True) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.end = socket.create_connection(server.getsockname())
            self.card_end, _ = server.accept()
        self.card = WatchedCard()
        self.seen = 0
        link = VpcdLink(self.card_end, self.card, quick_ack=quick_ack, when_seen=self._count)
        self._thread = threading.Thread(target=link.serve)
        self._thread.start()

    def _count(self) -> None:
        self.seen += 1

    def says(self, message: bytes) -> None:
        self.end.sendall(len(message).to_bytes(2) + message)

    def hears(self) -> bytes:
        length = int.from_bytes(self.end.recv(2, socket.MSG_WAITALL))
        return self.end.recv(length, socket.MSG_WAITALL)

    def hangs_up(self) -> list[str]:
        self.end.close()
        self._thread.join()
        self.card_end.close()
        return self.card.done


@pytest.fixture(params=[True, False], ids=["quick", "slow"])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    driver = Driver(quick_ack=request.param)
    yield driver
    driver.hangs_up()


def test_an_unpowered_card_is_powered_to_learn_its_atr(driver: Driver) -> None:
    for _ in range(2):
        driver.says(GIVE_ATR)
        assert driver.hears() == ATR_T1
    assert driver.hangs_up() == ["on", "off"]


def test_controls_reach_the_card_and_only_the_atr_is_answered(driver: Driver) -> None:
    for message in (ON, RESET, ON, OFF, OFF, ON, GIVE_ATR):
        driver.says(message)
    assert driver.hears() == ATR_T1
    assert driver.hangs_up() == ["on", "reset", "reset", "off", "on", "off"]
    assert driver.seen == 1


def test_hanging_up_takes_the_power_away(driver: Driver) -> None:
    driver.says(ON)
    assert driver.hangs_up() == ["on", "off"]


def test_hanging_up_in_the_middle_of_a_command_does_too(driver: Driver) -> None:
    driver.says(ON)
    driver.end.sendall(b"\x00\x10\x80\xe0")
    assert driver.hangs_up() == ["on", "off"]


def test_a_reset_begins_a_new_session(driver: Driver) -> None:
    for message in (ON, COUNT, COUNT, RESET, COUNT):
        driver.says(message)
    assert [driver.hears() for _ in range(3)] == [b"\x01" + OK, b"\x02" + OK, b"\x01" + OK]


def test_a_card_without_power_hears_no_command(driver: Driver) -> None:
    for message in (ON, OFF, COUNT, ON, COUNT):
        driver.says(message)
    assert [driver.hears() for _ in range(2)] == [b"\x6f\x00", b"\x01" + OK]


class AckCounter(socket.socket):
    """A socket that knows how often it was asked to acknowledge at once, and how often it received."""

    asked = received = 0

    def setsockopt(self, level: int, name: int, value: int) -> None:  # type: ignore[override]  # one form is used
        self.asked += (level, name, value) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        super().setsockopt(level, name, value)

    def recv(self, *arguments: int) -> bytes:
        self.received += 1
        return super().recv(*arguments)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="quick acknowledgements are Linux's")
@pytest.mark.parametrize("quick_ack", [True, False])
def test_acknowledgements_are_quick_before_every_receive_or_never(quick_ack: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as end:
        accepted = server.accept()[0]
        counter = AckCounter(fileno=accepted.detach())
        for command in (COUNT, COUNT):
            end.sendall(len(command).to_bytes(2) + command)
        end.shutdown(socket.SHUT_WR)
        with counter:
            VpcdLink(counter, EchoCard(), quick_ack=quick_ack).serve()
    assert counter.received == 5  # two lengths, two commands, the end
    assert counter.asked == (counter.received if quick_ack else 0)


@given(commands=st.lists(st.binary(min_size=2, max_size=300), max_size=5), cut=st.integers(1, 7))
def test_commands_arrive_whole_however_they_are_cut(commands: list[bytes], cut: int) -> None:
    driver = Driver()
    driver.says(ON)
    stream = b"".join(len(command).to_bytes(2) + command for command in commands)
    for start in range(0, len(stream), cut):
        driver.end.sendall(stream[start : start + cut])
    heard = [driver.hears() for _ in commands]
    driver.hangs_up()
    assert heard == [command + OK for command in commands]
