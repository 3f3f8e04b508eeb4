"""MQTT against a real broker with TLS: late terminals, brokers that die, wrong certificates and passwords."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from apdu.errors import BearerError, FormatError, InputError
from broadcast.bearers.bundle import LARGEST_BUNDLE, pack
from broadcast.bearers.index import Entry, Index
from broadcast.bearers.mqtt import MqttReceiver, MqttTransmitter
from broadcast.bearers.mqtt_session import Broker, Session
from host.virtual.broker import Mosquitto
from host.virtual.certificates import Authority
from tests.broadcast.bearers.objects import object_packets, take

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


def hear(broker: Broker) -> list[bytes]:
    with MqttReceiver(broker, 5, CHANNEL) as receiver:
        return list(receiver.packets(PLENTY))


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


def test_missing_files_are_named(mosquitto: Mosquitto, tmp_path: Path) -> None:
    for broker in (Broker("127.0.0.1", mosquitto.port, tmp_path / "none"), at(mosquitto, tmp_path / "none")):
        with pytest.raises(InputError, match="none cannot be"):
            hear(broker)


def test_packets_that_make_no_bundle_are_not_sent(broker: Broker) -> None:
    with pytest.raises(FormatError):
        MqttTransmitter(broker, 5, CHANNEL).send(FULL[:-1])
    assert retained(broker) == {}
