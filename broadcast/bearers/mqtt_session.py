"""One connection to an MQTT broker: version 5 (OASIS), over TLS always, one thread.

paho-mqtt does the protocol; the waiting is done here, so that a connection costs no thread and leaves nothing open.
"""

import secrets
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from time import monotonic
from typing import Self

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from apdu.errors import BearerError, InputError
from broadcast.bearers.bundle import LARGEST_BUNDLE
from broadcast.bearers.line import trust

__all__ = ["Broker", "ConnectionLostError", "Session"]

_LARGEST_MESSAGE = LARGEST_BUNDLE + 1024
"""Bytes of an MQTT packet with the largest bundle, its topic and properties."""
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 120.0
"""The largest bundle takes 50 s at 1 Mbit/s."""
_KEEP_ALIVE = 30
_STEP = 0.5
_MOST_WAITING = 4
"""Messages kept until they are taken: a flood costs at most 24 MiB, and the newest stay."""
_TEMPORARY = {0x88, 0x89, 0x97, 0x9F}
"""Reasons (MQTT 5, 3.2.2.2) that pass: server unavailable, busy, quota exceeded, too many connections."""


_properties: Callable[[int], Properties] = Properties


class ConnectionLostError(BearerError):
    """The broker does not answer or hung up: trying again may help."""


class _BoundedSocket(ssl.SSLSocket):
    """Refuses what is too long by its announced length, before any of it is stored; closes when TLS fails."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive; paho asks for what is left of a message, so the number tells its length."""
        if buflen > _LARGEST_MESSAGE:
            raise ConnectionError(f"a message of {buflen} bytes is longer than any bundle")
        return super().recv(buflen, flags)

    def do_handshake(self, block: bool = False) -> None:
        """Agree on keys; paho would leave the socket open when that fails."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is, and what it takes to get in; the password stays in its file until it is needed."""

    host: str
    port: int = 8883
    ca: Path | None = None
    """PEM file of the CA that the broker's certificate comes from; None: the system's CAs."""
    login: Path | None = None
    """File of two lines, user name and password; None: no login."""

    def __post_init__(self) -> None:
        """Raise InputError for what cannot be a place."""
        if not self.host or self.host.startswith(".") or not 0 < self.port <= 0xFFFF:
            raise InputError(
                f"{self.host!r} port {self.port} is no place for a broker; give a host name and 1 to 65535"
            )

    def __str__(self) -> str:
        """Say the place, for people."""
        return f"MQTT broker {self.host} port {self.port}"

    def read_login(self) -> tuple[str, str] | None:
        """User name and password; raises InputError, which tells neither."""
        if self.login is None:
            return None
        try:
            lines = self.login.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise InputError(f"{self.login} cannot be read as a login: two lines, user name and password") from None
        if len(lines) != 2 or not all(lines):
            raise InputError(f"{self.login} is not a login; write two lines into it: user name and password")
        return lines[0], lines[1]


class Session:
    """A connection that is up; every method raises ConnectionLostError when it no longer is."""

    def __init__(self, broker: Broker, patience: Callable[[float], float] = float) -> None:
        """Connect; raises InputError, ConnectionLostError, and BearerError for what trying again does not mend."""
        self._broker = broker
        self.patience = patience
        """How many of the seconds that the broker may take at most for an answer it is given now."""
        self._connected: ReasonCode | None = None
        self._answers: set[int] = set()
        self._refused: ReasonCode | None = None
        self._farewell = ""
        self.messages = deque[tuple[str, bytes]](maxlen=_MOST_WAITING)
        """Topics and contents that came and were not yet taken."""
        self._client = self._make_client()
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()

    def _make_client(self) -> Client:
        name = f"saifu-{secrets.token_hex(8)}"
        client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
        context = trust(self._broker.ca)
        context.sslsocket_class = _BoundedSocket
        client.tls_set_context(context)
        client.connect_timeout = self.patience(2 * _CONNECT_SECONDS) / 2  # of each: TCP and TLS
        if login := self._broker.read_login():
            client.username_pw_set(*login)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = client.on_subscribe = client.on_unsubscribe = self._on_answer
        return client

    def _on_connect(self, _client: Client, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
        self._connected = reason

    def _on_disconnect(self, _client: Client, _data: object, _flags: object, reason: ReasonCode, _more: object) -> None:
        self._farewell = str(reason)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload)))

    def _on_answer(self, _client: Client, _data: object, number: int, reasons: object, _more: object) -> None:
        self._answers.add(number)
        for reason in reasons if isinstance(reasons, list) else [reasons]:
            if isinstance(reason, ReasonCode) and reason.is_failure:
                self._refused = reason

    def _connect(self) -> None:
        properties = _properties(PacketTypes.CONNECT)
        properties.MaximumPacketSize = _LARGEST_MESSAGE
        try:
            self._client.connect(self._broker.host, self._broker.port, _KEEP_ALIVE, properties=properties)
        except ssl.SSLCertVerificationError as error:
            text = f"{self._broker}: its certificate is not trusted: {error.verify_message}"
            raise BearerError(f"{text}; check the CA file and the host's name") from None
        except (OSError, ValueError) as error:
            raise ConnectionLostError(f"{self._broker} cannot be reached: {error}") from None
        try:
            self._until(lambda: self._connected is not None, _CONNECT_SECONDS)
        except ConnectionLostError:
            if self._connected is None:  # a broker that refuses says so, then hangs up
                raise
        if self._connected is not None and self._connected.is_failure:
            kind = ConnectionLostError if self._connected.value in _TEMPORARY else BearerError
            raise kind(f"{self._broker} refuses: {self._connected}; check the login file")

    def _until(self, is_done: Callable[[], bool], seconds: float) -> None:
        end = monotonic() + self.patience(seconds)
        while not is_done():
            if (left := end - monotonic()) <= 0:
                raise ConnectionLostError(f"{self._broker} does not answer")
            self.step(min(_STEP, left))

    def step(self, seconds: float) -> None:
        """Wait for the broker and hear it, at most that long, or until something happens."""
        sock = self._client.socket()
        if not isinstance(sock, ssl.SSLSocket):
            raise ConnectionLostError(f"{self._broker} hung up")
        wait = 0.0 if sock.pending() else max(seconds, 0.0)
        wanted = EVENT_READ | (EVENT_WRITE if self._client.want_write() else 0)
        with DefaultSelector() as selector:
            selector.register(sock, wanted)
            happened = sum(events for _, events in selector.select(wait))
        try:
            result = self._serve(bool(happened & EVENT_READ or sock.pending()), bool(happened & EVENT_WRITE))
        except (ValueError, LookupError, TypeError, ArithmeticError) as error:
            # what paho raises at packets that break the protocol is not of one kind
            raise ConnectionLostError(f"{self._broker} does not speak MQTT 5: {type(error).__name__}") from None
        if self._client._in_messages:
            # paho keeps them until they are released, so that a flood of them would fill the memory
            raise ConnectionLostError(f"{self._broker} sends at QoS 2, which was not asked for")
        if result not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN):
            raise ConnectionLostError(f"{self._broker} hung up: {self._farewell or result.name}")

    def _serve(self, is_readable: bool, is_writable: bool) -> MQTTErrorCode:
        """One round of paho's work; its first failure, if any."""
        result = self._client.loop_read() if is_readable else MQTTErrorCode.MQTT_ERR_SUCCESS
        if is_writable and not result:
            result = self._client.loop_write()
        return result or self._client.loop_misc()

    def _answered(self, numbers: Sequence[int], what: str) -> None:
        self._until(lambda: self._answers.issuperset(numbers), _ANSWER_SECONDS)
        self._answers.clear()
        if self._refused is not None:
            raise BearerError(f"{self._broker} does not let this login {what}: {self._refused}")

    def publish(self, contents: dict[str, bytes]) -> None:
        """Publish retained at QoS 1, by topic; empty content clears. Returns when the broker has all of it."""
        sent: list[MQTTMessageInfo] = []
        for topic, content in contents.items():
            sent.append(self._client.publish(topic, content, qos=1, retain=True))
            self._until(lambda: len(self._answers) + 8 > len(sent), _ANSWER_SECONDS)
        self._answered([one.mid for one in sent], "publish")

    def subscribe(self, topic: str) -> None:
        """Ask for a topic at QoS 1, and for what is retained there."""
        self._answered([self._number(self._client.subscribe(topic, qos=1))], "listen")

    def unsubscribe(self, topic: str) -> None:
        """Ask no longer for a topic; what was on its way has come when this returns."""
        self._answered([self._number(self._client.unsubscribe(topic))], "stop listening")

    def _number(self, asked: tuple[MQTTErrorCode, int | None]) -> int:
        if asked[1] is None:
            raise ConnectionLostError(f"{self._broker} hung up: {asked[0].name}")
        return asked[1]

    def close(self) -> None:
        """Take leave, as far as the broker still listens, and close."""
        sock = self._client.socket()
        self._client.disconnect()
        if isinstance(sock, ssl.SSLSocket):
            sock.close()
