"""MQTT where there is no broker: settings that are none, and servers that are missing, hostile or of another kind."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from apdu.errors import BearerError, InputError
from broadcast.bearers.mqtt import MqttReceiver, MqttTransmitter
from broadcast.bearers.mqtt_session import Broker, ConnectionLostError, Session
from host.virtual.certificates import Authority
from tests.broadcast.bearers.objects import object_packets

CHANNEL = "terminals/1"
PASSWORD = "not so secret"


def test_password_is_in_no_text(tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.write_text(f"terminals\n{PASSWORD}\n")
    broker = Broker("127.0.0.1", 8883, None, login)
    assert broker.read_login() == ("terminals", PASSWORD)
    assert PASSWORD not in repr(broker) + str(broker) + repr(vars(MqttReceiver(broker, 5, CHANNEL)))


@pytest.mark.parametrize("content", [b"", b"terminals\n", b"terminals\n\n", b"a\nsecret\nb\n", b"\xff\nsecret\n"])
def test_login_file_of_another_form_is_refused_without_telling_its_content(tmp_path: Path, content: bytes) -> None:
    login = tmp_path / "login"
    login.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Broker("127.0.0.1", 8883, None, login).read_login()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "channel", ["", "a//b", "+", "terminals/#", "a b", "delta/1", "x" * 129, "a/b/c/d/e", ".", "/a"]
)
def test_channel_that_no_topic_can_hold_is_refused(channel: str) -> None:
    with pytest.raises(InputError, match="channel"):
        MqttTransmitter(Broker("127.0.0.1"), 5, channel)


@pytest.mark.parametrize(("host", "port"), [("", 8883), (".", 8883), ("a", 0), ("a", 65536)])
def test_place_that_is_none_is_refused(host: str, port: int) -> None:
    with pytest.raises(InputError, match="no place"):
        Broker(host, port)


def hear(broker: Broker) -> list[bytes]:
    with MqttReceiver(broker, 5, CHANNEL) as receiver:
        return list(receiver.packets(0.5))


def test_no_broker_is_an_error_when_time_is_up(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        broker = Broker("127.0.0.1", sock.getsockname()[1], Authority.make(tmp_path).ca)
        with pytest.raises(BearerError, match=r"cannot be reached.*check"):
            hear(broker)
        with pytest.raises(BearerError, match="cannot be reached"):
            MqttTransmitter(broker, 5, CHANNEL).send(object_packets(7, 0, 20_000))


@contextmanager
def false_broker(folder: Path, answer: bytes, more: list[bytes]) -> Iterator[Broker]:
    """A server with a good certificate that says one thing to everybody, then takes from ``more`` what is sent on."""
    authority = Authority.make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certify("127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    accepted, _ = listener.accept()
                    with suppress(OSError, IndexError), context.wrap_socket(accepted, server_side=True) as sock:
                        sock.recv(1000)
                        sock.sendall(answer)
                        while True:
                            sock.sendall(more.pop())

        thread = Thread(target=serve)
        thread.start()
        yield Broker("127.0.0.1", listener.getsockname()[1], authority.ca)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("answer", [
    b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\xff\xff\xff\xff", b"\x20\xff\xff\xff\x7f" + bytes(100),
    b"\x20\x03\x00\x00\x05", b"\x20\x00", b"\x20\x02\x00\xee", b"\x30\x02\x00\x09",
    b"\x20\x09\x00\x00\x06\x26\x00\x01\xff\x00\x00", b"\x20\x03\x00\x00\x00\x30\x05\x00\x01\xff\x00a",
    b"\x20\x03\x00\x00\x00\x90\x00", b"\xf0\x00",
])  # fmt: skip
def test_broker_that_does_not_speak_the_protocol_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with false_broker(tmp_path, answer, []) as broker, pytest.raises(BearerError), Session(broker) as session:
        session.subscribe("x")


def test_message_of_an_endless_length_is_refused_by_its_length(tmp_path: Path) -> None:
    answer = b"\x20\x03\x00\x00\x00" + b"\x30\xff\xff\xff\x7f\x00\x01x\x00"
    more = [bytes(1 << 20)] * 40
    with false_broker(tmp_path, answer, more) as broker, Session(broker) as session:
        with pytest.raises(ConnectionLostError):
            session.subscribe("x")
        assert list(session.messages) == []
    assert len(more) > 30, "it hangs up at the length, not after hearing it all"
