"""A private MQTT broker: it is ours alone, wants what it is told to want, and ends."""

import socket
from pathlib import Path

import pytest

from apdu.errors import BearerError
from broadcast.bearers.mqtt_session import Broker, Session
from host.virtual.broker import Mosquitto

pytestmark = pytest.mark.air


def connect(broker: Mosquitto, login: Path | None = None) -> Session:
    return Session(Broker("127.0.0.1", broker.port, broker.authority.ca, login))


def kept(broker: Mosquitto) -> list[bytes]:
    """What the broker retains under one topic."""
    with connect(broker) as session:
        session.subscribe("a/b")
        session.unsubscribe("a/b")
        return [content for _, content in session.messages]


def test_what_it_retains_is_lost_with_it_and_its_place_stays(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        with connect(broker) as session:
            session.publish({"a/b": b"content"})
        assert kept(broker) == [b"content"]
        broker.kill()
        with pytest.raises(BearerError, match="cannot be reached"):
            connect(broker)
        broker.start()
        assert kept(broker) == []


def test_a_login_is_wanted_where_it_was_said(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, needs_login=True) as broker:
        connect(broker, broker.login()).close()
        with pytest.raises(BearerError, match="refuses"):
            connect(broker)
        with pytest.raises(BearerError, match="refuses"):
            connect(broker, broker.login("wrong"))
        assert "not so secret" not in (tmp_path / "passwords").read_text()


def test_it_ends_with_its_block_and_may_be_ended_twice(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        broker.kill()
    broker.kill()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", broker.port), 5):
        pass


def test_it_is_not_to_be_reached_from_outside_this_machine(tmp_path: Path) -> None:
    with Mosquitto(tmp_path):
        assert "\nlistener" not in (tmp_path / "mosquitto.conf").read_text()
        assert (tmp_path / "mosquitto.conf").read_text().splitlines()[0].endswith(" 127.0.0.1")


def test_a_broker_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(BearerError, match=r"mosquitto did not start: [\s\S]*Invalid line in acl_file"):
        Mosquitto(tmp_path, acl="nonsense of an access control\n")


def test_without_mosquitto_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.virtual.broker._PATH", str(tmp_path))
    with pytest.raises(BearerError, match="install the package mosquitto"):
        Mosquitto(tmp_path)
