"""MQTT brokers that take their time or never stop: a receiver ends when it was told to."""

import gc
import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain, count, islice, repeat
from pathlib import Path
from time import sleep

import pytest

from apdu.errors import BearerError
from broadcast.bearers.index import Entry, Index
from broadcast.bearers.mqtt import MqttReceiver
from broadcast.bearers.mqtt_session import Broker, ConnectionLostError, Session
from host.virtual.certificates import Authority
from tests.broadcast.bearers.false_server import serving

SHORT = 0.5
PLENTY = 60.0
"""Seconds that nothing here comes near to, unless it has no end."""
ROOT = b"saifu/5/terminals/1/"
CONNECTED = bytes.fromhex("2003 00 00 00")
SUBSCRIBED = [bytes.fromhex(f"9004 {number:04X} 00 01") for number in (1, 2)]


def published(topic: bytes, content: bytes) -> bytes:
    """PUBLISH at QoS 0 (MQTT 5, 3.3), less than 16 KiB of it."""
    body = len(topic).to_bytes(2) + topic + b"\0" + content
    return bytes([0x30, len(body) & 0x7F | 0x80, len(body) >> 7]) + body


def index(edition: int) -> bytes:
    return published(ROOT + b"index", Index((Entry(edition & 0xFFFF, 0, 5000, "x"),)).encode())


def slowly(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Longer than plenty, but not for ever, or a test that fails would not end."""
    for part in islice(parts, 400):
        yield part
        sleep(0.2)


def trickling(message: bytes) -> Iterator[bytes]:
    return slowly(chain((bytes([one]) for one in message), repeat(b"\0")))


OBJECT = b"\x30\xff\xff\x7f" + len(ROOT + b"full").to_bytes(2) + ROOT + b"full"
"""The beginning of 2 MiB."""
UNREACHED: dict[str, Iterator[bytes]] = {
    "says nothing": iter([]),
    "connects, then says nothing": iter([CONNECTED]),
    "connects byte by byte": slowly(chain([b"\x20\xff\x7f\0\0"], repeat(b"\0"))),
    "does not let itself be asked": chain([CONNECTED], trickling(OBJECT)),
    "floods instead of an answer": chain([CONNECTED], repeat(published(b"a", bytes(5000)))),
}
REACHED: dict[str, Iterator[bytes]] = {
    "floods with indexes": chain([CONNECTED, SUBSCRIBED[0]], map(index, count(8))),
    "promises an object": iter([CONNECTED, SUBSCRIBED[0], index(8)]),
    "never ends an object": chain([CONNECTED, SUBSCRIBED[0], index(8), SUBSCRIBED[1]], trickling(OBJECT)),
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("ca"))


def slow(stack: ExitStack, parts: Iterator[bytes], authority: Authority) -> Broker:
    """A broker that has a good certificate, and says this to all who connect together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certify("127.0.0.1"))

    def give(accepted: socket.socket) -> None:
        with context.wrap_socket(accepted, server_side=True) as sock:
            for part in parts:
                sock.sendall(part)
            sock.settimeout(PLENTY + 20)
            while sock.recv(4000):
                pass

    return Broker("127.0.0.1", stack.enter_context(serving(give)), authority.ca)


def slow_handshake(stack: ExitStack, ca: Path) -> Broker:
    """A broker whose hello, of 16 KiB, has no end."""

    def give(accepted: socket.socket) -> None:
        for part in slowly(chain([bytes.fromhex("1603034000 02003FFC 0303")], repeat(b"\0"))):
            accepted.sendall(part)

    return Broker("127.0.0.1", stack.enter_context(serving(give)), ca)


def hear(broker: Broker) -> list[bytes]:
    with MqttReceiver(broker, 5, "terminals/1", lambda: 7) as receiver:
        return list(receiver.packets(SHORT))


def test_no_broker_makes_a_receiver_listen_longer_than_it_was_told_to(authority: Authority) -> None:
    with ThreadPoolExecutor(len(UNREACHED) + len(REACHED) + 1) as pool, ExitStack() as stack:
        unreached = {name: pool.submit(hear, slow(stack, parts, authority)) for name, parts in UNREACHED.items()}
        unreached["handshake"] = pool.submit(hear, slow_handshake(stack, authority.ca))
        reached = {name: pool.submit(hear, slow(stack, parts, authority)) for name, parts in REACHED.items()}
        errors = {name: one.exception(PLENTY) for name, one in unreached.items()}
        assert {name: one.result(PLENTY) for name, one in reached.items()} == {name: [] for name in REACHED}
    assert {name: type(error) for name, error in errors.items()} == dict.fromkeys(unreached, BearerError)
    assert all("does not answer" in str(error) or "cannot be reached" in str(error) for error in errors.values())
    gc.collect()  # what was left open would say so


def test_flood_of_messages_that_were_not_asked_for_in_that_way_is_hung_up_on(authority: Authority) -> None:
    sent: list[int] = []

    def messages() -> Iterator[bytes]:
        yield CONNECTED
        for number in range(1, 2000):
            sent.append(number)
            body = (1).to_bytes(2) + b"a" + number.to_bytes(2) + bytes(10_000)
            yield bytes([0x34, len(body) & 0x7F | 0x80, len(body) >> 7]) + body  # PUBLISH at QoS 2

    with ExitStack() as stack:
        broker = slow(stack, messages(), authority)
        session = stack.enter_context(Session(broker, lambda most: min(most, 5.0)))
        with pytest.raises(ConnectionLostError, match="QoS 2"):
            session.subscribe("a")
    assert len(sent) < 1900, "they would be kept, all of them"
