"""MQTT against a real broker with TLS: late terminals, brokers that die, wrong certificates and passwords."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from apdu.errors import BearerError, FormatError, InputError
from broadcast.bearers.bundle import LARGEST_BUNDLE, pack
from broadcast.bearers.index import Entry, Index
from broadcast.bearers.mqtt import MqttReceiver, MqttTransmitter
from broadcast.bearers.mqtt_session import Broker, ConnectionLostError, Session
from host.virtual.broker import Mosquitto
from host.virtual.certificates import Authority
from tests.broadcast.bearers.objects import object_packets

pytestmark = pytest.mark.air

CHANNEL = "terminals/1"
ROOT = f"saifu/5/{CHANNEL}/"
PLENTY = 60.0
"""Seconds after which a test gives up."""
FULL, DELTA, LONG_DELTA = object_packets(7, 0, 20_000), object_packets(7, 1, 300), object_packets(7, 4, 900)
NEXT_FULL, NEXT_DELTA = object_packets(8, 0, 20_100), object_packets(8, 1, 200)


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture
def broker(mosquitto: Mosquitto) -> Iterator[Broker]:
    """The module's broker; nothing stays retained there."""
    place = at(mosquitto)
    yield place
    with Session(place) as session:
        session.publish(dict.fromkeys(retained(place), b""))


def at(mosquitto: Mosquitto, login: Path | None = None) -> Broker:
    return Broker("127.0.0.1", mosquitto.port, mosquitto.authority.ca, login)


def take(receiver: MqttReceiver, count: int) -> list[bytes]:
    packets: list[bytes] = []
    for packet in receiver.packets(PLENTY):
        packets.append(packet)
        if len(packets) == count:
            break
    return packets


def retained(broker: Broker) -> dict[str, bytes]:
    """What a broker gives to one who asks for everything of the channel; few objects only."""
    with Session(broker) as session:
        session.subscribe(ROOT + "#")
        session.unsubscribe(ROOT + "#")
        return dict(session.messages)


def test_retained_edition_reaches_a_receiver_that_comes_later(broker: Broker) -> None:
    with MqttTransmitter(broker, 5, CHANNEL) as transmitter:
        transmitter.send([*DELTA, *FULL])
    with MqttReceiver(broker, 5, CHANNEL) as receiver:
        assert take(receiver, len(FULL)) == FULL


def test_everything_is_retained_under_its_topic(broker: Broker) -> None:
    MqttTransmitter(broker, 5, CHANNEL).send([*DELTA, *LONG_DELTA, *FULL])
    there = retained(broker)
    index = Index.decode(there.pop(ROOT + "index"))
    assert there == {ROOT + "full": pack(FULL), ROOT + "delta/1": pack(DELTA), ROOT + "delta/4": pack(LONG_DELTA)}
    assert {(one.edition, one.span) for one in index.entries} == {(7, 0), (7, 1), (7, 4)}


@pytest.mark.parametrize(("have", "wanted"), [(6, DELTA), (3, LONG_DELTA), (2, FULL), (0, FULL)])
def test_receiver_takes_what_leads_from_its_edition_and_nothing_else(
    broker: Broker, have: int, wanted: list[bytes]
) -> None:
    MqttTransmitter(broker, 5, CHANNEL).send([*DELTA, *LONG_DELTA, *FULL])
    edition = [have]
    with MqttReceiver(broker, 5, CHANNEL, lambda: edition[0]) as receiver:
        assert take(receiver, len(wanted)) == wanted
        edition[0] = 7
        assert list(receiver.packets(0.1)) == []


def test_deltas_that_left_the_air_are_cleared_also_by_another_transmitter(broker: Broker) -> None:
    MqttTransmitter(broker, 5, CHANNEL).send([*DELTA, *LONG_DELTA, *FULL])
    MqttTransmitter(broker, 5, CHANNEL).send([*NEXT_DELTA, *NEXT_FULL])
    assert set(retained(broker)) == {ROOT + "index", ROOT + "full", ROOT + "delta/1"}


def test_channels_keep_out_of_each_others_way(broker: Broker) -> None:
    MqttTransmitter(broker, 5, CHANNEL).send(FULL)
    MqttTransmitter(broker, 5, "terminals/2").send(NEXT_FULL)
    MqttTransmitter(broker, 6, CHANNEL).send(NEXT_DELTA)
    with MqttReceiver(broker, 5, CHANNEL) as one, MqttReceiver(broker, 5, "terminals/2") as two:
        assert (take(one, len(FULL)), take(two, len(NEXT_FULL))) == (FULL, NEXT_FULL)


def test_receiver_that_listens_hears_of_the_next_edition(broker: Broker) -> None:
    edition = [6]
    MqttTransmitter(broker, 5, CHANNEL).send([*DELTA, *FULL])
    with MqttReceiver(broker, 5, CHANNEL, lambda: edition[0]) as receiver:
        packets = receiver.packets(PLENTY)
        assert [next(packets) for _ in DELTA] == DELTA
        edition[0] = 7
        sending = Thread(target=MqttTransmitter(broker, 5, CHANNEL).send, args=([*NEXT_DELTA, *NEXT_FULL],))
        sending.start()
        assert [next(packets) for _ in NEXT_DELTA] == NEXT_DELTA
        sending.join()


def test_several_receivers_hear_the_same(broker: Broker) -> None:
    heard: dict[int, list[bytes]] = {}

    def take_all(number: int) -> None:
        with MqttReceiver(broker, 5, CHANNEL) as receiver:
            heard[number] = take(receiver, len(FULL))

    threads = [Thread(target=take_all, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    MqttTransmitter(broker, 5, CHANNEL).send(FULL)
    for thread in threads:
        thread.join()
    assert heard == dict.fromkeys(range(4), FULL)


def test_receiver_comes_back_when_the_broker_does(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as mosquitto:
        broker, edition = at(mosquitto), [0]
        MqttTransmitter(broker, 5, CHANNEL).send(FULL)
        with MqttReceiver(broker, 5, CHANNEL, lambda: edition[0]) as receiver:
            packets = receiver.packets(PLENTY)
            assert [next(packets) for _ in FULL] == FULL
            edition[0] = 7
            mosquitto.kill()
            mosquitto.start()
            MqttTransmitter(broker, 5, CHANNEL).send([*NEXT_DELTA, *NEXT_FULL])
            assert [next(packets) for _ in NEXT_DELTA] == NEXT_DELTA


def test_silence_ends_after_the_seconds_given(broker: Broker) -> None:
    with MqttReceiver(broker, 5, CHANNEL) as receiver:
        assert list(receiver.packets(0.1)) == []
        assert list(receiver.packets(0)) == []


def test_hostile_contents_of_the_broker_give_no_packets(broker: Broker) -> None:
    liar = Index((Entry(7, 0, 5, "a"), Entry(7, 1, 5, "b")))
    with Session(broker) as session:
        for index in (b"{", b"x" * 100_000, liar.encode()):
            session.publish({ROOT + "full": pack(FULL)[:-1], ROOT + "delta/1": b"junk", ROOT + "index": index})
            with MqttReceiver(broker, 5, CHANNEL, lambda: 6) as receiver:
                assert list(receiver.packets(0.5)) == []


def test_message_above_the_largest_bundle_does_not_arrive(broker: Broker) -> None:
    large = Index((Entry(7, 0, 5, "a"),))
    with Session(broker) as session:
        session.publish({ROOT + "full": bytes(LARGEST_BUNDLE + 2000), ROOT + "index": large.encode()})
        session.subscribe(ROOT + "#")
        session.unsubscribe(ROOT + "#")
        assert [topic for topic, _ in session.messages] == [ROOT + "index"]
        session.publish({ROOT + "full": b""})


def test_certificate_of_another_ca_is_refused(mosquitto: Mosquitto, tmp_path: Path) -> None:
    broker = Broker("127.0.0.1", mosquitto.port, Authority.make(tmp_path, "other CA").ca)
    with pytest.raises(BearerError, match=r"not trusted.*check the CA"):
        hear(broker)
    with pytest.raises(BearerError, match="not trusted"):
        MqttTransmitter(broker, 5, CHANNEL).send(FULL)


def hear(broker: Broker, seconds: float = PLENTY) -> list[bytes]:
    with MqttReceiver(broker, 5, CHANNEL) as receiver:
        return list(receiver.packets(seconds))


def test_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, host="broker.example") as mosquitto, pytest.raises(BearerError, match="not trusted"):
        hear(at(mosquitto))


def test_login_lets_in_and_a_wrong_password_does_not(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, needs_login=True) as mosquitto:
        MqttTransmitter(at(mosquitto, mosquitto.login()), 5, CHANNEL).send(FULL)
        with MqttReceiver(at(mosquitto, mosquitto.login()), 5, CHANNEL) as receiver:
            assert take(receiver, len(FULL)) == FULL
        for login in (mosquitto.login("wrong"), None):
            with pytest.raises(BearerError, match=r"refuses: Not authorized.*login"):
                hear(at(mosquitto, login))


def test_login_that_may_not_publish_is_told_so(tmp_path: Path) -> None:
    acl = f"topic read {ROOT}#\n"
    with Mosquitto(tmp_path, acl=acl) as mosquitto, pytest.raises(BearerError, match="not let this login publish"):
        MqttTransmitter(at(mosquitto), 5, CHANNEL).send(FULL)


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


def test_missing_files_are_named(mosquitto: Mosquitto, tmp_path: Path) -> None:
    for broker in (Broker("127.0.0.1", mosquitto.port, tmp_path / "none"), at(mosquitto, tmp_path / "none")):
        with pytest.raises(InputError, match="none cannot be"):
            hear(broker)


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


def test_packets_that_make_no_bundle_are_not_sent(broker: Broker) -> None:
    with pytest.raises(FormatError):
        MqttTransmitter(broker, 5, CHANNEL).send(FULL[:-1])
    assert retained(broker) == {}


def test_no_broker_is_an_error_when_time_is_up(tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        broker = Broker("127.0.0.1", sock.getsockname()[1], Authority.make(tmp_path).ca)
        with pytest.raises(BearerError, match=r"cannot be reached.*check"):
            hear(broker, 0.5)
        with pytest.raises(BearerError, match="cannot be reached"):
            MqttTransmitter(broker, 5, CHANNEL).send(FULL)


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
