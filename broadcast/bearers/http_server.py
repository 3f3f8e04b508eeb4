"""HTTP: the center as a service on the line (RFC 9110). Read only, no logins, nothing secret in it.

``GET /blacklist/ISSUER/CHANNEL/index``, ``.../full`` and ``.../delta/SPAN``, with strong entity tags.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn import Config, Server

from apdu.errors import BearerError, InputError
from broadcast.bearer import Transmitter, Way
from broadcast.bearers.bundle import Bundle
from broadcast.bearers.index import Entry, Index
from broadcast.bearers.line import check_channel

__all__ = ["HttpTransmitter", "Shelf", "application"]

_MOST_CONNECTIONS = 1000
_BACKLOG = 128
_START_SECONDS = 30
_STOP_SECONDS = 2


@dataclass(frozen=True, slots=True)
class _Content:
    raw: bytes
    media: str
    etag: str

    def headers(self) -> dict[str, str]:
        """``no-cache``: a cache may keep it, and asks before each use whether it is still the newest."""
        return {"ETag": f'"{self.etag}"', "Cache-Control": "public, no-cache"}


class Shelf:
    """What is served, by channel and path; each channel is replaced as a whole, in one assignment."""

    def __init__(self) -> None:
        """Begin empty."""
        self._channels: dict[str, dict[str, _Content]] = {}

    def put(self, channel: str, bundles: Sequence[Bundle]) -> None:
        """Replace what a channel holds; ``channel`` is ``ISSUER/GROUP/KEY``. One that holds nothing is gone."""
        if not bundles:
            self._channels.pop(channel, None)
            return
        index = Index.of(bundles)
        listing = Bundle(0, 0, index.encode())
        contents = {"index": _Content(listing.raw, "application/json", Entry.of(listing).etag)}
        for bundle, entry in zip(bundles, index.entries, strict=True):
            contents[index.path(entry)] = _Content(bundle.raw, "application/octet-stream", entry.etag)
        self._channels[channel] = contents

    def open(self, channel: str) -> None:
        """Announce a channel that gets its objects soon."""
        self._channels.setdefault(channel, {})

    def is_awaited(self, path: str) -> bool:
        """Whether a path may be there soon: its channel is still empty, or there is no channel yet."""
        empty = [channel for channel, contents in list(self._channels.items()) if not contents]
        return not self._channels or any(path.startswith(channel + "/") for channel in empty)

    def get(self, path: str) -> _Content | None:
        """What is at ``ISSUER/CHANNEL/PATH``; None when nothing is."""
        for channel, contents in list(self._channels.items()):
            if path.startswith(channel + "/") and (content := contents.get(path[len(channel) + 1 :])):
                return content
        return None


def _is_known(request: Request, etag: str) -> bool:
    """RFC 9110, 13.1.2: whether If-None-Match names what is there."""
    named = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return f'"{etag}"' in named or "*" in named


def application(shelf: Shelf) -> Starlette:
    """The service over a shelf."""

    async def serve(request: Request) -> Response:
        """Answer one request."""
        path = request.path_params["path"]
        content = shelf.get(path)
        if content is None and shelf.is_awaited(path):
            return Response("nothing is on the air yet\n", 503, {"Retry-After": "5"}, media_type="text/plain")
        if content is None:
            return Response("nothing of that name is on the air\n", 404, media_type="text/plain")
        if _is_known(request, content.etag):
            return Response(status_code=304, headers=content.headers())
        return Response(content.raw, media_type=content.media, headers=content.headers())

    return Starlette(routes=[Route("/blacklist/{path:path}", serve, methods=["GET"])])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind)
    except (OSError, OverflowError) as error:
        raise BearerError(f"HTTP on {host} port {port}: {error}; give a name of this machine") from None
    try:
        if sys.platform != "win32":  # there it would let others take the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        sock.close()
        text = f"HTTP on {host} port {port} cannot be served: {error}"
        raise BearerError(f"{text}; end the program that holds the port, or use another") from None
    return sock


def _check_certificate(certificate: Path | None, key: Path | None) -> None:
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise InputError("HTTPS needs both, a certificate and its key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:
        raise InputError(f"{certificate} and its key cannot be used: {error.strerror or error}") from None


class _Service:
    """A server in a thread of its own; serves until it is closed."""

    def __init__(self, host: str, port: int, certificate: Path | None, key: Path | None) -> None:
        _check_certificate(certificate, key)
        self.shelf = Shelf()
        self._socket = _listen(host, port)
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if certificate else 'http'}://{name}:{self._socket.getsockname()[1]}/blacklist"
        self._server = Server(
            Config(
                application(self.shelf),
                http="h11",
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_graceful_shutdown=_STOP_SECONDS,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )
        self._is_up = Event()
        self._thread = Thread(target=self._run, name="blacklist-http", daemon=True)
        self._thread.start()
        if not self._is_up.wait(_START_SECONDS) or not self._thread.is_alive():
            self.close()
            raise BearerError(f"HTTP on {host} port {port} did not start")

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._is_up.set()

    async def _serve(self) -> None:
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.01)
        self._is_up.set()
        await serving

    def close(self) -> None:
        """Stop, and wait until it has; may be called again."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


class _Channel(Transmitter):
    """One channel of a service."""

    way = Way.LINE

    def __init__(self, service: _Service, issuer: int, channel: str) -> None:
        self._service = service
        self._name = f"{issuer}/{check_channel(channel)}"
        service.shelf.open(self._name)

    @property
    def url(self) -> str:
        """Where terminals find this channel: what HttpReceiver takes."""
        return f"{self._service.url}/{self._name}"

    def send(self, packets: Sequence[bytes]) -> None:
        """Serve the source packets of all objects on the air, in place of those before; raises FormatError."""
        self._service.shelf.put(self._name, Bundle.sort(packets))


class HttpTransmitter(_Channel):
    """Serves what is on the air in one channel; ``beside`` gives transmitters for more, over the same port."""

    def __init__(
        self,
        host: str,
        port: int,
        issuer: int,
        channel: str,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        """Begin to serve; port 0 takes a free one, see ``url``. With certificate and key (PEM files) it is HTTPS.

        Raises InputError for these files and for names, BearerError when the port cannot be had.
        """
        check_channel(channel)
        super().__init__(_Service(host, port, certificate, key), issuer, channel)
        self._issuer = issuer

    def beside(self, channel: str) -> Transmitter:
        """A transmitter for another channel of the same service, as for the next key; closing it changes nothing."""
        return _Channel(self._service, self._issuer, channel)

    def close(self) -> None:
        """Serve no longer."""
        self._service.close()
