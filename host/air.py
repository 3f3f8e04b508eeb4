"""The bearers by name, for both ends: what ``--air`` means at a terminal and at the center.

========================== ============================================== =======================================
``--air``                  at the center                                  at a terminal
========================== ============================================== =======================================
``udp:GROUP:PORT@ADDRESS`` multicast from the interface with that address multicast to it; each part may be left out
``sound:FILE``             a WAV file; the sound card without a file      the same
``pager:FILE``             a WAV file of pages                            the same; without a file standard input
``mqtt:HOST:PORT``         publish at a broker, over TLS                  ask it; 8883 without a port
``http:HOST:PORT``         serve; 127.0.0.1 without a host                ``http://…`` or ``https://…``
========================== ============================================== =======================================
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer

from apdu.errors import InputError
from broadcast.bearer import Receiver, Transmitter, Way
from broadcast.bearers.http import HttpReceiver
from broadcast.bearers.http_server import HttpTransmitter
from broadcast.bearers.mqtt import MqttReceiver, MqttTransmitter
from broadcast.bearers.mqtt_session import Broker
from broadcast.bearers.pager import PagerReceiver, PagerTransmitter
from broadcast.bearers.sound import SoundReceiver, SoundTransmitter
from broadcast.bearers.udp import DEFAULT_GROUP, DEFAULT_PORT, UdpReceiver, UdpTransmitter
from broadcast.cipher_key import CipherKeys
from host.files import require_replaceable
from host.numbers import decimal_from

__all__ = [
    "AirOption",
    "CaOption",
    "CertificateOption",
    "KeyOption",
    "Line",
    "LoginOption",
    "Outlet",
    "RateOption",
    "open_outlet",
    "open_receiver",
]

_LOOPBACK = "127.0.0.1"
_MQTT_PORT = 8883

AirOption = Annotated[
    str,
    typer.Option("--air", "-a", help="The bearer: udp, sound:FILE, pager:FILE, mqtt:HOST, http:PORT or http://HOST."),
]
RateOption = Annotated[
    float, typer.Option("--rate", parser=decimal_from(100, 1e12), help="udp: bits a second at most.")
]
CaOption = Annotated[
    Path | None, typer.Option("--ca", help="mqtt, https: PEM file of the CA to trust; else the system's.")
]
LoginOption = Annotated[
    Path | None, typer.Option("--login-file", help="mqtt: file of two lines, user name and password.")
]
CertificateOption = Annotated[Path | None, typer.Option("--certificate", help="http: PEM file; makes it https.")]
KeyOption = Annotated[Path | None, typer.Option("--key", help="http: PEM file of the certificate's key.")]


@dataclass(frozen=True, slots=True)
class Line:
    """What a bearer on the line wants to know besides its place; every part is a file."""

    ca: Path | None = None
    login: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def _channel(keys: CipherKeys, number: int) -> str:
    """Where the objects sealed with one cipher key lie on a line."""
    return f"{keys.group}/{number}"


def _port(text: str, air: str, default: int | None = None) -> int:
    if not text and default is not None:
        return default
    if not (text.isascii() and text.isdigit() and int(text) <= 0xFFFF):
        raise InputError(f"--air {air}: {text!r} is no port; give a number up to 65535")
    return int(text)


def _udp_place(place: str, air: str) -> tuple[str, int, str]:
    where, _, interface = place.partition("@")
    group, _, port = where.partition(":")
    return group or DEFAULT_GROUP, _port(port, air, DEFAULT_PORT), interface or _LOOPBACK


def _broker(place: str, air: str, line: Line) -> Broker:
    host, _, port = place.partition(":")
    if not host:
        raise InputError(f"--air {air}: the broker's name is wanted, as in mqtt:broker.example")
    return Broker(host, _port(port, air, _MQTT_PORT), line.ca, line.login)


def _recording(place: str, air: str) -> Path:
    """The file for a recording, in place of an older one but of nothing else."""
    if not place:
        raise InputError(f"--air {air}: the name of a WAV file is wanted, as in {air.partition(':')[0]}:list.wav")
    require_replaceable(Path(place), b"RIFF", "a recording")
    return Path(place)


def _unknown(air: str) -> InputError:
    return InputError(f"--air {air}: there are udp, sound, pager, mqtt and http")


# --- the terminal's end ------------------------------------------------------------------------------------


def open_receiver(air: str, keys: CipherKeys, have: Callable[[], int], line: Line | None = None) -> Receiver:
    """Open the receiver (21) of a bearer; ``have`` tells the edition in force. Raises InputError, BearerError."""
    name, _, place = air.partition(":")
    line, channel = line or Line(), _channel(keys, keys.newest.number)
    match name:
        case "udp":
            return UdpReceiver(*_udp_place(place, air))
        case "sound":
            return SoundReceiver(Path(place) if place else None)
        case "pager":
            return PagerReceiver(Path(place) if place else None)
        case "mqtt":
            return MqttReceiver(_broker(place, air, line), keys.issuer, channel, have)
        case "http" | "https":
            return HttpReceiver(_url(air, keys.issuer, channel), have, line.ca)
    raise _unknown(air)


def _url(air: str, issuer: int, channel: str) -> str:
    """The channel's address at a center's service, of which at least the host is given."""
    scheme, _, place = air.partition("://")
    if not place:
        raise InputError(f"--air {air}: the service's address is wanted, as in https://center.example:8443")
    base = place.rstrip("/").removesuffix("/blacklist")
    return f"{scheme}://{base}/blacklist/{issuer}/{channel}"


# --- the center's end --------------------------------------------------------------------------------------


class Outlet:
    """A bearer at the center; on the air all cipher keys share it, on a line each has a channel of its own."""

    def __init__(
        self, transmitter: Transmitter, beside: Callable[[int], Transmitter] | None = None, place: str = ""
    ) -> None:
        """``beside`` makes the transmitter for a key's channel; ``place`` is what terminals give as ``--air``."""
        self._transmitter, self._beside, self.place = transmitter, beside, place
        self._channels: dict[int, Transmitter] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; what was begun and not finished does not take its place."""
        self._transmitter.__exit__(kind, error, trace)

    @property
    def way(self) -> Way:
        """How it is fed."""
        return self._transmitter.way

    @property
    def symbol_size(self) -> int:
        """Bytes of a symbol that suit it."""
        return self._transmitter.symbol_size

    @property
    def packet_rate(self) -> float | None:
        """Bits of packets that go out in a second; None on a line."""
        return self._transmitter.packet_rate

    def of(self, key: int) -> Transmitter:
        """The transmitter for what is sealed with a cipher key."""
        if self._beside is None:
            return self._transmitter
        if key not in self._channels:
            self._channels[key] = self._beside(key)
        return self._channels[key]


def open_outlet(air: str, keys: CipherKeys, rate: float = 1_000_000, line: Line | None = None) -> Outlet:
    """Open the transmitter (24) of a bearer for a group; raises InputError, BearerError."""
    name, _, place = air.partition(":")
    line = line or Line()
    match name:
        case "udp":
            group, port, interface = _udp_place(place, air)
            return Outlet(UdpTransmitter(group, port, interface, bits_per_second=rate))
        case "sound":
            return Outlet(SoundTransmitter(_recording(place, air) if place else None))
        case "pager":
            return Outlet(PagerTransmitter(_recording(place, air)))
        case "mqtt":
            broker = _broker(place, air, line)
            newest = MqttTransmitter(broker, keys.issuer, _channel(keys, keys.newest.number))
            return Outlet(newest, lambda key: MqttTransmitter(broker, keys.issuer, _channel(keys, key)))
        case "http" | "https":
            return _serve(place, air, keys, line)
    raise _unknown(air)


def _serve(place: str, air: str, keys: CipherKeys, line: Line) -> Outlet:
    if "/" in place or air.startswith("https"):
        text = "the center serves at http:PORT or http:HOST:PORT; with --certificate and --key it is https"
        raise InputError(f"--air {air}: {text}")
    host, _, port = place.rpartition(":")
    host, newest = host.strip("[]") or _LOOPBACK, _channel(keys, keys.newest.number)
    service = HttpTransmitter(host, _port(port, air), keys.issuer, newest, line.certificate, line.key)
    place = service.url.partition("/blacklist")[0]
    return Outlet(service, lambda key: service.beside(_channel(keys, key)), place)
