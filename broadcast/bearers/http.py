"""HTTP, the terminal's side: ask the index now and then, and fetch the cheapest way to the newest edition."""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from time import monotonic, sleep

import httpx

from apdu.errors import BearerError, FormatError, InputError
from broadcast.bearer import Receiver, Way
from broadcast.bearers.bundle import LARGEST_BUNDLE, unpack
from broadcast.bearers.index import LARGEST_INDEX, Index, Need
from broadcast.bearers.line import Backoff, trust

__all__ = ["HttpReceiver"]

_LONGEST_SILENCE = 10.0
"""Seconds."""
_LONGEST_REQUEST = 120.0
"""Seconds from the connection to the last byte of one object, however busily its bytes trickle."""
_LONGEST_ROUND = 600.0
"""Seconds after which the index is asked again, whatever it still promises."""
_LONGEST_URL = 2000
_MARK = re.compile(r'(W/)?"[!#-~]{0,128}"')
"""An entity tag (RFC 9110, 8.8.3) that can be sent back as it came."""
_HOST = re.compile(r"[\w.:-]+")


class _TemporaryError(BearerError):
    """What another attempt may mend."""


class HttpReceiver(Receiver):
    """Asks a center's service; ``url`` is the channel's, as ``https://center.example/blacklist/1/terminals/1``."""

    way = Way.LINE

    def __init__(
        self, url: str, have: Callable[[], int] = int, ca: Path | None = None, poll_seconds: float = 60.0
    ) -> None:
        """``have`` tells the edition in force, 0 for none: without it, always the full list is taken.

        It is asked after the packets of each object were taken, so take them in before asking for more. ``ca`` is
        a PEM file; None: the system's CAs. Raises InputError; connects only when packets are asked for.
        """
        self._url = _checked(url)
        self._need = Need(have)
        self._poll = poll_seconds
        self._mark = ""
        self._end = 0.0
        # neither proxies nor logins from the environment: what is fetched, and from where, is said here alone;
        # cookies would pile up, and tell terminals apart
        self._client = httpx.AsyncClient(
            verify=trust(ca),
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        # only an event loop can end a request by the clock, whatever the server sends and leaves out meanwhile
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._is_closed = False

    @property
    def is_done(self) -> bool:
        """Whether the newest index names nothing more that is needed."""
        return self._need.is_done

    def packets(self, seconds: float | None = None) -> Iterator[bytes]:
        """Yield the packets of what is needed, until ``seconds`` have passed; the index is asked at least once.

        No server makes it last longer: what is under way then is given up. Only the first round of asking has 3 s
        in any case. A round, also without end, has at most 600 s, and each request in it 120 s.

        Raises BearerError at once for what waiting does not mend (TLS, 404, wrong content), and in the end when
        nothing came and no round of asking was finished.
        """
        backoff = Backoff(seconds)
        complaint = ""
        was_reached = False
        left = backoff.answer(_LONGEST_ROUND)
        while left > 0:
            self._end = monotonic() + left
            try:
                self._ask_index()
                for packet in self._needed():
                    was_reached = True
                    yield packet
                was_reached = True
                backoff.worked()
                wait = backoff.left(self._poll)
            except _TemporaryError as error:
                complaint = str(error)
                wait = backoff.failed()
            sleep(max(wait, 0.0))
            left = backoff.left(_LONGEST_ROUND)
        if not was_reached:
            raise BearerError(complaint)

    def _ask_index(self) -> None:
        """Ask for the index, unless it is as before (304)."""
        known = {"If-None-Match": self._mark} if self._mark else {}
        content, mark = self._get("index", LARGEST_INDEX, known)
        if content is None:
            return
        try:
            self._need.index = Index.decode(content)
        except FormatError as error:
            raise BearerError(f"{self._url}/index is not an index: {error}; check the address") from None
        self._mark = mark if _MARK.fullmatch(mark) else ""

    def _needed(self) -> Iterator[bytes]:
        while monotonic() < self._end and (entry := self._need.next()) and (index := self._need.index):
            yield from self._fetch(index.path(entry))
            self._need.tried(entry)

    def _fetch(self, path: str) -> list[bytes]:
        content, _ = self._get(path, LARGEST_BUNDLE, {})
        try:
            return unpack(content or b"")
        except FormatError as error:
            raise BearerError(f"{self._url}/{path} is not a bundle of packets: {error}") from None

    def _get(self, path: str, most: int, headers: dict[str, str]) -> tuple[bytes | None, str]:
        """Content and entity tag; None for what is not modified."""
        url = f"{self._url}/{path}"
        seconds = max(min(self._end - monotonic(), _LONGEST_REQUEST), 0.0)
        try:
            return self._runner.run(self._ask(url, path, most, headers, seconds))
        except (TimeoutError, httpx.TimeoutException):
            raise _TemporaryError(f"{url} does not answer in time; check the line, or listen for longer") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _explained(url, error) from None

    async def _ask(
        self, url: str, path: str, most: int, headers: dict[str, str], seconds: float
    ) -> tuple[bytes | None, str]:
        """One request within ``seconds``; raises TimeoutError and errors of httpx."""
        asked = {"Accept-Encoding": "identity", **headers}
        # httpx closes what it could not connect in its own time, but not what is taken from its hands: TCP and TLS
        # have half of the time each
        patience = httpx.Timeout(_LONGEST_SILENCE, connect=min(_LONGEST_SILENCE, seconds / 2))
        async with (
            asyncio.timeout(seconds),
            self._client.stream("GET", url, headers=asked, timeout=patience) as response,
        ):
            if response.status_code == httpx.codes.NOT_MODIFIED and headers:
                return None, self._mark
            self._check(response, url, path)
            return await _read(response, url, most), response.headers.get("etag", "")

    def _check(self, response: httpx.Response, url: str, path: str) -> None:
        status = response.status_code
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
            raise _TemporaryError(f"{url}: the service fails with status {status}")
        if status == httpx.codes.NOT_FOUND and path != "index":
            self._mark = ""
            raise _TemporaryError(f"{url} is no longer there")  # a new edition came in between: the index tells
        if status != httpx.codes.OK:
            raise BearerError(f"{url}: status {status}, which is no answer; check the address and the channel")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise BearerError(f"{url} comes compressed, which was not asked for")

    def close(self) -> None:
        """Close the connection; a lookup of the host's name that is still under way is waited for."""
        if not self._is_closed:
            self._is_closed = True
            with self._runner as runner:
                runner.run(self._client.aclose())


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL()
    is_place = parsed.scheme in ("http", "https") and _HOST.fullmatch(parsed.host) and len(url) <= _LONGEST_URL
    if not is_place or parsed.userinfo or parsed.query or parsed.fragment:
        raise InputError("that is no address of a channel; give one such as https://HOST/blacklist/1/terminals/1")
    return url.rstrip("/")


async def _read(response: httpx.Response, url: str, most: int) -> bytes:
    """The content, which may be endless."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > most:
            raise BearerError(f"{url} gives more than {most} bytes, which it cannot have")
    return bytes(content)


def _explained(url: str, error: Exception) -> BearerError:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"{url}: its certificate is not trusted: {cause.verify_message}"
        return BearerError(f"{text}; give the CA with --ca FILE, and check the host's name")
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return BearerError(f"{url}: no TLS: {cause.reason or cause}; check http or https, and the port")
    return _TemporaryError(
        f"{url} cannot be reached: {str(error) or type(error).__name__}; check that the service runs"
    )
