"""HTTP servers that take their time: a receiver ends when it was told to, and can be used and closed then."""

import gc
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain, islice, repeat
from pathlib import Path
from time import sleep

import pytest

from apdu.errors import BearerError
from broadcast.bearers.bundle import pack
from broadcast.bearers.http import HttpReceiver
from broadcast.bearers.http_server import HttpTransmitter
from host.virtual.certificates import Authority
from tests.broadcast.bearers.false_server import answer, index_of, serving
from tests.broadcast.bearers.objects import object_packets

SHORT = 0.5
PLENTY = 60.0
"""Seconds that nothing here comes near to, unless it has no end."""
OBJECTS = 400
FULL, DELTA = object_packets(7, 0, 20_000), object_packets(7, 1, 300)
INDEX = index_of(*((100 + number, 0) for number in range(OBJECTS)))
Attack = Callable[[bytes], Iterable[bytes]]
"""From the first line of the request to what is sent for it, bit by bit."""


def slowly(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Longer than plenty, but not for ever, or a test that fails would not end."""
    for part in islice(parts, 400):
        yield part
        sleep(0.2)


def silence(_: bytes) -> Iterable[bytes]:
    return slowly(repeat(b""))


def headers_that_trickle(_: bytes) -> Iterable[bytes]:
    return slowly(chain([b"HTTP/1.1 200 OK\r\nX: "], repeat(b"x")))


def headers_without_end(_: bytes) -> Iterable[bytes]:
    return repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


def content_that_trickles(_: bytes) -> Iterable[bytes]:
    return slowly(chain([b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"], repeat(b" ")))


def chunks_that_trickle(_: bytes) -> Iterable[bytes]:
    return slowly(chain([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], repeat(b"1\r\n \r\n")))


def object_that_trickles(asked: bytes) -> Iterable[bytes]:
    return [INDEX] if b"/index" in asked else content_that_trickles(asked)


def objects_that_take_their_time(asked: bytes) -> Iterable[bytes]:
    return [INDEX] if b"/index" in asked else slowly([b"", b"", answer(pack(DELTA))])


def tls_that_trickles(_: bytes) -> Iterable[bytes]:
    """A server's hello of 16 KiB, but for its end."""
    return slowly(chain([bytes.fromhex("1603034000 02003FFC 0303")], repeat(b"\0")))


WITHOUT_ANSWER: list[Attack] = [
    silence,
    headers_that_trickle,
    headers_without_end,
    content_that_trickles,
    chunks_that_trickle,
    object_that_trickles,
]


def slow(stack: ExitStack, attack: Attack) -> str:
    """The address of a server that attacks."""

    def give(accepted: socket.socket) -> None:
        for part in attack(accepted.recv(4000).split(b"\r\n")[0]):
            accepted.sendall(part)

    return f"http://127.0.0.1:{stack.enter_context(serving(give))}/blacklist/5/terminals/1"


def hear(url: str, ca: Path | None = None) -> list[bytes]:
    with HttpReceiver(url, lambda: 6, ca) as receiver:
        return list(receiver.packets(SHORT))


def test_server_that_never_finishes_is_given_up_when_time_is_up(tmp_path: Path) -> None:
    ca = Authority.make(tmp_path).ca
    with ThreadPoolExecutor(len(WITHOUT_ANSWER) + 1) as pool, ExitStack() as stack:
        hearing = [pool.submit(hear, slow(stack, attack)) for attack in WITHOUT_ANSWER]
        hearing.append(pool.submit(hear, slow(stack, tls_that_trickles).replace("http:", "https:"), ca))
        for one in hearing:
            with pytest.raises(BearerError, match="not answer in time; check"):
                one.result(PLENTY)
    gc.collect()  # what was left open would say so


def test_long_index_is_worked_off_only_until_time_is_up() -> None:
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        heard = pool.submit(hear, slow(stack, objects_that_take_their_time)).result(PLENTY)
    assert 0 < len(heard) < OBJECTS * len(DELTA) / 2
    assert set(heard) == set(DELTA)


def test_receiver_that_gave_up_asks_again() -> None:
    answers = [headers_that_trickle(b""), [index_of((7, 0))], [answer(pack(FULL))]]
    with ExitStack() as stack:
        url = slow(stack, lambda _: answers.pop(0))
        receiver = stack.enter_context(HttpReceiver(url))
        with pytest.raises(BearerError, match="in time"):
            list(receiver.packets(0))
        assert list(receiver.packets(0)) == FULL


def test_receiver_is_closed_at_any_time_and_twice(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    with HttpTransmitter("127.0.0.1", 0, 5, "terminals/1", *authority.certify("127.0.0.1")) as transmitter:
        transmitter.send([*DELTA, *FULL])
        with HttpReceiver(transmitter.url) as unused:
            unused.close()
        with HttpReceiver(transmitter.url, lambda: 6, authority.ca) as listening:
            assert next(listening.packets(PLENTY)) == DELTA[0]
            listening.close()
        with HttpReceiver(transmitter.url) as failing:
            with pytest.raises(BearerError, match="not trusted"):
                list(failing.packets(PLENTY))
            failing.close()
    gc.collect()
