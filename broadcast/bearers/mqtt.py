"""MQTT: the line through a broker. Everything on the air is retained there, so a terminal may come at any time.

Topics: ``saifu/ISSUER/CHANNEL/full``, ``.../delta/SPAN``, and ``.../index``, which says what is there. A terminal
listens to the index alone, and takes of the rest what it needs: one delta, mostly.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import monotonic, sleep

from apdu.errors import BearerError, FormatError
from broadcast.bearer import Receiver, Transmitter, Way
from broadcast.bearers.bundle import Bundle, unpack
from broadcast.bearers.index import Entry, Index, Need
from broadcast.bearers.line import Backoff, check_channel
from broadcast.bearers.mqtt_session import Broker, ConnectionLostError, Session

__all__ = ["MqttReceiver", "MqttTransmitter"]

_OBJECT_SECONDS = 60.0
"""How long to wait for an object that the index names; a list of 4 MiB needs less at 1 Mbit/s."""
_STEP = 1.0
_LEAST_ANSWER = 1.0
"""Seconds for an answer that is asked for as the time runs out: what came before it would be lost."""


def _root(issuer: int, channel: str) -> str:
    return f"saifu/{issuer}/{check_channel(channel)}/"


class MqttTransmitter(Transmitter):
    """Publishes what is on the air; connects for each edition, and holds nothing open in between."""

    way = Way.LINE

    def __init__(self, broker: Broker, issuer: int, channel: str) -> None:
        """Name the broker and the channel, such as ``terminals/1``: group and key number. Raises InputError."""
        self._broker = broker
        self._root = _root(issuer, channel)

    def send(self, packets: Sequence[bytes]) -> None:
        """Publish the source packets of all objects on the air, in place of those before.

        Objects first, then the index, then what the index no longer names is cleared: whenever this is cut short,
        what a terminal finds is whole. Raises FormatError, InputError and BearerError.
        """
        bundles = Bundle.sort(packets)
        index = Index.of(bundles)
        topics = {self._root + index.path(Entry.of(bundle)): bundle.raw for bundle in bundles}
        with Session(self._broker) as session:
            before = self._on_the_air(session)
            session.publish(topics)
            session.publish({self._root + "index": index.encode()})
            session.publish(dict.fromkeys(sorted(before - topics.keys()), b""))

    def _on_the_air(self, session: Session) -> set[str]:
        """Topics that the index names until now."""
        topic = self._root + "index"
        session.subscribe(topic)
        session.unsubscribe(topic)
        with suppress(FormatError, IndexError):
            index = Index.decode(session.messages.pop()[1])
            return {self._root + index.path(entry) for entry in index.entries}
        return set()


class MqttReceiver(Receiver):
    """Hears of every edition as it is published, and takes what leads to it."""

    way = Way.LINE

    def __init__(self, broker: Broker, issuer: int, channel: str, have: Callable[[], int] = int) -> None:
        """``have`` tells the edition in force, 0 for none: without it, always the full list is taken.

        It is asked after the packets of each object were taken, so take them in before asking for more. Raises
        InputError; connects only when packets are asked for.
        """
        self._broker = broker
        self._root = _root(issuer, channel)
        self._need = Need(have)
        self._session: Session | None = None

    @property
    def is_done(self) -> bool:
        """Whether the newest index names nothing more that is needed."""
        return self._need.is_done

    def packets(self, seconds: float | None = None) -> Iterator[bytes]:
        """Yield the packets of what is needed, until ``seconds`` have passed; comes back when the broker does.

        A broker that is slow or floods makes it last 5 s longer at most, if its name has one address. Raises
        BearerError at once for what waiting does not mend (certificate, login), and in the end when the broker was
        never reached.
        """
        backoff = Backoff(seconds)
        complaint = ""
        was_reached = False
        left = backoff.answer(_STEP)
        while left > 0:
            try:
                session = self._connected(backoff)
                was_reached = True
                yield from self._follow(session, backoff)
                return
            except ConnectionLostError as error:
                self._drop()
                complaint = str(error)
                sleep(max(backoff.failed(), 0.0))
            except BearerError:
                self._drop()
                raise
            left = backoff.left(_STEP)
        if not was_reached:
            raise BearerError(f"{complaint}; check its name and port, and that it runs")

    def _connected(self, backoff: Backoff) -> Session:
        def patience(most: float) -> float:
            """Until the end, but a little in any case."""
            return max(backoff.answer(most), _LEAST_ANSWER)

        if self._session is None:
            session = Session(self._broker, patience)
            self._session = session
            session.subscribe(self._root + "index")
        self._session.patience = patience
        return self._session

    def _follow(self, session: Session, backoff: Backoff) -> Iterator[bytes]:
        while True:
            self._take(session)
            entry = self._need.next()
            if entry and backoff.left(1) > 0:
                yield from self._fetch(session, entry, backoff)
                continue
            backoff.worked()
            if (left := backoff.left(_STEP)) <= 0:
                return
            session.step(left)

    def _take(self, session: Session, wanted: str = "") -> bytes | None:
        """Take in what came, up to the object at the topic ``wanted``; a damaged index is as if it had not come."""
        while session.messages:
            topic, content = session.messages.popleft()
            if topic == wanted:
                return content
            if topic == self._root + "index":
                with suppress(FormatError):
                    self._need.index = Index.decode(content)
        return None

    def _fetch(self, session: Session, entry: Entry, backoff: Backoff) -> Iterator[bytes]:
        """The packets of an object; none when it does not come, or is no bundle."""
        index = self._need.index
        content = self._await(session, index, entry, backoff.left(_OBJECT_SECONDS)) if index else None
        with suppress(FormatError):
            yield from unpack(content or b"")
        # cut short by the end of the time, it is still wanted the next time
        if self._need.index is index and (content is not None or backoff.left(1) > 0):
            self._need.tried(entry)

    def _await(self, session: Session, index: Index, entry: Entry, seconds: float) -> bytes | None:
        """The object, if it comes before a new index, which may mean that it is gone."""
        topic = self._root + index.path(entry)
        end = monotonic() + seconds
        content: bytes | None = None
        session.subscribe(topic)
        while content is None and monotonic() < end and self._need.index is index:
            content = self._take(session, topic)
            if content is None:
                session.step(min(_STEP, end - monotonic()))
        session.unsubscribe(topic)
        return content

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def close(self) -> None:
        """Take leave of the broker."""
        self._drop()
